package lists

import (
	"bytes"
	"cmp"
	"errors"
	"strings"
	"unicode/utf8"
)

// Encoding names how a list's text is written.
type Encoding string

// The encodings that lists come in.
const (
	UTF8        Encoding = "UTF-8"
	UTF16LE     Encoding = "UTF-16LE"
	UTF16BE     Encoding = "UTF-16BE"
	Windows1252 Encoding = "Windows-1252"
)

// Dialect is how a list is written.
type Dialect struct {
	Delimiter byte // , ; tab or |
	Encoding  Encoding
	BOM       bool
	Newline   byte // what ends a line: \n, also after \r, or \r alone
}

var utf8BOM = []byte("\xef\xbb\xbf")

// detectEncoding tells the encoding from a list's first bytes.
func detectEncoding(sample []byte) (Dialect, error) {
	d := Dialect{Encoding: UTF8}
	switch {
	case bytes.HasPrefix(sample, utf8BOM):
		d.BOM = true
	case bytes.HasPrefix(sample, []byte{0xff, 0xfe}):
		d.Encoding, d.BOM = UTF16LE, true
	case bytes.HasPrefix(sample, []byte{0xfe, 0xff}):
		d.Encoding, d.BOM = UTF16BE, true
	case len(sample) > 3 && sample[0] != 0 && sample[1] == 0 && sample[3] == 0:
		d.Encoding = UTF16LE
	case len(sample) > 3 && sample[0] == 0 && sample[1] != 0 && sample[2] == 0:
		d.Encoding = UTF16BE
	case bytes.HasPrefix(sample, []byte("PK\x03\x04")):
		return d, errors.New("this is a zip archive or an Excel workbook (.xlsx); save it as CSV first")
	case bytes.HasPrefix(sample, []byte{0xd0, 0xcf, 0x11, 0xe0}):
		return d, errors.New("this is an old Excel workbook (.xls); save it as CSV first")
	case bytes.IndexByte(sample, 0) >= 0:
		return d, errors.New("this is a binary file, not a list")
	case !mostlyUTF8(sample):
		d.Encoding = Windows1252
	}
	return d, nil
}

// mostlyUTF8 says whether text is UTF-8, perhaps with some cells pasted from elsewhere: it holds more letters of
// several bytes that are whole than bytes that belong to none.
func mostlyUTF8(text []byte) bool {
	whole, stray := 0, 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1 && utf8.FullRune(text): // else the sample's end cuts it
			stray++
		case size > 1:
			whole++
		}
		text = text[size:]
	}
	return stray == 0 || whole > stray
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// layoutRecords is how many records are looked at to find the delimiter.
const layoutRecords = 50

const delimiters = ",;\t|"

// detectLayout tells line ends and delimiter from a list's text.
func (d *Dialect) detectLayout(text []byte) {
	d.Newline = '\n'
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0 {
		d.Newline = '\r'
	}
	var hinted bool
	if d.Delimiter, hinted = delimiterHint(text); hinted {
		return
	}
	d.Delimiter = delimiters[0]
	best := fit{}
	for _, delimiter := range []byte(delimiters) {
		candidate := *d
		candidate.Delimiter = delimiter
		if found := candidate.fit(text); found.compare(best) > 0 {
			best, d.Delimiter = found, delimiter
		}
	}
}

// delimiterHint reads the line that Excel takes as a hint and no row: sep=; for one.
func delimiterHint(text []byte) (delimiter byte, ok bool) {
	line, _, _ := bytes.Cut(text[:min(len(text), 64)], []byte{'\n'})
	line, _, _ = bytes.Cut(line, []byte{'\r'})
	line = bytes.Trim(line, `"`)
	const hint = "sep="
	if len(line) != len(hint)+1 || !bytes.EqualFold(line[:len(hint)], []byte(hint)) {
		return 0, false
	}
	delimiter = line[len(hint)]
	return delimiter, strings.IndexByte(delimiters, delimiter) >= 0
}

// fit says how well a delimiter explains a text; zero: it does not divide most records.
type fit struct {
	clean   int // records whose cells with an @ are each an address and no more
	regular int // records with the most common number of fields
	fields  int // that number
}

func (f fit) compare(other fit) int {
	return cmp.Or(cmp.Compare(f.clean, other.clean), cmp.Compare(f.regular, other.regular), cmp.Compare(f.fields, other.fields))
}

// fit looks at the first records of a text.
func (d Dialect) fit(text []byte) (f fit) {
	counts := map[int]int{}
	total, divided := 0, 0
	for scan := newScanner(bytes.NewReader(text), d); total < layoutRecords && scan.next(); {
		if scan.fields == 0 {
			continue
		}
		total++
		counts[scan.fields]++
		if scan.fields > 1 {
			divided++
		}
		if cleanAddresses(scan.raw, d.Delimiter) {
			f.clean++
		}
	}
	if divided*10 < total*6 {
		return fit{}
	}
	for fields, n := range counts {
		if n > f.regular || n == f.regular && fields > f.fields {
			f.regular, f.fields = n, fields
		}
	}
	return f
}

// cleanAddresses says whether a record has a cell with an @, and no such cell has a delimiter in it.
func cleanAddresses(record []byte, delimiter byte) (clean bool) {
	for cell := range fields(record, delimiter) {
		if bytes.IndexByte(cell, '@') < 0 {
			continue
		}
		if bytes.ContainsAny(cell, delimiters) {
			return false
		}
		clean = true
	}
	return clean
}
