package suppression

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"presend/verify/verdict"
)

// meaning is what a cell says of an address.
type meaning string

const (
	saysNothing meaning = ""
	hard        meaning = "hard"
	bounce      meaning = "bounce" // hard or soft: the reply decides
	complaint   meaning = "complaint"
	unsubscribe meaning = "unsubscribe"
	manual      meaning = "manual"
	blocked     meaning = "blocked"
	soft        meaning = "soft"
	no          meaning = "no"
)

var meanings = []meaning{hard, bounce, complaint, unsubscribe, manual, blocked, soft, no}

// role is what a column is for.
type role struct {
	kind string  // says, class, state, nostate, is, isnot, since, expired, until, reply, code, at, who; empty: nothing
	what meaning // of is, isnot and since
}

//go:embed data/words.txt
var wordsText string

//go:embed data/columns.txt
var columnsText string

// words are the data files, parsed.
var words = sync.OnceValue(func() (w struct {
	says  map[string]meaning
	codes map[string]meaning
	class map[string]meaning
	texts []ownWords
	roles map[string]role
},
) {
	w.says, w.codes, w.class, w.roles = map[string]meaning{}, map[string]meaning{}, map[string]meaning{}, map[string]role{}
	for line := range dataLines(wordsText) {
		switch f := strings.Fields(line); f[0] {
		case "text":
			w.texts = append(w.texts, ownWords{known(f[1]), strings.Join(f[2:], " ")})
		case "code":
			w.codes[f[1]] = known(f[2])
		case "class":
			w.class[f[1]] = known(f[2])
		default:
			for _, word := range f[1:] {
				w.says[word] = known(f[0])
			}
		}
	}
	for line := range dataLines(columnsText) {
		f := strings.Fields(line)
		r := role{kind: f[0]}
		names := f[1:]
		if slices.Contains([]string{"is", "isnot", "since"}, r.kind) {
			r.what, names = known(f[1]), f[2:]
		}
		for _, name := range names {
			w.roles[name] = r
		}
	}
	return w
})

// ownWords are a service's own for what it did not send.
type ownWords struct {
	what meaning
	text string
}

func known(word string) meaning {
	if !slices.Contains(meanings, meaning(word)) {
		panic(fmt.Sprintf("suppression: the data says %q", word))
	}
	return meaning(word)
}

func dataLines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// squash keeps letters and digits, in lower case and without accents.
func squash(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFD.String(text))
}

// roleOf returns what a column is for by its name.
func roleOf(name string) role {
	if r, ok := words().roles[squash(name)]; ok {
		return r
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return words().roles[squash(name[dot+1:])]
	}
	return role{}
}

// saying returns what a word says. A reason of a verdict says what its verdict does.
func saying(cell string) meaning {
	word := squash(cell)
	if m, ok := words().says[word]; ok {
		return m
	}
	switch reason := reasonIn(cell); {
	case reason == "":
		return saysNothing
	case reason.Verdict() == verdict.Invalid:
		return hard
	}
	return soft
}

// reasonIn returns the reason of a verdict that a cell is; none if it is none.
func reasonIn(cell string) verdict.Reason {
	reason := verdict.Reason(strings.ToLower(strings.TrimSpace(cell)))
	if !slices.Contains(verdict.All(), reason) || reason == verdict.NoAddress {
		return ""
	}
	return reason
}

// ownWordsIn returns what a text says that a service wrote itself, because it did not send.
func ownWordsIn(text, code string) meaning {
	if m, ok := words().codes[strings.TrimSpace(code)]; ok {
		return m
	}
	text = strings.ToLower(text)
	for _, own := range words().texts {
		if strings.Contains(text, own.text) {
			return own.what
		}
	}
	return saysNothing
}

// yes returns what a cell says that holds a yes or a no.
func yes(cell string) (is, ok bool) {
	switch squash(cell) {
	case "true", "yes", "y", "1", "t", "ja", "oui", "si", "sim", "tak", "да", "wahr", "vrai", "verdadero", "x", "on":
		return true, true
	case "false", "no", "n", "0", "f", "nein", "non", "nao", "nie", "нет", "falsch", "faux", "falso", "off":
		return false, true
	}
	return false, false
}
