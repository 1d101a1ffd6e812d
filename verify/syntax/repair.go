package syntax

import (
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// repairer takes away what a text has that is no part of its address, and says what it took in a word or two; nothing
// where it took nothing.
type repairer func(text string) (repaired, what string)

// repairers are tried in this order, again and again until none of them takes anything.
var repairers = []repairer{
	space, entities, htmlLink, markdownLink, separators, displayName, nameBehind, prefix, wrapping, leading, percentAt,
	trailing, doubledAt, spaceAroundAt, spaceAroundDot, commaCom,
}

// maxRepairs bounds how often the repairers are tried.
const maxRepairs = 5

// repair takes away what lists wrap around addresses, and says what it took. The text is not legal as it is.
func repair(text string, repairs []string) (string, []string) {
	for range maxRepairs {
		before := text
		for _, try := range repairers {
			repaired, what := try(text)
			if what == "" || repaired == text {
				continue
			}
			text = repaired
			if !slices.Contains(repairs, what) {
				repairs = append(repairs, what)
			}
		}
		if text == before {
			break
		}
	}
	return text, repairs
}

// readable replaces characters that are never meant in an address, wherever they are.
func readable(s string) (text string, repairs []string) {
	if plain(s) || !utf8.ValidString(s) {
		return s, nil
	}
	did := func(what string) {
		if !slices.Contains(repairs, what) {
			repairs = append(repairs, what)
		}
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f", r):
			did("zero-width characters")
			return -1
		case r == '\uff20' || r == '\ufe6b':
			did("full-width @")
			return '@'
		case r >= '\uff01' && r <= '\uff5e':
			did("full-width letters")
			return r - '\uff01' + '!'
		case r == '\u3002' || r == '\uff61':
			did("full-width letters")
			return '.'
		case r == '\u3000':
			return ' '
		case r == '\u2018' || r == '\u2019' || r == '\u02bc' || r == '\u00b4':
			did("curly apostrophe")
			return '\''
		case r == '\u201c' || r == '\u201d' || r == '\u201e' || r == '\u201f', strings.ContainsRune("«»‹›", r):
			did("curly quotes")
			return '"'
		}
		return r
	}, s)
	return text, repairs
}

// plain reports whether a text is made of what nearly all addresses are made of, so that it needs no repair.
func plain(s string) bool {
	at := 0
	for i := range len(s) {
		c := s[i]
		if c == '@' {
			at++
		} else if !isLetterOrDigit(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return at == 1 && s[len(s)-1] != '.'
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func space(text string) (string, string) {
	return strings.TrimSpace(text), "surrounding space"
}

func entities(text string) (string, string) {
	if !strings.Contains(text, "&") || !strings.Contains(text, ";") {
		return text, ""
	}
	return html.UnescapeString(text), "HTML entities"
}

// htmlLink reads <a href="mailto:bob@acme.com">Bob</a> and <b>bob@acme.com</b>.
func htmlLink(text string) (string, string) {
	if !strings.HasPrefix(text, "<") || !strings.Contains(text, "</") {
		return text, ""
	}
	if _, href, ok := strings.Cut(text, "mailto:"); ok {
		if end := strings.IndexAny(href, `"'> `); end > 0 {
			return "mailto:" + href[:end], "HTML"
		}
	}
	var inner strings.Builder
	in := false
	for _, r := range text {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
		case !in:
			inner.WriteRune(r)
		}
	}
	return inner.String(), "HTML"
}

// markdownLink reads [Bob](mailto:bob@acme.com) and [bob@acme.com](https://acme.com).
func markdownLink(text string) (string, string) {
	middle := strings.Index(text, "](")
	if middle < 1 || text[0] != '[' || !strings.HasSuffix(text, ")") {
		return text, ""
	}
	words, target := text[1:middle], text[middle+2:len(text)-1]
	if strings.Contains(target, "@") && !strings.Contains(target, "://") {
		return target, "Markdown link"
	}
	return words, "Markdown link"
}

// displayName reads Bob Smith <bob@acme.com> and Bob Smith (bob@acme.com).
func displayName(text string) (string, string) {
	pairs := "<>"
	if strings.HasSuffix(text, ")") {
		pairs = "()"
	}
	open := strings.LastIndexByte(text, pairs[0])
	if open < 0 || text[len(text)-1] != pairs[1] {
		return text, ""
	}
	inner, name := text[open+1:len(text)-1], strings.TrimSpace(text[:open])
	one := strings.Count(inner, "@") == 1 && !strings.ContainsAny(inner, " \t")
	switch {
	case pairs == "()" && (!one || name == "" || strings.Contains(name, "@")):
		return text, ""
	case name == "" && open == 0:
		return inner, "angle brackets"
	case !strings.Contains(inner, "@") && strings.Contains(name, "@"):
		return text, "" // the name is behind the address
	}
	return inner, "display name"
}

// nameBehind reads bob@acme.com <Bob Smith> and bob@acme.com (Bob Smith).
func nameBehind(text string) (string, string) {
	for _, pairs := range []string{"<>", "()"} {
		open := strings.IndexByte(text, pairs[0])
		if open < 1 || text[len(text)-1] != pairs[1] || strings.Contains(text[open:], "@") {
			continue
		}
		before := text[:open]
		if _, domain, _ := strings.Cut(before, "@"); strings.HasSuffix(before, " ") && strings.Contains(domain, ".") {
			return strings.TrimSpace(before), "name behind the address"
		}
	}
	return text, ""
}

// separators takes away what divides an address from the next one, of which there is none.
func separators(text string) (string, string) {
	trimmed := strings.TrimRight(text, ",; ")
	return trimmed, "trailing " + signName(strings.TrimSpace(text[len(trimmed):])+" ")
}

// prefixes are what is written before an address to say what it is.
var prefixes = []string{"mailto:", "smtp:", "email:", "e-mail:", "mail:", "sip:", "to:", "courriel:", "correo:"}

func prefix(text string) (string, string) {
	for _, p := range prefixes {
		if len(text) <= len(p) || !strings.EqualFold(text[:len(p)], p) {
			continue
		}
		text = strings.TrimLeft(text[len(p):], "/ \t")
		if p == "mailto:" {
			text, _, _ = strings.Cut(text, "?")
		}
		return text, p
	}
	return text, ""
}

// wrapping takes away quotes and brackets around the whole.
func wrapping(text string) (string, string) {
	for _, pairs := range []string{`""`, "''", "``", "[]", "()", "{}", "<>", "**", "__"} {
		runes := []rune(pairs)
		open, closed := string(runes[0]), string(runes[1])
		if len(text) <= len(pairs) || !strings.HasPrefix(text, open) || !strings.HasSuffix(text, closed) {
			continue
		}
		what := "wrapping brackets"
		if strings.ContainsAny(pairs, "\"'`") {
			what = "wrapping quotes"
		}
		return text[len(open) : len(text)-len(closed)], what
	}
	return text, ""
}

// leading takes away signs before the address with which none can begin.
func leading(text string) (string, string) {
	trimmed := strings.TrimLeft(text, ",;:<>()[]•·–— ")
	if trimmed == text || !strings.Contains(trimmed, "@") || strings.ContainsAny(trimmed, `()[]<>"`) {
		return text, ""
	}
	return trimmed, "leading " + signName(text)
}

// trailing takes away signs behind the address with which none can end.
func trailing(text string) (string, string) {
	if n := len(text); n > 1 && text[n-1] == '.' {
		if text[n-2] == '.' || !strings.Contains(text, "@") {
			return text, ""
		}
		return text[:n-1], "trailing dot"
	}
	trimmed := strings.TrimRight(text, ",;:<>/\"'`)]}!?\\|*")
	if trimmed == text || strings.Count(trimmed, "@") != 1 || strings.ContainsAny(trimmed, `()[]<>"`) {
		return text, ""
	}
	return trimmed, "trailing " + signName(text[len(trimmed):])
}

func signName(text string) string {
	switch r, _ := utf8.DecodeRuneInString(text); r {
	case ',':
		return "comma"
	case ';':
		return "semicolon"
	case '"', '\'', '`':
		return "quote"
	default:
		return string(r)
	}
}

// percentAt reads bob%40acme.com.
func percentAt(text string) (string, string) {
	if strings.Contains(text, "@") || strings.Count(text, "%40") != 1 {
		return text, ""
	}
	return strings.Replace(text, "%40", "@", 1), "%40"
}

func doubledAt(text string) (string, string) {
	if strings.Count(text, "@") != 2 || !strings.Contains(text, "@@") {
		return text, ""
	}
	return strings.Replace(text, "@@", "@", 1), "doubled @"
}

// spaceAroundAt reads bob @ acme.com, where nothing else has space in it.
func spaceAroundAt(text string) (string, string) {
	local, domain, ok := strings.Cut(text, "@")
	tight, rest := strings.TrimSpace(local), strings.TrimSpace(domain)
	if !ok || strings.Contains(rest, "@") || tight == "" {
		return text, ""
	}
	return tight + "@" + rest, "space around @"
}

// spaceAroundDot reads bob@acme .com and bob@acme. com. Behind a name that has a dot already, what follows a dot and a
// space is the next sentence.
func spaceAroundDot(text string) (string, string) {
	local, domain, ok := strings.Cut(text, "@")
	if !ok || strings.ContainsFunc(local, unicode.IsSpace) || !strings.ContainsFunc(domain, unicode.IsSpace) {
		return text, ""
	}
	words := strings.Fields(domain)
	if len(words) == 0 {
		return text, ""
	}
	tight := words[0]
	for _, word := range words[1:] {
		before := strings.HasPrefix(word, ".")
		behind := strings.HasSuffix(tight, ".") && strings.Count(tight, ".") == 1
		if !before && !behind {
			return text, ""
		}
		tight += word
	}
	return local + "@" + tight, "space around dots"
}

// commaCom reads bob@acme,com. A comma elsewhere may divide two things.
func commaCom(text string) (string, string) {
	local, domain, ok := strings.Cut(text, "@")
	if !ok {
		return text, ""
	}
	for _, ending := range []string{",com", ",net", ",org"} {
		name, ok := strings.CutSuffix(strings.ToLower(domain), ending)
		if ok && name != "" && !strings.ContainsAny(name, ", @") {
			return local + "@" + domain[:len(name)] + "." + domain[len(name)+1:], "comma for a dot"
		}
	}
	return text, ""
}

// fallback returns what a legal address may mean whose first sign is one that people and programs put before an
// address, as in 'sam@outlook.com; empty: nothing else.
func fallback(a Address) string {
	const signs = "'`*=#!/|{}~^-$?&%"
	if strings.IndexByte(signs, a.Local[0]) < 0 {
		return ""
	}
	meant, err := parse(strings.TrimLeft(a.Local, signs) + "@" + a.Domain)
	if err != nil {
		return ""
	}
	return meant.String()
}

// isKeyed reports whether a text is a key and a value, such as mail=bob@acme.com, which is never a mailbox.
func isKeyed(text string) bool {
	key, value, ok := strings.Cut(text, "=")
	return ok && strings.Contains(value, "@") && keyWords[strings.ToLower(strings.TrimSpace(key))]
}

var keyWords = map[string]bool{
	"mail": true, "email": true, "e-mail": true, "emailaddress": true, "address": true, "addr": true, "to": true,
	"from": true, "cc": true, "bcc": true, "user": true, "username": true, "login": true, "uid": true, "cn": true,
	"rcpt": true, "recipient": true, "sender": true, "value": true, "name": true, "contact": true,
}
