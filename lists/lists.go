// Package lists reads and writes address lists: CSV as people have it, workbooks, vCards and more.
//
//	list, err := lists.Open("contacts.csv", lists.Options{})
//	defer list.Close()
//	fmt.Println(list.Understood())
//	for row, err := range list.Rows() {
//		... row.Address
//	}
//	out, err := lists.NewWriter(w, list)
//	for row, err := range list.Lines() {
//		if row.Blank {
//			err = out.Blank(row)
//		} else {
//			err = out.Write(row, lists.Record{Verdict: "deliverable"})
//		}
//	}
//	err = out.Close()
//
// Comma, semicolon, tab or pipe; Unicode or an older encoding; quotes, line breaks in quotes, ragged rows, blank lines,
// with a header or without, gzip, standard input: it is found out from the first megabyte. So is the column that holds
// the addresses, by its name and by what it holds. Workbooks (.xlsx), vCards, LDIF, JSON and NDJSON are told by their
// content and read as tables; [NewWriter] writes these as CSV.
//
// A row is kept as the bytes it came in, so that it goes out as it came in: [Writer] only adds columns, in the list's
// own dialect. Columns that an earlier run added are replaced. Where some rows have more fields than the header, all
// others and the header are filled up with empty fields, so that the added columns are under their names. What is no
// row is passed through: blank lines, the line sep=; with which Excel is told the delimiter, titles and notes above the
// header, footers, other tables. Only where UTF-16 holds units that are no text does something else come out, U+FFFD.
package lists

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"golang.org/x/text/transform"
)

// Options tell what the caller knows about a list before it is read.
type Options struct {
	Column     string    // the address column: its name, or its number from 1; empty: found out
	Columns    []string  // several of them, after Column
	AllColumns bool      // all columns of addresses, the best first
	Sheet      string    // of a workbook: its name, or its number from 1; empty: the first visible one
	Stdin      io.Reader // what path "-" reads

	// Doubtful opens a list in which no address column is found, too, if none was asked for: the first column is taken,
	// and Reader.Doubt returns what would have been the error.
	Doubtful bool
}

// wanted returns the columns that are asked for.
func (o Options) wanted() []string {
	if o.Column == "" {
		return o.Columns
	}
	return append([]string{o.Column}, o.Columns...)
}

// Reader is an open list. It can be read several times. The caller must close it.
type Reader struct {
	name    string
	format  Format
	source  *source // as it is on disk
	text    *source // a table made of it; the source itself where that is text
	dialect Dialect
	columns []string // names from the header; empty without one
	header  *Row     // nil: none
	chosen  []int    // the columns of addresses, the first one first
	first   column   // what the sample tells of the first one
	others  []string // columns of addresses that were not chosen
	tables  []int64  // lines of the headers of other tables that hold addresses
	ours    []int    // columns that a writer of ours added
	doubt   error    // whether it is the column of the address; nil: none
	width   int      // most fields of a row; 0: not measured yet
	sheet   string   // of a workbook
	sheets  []string // all of them
	visible []string // those that are not hidden
	sorter  sorter   // as it is at the first row

	preamble []byte // what comes before the header or the first row
	skip     int    // records of preamble and header
}

// Row is one row of a list. Its bytes are valid until the next row is read.
type Row struct {
	N       int64  // from 1, without header and what is no row
	Line    int64  // where it begins in the file, from 1; the row of a sheet; the number of a vCard or another entry
	Raw     []byte // as it came in, without the line's end; UTF-8 where the list is UTF-16
	End     []byte // the line's end; empty at the end of a file without one
	Address string // the address cell, unquoted; empty where the row has none
	Blank   bool   // an empty line, or one of a title, a footer or another table; N and Address are zero

	reader *Reader
	record int64 // which record of the text it is, from 0
}

// Open opens a list and finds out its dialect and its address column. The error is a *NotAListError where the file is
// something else, a *TablesError where it holds several lists, an *AmbiguousColumnError where the column that was asked
// for is there more than once, a *NoColumnError where there is none, a *NoSheetError where a workbook lacks the sheet.
func Open(path string, options Options) (*Reader, error) {
	r := &Reader{name: path}
	if path == "-" {
		r.name = "standard input"
	}
	var err error
	if r.source, err = openSource(path, options.Stdin); err != nil {
		return nil, fmt.Errorf("list %s: %w", r.name, err)
	}
	r.text = r.source
	err = r.learn(options)
	if options.Doubtful && len(options.wanted()) == 0 && isDoubt(err) {
		r.doubt, err = fmt.Errorf("list %s: %w", r.name, err), nil
		r.chosen = []int{0}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list %s: %w", r.name, err), r.Close())
	}
	return r, nil
}

// sampleSize is how much of a list is looked at to learn its dialect.
const sampleSize = 1 << 20

// learn finds out what the list is.
func (r *Reader) learn(options Options) error {
	sample, whole, err := r.sample()
	if err != nil {
		return err
	}
	if r.format = formatOf(sample); r.format == CSV {
		return r.learnText(sample, whole, options)
	}
	if r.format == Workbook {
		return r.learnWorkbook(options)
	}
	if err := r.convert(options.Sheet); err != nil {
		return err
	}
	return r.learnTable(options)
}

// sample returns the first bytes of the text; whole: all of them.
func (r *Reader) sample() (sample []byte, whole bool, err error) {
	raw, _, err := r.text.read()
	if err != nil {
		return nil, false, err
	}
	sample, err = io.ReadAll(io.LimitReader(raw, sampleSize))
	return sample, len(sample) < sampleSize, err
}

// learnText finds out the encoding and the delimiter of text.
func (r *Reader) learnText(sample []byte, whole bool, options Options) (err error) {
	if err := refuse(sample); err != nil {
		return err
	}
	if r.dialect, err = detectEncoding(sample); err != nil {
		return err
	}
	text, err := io.ReadAll(r.decode(bytes.NewReader(sample)))
	if err != nil && whole {
		return err
	}
	plain := text // in UTF-8
	if codec, ok := codecs[r.dialect.Encoding]; ok {
		if plain, err = codec.NewDecoder().Bytes(text); err != nil {
			return err
		}
	}
	r.dialect.detectLayout(plain, options.wanted())
	return r.seems(plain, r.learnRecords(text, options), options)
}

// learnTable is learnText for a table that was made of another format.
func (r *Reader) learnTable(options Options) error {
	sample, _, err := r.sample()
	if err != nil {
		return err
	}
	r.dialect = Dialect{Delimiter: ',', Encoding: UTF8, Newline: '\n'}
	if err := r.learnRecords(sample, options); err != nil {
		return err
	}
	if len(options.wanted()) == 0 && !options.Doubtful && !r.reads() {
		return r.noAddresses()
	}
	return nil
}

// lineOf returns where a record is in the file: its line, the row of a sheet, or the number of an entry, whose table
// has a header that the file has not.
func (r *Reader) lineOf(line, record int64) int64 {
	switch {
	case r.text == r.source:
		return line
	case r.format == Workbook:
		return record + 1
	}
	return record
}

// enoughRecords is how many records are looked at to find the header and the address column.
const enoughRecords = 1000

// learnRecords finds the table and its columns of addresses.
func (r *Reader) learnRecords(text []byte, options Options) error {
	records := sampleRecords(text, r.dialect, enoughRecords)
	if !slices.ContainsFunc(records, func(s sampled) bool { return !s.blank() }) {
		return errors.New("the file holds no rows")
	}
	t := r.findTable(records, options.wanted())
	for _, i := range t.others {
		r.tables = append(r.tables, r.lineOf(records[i].line, int64(i)))
	}
	if t.isOneOfSeveral() {
		lines := append(slices.Clone(r.tables), r.lineOf(records[t.header].line, int64(t.header)))
		slices.Sort(lines)
		return &TablesError{Lines: lines}
	}
	r.sorter = *t.sorter(records)
	for _, record := range records[:t.first] {
		r.preamble = append(append(r.preamble, record.raw...), record.end...)
	}
	r.skip = t.first
	if t.header >= 0 {
		header := records[t.header]
		r.columns = trimCells(header.cells)
		r.header = &Row{Raw: header.raw, End: header.end, Line: r.lineOf(header.line, int64(t.header)), reader: r}
		r.preamble = r.preamble[:len(r.preamble)-len(header.raw)-len(header.end)]
	}
	if r.format == CSV && r.header == nil && r.sorter.columns <= 1 {
		r.format = Text
	}
	return r.chooseColumns(t.rows(records), options)
}

// findTable finds the table in the text. One that was made of entries has a header that names their fields.
func (r *Reader) findTable(records []sampled, wanted []string) table {
	if r.isExact() {
		return table{d: r.dialect, header: 0, first: 1, end: len(records), named: true}
	}
	return findTable(records, r.dialect, wanted)
}

// decode takes the byte order mark away, and makes UTF-8 of UTF-16.
func (r *Reader) decode(raw io.Reader) io.Reader {
	if wide := r.dialect.wide(); wide != nil {
		return transform.NewReader(raw, wide.NewDecoder())
	}
	if r.dialect.BOM {
		return &bomSkipper{r: raw}
	}
	return raw
}

// Close closes the list's file.
func (r *Reader) Close() error {
	return errors.Join(r.source.close(), r.closeText())
}

// Columns returns the names of the list's columns; none where it has no header.
func (r *Reader) Columns() []string { return r.columns }

// Column returns the address column's index from 0 and its name; the name is empty where there is no header. Of several
// it is the first.
func (r *Reader) Column() (index int, name string) {
	index = r.chosen[0]
	if index < len(r.columns) {
		name = r.columns[index]
	}
	return index, name
}

// AddressColumns returns the indexes from 0 of all columns that were chosen, in the order in which they were asked for;
// else the best first.
func (r *Reader) AddressColumns() []int { return slices.Clone(r.chosen) }

// Doubt returns why the address column is in doubt, a *NoColumnError; nil where it is not. It needs Options.Doubtful.
func (r *Reader) Doubt() error { return r.doubt }

// Dialect returns how the list is written.
func (r *Reader) Dialect() Dialect { return r.dialect }

// Field returns a cell, unquoted and in UTF-8, by its index from 0; false where the row has none.
func (row Row) Field(index int) (string, bool) {
	cell, ok := row.reader.dialect.cut().at(row.Raw, index)
	return row.reader.dialect.text(cell), ok
}

// Addresses returns the address cell of each column that was chosen, in the order of Reader.AddressColumns.
func (row Row) Addresses() []string {
	cells := make([]string, len(row.reader.chosen))
	cells[0] = row.Address
	for i, index := range row.reader.chosen[1:] {
		cells[i+1], _ = row.Field(index)
	}
	return cells
}

// Rows returns the list's rows from the first, without what is no row. An error ends them.
func (r *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range r.Lines() {
			if row.Blank {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
