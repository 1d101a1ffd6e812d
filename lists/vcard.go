package lists

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-vcard"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// vCardColumns are the properties that become columns, in their order.
var vCardColumns = []pair{
	{vcard.FieldFormattedName, "name"},
	{vcard.FieldEmail, "email"},
	{vcard.FieldOrganization, "organization"},
	{vcard.FieldTitle, "title"},
	{vcard.FieldTelephone, "phone"},
	{vcard.FieldCategories, "categories"},
	{vcard.FieldNote, "note"},
}

// readVCards reads cards of versions 2.1, 3.0 and 4.0.
func readVCards(r io.Reader, yield func(entry) error) error {
	plain := &plainCards{lines: bufio.NewReaderSize(r, 1<<16)}
	cards := vcard.NewDecoder(plain)
	for n := 1; ; n++ {
		card, err := cards.Decode()
		if errors.Is(err, io.EOF) && plain.err == nil {
			return nil
		}
		if err = errors.Join(plain.err, err); err != nil {
			return fmt.Errorf("card %d: %w", n, err)
		}
		if err := yield(cardEntry(card)); err != nil {
			return err
		}
	}
}

func cardEntry(card vcard.Card) (e entry) {
	for _, column := range vCardColumns {
		fields := slices.Clone(card[column.name])
		slices.SortStableFunc(fields, func(a, b *vcard.Field) int { return preference(a) - preference(b) })
		if len(fields) == 0 {
			e = append(e, pair{column.value, ""})
		}
		for _, field := range fields {
			e = append(e, pair{column.value, strings.TrimSpace(unescaped.Replace(field.Value))})
		}
	}
	return e
}

// unescaped takes away the backslashes that the decoder leaves.
var unescaped = strings.NewReplacer(`\;`, ";", `\:`, ":")

// preference is the rank that a card gives a value, the most preferred first.
func preference(field *vcard.Field) int {
	if rank, err := strconv.Atoi(field.Params.Get(vcard.ParamPreferred)); err == nil {
		return rank
	}
	if field.Params.HasType("pref") {
		return 1
	}
	return 101
}

// plainCards makes vCard 2.1 readable as 3.0: bare parameters get the name TYPE, and quoted-printable values and other
// character sets become UTF-8.
type plainCards struct {
	lines *bufio.Reader
	ready bytes.Buffer
	err   error // other than the end
}

func (p *plainCards) Read(b []byte) (int, error) {
	for p.ready.Len() == 0 {
		line, err := p.line()
		if line != "" {
			p.ready.WriteString(plainProperty(line) + "\r\n")
		}
		if err != nil && p.ready.Len() == 0 {
			if err != io.EOF {
				p.err = err
			}
			return 0, err
		}
	}
	return p.ready.Read(b)
}

// line returns the next line; one of quoted-printable text with those that it goes on in.
func (p *plainCards) line() (string, error) {
	line, err := p.lines.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	for err == nil && strings.HasSuffix(line, "=") && strings.Contains(strings.ToUpper(line), "QUOTED-PRINTABLE") {
		if len(line) > maxRecord {
			return "", fmt.Errorf("a line is longer than %d KiB", maxRecord>>10)
		}
		var more string
		more, err = p.lines.ReadString('\n')
		line = line[:len(line)-1] + strings.TrimRight(more, "\r\n")
	}
	if len(line) > maxRecord {
		return "", fmt.Errorf("a line is longer than %d KiB", maxRecord>>10)
	}
	return line, err
}

func plainProperty(line string) string {
	head, value, ok := strings.Cut(line, ":")
	if !ok || line[0] == ' ' || line[0] == '\t' || !strings.Contains(head, ";") || strings.Contains(head, `"`) {
		return utf8Text(line)
	}
	parameters := strings.Split(head, ";")
	plain := parameters[:1]
	charset, encoding := "", ""
	for _, parameter := range parameters[1:] {
		name, content, named := strings.Cut(parameter, "=")
		switch {
		case named && strings.EqualFold(name, "CHARSET"):
			charset = content
		case named && strings.EqualFold(name, "ENCODING"):
			encoding = strings.ToUpper(content)
		case strings.EqualFold(name, "QUOTED-PRINTABLE"), strings.EqualFold(name, "BASE64"):
			encoding = strings.ToUpper(name)
		case named:
			plain = append(plain, parameter)
		case name != "":
			plain = append(plain, "TYPE="+name)
		}
	}
	switch {
	case strings.Contains(encoding, "QUOTED-PRINTABLE"):
		if decoded, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(value))); err == nil {
			value = string(decoded)
		}
	case strings.HasPrefix(encoding, "B"):
		if decoded, err := base64.StdEncoding.DecodeString(value); err == nil && utf8.Valid(decoded) {
			value = string(decoded)
		}
	}
	if known, err := htmlindex.Get(charset); charset != "" && err == nil {
		if decoded, err := known.NewDecoder().String(value); err == nil {
			value = decoded
		}
	}
	value = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\r", `\n`).Replace(value)
	return utf8Text(strings.Join(plain, ";") + ":" + value)
}

// utf8Text takes text that is not UTF-8 for Windows-1252.
func utf8Text(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	decoded, err := charmap.Windows1252.NewDecoder().String(text)
	if err != nil {
		return text
	}
	return decoded
}
