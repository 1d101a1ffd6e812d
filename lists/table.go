package lists

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
)

// sampled is a record of the start of a list, its cells in UTF-8. A blank line has none.
type sampled struct {
	raw, end  []byte
	line      int64
	cells     []string
	addresses []bool // which of them are one or several addresses and nothing else
}

func (s sampled) blank() bool { return len(s.cells) == 0 }

func (s sampled) hasAddress() bool { return slices.Contains(s.addresses, true) }

// filled returns the cells that hold something.
func (s sampled) filled() (filled []string) {
	for _, cell := range s.cells {
		if strings.TrimSpace(cell) != "" {
			filled = append(filled, cell)
		}
	}
	return filled
}

// headerRecords is how many records may come before the header, except where a blank line begins a new table.
const headerRecords = 20

// sampleRecords returns the first records of a list. Excel's hint counts as a blank line.
func sampleRecords(text []byte, d Dialect, enough int) (records []sampled) {
	_, hinted := delimiterHint(text)
	for scan := newScanner(bytes.NewReader(text), d); len(records) < enough && scan.next(); {
		record := sampled{raw: bytes.Clone(scan.raw), end: bytes.Clone(scan.end), line: scan.line}
		if scan.fields > 0 && (!hinted || scan.line != 1) {
			for cell := range scan.cut.fields(scan.raw) {
				text := d.text(cell)
				record.cells = append(record.cells, text)
				record.addresses = append(record.addresses, holdsAddresses(text))
			}
		}
		records = append(records, record)
	}
	return records
}

// table is the part of a list that holds the addresses.
type table struct {
	d      Dialect
	header int  // index of the record that names the columns; -1: none
	named  bool // whether it names a column of addresses
	first  int  // index of the first row
	end    int  // index behind the last row that the sample has

	others  []int // headers of other tables that hold addresses which this one lacks
	held    int   // how many different addresses it holds
	missing int   // and how many it lacks
}

// rows returns the rows of the table, without blank lines, titles and footers.
func (t table) rows(records []sampled) (rows []sampled) {
	s := t.sorter(records)
	for i, kind := range s.sortAll(records[t.first:t.end]) {
		if kind == isRow {
			rows = append(rows, records[t.first+i])
		}
	}
	return rows
}

func (t table) sorter(records []sampled) *sorter {
	s := &sorter{d: t.d}
	if t.header >= 0 {
		s.header, s.columns = trimRecord(records[t.header].raw), len(records[t.header].cells)
	} else {
		s.columns = commonWidth(records[t.first:t.end])
	}
	return s
}

func trimRecord(raw []byte) []byte { return bytes.TrimPrefix(raw, utf8BOM) }

// commonWidth is the number of fields that most records with an address have, else most records.
func commonWidth(records []sampled) (width int) {
	with, all := map[int]int{}, map[int]int{}
	for _, record := range records {
		if record.blank() {
			continue
		}
		all[len(record.cells)]++
		if record.hasAddress() {
			with[len(record.cells)]++
		}
	}
	if len(with) > 0 {
		all = with
	}
	most := 0
	for fields, n := range all {
		if n > most || n == most && fields > width {
			width, most = fields, n
		}
	}
	return width
}

// findTable finds the table that holds the addresses: below the header of which it holds the most, or without one.
func findTable(records []sampled, d Dialect, wanted []string) table {
	names := func(r sampled) bool { return hasNames(r, wanted) }
	if i := slices.IndexFunc(records[:min(len(records), headerRecords)], names); i >= 0 {
		return table{d: d, header: i, first: i + 1, end: len(records), named: true}
	}
	headers := headersIn(records)
	if len(headers) == 0 {
		return headlessTable(records, d)
	}
	best, most := 0, -1
	held := make([]map[string]bool, len(headers))
	tables := make([]table, len(headers))
	for i, header := range headers {
		t := table{d: d, header: header, named: true, first: header + 1, end: len(records)}
		if i+1 < len(headers) {
			t.end = headers[i+1]
		}
		tables[i], held[i] = t, map[string]bool{}
		rows := t.rows(records)
		for _, row := range rows {
			for j, cell := range row.cells {
				if row.addresses[j] {
					held[i][strings.ToLower(strings.TrimSpace(cell))] = true
				}
			}
		}
		if n := len(held[i])*1000 + min(len(rows), 999); n > most && (len(held[i]) > 0 || most < 0) {
			best, most = i, n
		}
	}
	chosen := tables[best]
	chosen.held = len(held[best])
	for i, t := range tables {
		missing := 0
		for address := range held[i] {
			if !held[best][address] {
				missing++
			}
		}
		if chosen.missing += missing; missing > 0 {
			chosen.others = append(chosen.others, t.header)
		}
	}
	return chosen
}

// isOneOfSeveral reports whether other tables hold so many addresses that this one is not the whole list. A meeting's
// block with its host is no such table.
func (t table) isOneOfSeveral() bool { return t.missing > 1 && t.missing*4 > t.held }

// hasNames reports whether a record names one of the columns that were asked for.
func hasNames(record sampled, wanted []string) bool {
	for _, name := range wanted {
		isName := func(cell string) bool { return sameName(cell, name) }
		if !isNumber(strings.TrimSpace(name)) && slices.ContainsFunc(record.cells, isName) {
			return true
		}
	}
	return false
}

// headersIn returns the records that name a column of addresses and begin a table each. A header that comes again, as
// in two exports that were joined, begins none.
func headersIn(records []sampled) (headers []int) {
	width := commonWidth(records)
	fresh := true // no address came since the start, a blank line or a title
	for i, record := range records {
		filled := record.filled()
		// Behind a blank line or a title a table may begin anywhere, else near the top and before any address.
		begins := i > 0 && (records[i-1].blank() || width > 1 && len(records[i-1].filled()) <= 1)
		enough := len(filled) > 1 || len(filled) == 1 && (width == 1 || i == 0 && namesFirst(records))
		if enough && (begins || fresh && i < headerRecords) && namesColumns(record.cells) {
			if len(headers) == 0 || !sameCells(records[headers[len(headers)-1]], record) {
				headers = append(headers, i)
			}
		}
		// A row of the full width that mentions an address in its notes is a row of the table too.
		if record.hasAddress() || width > 1 && len(record.cells) == width && slices.ContainsFunc(record.cells, hasAt) {
			fresh = false
		}
	}
	return headers
}

// namesFirst reports whether the first record is the name of the first column alone, which holds the addresses.
func namesFirst(records []sampled) bool {
	if len(records) < 2 || len(records[0].cells) != 1 || records[1].blank() {
		return false
	}
	return rankOf(records[0].cells[0]) == exact && records[1].addresses[0]
}

func sameCells(a, b sampled) bool { return slices.Equal(trimCells(a.cells), trimCells(b.cells)) }

func trimCells(cells []string) []string {
	trimmed := make([]string, len(cells))
	for i, cell := range cells {
		trimmed[i] = strings.TrimSpace(strings.TrimPrefix(cell, "\ufeff"))
	}
	return trimmed
}

// namesColumns reports whether cells are names of columns, one of them of addresses.
func namesColumns(cells []string) bool {
	names := false
	figures, filled := 0, 0
	for _, cell := range cells {
		if holdsAddresses(cell) || len(cell) > maxName || strings.ContainsAny(cell, "{}") {
			return false
		}
		if cell != "" {
			filled++
		}
		if isFigure(cell) { // a year or a date may name a column
			figures++
		}
		names = names || rankOf(cell) < weak || isOurs(cell)
	}
	return names && figures*2 < filled
}

// maxName is how long a column's name may be, such as the question of a form.
const maxName = 400

// isFigure reports whether a cell is a number, an amount, a date or a time.
func isFigure(cell string) bool {
	cell = strings.TrimSpace(cell)
	return len(cell) > 1 && strings.ContainsAny(cell, "0123456789") && !strings.ContainsFunc(cell, unicode.IsLetter)
}

// headlessTable finds the table where no record names a column of addresses: it begins with the first record that is
// as wide as those with addresses. That one may still be a header, such as Customer,Contact over a column of addresses.
func headlessTable(records []sampled, d Dialect) table {
	t := table{d: d, header: -1, end: len(records)}
	width := commonWidth(records)
	for i, record := range records {
		if record.blank() {
			continue
		}
		if i >= headerRecords {
			t.first = 0
			break
		}
		isTitle := width == 1 && !slices.ContainsFunc(record.cells, hasAt) && i+1 < len(records) && records[i+1].blank()
		if t.first = i; !isTitle && (len(record.cells) >= width || record.hasAddress()) {
			break
		}
	}
	if t.first < len(records) && isUnnamedHeader(records[t.first:]) {
		t.header = t.first
		t.first++
	}
	return t
}

// isUnnamedHeader reports whether the first record is text over a column of addresses. It is not where the cell over
// the addresses may be an address that was left out or lacks its @.
func isUnnamedHeader(records []sampled) bool {
	first := records[0].cells
	if slices.ContainsFunc(first, hasAt) {
		return false
	}
	for i, cell := range first {
		if addressShare(records[1:], i) < 0.5 {
			continue
		}
		cell = strings.TrimSpace(cell)
		if NoAddress(cell) && rankOf(cell) >= weak {
			continue
		}
		inner := strings.TrimRight(cell, ".")
		if dot := strings.IndexByte(inner, '.'); dot >= 0 && !strings.Contains(inner, " ") {
			continue
		}
		return true
	}
	return false
}

// addressShare is the share of a column's filled cells that are addresses.
func addressShare(records []sampled, column int) float64 {
	with, filled := 0, 0
	for _, record := range records {
		if column < len(record.cells) && !NoAddress(record.cells[column]) {
			filled++
			if record.addresses[column] {
				with++
			}
		}
	}
	if filled == 0 {
		return 0
	}
	return float64(with) / float64(filled)
}

func sameName(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
