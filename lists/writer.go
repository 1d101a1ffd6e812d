package lists

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// Writer writes a list's rows with a Record each, in the list's dialect: its delimiter, line ends and encoding.
type Writer struct {
	w       *bufio.Writer
	encoder io.Closer // of a wide encoding; nil: none
	dialect Dialect
	codec   encoding.Encoding // of the dialect; nil for Unicode
	cut     cut
	width   int   // fields of the widest row
	ours    []int // fields of an earlier run, which are left out
	sets    int   // how many Records a row gets
	batch   *writerBatch
	buffer  bytes.Buffer

	queue chan *writerBatch // to the goroutine that writes; nil: it has not begun
	free  chan *writerBatch // written, to be filled again
	ended chan struct{}
	err   error // of the goroutine; to be read after ended
}

// writerBatch is some rows with what is added to them.
type writerBatch struct {
	rows    []pendingRow
	records []Record
	bytes   []byte // of the rows
}

type pendingRow struct {
	raw, end []byte
	fields   int
}

// writeBatch is how many rows the writing goroutine gets at once.
const writeBatch = 512

// NewWriter returns a Writer and writes the header, if the list has one. Close it; that does not close w.
func NewWriter(w io.Writer, list *Reader) (*Writer, error) {
	if err := list.measure(); err != nil {
		return nil, err
	}
	out := &Writer{
		dialect: list.dialect, codec: codecs[list.dialect.Encoding], cut: list.dialect.cut(), width: list.width,
		ours: list.ours, sets: len(list.chosen), batch: &writerBatch{},
	}
	if wide := list.dialect.wide(); wide != nil {
		encoded := transform.NewWriter(w, wide.NewEncoder())
		out.encoder, w = encoded, encoded
	}
	out.w = bufio.NewWriterSize(w, 1<<16)
	if list.dialect.BOM && out.encoder == nil {
		if _, err := out.w.Write(utf8BOM); err != nil {
			return nil, err
		}
	}
	if _, err := out.w.Write(list.preamble); err != nil {
		return nil, err
	}
	if list.header != nil {
		header := pendingRow{list.header.Raw, list.header.End, len(list.columns)}
		if err := out.row(header, list.addedNames()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Write writes a row that the list's Rows returned, with what is added to it. Another goroutine does the writing: an
// error comes with a later call, with Close at the latest.
func (w *Writer) Write(row Row, record Record) error {
	return w.add(row, w.cut.count(row.Raw), record)
}

// WriteAll writes a row of a list with several address columns, with a Record for each of them in the order of
// Reader.AddressColumns. Cells of a Record that is missing are empty, and a Record too many is left out.
func (w *Writer) WriteAll(row Row, records []Record) error {
	return w.add(row, w.cut.count(row.Raw), records...)
}

// Blank passes through what is no row.
func (w *Writer) Blank(row Row) error { return w.add(row, blankLine) }

// blankLine is the fields of a line to which nothing is added.
const blankLine = -1

func (w *Writer) add(row Row, fields int, records ...Record) error {
	b := w.batch
	from := len(b.bytes)
	b.bytes = append(append(b.bytes, row.Raw...), row.End...)
	all := b.bytes[from:]
	b.rows = append(b.rows, pendingRow{all[:len(row.Raw)], all[len(row.Raw):], fields})
	b.records = append(b.records, records[:min(len(records), w.sets)]...)
	for range w.sets - len(records) {
		b.records = append(b.records, Record{})
	}
	if len(b.rows) < writeBatch {
		return nil
	}
	return w.hand()
}

// hand gives the batch to the goroutine that writes, and takes an empty one.
func (w *Writer) hand() error {
	if w.queue == nil {
		w.queue, w.free, w.ended = make(chan *writerBatch), make(chan *writerBatch, 1), make(chan struct{})
		w.free <- &writerBatch{}
		go func() {
			defer close(w.ended)
			for b := range w.queue {
				if w.err = w.flush(b); w.err != nil {
					return
				}
				b.rows, b.records, b.bytes = b.rows[:0], b.records[:0], b.bytes[:0]
				w.free <- b
			}
		}()
	}
	select {
	case w.queue <- w.batch:
	case <-w.ended:
		return w.err
	}
	select {
	case w.batch = <-w.free:
	case <-w.ended:
		return w.err
	}
	return nil
}

func (w *Writer) flush(b *writerBatch) error {
	var added []string
	for i := range b.rows {
		added = added[:0]
		for set := range w.sets {
			added = b.records[i*w.sets+set].appendCells(added)
		}
		if err := w.row(b.rows[i], added); err != nil {
			return fmt.Errorf("lists: writing: %w", err)
		}
	}
	return nil
}

// row writes one row: its own bytes, empty fields up to the list's width, and the added cells.
func (w *Writer) row(row pendingRow, added []string) error {
	b := &w.buffer
	b.Reset()
	if row.fields == blankLine || len(w.ours) == 0 {
		b.Write(row.raw)
	} else {
		w.theirs(b, row.raw)
	}
	if row.fields != blankLine {
		for range w.width - row.fields {
			b.WriteByte(w.dialect.Delimiter)
		}
		for _, cell := range added {
			b.WriteByte(w.dialect.Delimiter)
			w.cell(b, cell)
		}
	}
	b.Write(row.end)
	_, err := w.w.Write(b.Bytes())
	return err
}

// cell writes one of our cells in the list's encoding, quoted where it must be.
func (w *Writer) cell(b *bytes.Buffer, text string) {
	if !w.needsQuotes(text) {
		if w.codec == nil {
			b.WriteString(text)
		} else {
			b.WriteString(w.dialect.encode(text))
		}
		return
	}
	b.WriteByte('"')
	b.WriteString(w.dialect.encode(strings.ReplaceAll(text, `"`, `""`)))
	b.WriteByte('"')
}

func (w *Writer) needsQuotes(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == w.dialect.Delimiter || c == '"' || c == '\n' || c == '\r' {
			return true
		}
	}
	return false
}

// theirs writes a row's own fields without those of an earlier run. The first field that is written keeps its place, so
// that a row without any has one that is empty.
func (w *Writer) theirs(b *bytes.Buffer, raw []byte) {
	first := true
	for i, field := range w.cut.raw(raw) {
		if slices.Contains(w.ours, i) {
			continue
		}
		if !first {
			b.WriteByte(w.dialect.Delimiter)
		}
		b.Write(field)
		first = false
	}
}

// Close writes what is left. It must be called, after an error as well.
func (w *Writer) Close() error {
	if w.queue != nil {
		close(w.queue)
		<-w.ended
		w.queue = nil
	}
	if w.err != nil {
		return w.err
	}
	if err := w.flush(w.batch); err != nil {
		w.err = err
		return err
	}
	w.batch = &writerBatch{}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if w.encoder != nil {
		return w.encoder.Close()
	}
	return nil
}
