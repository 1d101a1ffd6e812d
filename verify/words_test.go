package verify_test

import (
	"os"
	"strings"
	"testing"

	"presend/verify/verdict"
)

func TestTheEngineHasEveryWordOfTheVerdictPackage(t *testing.T) {
	words, err := os.ReadFile("words.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("verdict/verdict.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // the name of a constant by its word and its kind
	for line := range strings.Lines(string(source)) {
		if f := strings.Fields(line); len(f) > 3 && f[2] == "=" {
			names[f[1]+strings.Trim(f[3], `"`)] = f[0]
		}
	}
	want := func(kind, word string) {
		if name := names[kind+word]; name == "" || !strings.Contains(string(words), " = verdict."+name+"\n") {
			t.Errorf("words.go lacks the %s %q", kind, word)
		}
	}
	for _, v := range verdict.Verdicts() {
		want("Verdict", string(v))
	}
	for _, r := range verdict.All() {
		want("Reason", string(r))
	}
	for _, f := range verdict.Flags() {
		want("Flag", string(f))
	}
}
