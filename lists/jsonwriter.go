package lists

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
)

// JSONWriter writes a list's rows as JSON, an object a line: the list's columns by name, then those of Record, all as
// strings. A column that a short row lacks is left out.
type JSONWriter struct {
	w       *bufio.Writer
	keys    [][]byte // of the list's columns and then of Record's, encoded, with the colon
	columns int      // how many of them are the list's
	ours    []int    // fields of an earlier run, which are left out
	sets    int      // how many Records a row gets
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
	out := &JSONWriter{w: bufio.NewWriterSize(w, 1<<16), columns: list.width, ours: list.ours, sets: len(list.chosen)}
	out.text = json.NewEncoder(&out.line)
	out.text.SetEscapeHTML(false)
	added := list.addedNames()
	for _, key := range append(columnKeys(list, added), added...) {
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
			key = list.columns[i]
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
func (w *JSONWriter) Write(row Row, record Record) error { return w.WriteAll(row, []Record{record}) }

// WriteAll writes a row of a list with several address columns, with a Record for each of them in the order of
// Reader.AddressColumns.
func (w *JSONWriter) WriteAll(row Row, records []Record) error {
	w.line.Reset()
	next := byte('{')
	pair := func(key []byte, value string) error {
		w.line.WriteByte(next)
		w.line.Write(key)
		next = ','
		return w.value(value)
	}
	i := 0
	for cell := range row.reader.dialect.cut().fields(row.Raw) {
		if !slices.Contains(w.ours, i) {
			if err := pair(w.keys[i], row.reader.dialect.text(cell)); err != nil {
				return err
			}
		}
		i++
	}
	w.cells = appendRecords(w.cells[:0], records, w.sets, (*Record).appendValues)
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

// Blank passes over what is no row, which JSON has none of.
func (w *JSONWriter) Blank(Row) error { return nil }

// Close writes what is left. It does not close the writer below.
func (w *JSONWriter) Close() error { return w.w.Flush() }
