package lists

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// Bounds of a record. Beyond them a quotation mark is missing, or it is no list; a spreadsheet has as many columns.
const (
	maxRecord = 1 << 20 // bytes
	maxFields = 1 << 14
)

// scanner splits text into records and keeps their bytes.
type scanner struct {
	cut
	r        *bufio.Reader
	newline  byte
	raw, end []byte
	fields   int   // 0: a blank line
	line     int64 // where the record begins
	next1    int64 // where the next one begins
	long     []byte
	err      error
}

func newScanner(r io.Reader, d Dialect) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 1<<18), cut: d.cut(), newline: d.Newline, next1: 1}
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
		if record, err = s.closeQuotes(record, err); err != nil {
			s.fail(err)
			return false
		}
	}
	s.raw, s.end = cutEnd(record, s.newline)
	s.fields = 0
	if !isBlank(s.raw) || s.find(s.raw) >= 0 {
		s.fields = s.count(s.raw)
	}
	if s.fields > maxFields {
		s.fail(fmt.Errorf("line %d: the row that begins there has %d fields; at most %d can be read",
			s.line, s.fields, maxFields))
		return false
	}
	return true
}

// closeQuotes adds lines to a record until its last cell is closed. The error is never io.EOF.
func (s *scanner) closeQuotes(record []byte, err error) ([]byte, error) {
	s.long = s.long[:0]
	for from := 0; s.open(record, from); {
		if err == io.EOF {
			return nil, fmt.Errorf("line %d: a quotation mark opens a cell there that is not closed; "+
				"close it, double it or take it away", s.line)
		}
		if len(record) > maxRecord {
			return nil, fmt.Errorf("line %d: the row that begins there is longer than %d KiB; "+
				"a quotation mark that is not closed may be why", s.line, maxRecord>>10)
		}
		if len(s.long) == 0 {
			s.long = append(s.long, record...)
		}
		from = len(s.long)
		var more []byte
		more, err = s.chunk()
		if err != nil && err != io.EOF {
			return nil, err
		}
		s.long = append(s.long, more...)
		record = s.long
	}
	return record, nil
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
		for newline == '\n' && n > 0 && record[n-1] == '\r' { // two of them where a program wrote \r\n as text
			n--
		}
	}
	return record[:n], record[n:]
}

// isBlank reports whether a record holds nothing but space and byte order marks.
func isBlank(raw []byte) bool { return len(bytes.TrimSpace(bytes.TrimPrefix(raw, utf8BOM))) == 0 }
