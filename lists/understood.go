package lists

import (
	"fmt"
	"strings"
)

// Understood describes how a list was read: its format, header and address columns.
type Understood struct {
	Format    Format
	Encoding  Encoding // of text
	Delimiter byte     // of CSV
	Sheet     string   // of a workbook
	Header    int64    // the line that names the columns, from 1; of a workbook the row; 0: none
	Columns   []string // the address columns that were chosen, by name, or by number from 1 where they have none
	Others    []string // other columns that hold addresses, named in the same way
	Tables    []int64  // lines of the headers of other tables with addresses, which are left out
	Replaced  int      // columns that an earlier run added and this one replaces
}

// Understood returns what was found out about the list.
func (r *Reader) Understood() Understood {
	u := Understood{
		Format: r.format, Encoding: r.dialect.Encoding, Sheet: r.sheet,
		Others: r.others, Tables: r.tables, Replaced: len(r.ours),
	}
	if r.format == CSV {
		u.Delimiter = r.dialect.Delimiter
	}
	if r.header != nil && (r.format == CSV || r.format == Workbook) {
		u.Header = r.header.Line
	}
	for _, index := range r.chosen {
		u.Columns = append(u.Columns, r.columnName(index))
	}
	return u
}

// String returns one line for people: CSV in UTF-8, delimiter comma, header in line 1; addresses in "Email", not in
// "Owner Email".
func (u Understood) String() string {
	var b strings.Builder
	b.WriteString(string(u.Format))
	switch u.Format {
	case Workbook:
		fmt.Fprintf(&b, ", sheet %q", u.Sheet)
		u.writeHeader(&b, "row")
	case CSV:
		fmt.Fprintf(&b, " in %s, delimiter %s", u.Encoding, delimiterName(u.Delimiter))
		u.writeHeader(&b, "line")
	case Text:
		fmt.Fprintf(&b, " in %s, one address a line", u.Encoding)
		return b.String()
	}
	b.WriteString("; addresses in ")
	b.WriteString(quoteAll(u.Columns))
	if len(u.Others) > 0 {
		b.WriteString(", not in ")
		b.WriteString(quoteAll(u.Others))
	}
	for _, line := range u.Tables {
		fmt.Fprintf(&b, "; the table below line %d is left out", line)
	}
	switch {
	case u.Replaced == 1:
		b.WriteString("; a column of an earlier run is replaced")
	case u.Replaced > 1:
		fmt.Fprintf(&b, "; %d columns of an earlier run are replaced", u.Replaced)
	}
	return b.String()
}

func (u Understood) writeHeader(b *strings.Builder, unit string) {
	if u.Header == 0 {
		b.WriteString(", no header")
		return
	}
	fmt.Fprintf(b, ", header in %s %d", unit, u.Header)
}

func delimiterName(delimiter byte) string {
	switch delimiter {
	case ',':
		return "comma"
	case ';':
		return "semicolon"
	case '\t':
		return "tab"
	}
	return string(delimiter)
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		if quoted[i] = fmt.Sprintf("%q", name); isNumber(name) {
			quoted[i] = "column " + name
		}
	}
	return strings.Join(quoted, ", ")
}
