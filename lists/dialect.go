package lists

import (
	"bytes"
	"errors"
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
	case !validUTF8(cutRune(sample)):
		d.Encoding = Windows1252
	}
	return d, nil
}

// cutRune leaves out a last rune that the sample may have cut in two.
func cutRune(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

func validUTF8(b []byte) bool { return utf8.Valid(b) }

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

// detectLayout tells line ends and delimiter from a list's text.
func (d *Dialect) detectLayout(text []byte) {
	d.Newline = '\n'
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0 {
		d.Newline = '\r'
	}
	best := 0
	d.Delimiter = ','
	for _, delimiter := range []byte{',', ';', '\t', '|'} {
		candidate := *d
		candidate.Delimiter = delimiter
		if score := candidate.regularity(text); score > best {
			best, d.Delimiter = score, delimiter
		}
	}
}

// regularity says how well a delimiter explains the text: how many records have the most common number of fields, if
// that is more than one and most records have it.
func (d Dialect) regularity(text []byte) int {
	counts := map[int]int{}
	total := 0
	for scan := newScanner(bytes.NewReader(text), d); total < layoutRecords && scan.next(); {
		if scan.fields > 0 {
			counts[scan.fields]++
			total++
		}
	}
	mode := 0
	for fields, n := range counts {
		if n > counts[mode] || n == counts[mode] && fields > mode {
			mode = fields
		}
	}
	if mode < 2 || counts[mode]*10 < total*6 {
		return 0
	}
	return counts[mode]*1000 + min(mode, 999)
}
