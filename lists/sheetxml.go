package lists

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxSheetRow is how long one row of a sheet may be, in bytes.
const maxSheetRow = 64 << 20

// sheetRows divides the XML of a sheet into what comes between its rows and the rows, and keeps every byte.
type sheetRows struct {
	r       *bufio.Reader
	chunk   []byte
	pending []byte // the first tag of a row, behind the part that was returned last
	number  int64  // of the row, from 1
}

func newSheetRows(r io.Reader) *sheetRows { return &sheetRows{r: bufio.NewReaderSize(r, 1<<16)} }

// next returns the next part: a row as a whole, or what comes before it. The error is io.EOF at the end.
func (s *sheetRows) next() (part []byte, isRow bool, err error) {
	s.chunk = append(s.chunk[:0], s.pending...)
	if s.pending = s.pending[:0]; len(s.chunk) > 0 {
		return s.row()
	}
	for {
		from := len(s.chunk)
		if err := s.tag(); err != nil {
			if errors.Is(err, io.EOF) && len(s.chunk) > 0 {
				return s.chunk, false, nil
			}
			return nil, false, err
		}
		tag := s.chunk[from:]
		open := bytes.IndexByte(tag, '<')
		if open < 0 || tagName(tag[open:]) != "row" {
			if len(s.chunk) > 1<<16 && bytes.IndexByte(tag, '<') >= 0 {
				return s.chunk, false, nil
			}
			continue
		}
		if from+open > 0 { // what comes before the row is a part of its own
			s.pending = append(s.pending, tag[open:]...)
			return s.chunk[:from+open], false, nil
		}
		return s.row()
	}
}

// tag reads to the end of the next tag, comments and CDATA as a whole.
func (s *sheetRows) tag() error {
	from := len(s.chunk)
	for {
		more, err := s.r.ReadSlice('>')
		s.chunk = append(s.chunk, more...)
		if err == bufio.ErrBufferFull {
			if len(s.chunk) > maxSheetRow {
				return fmt.Errorf("a row of the sheet is longer than %d MiB", maxSheetRow>>20)
			}
			continue
		}
		if err != nil {
			return err
		}
		text := s.chunk[from:]
		open := bytes.IndexByte(text, '<')
		if open < 0 {
			continue // > in text
		}
		if bytes.HasPrefix(text[open:], []byte("<!--")) && !bytes.HasSuffix(text, []byte("-->")) {
			continue
		}
		if bytes.HasPrefix(text[open:], []byte("<![CDATA[")) && !bytes.HasSuffix(text, []byte("]]>")) {
			continue
		}
		return nil
	}
}

// row reads the rest of the row whose first tag was read.
func (s *sheetRows) row() ([]byte, bool, error) {
	s.number++
	if n, err := strconv.ParseInt(attribute(s.chunk, "r"), 10, 64); err == nil {
		s.number = n
	}
	for !bytes.HasSuffix(s.chunk, []byte("/>")) || bytes.IndexByte(s.chunk[1:], '<') >= 0 {
		from := len(s.chunk)
		if err := s.tag(); err != nil {
			return nil, false, fmt.Errorf("row %d of the sheet does not end: %w", s.number, err)
		}
		if len(s.chunk) > maxSheetRow {
			return nil, false, fmt.Errorf("row %d of the sheet is longer than %d MiB", s.number, maxSheetRow>>20)
		}
		tag := s.chunk[from:]
		if open := bytes.IndexByte(tag, '<'); tagName(tag[open:]) == "/row" {
			break
		}
	}
	return s.chunk, true, nil
}

// tagName returns the name of a tag without its namespace: row, /row, c.
func tagName(tag []byte) string {
	name := tag[1:]
	if end := bytes.IndexAny(name, " \t\r\n/>"); end > 0 {
		name = name[:end]
	} else if len(name) > 1 && name[0] == '/' {
		if end := bytes.IndexAny(name[1:], " \t\r\n>"); end >= 0 {
			name = name[:end+1]
		}
		if colon := bytes.IndexByte(name, ':'); colon >= 0 {
			return "/" + string(name[colon+1:])
		}
		return string(name)
	}
	if colon := bytes.IndexByte(name, ':'); colon >= 0 {
		name = name[colon+1:]
	}
	return string(name)
}

// attribute returns the value of an attribute of the first tag of some XML.
func attribute(text []byte, name string) string {
	tag, _, _ := bytes.Cut(text, []byte{'>'})
	for _, quote := range []string{`"`, `'`} {
		for _, space := range []string{" ", "\n", "\t", "\r"} {
			if _, after, ok := bytes.Cut(tag, []byte(space+name+"="+quote)); ok {
				value, _, _ := bytes.Cut(after, []byte(quote))
				return string(value)
			}
		}
	}
	return ""
}

// sheetCell is a cell of a row as it is in the XML.
type sheetCell struct {
	column int // from 0
	raw    []byte
}

// cellsOf divides a row into its first tag, its cells and its end, and returns the namespace's prefix.
func cellsOf(row []byte) (head []byte, cells []sheetCell, tail []byte, prefix string, err error) {
	end := bytes.IndexByte(row, '>') + 1
	head, rest := row[:end], row[end:]
	if name, _, ok := bytes.Cut(head[1:], []byte("row")); ok {
		prefix = string(name)
	}
	if bytes.HasSuffix(head, []byte("/>")) {
		head = append(bytes.Clone(head[:len(head)-2]), '>')
		return head, nil, []byte("</" + prefix + "row>"), prefix, nil
	}
	column := -1
	for {
		open := bytes.IndexByte(rest, '<')
		if open < 0 {
			return nil, nil, nil, "", errors.New("a row of the sheet has no end")
		}
		if tagName(rest[open:]) != "c" {
			return head, cells, rest, prefix, nil
		}
		closed := bytes.IndexByte(rest[open:], '>')
		size := open + closed + 1
		if closed < 0 {
			return nil, nil, nil, "", errors.New("a cell of the sheet has no end")
		}
		if rest[size-2] != '/' {
			ending := []byte("</" + prefix + "c>")
			at := bytes.Index(rest[size:], ending)
			if at < 0 {
				return nil, nil, nil, "", errors.New("a cell of the sheet has no end")
			}
			size += at + len(ending)
		}
		column++
		if ref := attribute(rest[open:], "r"); ref != "" {
			column = columnIndex(ref)
		}
		cells = append(cells, sheetCell{column, rest[:size]})
		rest = rest[size:]
	}
}

// columnIndex returns the column of a reference such as AB12, from 0.
func columnIndex(ref string) (index int) {
	for _, c := range ref {
		if c < 'A' || c > 'Z' {
			break
		}
		index = index*26 + int(c-'A') + 1
	}
	return index - 1
}

// columnRef returns the letters of a column: A for 0.
func columnRef(index int) string {
	if index < 26 {
		return string(rune('A' + index))
	}
	return columnRef(index/26-1) + string(rune('A'+index%26))
}

// maxCellText is how many characters a cell of a workbook may hold.
const maxCellText = 32767

// writeCell appends a cell of ours: a number where it is one of the score's, else text.
func writeCell(b *bytes.Buffer, prefix string, column int, row int64, style, text string, number bool) {
	fmt.Fprintf(b, `<%sc r="%s%d"`, prefix, columnRef(column), row)
	if style != "" {
		fmt.Fprintf(b, ` s="%s"`, style)
	}
	if number && isNumber(text) {
		fmt.Fprintf(b, `><%sv>%s</%sv></%sc>`, prefix, text, prefix, prefix)
		return
	}
	if runes := []rune(text); len(runes) > maxCellText {
		text = string(runes[:maxCellText])
	}
	fmt.Fprintf(b, ` t="inlineStr"><%sis><%st xml:space="preserve">`, prefix, prefix)
	_ = xml.EscapeText(b, []byte(text)) // a buffer takes everything
	fmt.Fprintf(b, `</%st></%sis></%sc>`, prefix, prefix, prefix)
}

// widen makes the range of a sheet's dimension reach a column. Other parts are returned as they are.
func widen(part []byte, column int) []byte {
	at := bytes.Index(part, []byte("dimension ref=\""))
	if at < 0 {
		return part
	}
	from := at + len("dimension ref=\"")
	ref, _, ok := strings.Cut(string(part[from:]), `"`)
	first, last, isRange := strings.Cut(ref, ":")
	if !ok || !isRange || columnIndex(last) >= column {
		return part
	}
	row := strings.TrimLeft(last, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	wide := append(bytes.Clone(part[:from]), first+":"+columnRef(column)+row...)
	return append(wide, part[from+len(ref):]...)
}
