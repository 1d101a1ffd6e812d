package suppression

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryWordOfTheDataSaysOneThing(t *testing.T) {
	seen := map[string]string{}
	for line := range dataLines(wordsText) {
		f := strings.Fields(line)
		if slices.Contains([]string{"text", "code", "class"}, f[0]) {
			continue
		}
		for _, word := range f[1:] {
			if squash(word) != word {
				t.Errorf("%q is written %q in the data", squash(word), word)
			}
			if before, twice := seen[word]; twice {
				t.Errorf("%q says %s and %s", word, before, f[0])
			}
			if seen[word] = f[0]; string(saying(strings.ToUpper(word))) != f[0] {
				t.Errorf("%q says %q, want %s", word, saying(word), f[0])
			}
		}
	}
	if len(seen) < 200 {
		t.Errorf("there are only %d words", len(seen))
	}
	for _, own := range words().texts {
		if got := ownWordsIn("Sorry: "+strings.ToUpper(own.text)+".", ""); got != own.what {
			t.Errorf("%q says %q, want %s", own.text, got, own.what)
		}
	}
	for code, want := range words().codes {
		if got := ownWordsIn("", code); got != want || !isCode(code) {
			t.Errorf("%s says %q, want %s", code, got, want)
		}
	}
}

func TestEveryColumnOfTheDataIsForOneThing(t *testing.T) {
	kinds := []string{
		"says", "class", "state", "nostate", "is", "isnot", "since", "expired", "until", "reply", "code",
		"at", "who",
	}
	seen := map[string]bool{}
	for line := range dataLines(columnsText) {
		f := strings.Fields(line)
		if !slices.Contains(kinds, f[0]) {
			t.Fatalf("the data has a line of kind %q", f[0])
		}
		names := f[1:]
		if f[0] == "is" || f[0] == "isnot" || f[0] == "since" {
			names = f[2:]
		}
		for _, name := range names {
			if squash(name) != name || seen[name] {
				t.Errorf("%s %q is there twice, or not as it is compared", f[0], name)
			}
			seen[name] = true
			if roleOf(strings.ToUpper(name)).kind != f[0] || roleOf("data."+name).kind != f[0] {
				t.Errorf("%q is for %q, want %s", name, roleOf(name).kind, f[0])
			}
		}
	}
}
