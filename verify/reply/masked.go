package reply

import (
	"strconv"
	"strings"
	"unicode"
)

// Masked returns a reply to a recipient in a form in which replies to other recipients can be compared with it: code,
// enhanced code and words, with addresses, names of hosts, URLs, numbers and IDs replaced by signs.
func Masked(r Reply, recipient string) string {
	local := strings.ToLower(recipient[:max(0, strings.LastIndexByte(recipient, '@'))])
	var b strings.Builder
	b.WriteString(strconv.Itoa(r.Code) + " " + r.Enhanced.String())
	for _, line := range r.Lines {
		for word := range strings.FieldsFuncSeq(line, separates) {
			b.WriteByte(' ')
			b.WriteString(masked(strings.Trim(word, ".:'-"), local))
		}
	}
	return b.String()
}

// separates reports whether a character is between the words of a reply.
func separates(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune("<>()[]{}\",;=|", c) }

func masked(word, local string) string {
	lower := strings.ToLower(word)
	switch {
	case strings.Contains(word, "@"), local != "" && lower == local:
		return "@"
	case strings.Contains(word, "://"), strings.Contains(strings.Trim(word, "."), "."):
		return "/"
	case strings.ContainsFunc(word, unicode.IsDigit), isID(word):
		return "#"
	}
	return lower
}

// isID reports whether a word looks like an ID of letters: long, with capitals inside.
func isID(word string) bool {
	return len(word) >= 8 && strings.ContainsFunc(word[1:], unicode.IsUpper) && strings.ContainsFunc(word, unicode.IsLower)
}
