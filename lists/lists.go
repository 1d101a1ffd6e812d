// Package lists reads and writes address lists: CSV as people have it.
//
//	list, err := lists.Open("contacts.csv", lists.Options{})
//	defer list.Close()
//	for row, err := range list.Rows() {
//		... row.Address
//	}
//	out, err := lists.NewWriter(w, list)
//	for row, err := range list.Rows() {
//		err = out.Write(row, lists.Record{Verdict: "deliverable"})
//	}
//	err = out.Close()
//
// Comma, semicolon, tab or pipe; UTF-8 with or without a byte order mark, UTF-16, Windows-1252; quotes, line breaks in
// quotes, ragged rows, blank lines, with a header or without, gzip, standard input: it is found out from the first
// megabyte. So is the column that holds the addresses, by its name and by what stands in it.
//
// A row is kept as the bytes it came in, so that it goes out as it came in: [Writer] only adds columns, in the list's
// own dialect. Where some rows have more fields than the header, all others and the header are filled up with empty
// fields, so that the added columns stand under their names. Blank lines are passed through and are no rows, and so is
// the line sep=; with which Excel is told the delimiter. Only where UTF-16 holds units that are no text does something
// else come out, U+FFFD.
package lists

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Options say what is known of a list beforehand.
type Options struct {
	Column string    // the address column: its name, or its number from 1; empty: found out
	Stdin  io.Reader // what path "-" reads

	// Doubtful opens a list whose address column is missing or in doubt, too: the first column is taken, and
	// Reader.Doubt returns what would have been the error.
	Doubtful bool
}

// ErrChanged: the list's file is another one than when it was opened.
var ErrChanged = errors.New("the list was changed while it was read; run the command again")

// Reader is an open list. It can be read several times. Close it.
type Reader struct {
	name    string
	file    *os.File
	info    os.FileInfo
	gzipped bool
	dialect Dialect
	columns []string // names from the header; empty without one
	header  *Row     // nil: none
	column  int      // of the address
	doubt   error    // whether it is the column of the address; nil: none
	width   int      // most fields of a row; 0: not measured yet

	preamble []byte // blank lines and Excel's hint, before the header or the first row
	skip     int    // records of preamble and header
}

// Row is one row of a list. Its bytes are valid until the next row is read.
type Row struct {
	N       int64  // from 1, without header and blank lines
	Line    int64  // where it begins in the file, from 1
	Raw     []byte // as it came in, without the line's end; UTF-8 where the list is UTF-16
	End     []byte // the line's end; empty at the end of a file without one
	Address string // the address cell, unquoted; empty where the row has none
	Blank   bool   // an empty line; N and Address are zero

	reader *Reader
}

// Open opens a list and finds out its dialect and its address column. The error is an *AmbiguousColumnError or a
// *NoColumnError where the column is in doubt.
func Open(path string, options Options) (*Reader, error) {
	r := &Reader{name: path}
	if err := r.open(path, options.Stdin); err != nil {
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	err := r.learn(options.Column)
	if options.Doubtful && options.Column == "" && isDoubt(err) {
		r.doubt, err = fmt.Errorf("list %s: %w", path, err), nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list %s: %w", path, err), r.Close())
	}
	return r, nil
}

func (r *Reader) open(path string, stdin io.Reader) (err error) {
	if path == "-" {
		r.name = "standard input"
		if r.file, err = spool(stdin); err != nil {
			return err
		}
	} else if r.file, err = os.Open(path); err != nil {
		var problem *os.PathError
		if errors.As(err, &problem) {
			return problem.Err
		}
		return err
	}
	if r.info, err = r.file.Stat(); err != nil {
		return errors.Join(err, r.file.Close())
	}
	if r.info.IsDir() {
		return errors.Join(errors.New("it is a folder, not a file"), r.file.Close())
	}
	if !r.info.Mode().IsRegular() {
		return r.spoolPipe()
	}
	return nil
}

// spoolPipe puts a copy in the place of an input that can be read only once, such as the shell's <(command).
func (r *Reader) spoolPipe() (err error) {
	pipe := r.file
	if r.file, err = spool(pipe); err != nil {
		return errors.Join(err, pipe.Close())
	}
	if r.info, err = r.file.Stat(); err != nil {
		return errors.Join(err, pipe.Close(), r.file.Close())
	}
	return pipe.Close()
}

// spool copies a stream that can be read once into a file that can be read twice and has no name.
func spool(stdin io.Reader) (*os.File, error) {
	if stdin == nil {
		return nil, errors.New("there is no standard input")
	}
	file, err := os.CreateTemp("", "verify-list-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, stdin)
	if err = errors.Join(err, os.Remove(file.Name())); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// sampleSize is how much of a list is looked at to learn its dialect.
const sampleSize = 1 << 20

func (r *Reader) learn(column string) error {
	magic := make([]byte, 2)
	if n, err := r.file.ReadAt(magic, 0); err != nil && err != io.EOF {
		return err
	} else if n == 0 {
		return errors.New("the file is empty")
	}
	r.gzipped = magic[0] == 0x1f && magic[1] == 0x8b
	raw, err := r.stream()
	if err != nil {
		return err
	}
	sample, err := io.ReadAll(io.LimitReader(raw, sampleSize))
	if err != nil {
		return err
	}
	whole := len(sample) < sampleSize
	if r.dialect, err = detectEncoding(sample); err != nil {
		return err
	}
	text, err := io.ReadAll(r.decode(bytes.NewReader(sample)))
	if err != nil && whole {
		return err
	}
	r.dialect.detectLayout(text)
	var records []sampled
	records, r.preamble, r.skip = sampleRecords(text, r.dialect, whole)
	if len(records) == 0 {
		return errors.New("the file holds no rows")
	}
	return r.findColumn(records, column)
}

// stream returns the file's bytes from the start, unpacked.
func (r *Reader) stream() (io.Reader, error) {
	raw := io.NewSectionReader(r.file, 0, r.info.Size())
	if !r.gzipped {
		return raw, nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(raw, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return unpacked, nil
}

// decode takes the byte order mark away, and makes UTF-8 of UTF-16.
func (r *Reader) decode(raw io.Reader) io.Reader {
	if wide := r.dialect.wide(); wide != nil {
		return transform.NewReader(raw, wide.NewDecoder())
	}
	if r.dialect.BOM {
		return &skipper{Reader: raw, skip: len(utf8BOM)}
	}
	return raw
}

// skipper leaves out the first bytes of a reader.
type skipper struct {
	io.Reader
	skip int
}

func (s *skipper) Read(p []byte) (int, error) {
	for s.skip > 0 {
		n, err := s.Reader.Read(make([]byte, s.skip))
		if s.skip -= n; err != nil {
			return 0, err
		}
	}
	return s.Reader.Read(p)
}

// Close closes the list's file.
func (r *Reader) Close() error { return r.file.Close() }

// Columns returns the names of the list's columns; none where it has no header.
func (r *Reader) Columns() []string { return r.columns }

// Column returns the address column's index from 0 and its name; the name is empty where there is no header.
func (r *Reader) Column() (index int, name string) {
	if r.column < len(r.columns) {
		name = r.columns[r.column]
	}
	return r.column, name
}

// Doubt returns why the address column is in doubt, an *AmbiguousColumnError or a *NoColumnError; nil where it is not.
func (r *Reader) Doubt() error { return r.doubt }

// Dialect returns how the list is written.
func (r *Reader) Dialect() Dialect { return r.dialect }

// Rows returns the list's rows from the first, blank lines left out. An error ends them.
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

// Lines returns rows and the blank lines among them, for a copy that leaves nothing out. A list that was changed in the
// meantime ends them with ErrChanged.
func (r *Reader) Lines() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := r.lines(yield); err != nil {
			yield(Row{}, fmt.Errorf("list %s: %w", r.name, err))
		}
	}
}

func (r *Reader) lines(yield func(Row, error) bool) error {
	if err := r.unchanged(); err != nil {
		return err
	}
	raw, err := r.stream()
	if err != nil {
		return err
	}
	scan := newScanner(r.decode(raw), r.dialect)
	n, width := int64(0), len(r.columns)
	for range r.skip {
		scan.next()
	}
	for scan.next() {
		row := Row{Line: scan.line, Raw: scan.raw, End: scan.end, reader: r, Blank: scan.fields == 0}
		if !row.Blank {
			n++
			row.N = n
			row.Address, _ = row.Field(r.column)
			width = max(width, scan.fields)
		}
		if !yield(row, nil) {
			return nil
		}
	}
	if scan.err != nil {
		return fmt.Errorf("row %d, %w", n+1, errors.Join(scan.err, r.unchanged()))
	}
	if err := r.unchanged(); err != nil {
		return err
	}
	r.width = width
	return nil
}

func (r *Reader) unchanged() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != r.info.Size() || !info.ModTime().Equal(r.info.ModTime()) {
		return ErrChanged
	}
	return nil
}

// measure reads the list once to learn the most fields that a row has, unless that is known.
func (r *Reader) measure() error {
	if r.width > 0 {
		return nil
	}
	for _, err := range r.Lines() {
		if err != nil {
			return err
		}
	}
	return nil
}

// Field returns a cell, unquoted and in UTF-8, by its index from 0; false where the row has none.
func (row Row) Field(index int) (string, bool) {
	cell, ok := fieldAt(row.Raw, row.reader.dialect.Delimiter, index)
	return row.reader.dialect.text(cell), ok
}

// fields returns the number of the row's cells.
func (row Row) fields() int { return countFields(row.Raw, row.reader.dialect.Delimiter) }

// text makes UTF-8 of a cell: a cell that is not UTF-8 already is taken for Windows-1252.
func (d Dialect) text(cell []byte) string {
	if d.Encoding != Windows1252 && utf8.Valid(cell) || isASCII(cell) {
		return string(cell)
	}
	decoded, err := charmap.Windows1252.NewDecoder().Bytes(cell)
	if err != nil {
		return string(cell)
	}
	return string(decoded)
}

// wide is the list's encoding where its units are not bytes.
func (d Dialect) wide() encoding.Encoding {
	mark := unicode.IgnoreBOM
	if d.BOM {
		mark = unicode.UseBOM
	}
	switch d.Encoding {
	case UTF16LE:
		return unicode.UTF16(unicode.LittleEndian, mark)
	case UTF16BE:
		return unicode.UTF16(unicode.BigEndian, mark)
	}
	return nil
}

// quoteName names a column for a message: by its name, else by its number.
func quoteName(names []string, index int) string {
	if index < len(names) && strings.TrimSpace(names[index]) != "" {
		return fmt.Sprintf("%q (number %d)", names[index], index+1)
	}
	return fmt.Sprintf("number %d", index+1)
}
