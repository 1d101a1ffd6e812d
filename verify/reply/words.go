package reply

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Words of special meaning among those that splitWords yields.
const (
	sentenceEnd = "."
	addressWord = "@"
	ipWord      = "ip"
)

// fillers say nothing: "the mailbox is full" and "mailbox full" are the same words.
var fillers = map[string]bool{
	"a": true, "an": true, "the": true, "is": true, "are": true, "was": true, "were": true,
	"be": true, "been": true, "being": true, "has": true, "have": true, "had": true, "currently": true,
}

// splitWords turns text into the words that phrases are compared with, and hands each to yield. Words are lower
// case without accents; an address is "@", an IP address "ip", the end of a sentence "."; the labels of a host name
// and the parts of a URL begin with a slash, so that no word of a name is taken for a word of the sentence;
// languages written without spaces yield one word a character.
func splitWords(text string, yield func(word []byte)) {
	w := splitter{yield: yield}
	for chunk := range strings.FieldsSeq(foldAccents(text)) {
		w.chunk(chunk)
	}
}

// foldAccents decomposes letters and drops the accents of Latin, Greek and Cyrillic ones.
func foldAccents(text string) string {
	ascii := true
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36F {
			return -1
		}
		return r
	}, norm.NFKD.String(text))
}

type splitter struct {
	yield func(word []byte)
	buf   []byte
}

const (
	opening = "<([{\"'`«„“‘*:,;.!?-="
	closing = ">)]}\"'`»”’*:,;.!?-="
)

func (w *splitter) chunk(chunk string) {
	core := strings.TrimRight(strings.TrimLeft(chunk, opening), closing)
	ends := endsSentence(chunk)
	switch {
	case core == "":
	case isLink(core):
		w.link(core)
	case isAddress(core):
		w.yield([]byte(addressWord))
		w.chunk(core[addressEnd(core):])
		if !ends {
			return
		}
	case isNumeric(core):
		if _, err := netip.ParseAddr(core); err == nil {
			w.yield([]byte(ipWord))
		} else {
			w.yield([]byte(core))
		}
	case isHost(core):
		w.link(core)
	default:
		w.plain(core)
	}
	if ends {
		w.yield([]byte(sentenceEnd))
	}
}

func endsSentence(chunk string) bool {
	return strings.ContainsAny(chunk[len(strings.TrimRight(chunk, closing)):], ".!?;")
}

func isLink(s string) bool {
	return strings.Contains(s, "://") || len(s) > 4 && strings.EqualFold(s[:4], "www.")
}

func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1
}

// addressEnd finds where the address in s ends: "bob@example.com:user" has words behind it.
func addressEnd(s string) int {
	at := strings.LastIndexByte(s, '@')
	for i := at + 1; i < len(s); i++ {
		if c := s[i]; c != '-' && c != '_' && c < utf8.RuneSelf && !isAlnum(c) &&
			(c != '.' || i+1 < len(s) && !isAlnum(s[i+1])) {
			return i
		}
	}
	return len(s)
}

// isNumeric tells IP addresses, version numbers, clocks and the like from words.
func isNumeric(s string) bool {
	dots, colons := strings.Count(s, "."), strings.Count(s, ":")
	if dots == 0 && colons < 2 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		hex := colons > 1 && c|0x20 >= 'a' && c|0x20 <= 'f'
		if c != '.' && c != ':' && !hex && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isHost tells a host name ("zen.spamhaus.org") from sentences that lack the space between them ("unknown.Please").
func isHost(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 || len(s)-dot < 3 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if i > 1 && s[i-1] == '.' && s[i-2] >= 'a' && s[i-2] <= 'z' {
				return false
			}
		case c >= 'a' && c <= 'z', c == '-', c == '_', c == '.', c >= '0' && c <= '9' && i < dot:
		case i < dot && (c == '[' || c == '/' || c == '='):
		default:
			return false
		}
	}
	return true
}

func (w *splitter) link(s string) {
	if i := strings.Index(s, "://"); i >= 0 {
		w.plain(s[:max(strings.LastIndexAny(s[:i], " <(=[\"'"), 0)])
		s = s[i+3:]
	}
	w.buf = append(w.buf[:0], '/')
	for i := range len(s) {
		if c := s[i]; isAlnum(c) {
			w.buf = append(w.buf, lower(c))
			continue
		}
		w.flushLink()
	}
	w.flushLink()
}

func (w *splitter) flushLink() {
	if len(w.buf) > 1 {
		w.yield(w.buf)
	}
	w.buf = append(w.buf[:0], '/')
}

func (w *splitter) plain(s string) {
	w.buf = w.buf[:0]
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf && isAlnum(byte(r)):
			w.buf = append(w.buf, lower(byte(r)))
		case r == '\'', r == '’', r == '`', r == '´':
		case r == '-' && len(w.buf) == 1 && w.buf[0] == 'e' && len(s) > i+4 && strings.EqualFold(s[i+1:i+5], "mail"):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			w.flush()
			w.buf = utf8.AppendRune(w.buf, r)
			w.flush()
		case r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)):
			w.buf = utf8.AppendRune(w.buf, unicode.ToLower(r))
		case r == '.' && (i+1 == len(s) || s[i+1] < utf8.RuneSelf && (!isAlnum(s[i+1]) || s[i+1] <= '9')):
			w.flush()
		case r == '。', r == '；', r == ';', r == '!', r == '.':
			w.flush()
			w.yield([]byte(sentenceEnd))
		case r == '@':
			w.flush()
			w.yield([]byte(addressWord))
		default:
			w.flush()
		}
	}
	w.flush()
}

func (w *splitter) flush() {
	if len(w.buf) > 0 && !fillers[string(w.buf)] {
		w.yield(w.buf)
	}
	w.buf = w.buf[:0]
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
