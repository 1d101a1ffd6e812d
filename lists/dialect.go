package lists

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Dialect is how a list is written.
type Dialect struct {
	Delimiter byte // , ; tab or |
	Spaced    bool // a space follows each delimiter and belongs to no field
	Encoding  Encoding
	BOM       bool
	Newline   byte // what ends a line: \n, also after \r, or \r alone
}

// layoutRecords is how many records are looked at to find the delimiter.
const layoutRecords = 200

const delimiters = ",;\t|"

// detectLayout tells line ends and delimiter from the start of a list in UTF-8. A column that is asked for helps.
func (d *Dialect) detectLayout(text []byte, wanted []string) {
	d.Newline = '\n'
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0 {
		d.Newline = '\r'
	}
	var hinted bool
	if d.Delimiter, hinted = delimiterHint(text); hinted {
		return
	}
	best, found := fit{}, false
	for _, delimiter := range []byte(delimiters) {
		for _, spaced := range []bool{false, true} {
			if spaced && !bytes.Contains(text, []byte{delimiter, ' ', '"'}) {
				continue
			}
			candidate := Dialect{Encoding: UTF8, Newline: d.Newline, Delimiter: delimiter, Spaced: spaced}
			this := candidate.fit(text, wanted)
			if order := this.compare(best); this.fields > 0 && (!found || order > 0 || order == 0 && spaced) {
				best, found = this, true
				d.Delimiter, d.Spaced = delimiter, spaced
			}
		}
	}
	if !found {
		d.Delimiter, d.Spaced = unused(text), false
	}
}

// unused returns a delimiter that a list of one column does not hold, so that its lines stay whole.
func unused(text []byte) byte {
	for _, delimiter := range []byte(delimiters) {
		if bytes.IndexByte(text, delimiter) < 0 {
			return delimiter
		}
	}
	return '\t'
}

// delimiterHint reads the line that Excel takes as a hint and no row: sep=; for one.
func delimiterHint(text []byte) (delimiter byte, ok bool) {
	line, _, _ := bytes.Cut(text[:min(len(text), 64)], []byte{'\n'})
	line, _, _ = bytes.Cut(line, []byte{'\r'})
	line = bytes.Trim(bytes.TrimPrefix(line, utf8BOM), `"`)
	const hint = "sep="
	if len(line) != len(hint)+1 || !bytes.EqualFold(line[:len(hint)], []byte(hint)) {
		return 0, false
	}
	delimiter = line[len(hint)]
	return delimiter, strings.IndexByte(delimiters, delimiter) >= 0
}

// fit says how well a delimiter explains a text; zero: it does not divide most records of the table.
type fit struct {
	clean   int // rows whose cells with an @ are each an address and no more
	named   int // 1 if the header names a column of addresses among others
	regular int // rows with as many fields as the header, or as most rows
	fields  int // that number
}

func (f fit) compare(other fit) int {
	return cmp.Or(cmp.Compare(f.clean, other.clean), cmp.Compare(f.named, other.named),
		cmp.Compare(f.regular, other.regular), cmp.Compare(f.fields, other.fields))
}

// fit looks at the first records of a text.
func (d Dialect) fit(text []byte, wanted []string) (f fit) {
	records := sampleRecords(text, d, layoutRecords)
	t := findTable(records, d, wanted)
	counts := map[int]int{}
	total, divided := 0, 0
	for _, record := range t.rows(records) {
		total++
		counts[len(record.cells)]++
		if len(record.cells) > 1 {
			divided++
		}
		if cleanAddresses(record, d.Delimiter) {
			f.clean++
		}
	}
	if t.header >= 0 {
		header := records[t.header]
		if f.fields = len(header.cells); f.fields == 1 && len(counts) < 2 && counts[1] > 0 {
			return fit{}
		}
		if t.named && f.fields > 1 {
			f.named = 1
		}
		total++
		if f.fields > 1 {
			divided++
		}
		f.regular = counts[f.fields]
	} else {
		for fields, n := range counts {
			if n > f.regular || n == f.regular && fields > f.fields {
				f.regular, f.fields = n, fields
			}
		}
	}
	if total == 0 || divided*10 < total*6 {
		return fit{}
	}
	// Lines that hold nothing but addresses, each as many as it likes, are lists in themselves.
	if rows := t.rows(records); t.header < 0 && onlyAddresses(rows) {
		if total == 1 || f.regular*10 < total*6 || !cellsAreAddresses(rows) {
			return fit{}
		}
	}
	return f
}

// onlyAddresses reports whether every line is one or several addresses as a whole, perhaps with names.
func onlyAddresses(rows []sampled) bool {
	for _, row := range rows {
		if !holdsAddresses(string(row.raw)) {
			return false
		}
	}
	return len(rows) > 0 && (len(rows) > 1 || len(rows[0].filled()) > 1)
}

// cellsAreAddresses reports whether every cell that is filled is one or several addresses.
func cellsAreAddresses(rows []sampled) bool {
	for _, row := range rows {
		if slices.ContainsFunc(row.filled(), func(cell string) bool { return !holdsAddresses(cell) }) {
			return false
		}
	}
	return true
}

// cleanAddresses reports whether a record has a cell with an @, and no such cell has another delimiter in it.
func cleanAddresses(record sampled, delimiter byte) (clean bool) {
	if len(record.cells) < 2 && bytes.IndexByte(record.raw, delimiter) < 0 {
		return false
	}
	for i, cell := range record.cells {
		if !hasAt(cell) {
			continue
		}
		parts := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
		without := slices.IndexFunc(parts, func(part string) bool { return !hasAt(part) })
		if len(parts) > 1 && without >= 0 && !strings.Contains(cell, "<") {
			return false
		}
		clean = clean || record.addresses[i]
	}
	return clean
}
