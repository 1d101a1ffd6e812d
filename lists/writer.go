package lists

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// Record is what is added to a row: the columns of the contract, in their order. The tags are for gocsv, with which a
// program reads a written list back.
type Record struct {
	Verdict      string `csv:"verify_verdict"`
	Score        string `csv:"verify_score"`
	Reason       string `csv:"verify_reason"`
	Detail       string `csv:"verify_detail"`
	Suggestion   string `csv:"verify_suggestion"`
	Flags        string `csv:"verify_flags"` // joined by spaces
	Provider     string `csv:"verify_provider"`
	MX           string `csv:"verify_mx"`
	SMTPCode     string `csv:"verify_smtp_code"`
	EnhancedCode string `csv:"verify_enhanced_code"`
	Normalized   string `csv:"verify_normalized"`
	CheckedAt    string `csv:"verify_checked_at"` // RFC 3339
	RetryAt      string `csv:"verify_retry_at"`   // RFC 3339; empty: no
}

// recordColumns are the names of the columns, in their order.
var recordColumns = []string{
	"verify_verdict", "verify_score", "verify_reason", "verify_detail", "verify_suggestion", "verify_flags",
	"verify_provider", "verify_mx", "verify_smtp_code", "verify_enhanced_code", "verify_normalized", "verify_checked_at",
	"verify_retry_at",
}

// appendValues appends the cells in the order of recordColumns.
func (r *Record) appendValues(cells []string) []string {
	return append(cells,
		r.Verdict, r.Score, r.Reason, r.Detail, r.Suggestion, r.Flags,
		r.Provider, r.MX, r.SMTPCode, r.EnhancedCode, r.Normalized, r.CheckedAt,
		r.RetryAt)
}

// Writer writes a list's rows with a Record each, in the list's dialect: its delimiter, line ends and encoding.
type Writer struct {
	w       *bufio.Writer
	encoder io.Closer // of a wide encoding; nil: none
	cp1252  bool
	dialect Dialect
	width   int // fields of the widest row
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
	out := &Writer{dialect: list.dialect, width: list.width, batch: &writerBatch{}}
	out.cp1252 = list.dialect.Encoding == Windows1252
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
		if err := out.row(header, recordColumns); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Write writes a row that the list's Rows returned, with what is added to it. Another goroutine does the writing: an
// error comes with a later call, with Close at the latest.
func (w *Writer) Write(row Row, record Record) error {
	return w.add(row, record, row.fields())
}

// Blank passes an empty line through.
func (w *Writer) Blank(row Row) error { return w.add(row, Record{}, blankLine) }

// blankLine is the fields of a line to which nothing is added.
const blankLine = -1

func (w *Writer) add(row Row, record Record, fields int) error {
	b := w.batch
	from := len(b.bytes)
	b.bytes = append(append(b.bytes, row.Raw...), row.End...)
	all := b.bytes[from:]
	b.rows = append(b.rows, pendingRow{all[:len(row.Raw)], all[len(row.Raw):], fields})
	b.records = append(b.records, record)
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
		added = b.records[i].appendValues(added[:0])
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
	b.Write(row.raw)
	if row.fields != blankLine {
		for range w.width - row.fields {
			b.WriteByte(w.dialect.Delimiter)
		}
		for _, cell := range added {
			b.WriteByte(w.dialect.Delimiter)
			w.cell(b, neutral(harmless(cell)))
		}
	}
	b.Write(row.end)
	_, err := w.w.Write(b.Bytes())
	return err
}

// cell writes one of our cells in the list's encoding, quoted where it must be.
func (w *Writer) cell(b *bytes.Buffer, text string) {
	if w.cp1252 {
		text = windows1252(text)
	}
	if strings.IndexByte(text, w.dialect.Delimiter) < 0 && !strings.ContainsAny(text, "\"\r\n") {
		b.WriteString(text)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(text, `"`, `""`))
	b.WriteByte('"')
}

// windows1252 encodes text; what that encoding lacks becomes a question mark.
func windows1252(text string) string {
	encoded := make([]byte, 0, len(text))
	for _, r := range text {
		b, ok := charmap.Windows1252.EncodeRune(r)
		if !ok {
			b = '?'
		}
		encoded = append(encoded, b)
	}
	return string(encoded)
}

// harmless takes out of text of others what steers a terminal or deceives the eye: control characters and those that
// turn the direction of writing.
func harmless(text string) string {
	if isPlain(text) {
		return text
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text))
}

func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// neutral makes of harmless text a cell that no spreadsheet reads as a formula, full-width signs included.
func neutral(cell string) string {
	if cell == "" || cell[0] < utf8.RuneSelf && strings.IndexByte("=+-@", cell[0]) < 0 {
		return cell
	}
	for _, sign := range []string{"=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"} {
		if strings.HasPrefix(cell, sign) {
			return "'" + cell
		}
	}
	return cell
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

// JSONWriter writes a list's rows as JSON, an object a line: the list's columns by name, then those of Record, all as
// strings. A column that a short row lacks is left out.
type JSONWriter struct {
	w       *bufio.Writer
	keys    [][]byte // of the list's columns and then of Record's, encoded, with the colon
	columns int      // how many of them are the list's
	line    bytes.Buffer
	text    *json.Encoder // to line
	cells   []string      // of a Record, used again for each row
}

// NewJSONWriter returns a JSONWriter. Columns without a name are column1, column2 and so on; a name that comes again
// gets a number. Close it; that does not close w.
func NewJSONWriter(w io.Writer, list *Reader) (*JSONWriter, error) {
	if err := list.measure(); err != nil {
		return nil, err
	}
	out := &JSONWriter{w: bufio.NewWriterSize(w, 1<<16), columns: list.width}
	out.text = json.NewEncoder(&out.line)
	out.text.SetEscapeHTML(false)
	for _, key := range append(columnKeys(list, recordColumns), recordColumns...) {
		out.line.Reset()
		if err := out.value(key); err != nil {
			return nil, err
		}
		out.keys = append(out.keys, append(bytes.Clone(out.line.Bytes()), ':'))
	}
	return out, nil
}

// columnKeys names a list's columns, each differently.
func columnKeys(list *Reader, taken []string) (keys []string) {
	seen := map[string]bool{}
	for _, key := range taken {
		seen[key] = true
	}
	for i := range list.width {
		key := ""
		if i < len(list.columns) {
			key = strings.TrimSpace(list.columns[i])
		}
		if key == "" {
			key = "column" + strconv.Itoa(i+1)
		}
		for n, base := 2, key; seen[key]; n++ {
			key = base + "_" + strconv.Itoa(n)
		}
		seen[key] = true
		keys = append(keys, key)
	}
	return keys
}

// Write writes a row with what is added to it.
func (w *JSONWriter) Write(row Row, r Record) error {
	w.line.Reset()
	next := byte('{')
	pair := func(key []byte, value string) error {
		w.line.WriteByte(next)
		w.line.Write(key)
		next = ','
		return w.value(value)
	}
	i := 0
	for cell := range fields(row.Raw, row.reader.dialect.Delimiter) {
		if err := pair(w.keys[i], row.reader.dialect.text(cell)); err != nil {
			return err
		}
		i++
	}
	w.cells = r.appendValues(w.cells[:0])
	for i, value := range w.cells {
		if err := pair(w.keys[w.columns+i], harmless(value)); err != nil {
			return err
		}
	}
	w.line.WriteString("}\n")
	_, err := w.w.Write(w.line.Bytes())
	return err
}

// value appends text as JSON to the line.
func (w *JSONWriter) value(text string) error {
	if err := w.text.Encode(text); err != nil {
		return err
	}
	w.line.Truncate(w.line.Len() - 1) // Encode ends the line
	return nil
}

// Blank passes over an empty line, which JSON has none of.
func (w *JSONWriter) Blank(Row) error { return nil }

// Close writes what is left.
func (w *JSONWriter) Close() error { return w.w.Flush() }
