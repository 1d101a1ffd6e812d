package lists

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Format is the kind of file that a list is.
type Format string

// The formats that lists come in.
const (
	CSV      Format = "CSV" // with , ; tab or | between fields
	Text     Format = "text"
	Workbook Format = "workbook" // .xlsx
	VCard    Format = "vCard"
	LDIF     Format = "LDIF"
	JSON     Format = "JSON"
	NDJSON   Format = "NDJSON"
)

// formatOf tells the format by a file's first bytes; what it does not know is CSV.
func formatOf(sample []byte) Format {
	start := bytes.TrimSpace(bytes.TrimPrefix(sample, utf8BOM))
	switch {
	case bytes.HasPrefix(sample, []byte("PK\x03\x04")):
		if bytes.Contains(sample, []byte("[Content_Types].xml")) || bytes.Contains(sample, []byte("xl/")) {
			return Workbook
		}
	case hasPrefixFold(start, "BEGIN:VCARD"):
		return VCard
	case beginsLDIF(start):
		return LDIF
	case beginsJSON(start):
		if start[0] == '{' && severalValues(start) {
			return NDJSON
		}
		return JSON
	}
	return CSV
}

func hasPrefixFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(string(text[:len(prefix)]), prefix)
}

// beginsLDIF reports whether the first lines are those of RFC 2849: comments, a version, then a distinguished name.
func beginsLDIF(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || hasPrefixFold(line, "version:") {
			continue
		}
		return hasPrefixFold(line, "dn:") && bytes.IndexByte(line, '=') > 0 || hasPrefixFold(line, "dn:: ")
	}
	return false
}

// beginsJSON reports whether a text begins as an object or an array of JSON does, and not as [a@x](mailto:a@x) or
// {a@x}.
func beginsJSON(text []byte) bool {
	if len(text) < 2 || text[0] != '{' && text[0] != '[' {
		return false
	}
	next := bytes.TrimSpace(text[1:min(len(text), 4096)])
	if len(next) == 0 {
		return false
	}
	if text[0] == '{' {
		return next[0] == '"' || next[0] == '}'
	}
	return strings.IndexByte(`{["]`, next[0]) >= 0 && !bytes.Contains(next[:min(len(next), 200)], []byte("]("))
}

// magics are how files begin that are no lists, in small letters.
var magics = []struct{ start, seems, do string }{
	{"%pdf", "a PDF document", "copy its table into a spreadsheet and save that as CSV"},
	{"{\\rtf", "an RTF document", "save it as plain text, one address a line"},
	{"pk\x03\x04", "a zip archive", "take the list out of it, as .xlsx or CSV"},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "open it and save it as .xlsx or CSV"},
	{"rar!", "a RAR archive", "take the list out of it"},
	{"7z\xbc\xaf", "a 7-Zip archive", "take the list out of it"},
	{"sqlite format 3", "an SQLite database", "export its table as CSV"},
	{"par1", "a Parquet file", "export it as CSV"},
	{"<!doctype html", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<html", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<table", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<head", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<body", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<meta", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<div", "an HTML page", "open it in a spreadsheet and save it as CSV"},
	{"<?xml", "an XML document", "open it in a spreadsheet and save it as CSV"},
	{"begin:vcalendar", "a calendar", "export the guests as CSV"},
	{"from ", "mail messages", "save the addresses as CSV, or give the file to verify explain"},
	{"return-path:", "a mail message", "save the addresses as CSV, or give the file to verify explain"},
	{"received:", "a mail message", "save the addresses as CSV, or give the file to verify explain"},
	{"delivered-to:", "a mail message", "save the addresses as CSV, or give the file to verify explain"},
	{"message-id:", "a mail message", "save the addresses as CSV, or give the file to verify explain"},
	{"mime-version:", "a mail message", "save the addresses as CSV, or give the file to verify explain"},
	{"insert into", "SQL statements", "export the table as CSV"},
	{"create table", "SQL statements", "export the table as CSV"},
	{"('", "SQL statements", "export the table as CSV"},
	{"-- mysql dump", "SQL statements", "export the table as CSV"},
	{"-- postgresql", "SQL statements", "export the table as CSV"},
}

// refuse returns a *NotAListError for a file whose first bytes say that it is something else.
func refuse(sample []byte) error {
	start := bytes.TrimLeft(bytes.TrimPrefix(sample[:min(len(sample), 512)], utf8BOM), " \t\r\n")
	if bytes.HasPrefix(start, []byte("PK\x03\x04")) && bytes.Contains(start, []byte("opendocument")) {
		return &NotAListError{Seems: "an OpenDocument file (LibreOffice)", Do: "open it and save it as .xlsx or CSV"}
	}
	for bytes.HasPrefix(start, []byte("<!--")) {
		_, behind, ok := bytes.Cut(start, []byte("-->"))
		if !ok {
			break
		}
		start = bytes.TrimLeft(behind, " \t\r\n")
	}
	if isMessage(start) {
		return &NotAListError{Seems: "a mail message", Do: "save the addresses as CSV, or give the file to verify explain"}
	}
	for _, magic := range magics {
		if !hasPrefixFold(start, magic.start) && !bytes.HasPrefix(start, []byte(magic.start)) {
			continue
		}
		line, _, _ := bytes.Cut(start, []byte{'\n'})
		isMessage := hasAt(string(line)) && !bytes.ContainsAny(line, delimiters) && len(bytes.Fields(line)) > 4
		if magic.start == "from " && !isMessage {
			continue // a header that begins with From
		}
		return &NotAListError{Seems: magic.seems, Do: magic.do}
	}
	return nil
}

// isMessage reports whether a text begins with several header fields of a mail message, such as Date: and From:.
func isMessage(start []byte) bool {
	fields := 0
	for line := range bytes.Lines(start) {
		name, _, ok := bytes.Cut(line, []byte(": "))
		if line[0] == ' ' || line[0] == '\t' {
			continue
		}
		if !ok || !slices.Contains(messageFields, strings.ToLower(string(name))) {
			break
		}
		fields++
	}
	return fields >= 3
}

var messageFields = []string{
	"date", "from", "to", "cc", "subject", "reply-to", "sender", "message-id", "mime-version", "content-type", "x-mailer",
	"return-path", "received", "delivered-to", "content-transfer-encoding", "user-agent", "thread-topic", "thread-index",
}

// seems says what a text is that does not read as a list; err is what reading it said. A column that was asked for is
// trusted; so is one that may be in doubt.
func (r *Reader) seems(text []byte, err error, options Options) error {
	if err != nil && !isDoubt(err) || len(options.wanted()) > 0 || options.Doubtful {
		return err
	}
	other := identify(text)
	if err == nil && r.reads() && (other == nil || !r.isDoubtful(text)) {
		return nil
	}
	if other != nil {
		return other
	}
	if err == nil && r.format == Text {
		return &NotAListError{Seems: "text in which no line is an address", Do: asAList}
	}
	if err == nil {
		return r.noAddresses()
	}
	return err
}

func (r *Reader) noAddresses() error {
	return &NotAListError{
		Seems: fmt.Sprintf("a table whose column %q holds no addresses", r.columnName(r.chosen[0])),
		Do:    "say which column holds them with --column",
	}
}

// isDoubtful reports whether a list that seems to be something else reads as one by chance: it has one column, few of
// whose cells are addresses; or no header, and its lines are keys and values, or fields with another sign between them.
func (r *Reader) isDoubtful(text []byte) bool {
	if r.sorter.columns <= 1 && !r.first.holds() {
		return true
	}
	if r.header != nil {
		return false
	}
	lines, with := linesOf(text)
	if r.sorter.columns <= 1 && oddDelimiter(lines, with) != "" {
		return len(lines) > 1 && strings.Count(with[0], oddDelimiter(lines, with)) > 1
	}
	pairs := 0
	for _, line := range with {
		if isPair(line) && !holdsAddresses(line) {
			pairs++
		}
	}
	return pairs*10 >= len(with)*6
}

// reads reports whether the address column reads as one: its name says so and its cells do not say otherwise, or most
// of its cells are addresses.
func (r *Reader) reads() bool {
	c := r.first
	if r.sorter.columns <= 1 && c.withAt*10 < c.filled*6 && c.filled > 2 {
		return false // a text, some of whose lines hold an address
	}
	if c.rank < weak && r.format != Text {
		return c.filled < 10 || c.withAt*20 >= c.filled
	}
	return c.holds()
}

// asAList is what to do about text that is no list.
const asAList = "save it as CSV with a header, or with one address a line and nothing else"

// identifyLines is how many lines are looked at to say what a text is.
const identifyLines = 200

// identify recognises texts that hold addresses in a way that is not read; nil: none of them.
func identify(text []byte) error {
	lines, with := linesOf(text)
	if len(with) == 0 {
		isTable := slices.ContainsFunc(lines, func(line string) bool { return strings.ContainsAny(line, delimiters) })
		if len(lines) > 0 && !isTable {
			return &NotAListError{Seems: "text with no address in it", Do: asAList}
		}
		return nil
	}
	if delimiter := oddDelimiter(lines, with); delimiter != "" {
		return &NotAListError{
			Seems: fmt.Sprintf("a table whose fields are separated by %q", delimiter),
			Do:    "save it with commas, semicolons, tabs or |",
		}
	}
	most := func(has func(string) bool) bool {
		n := 0
		for _, line := range with {
			if has(line) {
				n++
			}
		}
		return n*10 >= len(with)*6
	}
	switch {
	case most(isPair):
		return &NotAListError{Seems: "text of keys and values such as mail=someone@example.com", Do: asAList}
	case most(isSpaced) && !most(func(line string) bool { return strings.ContainsAny(line, delimiters) }):
		return &NotAListError{Seems: "text whose columns are separated by spaces", Do: asAList}
	case most(func(line string) bool { return !holdsAddresses(line) && strings.Count(line, " ") > 3 }):
		return &NotAListError{Seems: "text that mentions addresses", Do: asAList}
	}
	return nil
}

// linesOf returns the first lines of a text, and those of them with an @.
func linesOf(text []byte) (lines, with []string) {
	for line := range bytes.Lines(text) {
		if trimmed := strings.TrimSpace(string(line)); trimmed != "" {
			lines = append(lines, trimmed)
		}
		if len(lines) == identifyLines {
			break
		}
	}
	return lines, slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !hasAt(line) })
}

// oddDelimiters are signs that some programs write between fields.
var oddDelimiters = []string{
	"^", "~", "¦", "§", "||", "::", "\x1f", "\x01", "\x1e", "•", "·", "#", "\\", "!", "*", "/", ":",
}

// oddDelimiter finds a sign that divides all lines into as many fields, of which one is an address.
func oddDelimiter(lines, with []string) string {
	for _, delimiter := range oddDelimiters {
		regular, clean := 0, 0
		fields := strings.Count(with[0], delimiter)
		for _, line := range lines {
			if fields > 0 && strings.Count(line, delimiter) == fields {
				regular++
			}
		}
		for _, line := range with {
			if slices.ContainsFunc(strings.Split(line, delimiter), IsAddress) {
				clean++
			}
		}
		if fields > 0 && regular*10 >= len(lines)*8 && clean*10 >= len(with)*6 && (delimiter != ":" || fields > 1) {
			return delimiter
		}
	}
	return ""
}

// isPair reports whether a line holds an address behind a key and an equals sign or a colon.
func isPair(line string) bool {
	for _, word := range strings.Fields(line) {
		key, value, ok := strings.Cut(word, "=")
		if ok && isKey(key) && IsAddress(strings.Trim(value, `"',;`)) {
			return true
		}
	}
	if key, value, ok := strings.Cut(line, "="); ok && isKey(strings.TrimSpace(key)) {
		if value = strings.TrimSpace(value); IsAddress(strings.Trim(value, `"',;`)) {
			return true // from = "ann@x.lab"
		}
	}
	key, value, ok := strings.Cut(strings.TrimPrefix(line, "- "), ":")
	return ok && isKey(strings.ReplaceAll(key, " ", "")) && holdsAddresses(value)
}

func isKey(word string) bool {
	isOther := func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != '-' && r != '.' }
	return word != "" && !strings.ContainsFunc(word, isOther)
}

// isSpaced reports whether one of several words of a line is an address without brackets.
func isSpaced(line string) bool {
	words := strings.Fields(line)
	isBare := func(word string) bool { return word[0] != '<' && IsAddress(word) }
	return len(words) > 1 && slices.ContainsFunc(words, isBare) && !holdsAddresses(line)
}
