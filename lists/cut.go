package lists

import (
	"bytes"
	"iter"
)

// cut splits a record into fields. A field that begins with a quotation mark is quoted; a doubled one inside means
// itself; elsewhere a quotation mark is a character like any other.
type cut struct {
	delimiter byte
	spaced    bool  // spaces after a delimiter belong to no field, so that a quotation mark behind them quotes
	pairs     pairs // which bytes are the first of two, so that the second is no delimiter
}

// pairs says how an encoding writes a character in two bytes of which the second may look like ASCII's | or @.
type pairs byte

const (
	noPairs   pairs = iota
	highPairs       // GB18030, Big5: every byte from 0x81 is the first of two
	sjisPairs       // Shift_JIS: but those from 0xA0 to 0xDF
)

func (p pairs) isFirst(b byte) bool {
	return b >= 0x81 && b != 0xff && (p == highPairs || b < 0xa0 || b > 0xdf)
}

// find returns the index of the first delimiter; -1 for none.
func (c cut) find(text []byte) int {
	if c.pairs == noPairs {
		return bytes.IndexByte(text, c.delimiter)
	}
	for i := 0; i < len(text); i++ {
		if text[i] == c.delimiter {
			return i
		}
		if c.pairs.isFirst(text[i]) {
			i++
		}
	}
	return -1
}

// quoted returns where the text of a field that begins at i begins, and whether it is quoted. Two files that were
// joined have a byte order mark before a record in the middle.
func (c cut) quoted(record []byte, i int) (int, bool) {
	if i == 0 && len(record) > 0 && record[0] == utf8BOM[0] && bytes.HasPrefix(record, utf8BOM) {
		i += len(utf8BOM)
	}
	if c.spaced {
		for i < len(record) && record[i] == ' ' {
			i++
		}
	}
	if i < len(record) && record[i] == '"' {
		return i + 1, true
	}
	return i, false
}

// open reports whether a record ends inside quotes. What comes before from was looked at and ends inside quotes;
// nothing was where from is 0.
func (c cut) open(record []byte, from int) bool {
	i, quoted := from, from > 0
	for {
		if !quoted {
			i, quoted = c.quoted(record, i)
		}
		if quoted {
			if i, quoted = pastQuoted(record, i); !quoted {
				return true
			}
		}
		next := c.find(record[i:])
		if next < 0 {
			return false
		}
		i, quoted = i+next+1, false
	}
}

// pastQuoted returns the index behind the closing quotation mark of a field whose text begins at i.
func pastQuoted(record []byte, i int) (int, bool) {
	for {
		quote := bytes.IndexByte(record[i:], '"')
		if quote < 0 {
			return len(record), false
		}
		i += quote + 1
		if i == len(record) || record[i] != '"' {
			return i, true
		}
		i++
	}
}

// fieldEnd returns where the field that begins at i ends: at a delimiter or at the record's end.
func (c cut) fieldEnd(record []byte, i int) int {
	if text, quoted := c.quoted(record, i); quoted {
		i, _ = pastQuoted(record, text)
	}
	if next := c.find(record[i:]); next >= 0 {
		return i + next
	}
	return len(record)
}

// count counts a record's fields; a record has at least one.
func (c cut) count(record []byte) int {
	if c.pairs == noPairs && bytes.IndexByte(record, '"') < 0 {
		return bytes.Count(record, []byte{c.delimiter}) + 1
	}
	n := 1
	for i := c.fieldEnd(record, 0); i < len(record); i = c.fieldEnd(record, i+1) {
		n++
	}
	return n
}

// raw returns all fields as they are, with their quotation marks.
func (c cut) raw(record []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i, start := 0, 0; start <= len(record); i++ {
			end := c.fieldEnd(record, start)
			if !yield(i, record[start:end]) {
				return
			}
			start = end + 1
		}
	}
}

// at returns a field, unquoted, by its index from 0.
func (c cut) at(record []byte, index int) ([]byte, bool) {
	start := 0
	for {
		end := c.fieldEnd(record, start)
		if index == 0 {
			return c.unquote(record[start:end]), true
		}
		if end == len(record) {
			return nil, false
		}
		start, index = end+1, index-1
	}
}

// fields returns all fields, unquoted.
func (c cut) fields(record []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, field := range c.raw(record) {
			if !yield(c.unquote(field)) {
				return
			}
		}
	}
}

func (c cut) unquote(field []byte) []byte {
	text, quoted := c.quoted(field, 0)
	if !quoted {
		return field[text:]
	}
	end, closed := pastQuoted(field, text)
	inner, rest := field[text:end], field[end:]
	if closed {
		inner = field[text : end-1]
	}
	// "Lee, Ann" <ann@corp.lab> is a name in quotes and not a quoted cell.
	if bytes.IndexByte(rest, '@') >= 0 {
		return field[text-1:]
	}
	if bytes.IndexByte(inner, '"') >= 0 {
		inner = bytes.ReplaceAll(inner, []byte(`""`), []byte(`"`))
	}
	if c.spaced {
		rest = bytes.TrimSpace(rest)
	}
	if len(rest) > 0 {
		inner = append(bytes.Clone(inner), rest...)
	}
	return inner
}
