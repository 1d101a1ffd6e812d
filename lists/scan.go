package lists

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
)

// Bounds of a record. Beyond them a quotation mark is missing, or it is no list; a spreadsheet has as many columns.
const (
	maxRecord = 1 << 20 // bytes
	maxFields = 1 << 14
)

// scanner splits text into records and keeps their bytes. A field that begins with a quotation mark is quoted; a
// doubled one inside stands for itself; elsewhere a quotation mark is a character like any other.
type scanner struct {
	r         *bufio.Reader
	delimiter byte
	newline   byte
	raw, end  []byte
	fields    int   // 0: a blank line
	line      int64 // where the record begins
	next1     int64 // where the next one begins
	long      []byte
	err       error
}

func newScanner(r io.Reader, d Dialect) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 1<<18), delimiter: d.Delimiter, newline: d.Newline, next1: 1}
}

// next reads a record; false at the end or on an error.
func (s *scanner) next() bool {
	if s.err != nil {
		return false
	}
	s.line = s.next1
	record, err := s.chunk()
	if err != nil && err != io.EOF || len(record) == 0 {
		s.fail(err)
		return false
	}
	if bytes.IndexByte(record, '"') >= 0 {
		s.long = s.long[:0]
		for from := 0; open(record, from, s.delimiter); {
			if err == io.EOF {
				s.fail(fmt.Errorf("line %d: a quotation mark opens a cell there that is not closed; close it, double it or take it away", s.line))
				return false
			}
			if len(record) > maxRecord {
				s.fail(fmt.Errorf("line %d: the row that begins there is longer than %d KiB; a quotation mark that is not closed may be why", s.line, maxRecord>>10))
				return false
			}
			if len(s.long) == 0 {
				s.long = append(s.long, record...)
			}
			from = len(s.long)
			var more []byte
			more, err = s.chunk()
			if err != nil && err != io.EOF {
				s.fail(err)
				return false
			}
			s.long = append(s.long, more...)
			record = s.long
		}
	}
	s.raw, s.end = cutEnd(record, s.newline)
	s.fields = 0
	if len(bytes.TrimSpace(s.raw)) > 0 || bytes.IndexByte(s.raw, s.delimiter) >= 0 {
		s.fields = countFields(s.raw, s.delimiter)
	}
	if s.fields > maxFields {
		s.fail(fmt.Errorf("line %d: the row that begins there has %d fields; at most %d can be read", s.line, s.fields, maxFields))
		return false
	}
	return true
}

func (s *scanner) fail(err error) {
	if err != nil && err != io.EOF {
		s.err = err
	}
}

// chunk reads to the end of a line. Its bytes are valid until the next call, unless they are copied.
func (s *scanner) chunk() ([]byte, error) {
	line, err := s.r.ReadSlice(s.newline)
	if err == bufio.ErrBufferFull {
		whole := bytes.Clone(line)
		for err == bufio.ErrBufferFull {
			if len(whole) > maxRecord {
				return nil, fmt.Errorf("line %d: the row that begins there is longer than %d KiB", s.line, maxRecord>>10)
			}
			line, err = s.r.ReadSlice(s.newline)
			whole = append(whole, line...)
		}
		line = whole
	}
	if len(line) > 0 {
		s.next1++
	}
	return line, err
}

func cutEnd(record []byte, newline byte) (raw, end []byte) {
	n := len(record)
	if n > 0 && record[n-1] == newline {
		n--
		if newline == '\n' && n > 0 && record[n-1] == '\r' {
			n--
		}
	}
	return record[:n], record[n:]
}

// open says whether a record ends inside quotes. What stands before from was looked at and ends inside quotes; nothing
// was where from is 0.
func open(record []byte, from int, delimiter byte) bool {
	i, quoted := from, from > 0
	for {
		if !quoted && i < len(record) && record[i] == '"' {
			i, quoted = i+1, true
		}
		if quoted {
			if i, quoted = pastQuoted(record, i); !quoted {
				return true
			}
		}
		next := bytes.IndexByte(record[i:], delimiter)
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
func fieldEnd(record []byte, i int, delimiter byte) int {
	if i < len(record) && record[i] == '"' {
		i, _ = pastQuoted(record, i+1)
	}
	if next := bytes.IndexByte(record[i:], delimiter); next >= 0 {
		return i + next
	}
	return len(record)
}

// countFields counts a record's fields; a record has at least one.
func countFields(record []byte, delimiter byte) int {
	if bytes.IndexByte(record, '"') < 0 {
		return bytes.Count(record, []byte{delimiter}) + 1
	}
	n := 1
	for i := fieldEnd(record, 0, delimiter); i < len(record); i = fieldEnd(record, i+1, delimiter) {
		n++
	}
	return n
}

// fieldAt returns a field, unquoted, by its index from 0.
func fieldAt(record []byte, delimiter byte, index int) ([]byte, bool) {
	start := 0
	for {
		end := fieldEnd(record, start, delimiter)
		if index == 0 {
			return unquote(record[start:end]), true
		}
		if end == len(record) {
			return nil, false
		}
		start, index = end+1, index-1
	}
}

// fields returns all fields, unquoted.
func fields(record []byte, delimiter byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for start := 0; start <= len(record); {
			end := fieldEnd(record, start, delimiter)
			if !yield(unquote(record[start:end])) {
				return
			}
			start = end + 1
		}
	}
}

func unquote(field []byte) []byte {
	if len(field) == 0 || field[0] != '"' {
		return field
	}
	end, closed := pastQuoted(field, 1)
	inner, rest := field[1:end], field[end:]
	if closed {
		inner = field[1 : end-1]
	}
	if bytes.IndexByte(inner, '"') >= 0 {
		inner = bytes.ReplaceAll(inner, []byte(`""`), []byte(`"`))
	}
	if len(rest) > 0 {
		inner = append(bytes.Clone(inner), rest...)
	}
	return inner
}

// sampleRecords returns the first records as cells in UTF-8, the last one left out where the sample may have cut it. What
// stands before the first, blank lines and Excel's hint, is the preamble; it counts skipped records.
func sampleRecords(text []byte, d Dialect, whole bool) (records []sampled, preamble []byte, skipped int) {
	const enough = 1000
	_, hinted := delimiterHint(text)
	for scan := newScanner(bytes.NewReader(text), d); len(records) < enough && scan.next(); {
		if len(records) == 0 && (scan.fields == 0 || hinted && scan.line == 1) {
			preamble = append(append(preamble, scan.raw...), scan.end...)
			skipped++
		}
		if scan.fields == 0 || hinted && scan.line == 1 {
			continue
		}
		record := sampled{raw: bytes.Clone(scan.raw), end: bytes.Clone(scan.end)}
		for cell := range fields(scan.raw, d.Delimiter) {
			record.cells = append(record.cells, d.text(cell))
		}
		records = append(records, record)
	}
	if !whole && len(records) > 1 && len(records) < enough {
		records = records[:len(records)-1]
	}
	return records, preamble, skipped
}

type sampled struct {
	raw, end []byte
	cells    []string
}
