package lists

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
)

// SheetWriter writes a list that is no workbook as one, with a Record for each row. Every cell of the list is text, so
// that 007 and dates stay as they are.
type SheetWriter struct {
	list   *Reader
	zip    *zip.Writer
	sheet  io.Writer
	first  int // our first column, from 0
	sets   int
	row    int64 // the last one that was written
	buffer bytes.Buffer
	cells  []string
}

// maxRows is how many rows a sheet has.
const maxRows = 1 << 20

// FitsSheet returns an error if the list has more rows, columns or text in a cell than a sheet of a workbook holds.
func (r *Reader) FitsSheet() error {
	for row, err := range r.Lines() {
		if err != nil {
			return err
		}
		if row.record >= maxRows {
			return fmt.Errorf("list %s: a sheet of a workbook has at most %d rows; write CSV instead", r.name, maxRows)
		}
		if len(row.Raw) <= maxCellText {
			continue
		}
		for cell := range r.dialect.cut().fields(row.Raw) {
			if len([]rune(r.dialect.text(cell))) > maxCellText {
				return fmt.Errorf("list %s: line %d: a cell of a workbook holds at most %d characters; write CSV instead",
					r.name, row.Line, maxCellText)
			}
		}
	}
	if r.width+len(r.addedNames()) > maxFields {
		return fmt.Errorf("list %s: a sheet of a workbook has at most %d columns; write CSV instead", r.name, maxFields)
	}
	return nil
}

// parts are those of a workbook with one sheet, but for the sheet (ECMA-376 part 1).
var parts = []struct{ name, text string }{
	{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Override PartName="/xl/workbook.xml" ` +
		`ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ` +
		`ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Target="xl/workbook.xml" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>`},
	{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" ` +
		`xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
		`<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Target="worksheets/sheet1.xml" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>`},
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// NewSheetWriter returns a SheetWriter and writes what comes before the list's rows. Close it; that does not close w.
func NewSheetWriter(w io.Writer, list *Reader) (*SheetWriter, error) {
	if err := list.measure(); err != nil {
		return nil, err
	}
	out := &SheetWriter{
		list: list, zip: zip.NewWriter(w), sets: len(list.chosen), first: list.width - len(list.ours),
	}
	out.zip.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed)
	})
	for _, part := range parts {
		file, err := out.zip.Create(part.name)
		if err == nil {
			_, err = io.WriteString(file, xmlHead+part.text)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if out.sheet, err = out.zip.Create("xl/worksheets/sheet1.xml"); err != nil {
		return nil, err
	}
	const head = xmlHead + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`
	if _, err := io.WriteString(out.sheet, head); err != nil {
		return nil, err
	}
	return out, out.top()
}

// top writes what is above the first row.
func (w *SheetWriter) top() error {
	scan := newScanner(bytes.NewReader(w.list.preamble), w.list.dialect)
	for scan.next() {
		if err := w.write(scan.raw, nil, true); err != nil {
			return err
		}
	}
	if scan.err != nil || w.list.header == nil {
		return scan.err
	}
	return w.write(w.list.header.Raw, w.list.addedNames(), true)
}

// Write writes a row that the list's Rows returned, with what is added to it.
func (w *SheetWriter) Write(row Row, record Record) error { return w.WriteAll(row, []Record{record}) }

// WriteAll writes a row of a list with several address columns, with a Record for each of them in the order of
// Reader.AddressColumns.
func (w *SheetWriter) WriteAll(row Row, records []Record) error {
	w.cells = appendRecords(w.cells[:0], records, w.sets, (*Record).appendCells)
	return w.write(row.Raw, w.cells, false)
}

// Blank writes what is no row.
func (w *SheetWriter) Blank(row Row) error { return w.write(row.Raw, nil, false) }

// write writes a row of the sheet: the list's own cells without those of an earlier run, and ours.
func (w *SheetWriter) write(raw []byte, added []string, isTop bool) error {
	w.row++
	b := &w.buffer
	b.Reset()
	fmt.Fprintf(b, `<row r="%d">`, w.row)
	column, i := 0, 0
	if !isBlank(raw) {
		for cell := range w.list.dialect.cut().fields(raw) {
			if i++; added != nil && slices.Contains(w.list.ours, i-1) {
				continue
			}
			if text := w.list.dialect.text(bytes.TrimPrefix(cell, utf8BOM)); text != "" {
				writeCell(b, "", column, w.row, "", text, false)
			}
			column++
		}
	}
	for i, text := range added {
		if text != "" {
			writeCell(b, "", w.first+i, w.row, "", text, !isTop && i%len(recordColumns) == scoreColumn)
		}
	}
	b.WriteString("</row>")
	if _, err := w.sheet.Write(b.Bytes()); err != nil {
		return fmt.Errorf("lists: writing: %w", err)
	}
	return nil
}

// Close writes what is left. It must be called, after an error as well.
func (w *SheetWriter) Close() error {
	_, err := io.WriteString(w.sheet, `</sheetData></worksheet>`)
	return errors.Join(err, w.zip.Close())
}
