package lists

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gocarina/gocsv"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// Record is what is added to a row: the columns of the contract, in their order.
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

// names are the columns' names.
func names() ([]string, error) {
	header, err := gocsv.MarshalBytes([]Record{})
	if err != nil {
		return nil, fmt.Errorf("lists: naming the columns: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(header)), ","), nil
}

// Writer writes a list's rows with a Record each, in the list's dialect: its delimiter, line ends and encoding.
type Writer struct {
	w       *bufio.Writer
	encoder io.Closer // of a wide encoding; nil: none
	cp1252  bool
	list    *Reader
	pending []pendingRow
	records []Record
	buffer  bytes.Buffer
}

type pendingRow struct {
	raw, end []byte
	fields   int
}

// writeBatch is how many records are turned into cells at once.
const writeBatch = 512

// NewWriter returns a Writer and writes the header, if the list has one. Close it; that does not close w.
func NewWriter(w io.Writer, list *Reader) (*Writer, error) {
	if err := list.measure(); err != nil {
		return nil, err
	}
	out := &Writer{list: list, cp1252: list.dialect.Encoding == Windows1252}
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
	if list.header != nil {
		added, err := names()
		if err != nil {
			return nil, err
		}
		if err := out.row(pendingRow{list.header.Raw, list.header.End, len(list.columns)}, added); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Write writes a row that the list's Rows returned, with what is added to it.
func (w *Writer) Write(row Row, record Record) error {
	w.pending = append(w.pending, pendingRow{bytes.Clone(row.Raw), bytes.Clone(row.End), row.fields()})
	w.records = append(w.records, record)
	if len(w.records) < writeBatch {
		return nil
	}
	return w.flush()
}

// Blank passes an empty line through.
func (w *Writer) Blank(row Row) error {
	if err := w.flush(); err != nil {
		return err
	}
	if _, err := w.w.Write(row.Raw); err != nil {
		return err
	}
	_, err := w.w.Write(row.End)
	return err
}

func (w *Writer) flush() error {
	if len(w.records) == 0 {
		return nil
	}
	if err := gocsv.MarshalCSVWithoutHeaders(w.records, &cells{writer: w}); err != nil {
		return fmt.Errorf("lists: writing: %w", err)
	}
	w.pending, w.records = w.pending[:0], w.records[:0]
	return nil
}

// cells is a gocsv.CSVWriter that joins the cells of each Record to the row they belong to.
type cells struct {
	writer *Writer
	n      int
	err    error
}

// Write implements gocsv.CSVWriter.
func (c *cells) Write(added []string) error {
	c.err = c.writer.row(c.writer.pending[c.n], added)
	c.n++
	return c.err
}

// Flush implements gocsv.CSVWriter; rows are buffered by the Writer.
func (c *cells) Flush() {}

// Error implements gocsv.CSVWriter.
func (c *cells) Error() error { return c.err }

// row writes one row: its own bytes, empty fields up to the list's width, and the added cells.
func (w *Writer) row(row pendingRow, added []string) error {
	b := &w.buffer
	b.Reset()
	b.Write(row.raw)
	for range w.list.width - row.fields {
		b.WriteByte(w.list.dialect.Delimiter)
	}
	for _, cell := range added {
		b.WriteByte(w.list.dialect.Delimiter)
		w.cell(b, neutral(cell))
	}
	b.Write(row.end)
	_, err := w.w.Write(b.Bytes())
	return err
}

// cell writes one of our cells in the list's encoding, quoted where it must be.
func (w *Writer) cell(b *bytes.Buffer, text string) {
	if w.cp1252 {
		if encoded, err := encoding.ReplaceUnsupported(charmap.Windows1252.NewEncoder()).String(text); err == nil {
			text = encoded
		}
	}
	if strings.IndexByte(text, w.list.dialect.Delimiter) < 0 && !strings.ContainsAny(text, "\"\r\n") {
		b.WriteString(text)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(text, `"`, `""`))
	b.WriteByte('"')
}

// neutral takes the power away from text of others: control characters, and a beginning that a spreadsheet would read
// as a formula.
func neutral(cell string) string {
	if cell == "" {
		return cell
	}
	if strings.ContainsFunc(cell, unicode.IsControl) {
		cell = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, cell)
	}
	if strings.IndexByte("=+-@", cell[0]) >= 0 {
		return "'" + cell
	}
	return cell
}

// Close writes what is left.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if w.encoder != nil {
		return w.encoder.Close()
	}
	return nil
}

// JSONWriter writes a list's rows as JSON, an object a line: the list's columns by name, then those of Record.
type JSONWriter struct {
	w     *bufio.Writer
	keys  []string // of the list's columns
	added []string
}

// NewJSONWriter returns a JSONWriter. Columns without a name are column1, column2 and so on; a name that comes again
// gets a number. Close it; that does not close w.
func NewJSONWriter(w io.Writer, list *Reader) (*JSONWriter, error) {
	if err := list.measure(); err != nil {
		return nil, err
	}
	added, err := names()
	if err != nil {
		return nil, err
	}
	out := &JSONWriter{w: bufio.NewWriterSize(w, 1<<16), added: added}
	for i := range list.width {
		key := ""
		if i < len(list.columns) {
			key = strings.TrimSpace(list.columns[i])
		}
		if key == "" {
			key = "column" + strconv.Itoa(i+1)
		}
		for n, base := 2, key; slices.Contains(out.keys, key) || slices.Contains(added, key); n++ {
			key = base + "_" + strconv.Itoa(n)
		}
		out.keys = append(out.keys, key)
	}
	return out, nil
}

// Write writes a row with what is added to it.
func (w *JSONWriter) Write(row Row, r Record) error {
	separator := byte('{')
	pair := func(key string, value any) error {
		name, err := json.Marshal(key)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		w.w.WriteByte(separator) // errors stick to the writer and come with Close
		w.w.Write(name)
		w.w.WriteByte(':')
		w.w.Write(text)
		separator = ','
		return nil
	}
	for i, key := range w.keys {
		if value, ok := row.Field(i); ok {
			if err := pair(key, value); err != nil {
				return err
			}
		}
	}
	for i, value := range []string{
		r.Verdict, r.Score, r.Reason, r.Detail, r.Suggestion, r.Flags, r.Provider, r.MX, r.SMTPCode, r.EnhancedCode, r.Normalized, r.CheckedAt, r.RetryAt,
	} {
		if err := pair(w.added[i], value); err != nil {
			return err
		}
	}
	_, err := w.w.WriteString("}\n")
	return err
}

// Blank passes over an empty line, which JSON has none of.
func (w *JSONWriter) Blank(Row) error { return nil }

// Close writes what is left.
func (w *JSONWriter) Close() error { return w.w.Flush() }
