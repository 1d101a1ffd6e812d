package lists

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed data/columns.txt
var columnsText string

// nameWords is columns.txt: a word -> what it says. The parts are words of languages that write them together.
var nameWords = sync.OnceValue(func() (w struct {
	kinds         map[string]map[string]bool
	parts, logins []string
	otherParts    []string
},
) {
	w.kinds = map[string]map[string]bool{}
	for _, fields := range dataLines(columnsText) {
		if w.kinds[fields[0]] == nil {
			w.kinds[fields[0]] = map[string]bool{}
		}
		for _, word := range fields[1:] {
			switch fields[0] {
			case "part":
				w.parts = append(w.parts, fold(word))
			case "otherpart":
				w.otherParts = append(w.otherParts, fold(word))
			case "login":
				w.logins = append(w.logins, word)
			}
			w.kinds[fields[0]][fold(word)] = true
		}
	}
	return w
})

// rank says how a column's name calls for its being the address column, the best first.
type rank int

const (
	exact    rank = iota // Email, E-Mail-Adresse, E-mail 1 - Value
	several              // Emails, EmailAddresses
	own                  // Work Email, billing_email
	others               // Owner Email, Secondary Email, E-mail 2 - Value
	weak                 // Address, From, userPrincipalName
	nameless             // a name that says nothing, or none
	never                // Email Status
	secret               // Password
)

// NamesAddresses reports whether a column's name is one of a column of addresses: Email in many languages, also with
// other words (Work Email, Owner e-mail, E-mail 1 - Value), or Address.
func NamesAddresses(name string) bool {
	r := rankOf(name)
	return r < weak || r == weak && strings.HasPrefix(fold(name), "addr")
}

// rankOf ranks a column's name.
func rankOf(name string) rank {
	if name = withoutExample(name); strings.Contains(strings.Trim(name, " @"), "@") && !strings.Contains(name, " @ ") {
		return nameless // Email @ work is a name, mail=bob@corp.lab is none
	}
	words, known := wordsOf(name), nameWords()
	kind := func(kind, word string) bool { return known.kinds[kind][word] }
	folded := strings.Join(words, "")
	holds := func(part string) bool { return strings.Contains(folded, part) }
	if folded == "upn" || slices.ContainsFunc(known.logins, holds) {
		return others
	}
	mail := slices.IndexFunc(words, func(word string) bool { return kind("mail", word) })
	if mail < 0 && slices.ContainsFunc(words, func(word string) bool { return kind("secret", word) }) {
		return secret
	}
	part := slices.ContainsFunc(known.parts, holds)
	if mail < 0 && !part && !kind("mail", folded) {
		if slices.ContainsFunc(words, func(word string) bool { return kind("weak", word) }) && len(words) <= 10 {
			return weak
		}
		return nameless
	}
	if slices.ContainsFunc(known.otherParts, holds) {
		return others
	}
	if kind("mail", folded) && !kind("plural", folded) {
		return exact
	}
	result := exact
	for i, word := range words {
		switch {
		case result == exact && kind("plural", word):
			result = several
		case kind("mail", word), part && i == 0 && len(words) == 1:
		case kind("never", word):
			return never
		case kind("other", word), isNumber(word) && word != "1":
			result = others
		case kind("neutral", word), word == "1", part && !isLatin(word):
		case result <= several:
			result = own
		}
	}
	return result
}

// withoutExample takes away what is in brackets if it holds an @, as in Email (you@company.com).
func withoutExample(name string) string {
	for _, brackets := range []string{"()", "[]", "<>", "（）"} {
		open, closed := string([]rune(brackets)[0]), string([]rune(brackets)[1])
		from := strings.Index(name, open)
		if from < 0 {
			continue
		}
		inner, after, ok := strings.Cut(name[from+len(open):], closed)
		if ok && hasAt(inner) {
			name = name[:from] + " " + after
		}
	}
	return name
}

// wordsOf divides a name into words, folded.
func wordsOf(name string) (words []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, fold(string(word)))
			word = nil
		}
	}
	before := rune(0)
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != 'ー':
			end()
		case unicode.IsUpper(r) && unicode.IsLower(before),
			unicode.IsDigit(r) && unicode.IsLetter(before) && isLatin(string(word)):
			end()
			word = append(word, r)
		default:
			word = append(word, r)
		}
		before = r
	}
	end()
	mail := nameWords().kinds["mail"]
	for i := 0; i+1 < len(words); i++ {
		if !slices.Contains([]string{"e", "е", "el", "эл", "η"}, words[i]) {
			continue
		}
		if joined := words[i] + words[i+1]; mail[joined] {
			words = slices.Replace(words, i, i+2, joined)
		} else if mail[words[i+1]] {
			words = slices.Delete(words, i, i+1)
		}
	}
	return words
}

func isNumber(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

func isLatin(word string) bool {
	for _, r := range word {
		if !unicode.Is(unicode.Latin, r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

// fold keeps letters and digits, in lower case, of normal width and without accents.
func fold(name string) string {
	var folded strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case r == 'ı':
			folded.WriteByte('i')
		case r == 'ł':
			folded.WriteByte('l')
		case r == 'ø':
			folded.WriteByte('o')
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == 'ー':
			folded.WriteRune(r)
		}
	}
	return folded.String()
}

// isOurs reports whether a column's name is one of those that a writer adds.
func isOurs(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(strings.Trim(name, "\ufeff"))), "verify_")
	if !ok {
		return false
	}
	if number, after, numbered := strings.Cut(rest, "_"); numbered && isNumber(number) {
		rest = after
	}
	return slices.Contains(recordColumns, "verify_"+rest)
}
