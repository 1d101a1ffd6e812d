package lists

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
)

//go:embed data/placeholders.txt
var placeholdersText string

var placeholders = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(placeholdersText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "# ") {
			all[bare(line)] = true
		}
	}
	return all
})

// bare takes away what people put around a placeholder.
func bare(cell string) string {
	cell = strings.Join(strings.Fields(strings.ToLower(cell)), " ")
	return strings.Trim(cell, " ()[]{}<>\"'*_`´‘’“”„«»")
}

// NoAddress reports whether a cell holds no address on purpose: it is blank, or a placeholder such as n/a or (blank).
func NoAddress(cell string) bool {
	if hasAt(cell) {
		return false
	}
	if !strings.ContainsFunc(cell, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return true
	}
	return len(cell) < 64 && placeholders()[bare(cell)]
}

// SplitCell returns the addresses of a cell, each with its display name: bob@acme.lab; Lee, Ann <ann@acme.lab> holds
// two. They are separated by semicolons, commas, line breaks, or ::: as Google's contacts have it, and those without
// names by spaces, slashes or bars too. Words that belong to no address are left out, unless there is no address at
// all: then the cell is returned as it is. A blank cell holds none.
func SplitCell(cell string) []string {
	cell = strings.TrimSpace(cell)
	if cell == "" {
		return nil
	}
	if !hasAt(cell) {
		return []string{cell}
	}
	var all []string
	name := "" // what may be the name of the next address
	for _, part := range splitParts(cell) {
		switch {
		case !hasAt(part.text):
			name += part.text + part.separator
		case strings.ContainsRune(part.text, '<') && strings.TrimSpace(name) != "":
			all = append(all, strings.TrimSpace(name+part.text))
			name = ""
		default:
			all = append(all, splitBare(part.text)...)
			name = ""
		}
	}
	if len(all) == 1 && strings.Count(cell, "@") == 1 && !strings.ContainsAny(cell, ";,\n") {
		return []string{cell}
	}
	return all
}

// hasAt reports whether a text holds an @. It is called for every row; strings.ContainsAny would be several times
// slower.
func hasAt(text string) bool {
	return strings.IndexByte(text, '@') >= 0 || strings.Contains(text, "\uff20")
}

type cellPart struct{ text, separator string }

// splitParts divides a cell at separators that are not in quotes or angle brackets.
func splitParts(cell string) (parts []cellPart) {
	quoted, angled := false, false
	start := 0
	end := func(at, size int) {
		parts = append(parts, cellPart{strings.TrimSpace(cell[start:at]), cell[at:at+size] + " "})
		start = at + size
	}
	for i := 0; i < len(cell); i++ {
		switch c := cell[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"' && (quoted || strings.IndexByte(cell[i+1:], '"') >= 0):
			quoted = !quoted
		case quoted:
		case c == '<' && strings.IndexByte(cell[i:], '>') >= 0:
			angled = true
		case c == '>':
			angled = false
		case angled:
		case strings.HasPrefix(cell[i:], " ::: "):
			end(i, len(" ::: "))
			i = start - 1
		case c == ';' && entity(cell[:i]):
		case c == ';' || c == ',' || c == '\n' || c == '\r':
			end(i, 1)
		}
	}
	return append(parts, cellPart{strings.TrimSpace(cell[start:]), ""})
}

// entity reports whether a text ends in an HTML entity without its semicolon, such as &lt or &#64.
func entity(text string) bool {
	at := strings.LastIndexByte(text, '&')
	name := text[at+1:]
	isOther := func(r rune) bool { return r != '#' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return at >= 0 && len(name) >= 2 && len(name) <= 6 && !strings.ContainsFunc(name, isOther)
}

// splitBare divides a part with several addresses that have no names.
func splitBare(part string) []string {
	if strings.Count(part, "@") < 2 || strings.ContainsAny(part, `<"`) || strings.Contains(part, "](") {
		return []string{part}
	}
	var all []string
	divides := func(r rune) bool { return unicode.IsSpace(r) || r == '/' || r == '|' }
	for word := range strings.FieldsFuncSeq(part, divides) {
		if strings.IndexByte(word, '@') < 0 {
			continue
		}
		if !IsAddress(word) {
			return []string{part}
		}
		all = append(all, word)
	}
	return all
}

// IsAddress reports whether a text looks like an address, perhaps with a name and with what lists wrap around
// addresses. It is meant for telling columns apart: handles, URLs, passwords and postal addresses with an @ do not look
// like one. What looks like one may still be none.
func IsAddress(text string) bool {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\uff20", "@"))
	if opened := strings.LastIndexByte(text, '<'); opened >= 0 {
		if closed := strings.IndexByte(text[opened:], '>'); closed > 0 && strings.IndexByte(text[opened:], '@') >= 0 {
			if opened > 0 && text[opened-1] == '=' {
				return false // to=<ann@x.lab> in a log
			}
			if behind := text[opened+closed+1:]; strings.ContainsFunc(behind, unicode.IsLetter) && behind[0] != ' ' {
				return false // <ann@x.lab>: user unknown
			}
			text = text[opened+1 : opened+closed]
		} else if before := strings.TrimSpace(text[:opened]); strings.IndexByte(before, '@') >= 0 {
			text = before
		}
	}
	text = strings.Trim(text, " \t'\"<>()[]{}.,;`\u200b\ufeff\u00a0")
	for _, prefix := range []string{"mailto:", "smtp:", "email:", "e-mail:"} {
		if len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			text, _, _ = strings.Cut(strings.TrimSpace(text[len(prefix):]), "?")
		}
	}
	at := strings.LastIndexByte(text, '@')
	return at > 0 && looksLikeLocal(text[:at]) && looksLikeDomain(text[at+1:])
}

func looksLikeLocal(local string) bool {
	if len(local) > 1 && local[0] == '"' && local[len(local)-1] == '"' {
		return true
	}
	if key, _, isPair := strings.Cut(local, "="); isPair && keyWords[strings.ToLower(key)] {
		return false
	}
	isOther := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	return !strings.ContainsFunc(local, isOther) && !strings.ContainsAny(local, `@,;:()<>[]"\`) &&
		!strings.Contains(local, "//")
}

// keyWords are what is before the = of a text that is no mailbox, as in mail=bob@acme.lab.
var keyWords = map[string]bool{
	"mail": true, "email": true, "e-mail": true, "address": true, "addr": true, "to": true, "from": true, "cc": true,
	"bcc": true, "user": true, "username": true, "login": true, "uid": true, "cn": true, "rcpt": true, "recipient": true,
	"sender": true, "value": true, "name": true, "contact": true,
}

func looksLikeDomain(domain string) bool {
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || strings.Contains(domain, "..") || domain[0] == '.' || domain[0] == '-' {
		return false
	}
	for _, r := range domain {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	top := domain[dot+1:]
	noLetter := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }
	return strings.HasPrefix(strings.ToLower(top), "xn--") || len(top) >= 2 && !strings.ContainsFunc(top, noLetter)
}

// holdsAddresses reports whether a cell is one or several addresses and nothing else.
func holdsAddresses(cell string) bool {
	if !hasAt(cell) {
		return false
	}
	if IsAddress(cell) {
		return true
	}
	parts := SplitCell(cell)
	for _, part := range parts {
		if !IsAddress(part) {
			return false
		}
	}
	return len(parts) > 0 && !hasOtherWords(cell)
}

// hasOtherWords reports whether a cell of addresses holds words that belong to none of them.
func hasOtherWords(cell string) bool {
	words := false // that may be the name of the next address
	for _, part := range splitParts(strings.TrimSpace(cell)) {
		switch {
		case !hasAt(part.text):
			words = words || !NoAddress(part.text)
		case words && strings.IndexByte(part.text, '<') < 0:
			return true
		default:
			words = false
		}
	}
	return words
}
