package lists

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// WorkbookWriter writes a list that is a workbook with a Record for each row: the workbook as it is, with columns added
// to the list's sheet. Everything else in it, other sheets, formats and formulas included, stays byte for byte.
type WorkbookWriter struct {
	list   *Reader
	zip    *zip.Writer
	source io.ReadCloser // the sheet as it is
	rows   *sheetRows
	sheet  io.Writer
	first  int // our first column
	sets   int
	header int64 // its row, from 1; 0: none
	buffer bytes.Buffer
	cells  []string
	err    error
}

// NewWorkbookWriter returns a WorkbookWriter for a list whose format is Workbook. Close it; that does not close w.
func NewWorkbookWriter(w io.Writer, list *Reader) (*WorkbookWriter, error) {
	if list.format != Workbook {
		return nil, fmt.Errorf("a list that comes as %s cannot go out as a workbook", list.format)
	}
	if err := list.measure(); err != nil {
		return nil, err
	}
	out := &WorkbookWriter{list: list, zip: zip.NewWriter(w), sets: len(list.chosen)}
	for i := range list.width {
		if !slices.Contains(list.ours, i) {
			out.first = i + 1
		}
	}
	if out.first+out.sets*len(recordColumns) > maxFields {
		return nil, fmt.Errorf("a sheet has at most %d columns, too few for those that are added", maxFields)
	}
	if list.header != nil {
		out.header = int64(list.skip)
	}
	book, err := zip.NewReader(list.source.file, list.source.info.Size())
	if err != nil {
		return nil, fmt.Errorf("workbook: %w", err)
	}
	part, err := sheetPart(book, list.sheet)
	if err != nil {
		return nil, fmt.Errorf("workbook: %w", err)
	}
	return out, out.begin(book, part)
}

// begin copies all parts but the sheet, which comes last.
func (w *WorkbookWriter) begin(book *zip.Reader, part string) error {
	for _, file := range book.File {
		if file.Name == part {
			var err error
			if w.source, err = file.Open(); err != nil {
				return err
			}
			continue
		}
		if err := w.zip.Copy(file); err != nil {
			return err
		}
	}
	if w.source == nil {
		return fmt.Errorf("workbook: it has no part %s", part)
	}
	// The sheet is what takes time, and it is several times as large as a CSV file of the same rows.
	w.zip.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed)
	})
	w.rows = newSheetRows(w.source)
	var err error
	if w.sheet, err = w.zip.Create(part); err != nil {
		return err
	}
	if w.header > 0 {
		return w.upTo(w.header, w.list.addedNames())
	}
	return nil
}

// Write writes a row that the list's Rows returned, with what is added to it.
func (w *WorkbookWriter) Write(row Row, record Record) error {
	return w.WriteAll(row, []Record{record})
}

// WriteAll writes a row of a list with several address columns, with a Record for each of them in the order of
// Reader.AddressColumns.
func (w *WorkbookWriter) WriteAll(row Row, records []Record) error {
	w.cells = appendRecords(w.cells[:0], records, w.sets, (*Record).appendCells)
	return w.upTo(row.record+1, w.cells)
}

// Blank passes over what is no row; it is written with the next row.
func (w *WorkbookWriter) Blank(Row) error { return w.err }

// upTo writes everything up to a row, to which cells are added.
func (w *WorkbookWriter) upTo(number int64, cells []string) error {
	for w.err == nil {
		part, isRow, err := w.rows.next()
		if err == io.EOF {
			err = fmt.Errorf("the sheet %q ends before row %d", w.list.sheet, number)
		}
		if err != nil {
			return w.fail(err)
		}
		if isRow && w.rows.number == number {
			return w.fail(w.row(part, cells))
		}
		if isRow && w.rows.number > number {
			return w.fail(fmt.Errorf("the sheet %q has no row %d", w.list.sheet, number))
		}
		if err := w.pass(part, isRow); err != nil {
			return err
		}
	}
	return w.err
}

func (w *WorkbookWriter) pass(part []byte, isRow bool) error {
	if !isRow {
		part = widen(part, w.first+w.sets*len(recordColumns)-1)
	}
	_, err := w.sheet.Write(part)
	return w.fail(err)
}

func (w *WorkbookWriter) fail(err error) error {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("lists: writing: %w", err)
	}
	return w.err
}

// row writes a row with cells added, those of an earlier run left out.
func (w *WorkbookWriter) row(row []byte, added []string) error {
	head, cells, tail, prefix, err := cellsOf(row)
	if err != nil {
		return err
	}
	b := &w.buffer
	b.Reset()
	b.Write(withoutSpans(head))
	style, written := "", false
	ours := func() {
		for i, text := range added {
			if text == "" {
				continue
			}
			isScore := w.rows.number != w.header && i%len(recordColumns) == scoreColumn
			writeCell(b, prefix, w.first+i, w.rows.number, style, text, isScore)
		}
		written = true
	}
	for _, cell := range cells {
		if cell.column >= w.first && !written {
			ours()
		}
		if slices.Contains(w.list.ours, cell.column) || cell.column >= w.first && cell.column < w.first+len(added) {
			continue
		}
		if w.rows.number == w.header && cell.column < w.first {
			style = attribute(cell.raw, "s") // ours look as the header does
		}
		b.Write(cell.raw)
	}
	if !written {
		ours()
	}
	b.Write(tail)
	_, err = w.sheet.Write(b.Bytes())
	return err
}

// withoutSpans takes away a hint on the columns of a row, which would be wrong now.
func withoutSpans(head []byte) []byte {
	value := attribute(head, "spans")
	if value == "" {
		return head
	}
	for _, quote := range []string{`"`, `'`} {
		head = bytes.Replace(head, []byte(" spans="+quote+value+quote), nil, 1)
	}
	return head
}

// Close writes what is left. It must be called, after an error as well.
func (w *WorkbookWriter) Close() error {
	for w.err == nil {
		part, isRow, err := w.rows.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(w.fail(err), w.source.Close())
		}
		if err := w.pass(part, isRow); err != nil {
			return errors.Join(err, w.source.Close())
		}
	}
	if w.err != nil {
		return errors.Join(w.err, w.source.Close())
	}
	return errors.Join(w.source.Close(), w.zip.Close())
}

// sheetPart returns the name of the part that holds a sheet.
func sheetPart(book *zip.Reader, sheet string) (string, error) {
	root, err := relations(book, "_rels/.rels")
	if err != nil {
		return "", err
	}
	main := "xl/workbook.xml"
	for _, r := range root {
		if strings.HasSuffix(r.Type, "/officeDocument") {
			main = strings.TrimPrefix(r.Target, "/")
		}
	}
	var sheets struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"id,attr"` // r:id
		} `xml:"sheets>sheet"`
	}
	if err := readPart(book, main, &sheets); err != nil {
		return "", err
	}
	parts, err := relations(book, path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"))
	if err != nil {
		return "", err
	}
	for _, s := range sheets.Sheets {
		if s.Name != sheet {
			continue
		}
		for _, r := range parts {
			if r.ID != s.ID {
				continue
			}
			if absolute, ok := strings.CutPrefix(r.Target, "/"); ok {
				return absolute, nil
			}
			return path.Join(path.Dir(main), r.Target), nil
		}
	}
	return "", fmt.Errorf("the sheet %q has no part", sheet)
}

type relation struct {
	ID     string `xml:"Id,attr"`
	Type   string `xml:"Type,attr"`
	Target string `xml:"Target,attr"`
}

func relations(book *zip.Reader, name string) ([]relation, error) {
	var all struct {
		Relations []relation `xml:"Relationship"`
	}
	err := readPart(book, name, &all)
	return all.Relations, err
}

// maxPart is how large a part may be that lists the workbook's sheets.
const maxPart = 16 << 20

func readPart(book *zip.Reader, name string, into any) error {
	file, err := book.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	if err := xml.NewDecoder(io.LimitReader(file, maxPart)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
