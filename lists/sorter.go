package lists

import (
	"bytes"
	_ "embed"
	"strings"
	"sync"
	"unicode"
)

// kind is what a record is.
type kind byte

const (
	isRow   kind = iota
	isAside      // a blank line, a title, a header that comes again, another table, a line of dashes
	maybe        // no row if only such records follow: a footer
)

// sorter tells rows from what else is between and below them. What it takes for no row holds no @, or is part of
// another table.
type sorter struct {
	d       Dialect
	header  []byte // without a byte order mark
	columns int    // how many fields a row has
	other   bool   // in another table
	after   bool   // a blank line or an aside came before
}

// sort sorts the next record of a list, by its bytes and its number of fields.
func (s *sorter) sort(raw []byte, fields int) kind {
	if fields == 0 {
		s.after = true
		return isAside
	}
	if raw = trimRecord(raw); s.header != nil && bytes.Equal(raw, s.header) {
		s.other, s.after = false, false
		return isAside
	}
	if s.other {
		return isAside
	}
	if s.columns <= 1 && bytes.HasPrefix(raw, []byte("# ")) {
		return isAside // a comment
	}
	at := cut{delimiter: '@', pairs: s.d.pairs()}
	if at.find(raw) >= 0 || bytes.Contains(raw, []byte("\uff20")) {
		if s.after && fields == 1 && s.columns > 1 && bytes.IndexByte(raw, ' ') >= 0 && !holdsAddresses(s.d.text(raw)) {
			return maybe // Questions? Write to support@x.lab
		}
		s.after = false
		return isRow
	}
	return s.without(raw, fields)
}

// without sorts a record without an @.
func (s *sorter) without(raw []byte, fields int) kind {
	if isRule(raw) || bytes.Contains(raw, []byte(`"ImportId"`)) { // the third header row of Qualtrics
		s.after = true
		return isAside
	}
	var cells []string
	filled, first := 0, ""
	for cell := range s.d.cut().fields(raw) {
		text := s.d.text(cell)
		cells = append(cells, text)
		if text = strings.TrimSpace(text); text != "" {
			if filled++; first == "" {
				first = text
			}
		}
	}
	switch {
	case s.columns > 1 && filled == 0: // ,,, is a row without an address, and "" is none
		s.after = true
		if fields < s.columns {
			return isAside
		}
		return isRow
	case s.after && s.columns > 1 && filled > 1 && namesColumns(cells):
		s.other = true
		return isAside
	case isTotal(first),
		s.columns > 1 && filled == 1 && (s.after || fields < s.columns && strings.Contains(first, " ")),
		s.after && filled <= 2 && fields*2 < s.columns: // "2","record(s) downloaded"
		s.after = true
		return maybe
	}
	s.after = false
	return isRow
}

// resolved is what a record that may be a footer is when a row follows: a title between rows, or a row.
func resolved(raw []byte) kind {
	if bytes.IndexByte(bytes.TrimSpace(raw), ' ') >= 0 {
		return isAside
	}
	return isRow
}

// sortAll sorts records of which no more follow.
func (s *sorter) sortAll(records []sampled) []kind {
	kinds := make([]kind, len(records))
	var held []int
	for i, record := range records {
		switch kinds[i] = s.sort(record.raw, len(record.cells)); kinds[i] {
		case maybe:
			held = append(held, i)
		case isRow:
			for _, j := range held {
				kinds[j] = resolved(records[j].raw)
			}
			held = held[:0]
		}
	}
	return kinds
}

// isRule reports whether a record is a line such as |------|------| or ----+-----.
func isRule(raw []byte) bool {
	return bytes.Count(raw, []byte("-"))+bytes.Count(raw, []byte("=")) >= 3 && len(bytes.Trim(raw, "-=+|: \t")) == 0
}

//go:embed data/totals.txt
var totalsText string

// totals are the words with which the last line of a report begins, and those behind a number of rows.
var totals = sync.OnceValue(func() (t struct{ words, counted map[string]bool }) {
	t.words, t.counted = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(totalsText) {
		line = strings.TrimSpace(line)
		if counted, ok := strings.CutPrefix(line, "N "); ok {
			t.counted[counted] = true
		} else if line != "" && line[0] != '#' {
			t.words[line] = true
		}
	}
	return t
})

// isTotal reports whether a cell begins the last line of a report: Total, Total: 3, (3 rows affected).
func isTotal(cell string) bool {
	word := strings.ToLower(strings.TrimRight(strings.TrimSpace(cell), ":=. 0123456789"))
	if totals().words[word] {
		return true
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(word, "("), ")")
	if strings.HasSuffix(word, "s)") && !strings.HasPrefix(word, "(") {
		inner = word // 3 row(s)
	}
	rest := strings.TrimLeftFunc(inner, unicode.IsDigit)
	return len(rest) < len(inner) && totals().counted[strings.TrimSpace(rest)]
}
