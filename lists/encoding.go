package lists

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	utf "golang.org/x/text/encoding/unicode"
)

// Encoding names how a list's text is written.
type Encoding string

// The encodings that most lists come in; codecs has the others.
const (
	UTF8        Encoding = "UTF-8"
	UTF16LE     Encoding = "UTF-16LE"
	UTF16BE     Encoding = "UTF-16BE"
	Windows1252 Encoding = "Windows-1252"
	ShiftJIS    Encoding = "Shift_JIS"
	GB18030     Encoding = "GB18030"
	Big5        Encoding = "Big5"
	EUCJP       Encoding = "EUC-JP"
	EUCKR       Encoding = "EUC-KR"
)

// codecs are the encodings whose bytes are kept as they are, in which a delimiter is one byte.
var codecs = map[Encoding]encoding.Encoding{
	Windows1252: charmap.Windows1252, "Windows-1250": charmap.Windows1250, "Windows-1251": charmap.Windows1251,
	"Windows-1253": charmap.Windows1253, "Windows-1254": charmap.Windows1254, "Windows-1255": charmap.Windows1255,
	"Windows-1256": charmap.Windows1256, "Windows-1257": charmap.Windows1257, "ISO-8859-2": charmap.ISO8859_2,
	"ISO-8859-5": charmap.ISO8859_5, "KOI8-R": charmap.KOI8R, "KOI8-U": charmap.KOI8U, "CP866": charmap.CodePage866,
	"CP850": charmap.CodePage850, "Macintosh": charmap.Macintosh, ShiftJIS: japanese.ShiftJIS, EUCJP: japanese.EUCJP,
	GB18030: simplifiedchinese.GB18030, Big5: traditionalchinese.Big5, EUCKR: korean.EUCKR,
}

// doubleByte are chardet's names of the encodings of several bytes a character.
var doubleByte = map[string]Encoding{
	"Shift_JIS": ShiftJIS, "EUC-JP": EUCJP, "GB-18030": GB18030, "Big5": Big5, "EUC-KR": EUCKR,
}

var utf8BOM = []byte("\xef\xbb\xbf")

// detectEncoding tells the encoding from a list's first bytes, in which the last line may be cut.
func detectEncoding(sample []byte) (Dialect, error) {
	d := Dialect{Encoding: UTF8}
	switch {
	case bytes.HasPrefix(sample, utf8BOM):
		d.BOM = true
	case bytes.HasPrefix(sample, []byte{0xff, 0xfe}):
		d.Encoding, d.BOM = UTF16LE, true
	case bytes.HasPrefix(sample, []byte{0xfe, 0xff}):
		d.Encoding, d.BOM = UTF16BE, true
	case len(sample) > 3 && sample[0] != 0 && sample[1] == 0 && sample[3] == 0:
		d.Encoding = UTF16LE
	case len(sample) > 3 && sample[0] == 0 && sample[1] != 0 && sample[2] == 0:
		d.Encoding = UTF16BE
	case bytes.IndexByte(sample, 0) >= 0:
		return d, errors.New("this is a binary file, not a list")
	case bytes.Contains(sample, []byte("\x1b$B")) && bytes.Contains(sample, []byte("\x1b(B")):
		return d, &NotAListError{Seems: "text in ISO-2022-JP, an encoding of mail messages", Do: "save it as CSV in UTF-8"}
	case !mostlyUTF8(sample):
		d.Encoding = detectLegacy(sample)
	}
	return d, nil
}

// mostlyUTF8 reports whether text is UTF-8, perhaps with some cells pasted from elsewhere: it holds more letters of
// several bytes that are whole than bytes that belong to none.
func mostlyUTF8(text []byte) bool {
	whole, stray := 0, 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1 && utf8.FullRune(text): // else the sample's end cuts it
			stray++
		case size > 1:
			whole++
		}
		text = text[size:]
	}
	return stray == 0 || whole > stray
}

// enoughToDetect is how many bytes of lines beyond ASCII tell an encoding.
const enoughToDetect = 1 << 16

// detectLegacy tells the encoding of text that is not Unicode.
func detectLegacy(sample []byte) Encoding {
	var text []byte
	for line := range bytes.Lines(sample) {
		if !isASCII(line) && (line[len(line)-1] == '\n' || len(text) == 0) {
			text = append(text, line...)
		}
		if len(text) > enoughToDetect {
			break
		}
	}
	single, share := detectSingleByte(text)
	if share >= 0.95 {
		return single
	}
	if name, ok := detectDoubleByte(text); ok {
		return name
	}
	if share < 0.8 {
		return Windows1252
	}
	return single
}

// decodes decodes text and reports whether it is whole in an encoding, but for its end.
func decodes(text []byte, e encoding.Encoding) ([]byte, bool) {
	decoded, err := e.NewDecoder().Bytes(text)
	whole := err == nil && !bytes.ContainsRune(bytes.TrimSuffix(decoded, []byte("\ufffd")), utf8.RuneError)
	return decoded, whole
}

//go:embed data/alphabets.txt
var alphabetsText string

// alphabet is the letters beyond ASCII of a language in an encoding of one byte a character.
type alphabet struct {
	encoding Encoding
	decode   [256]rune
	letters  map[rune]bool
	foreign  bool // letters of another script than Latin, which no word mixes with ASCII's
}

var alphabets = sync.OnceValue(func() (all []alphabet) {
	for _, fields := range dataLines(alphabetsText) {
		a := alphabet{letters: map[rune]bool{}}
		for name := range codecs {
			if strings.EqualFold(string(name), fields[0]) {
				a.encoding = name
			}
		}
		table, ok := codecs[a.encoding].(*charmap.Charmap)
		if !ok || len(fields) != 3 {
			panic(fmt.Sprintf("alphabets.txt: %q", fields))
		}
		for i := range a.decode {
			a.decode[i] = table.DecodeByte(byte(i))
		}
		for _, r := range fields[2] {
			a.letters[r] = true
			a.letters[unicode.ToUpper(r)] = true
			a.foreign = !unicode.Is(unicode.Latin, r)
		}
		all = append(all, a)
	}
	return all
})

// dataLines returns the fields of the lines of a data file, without comments.
func dataLines(text string) (lines [][]string) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" && !strings.HasPrefix(line, "#") {
			lines = append(lines, fields)
		}
	}
	return lines
}

// detectSingleByte returns the encoding in which the most of the bytes beyond ASCII are letters of one language, and
// the share of those.
func detectSingleByte(text []byte) (Encoding, float64) {
	best, most, isNamed := Windows1252, -1.0, false
	for _, a := range alphabets() {
		share := a.share(text)
		if share > most+0.02 || share > most-0.02 && !isNamed && a.foreign && namesMail(text, codecs[a.encoding]) {
			best, most, isNamed = a.encoding, share, a.foreign && namesMail(text, codecs[a.encoding])
		}
	}
	return best, most
}

// namesMail reports whether a column's name for addresses is in a text, in an encoding.
func namesMail(text []byte, e encoding.Encoding) bool {
	decoded, err := e.NewDecoder().Bytes(text[:min(len(text), 1<<12)])
	if err != nil {
		return false
	}
	folded := fold(string(decoded))
	return slices.ContainsFunc(nameWords().parts, func(part string) bool { return strings.Contains(folded, part) })
}

// share is the share of the bytes beyond ASCII that are letters of the alphabet. A capital behind a small letter counts
// against it: KOI8-R read as Windows-1251 has the letters of Russian too, with the cases swapped. So does a letter
// alone between others of another script.
func (a alphabet) share(text []byte) float64 {
	high, fit, capitals, small := 0, 0, 0, 0
	before := rune(0)
	for i, b := range text {
		r := a.decode[b]
		if b >= utf8.RuneSelf {
			switch {
			case unicode.ToLower(r) == 'õ' && (i+1 == len(text) || text[i+1]|0x20 != 'e'):
				high++ // Portuguese has it before e alone; elsewhere it is the ő of Hungarian
			case !a.letters[r] && strings.ContainsRune("\u00a0–—„“”‘’…«»°€§ªº№\u00ad", r):
			case !a.letters[r]:
				high++
			case unicode.IsUpper(r) && unicode.IsLower(before),
				a.foreign && before < utf8.RuneSelf && unicode.IsLetter(before):
				high++
			default:
				high++
				fit++
			}
			if unicode.IsUpper(r) {
				capitals++
			} else if unicode.IsLower(r) {
				small++
			}
		}
		before = r
	}
	if high == 0 {
		return 0
	}
	if a.foreign && capitals == 0 && small >= enoughLetters {
		return 0.9 * float64(fit) / float64(high) // Hebrew, read as Russian, has small letters only
	}
	return float64(fit) / float64(high)
}

// enoughLetters is how many letters of names hold a capital, in a script that has any.
const enoughLetters = 30

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// text makes UTF-8 of a cell. In a list that is UTF-8, a cell that is not is taken for Windows-1252.
func (d Dialect) text(cell []byte) string {
	if isASCII(cell) {
		return string(cell)
	}
	e, ok := codecs[d.Encoding]
	if !ok {
		if utf8.Valid(cell) {
			return string(cell)
		}
		e = charmap.Windows1252
	}
	decoded, err := e.NewDecoder().Bytes(cell)
	if err != nil {
		return string(cell)
	}
	return string(decoded)
}

// encode writes text in the list's encoding; what that encoding lacks becomes a question mark.
func (d Dialect) encode(text string) string {
	e, ok := codecs[d.Encoding]
	if !ok || isASCII([]byte(text)) {
		return text
	}
	encoder := e.NewEncoder()
	var encoded strings.Builder
	for _, r := range text {
		one, err := encoder.String(string(r))
		if err != nil {
			one = "?"
		}
		encoded.WriteString(one)
	}
	return encoded.String()
}

// wide is the list's encoding where its units are not bytes.
func (d Dialect) wide() encoding.Encoding {
	mark := utf.IgnoreBOM
	if d.BOM {
		mark = utf.UseBOM
	}
	switch d.Encoding {
	case UTF16LE:
		return utf.UTF16(utf.LittleEndian, mark)
	case UTF16BE:
		return utf.UTF16(utf.BigEndian, mark)
	}
	return nil
}

// pairs says which bytes of the encoding are the first of two.
func (d Dialect) pairs() pairs {
	switch d.Encoding {
	case ShiftJIS:
		return sjisPairs
	case GB18030, Big5:
		return highPairs
	}
	return noPairs
}

func (d Dialect) cut() cut {
	c := cut{delimiter: d.Delimiter, spaced: d.Spaced}
	if d.Delimiter == '|' {
		c.pairs = d.pairs() // no other delimiter can be a second byte
	}
	return c
}
