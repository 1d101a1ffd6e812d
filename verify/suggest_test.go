package verify

import (
	"os"
	"slices"
	"strings"
	"testing"

	"presend/lists/reference"
	"presend/verify/mx"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func TestNoFreeMailboxProviderIsTakenForASlip(t *testing.T) {
	text, err := os.ReadFile("../lists/reference/data/free.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		domain := strings.TrimSpace(line)
		if domain == "" || domain[0] == '#' {
			continue
		}
		n++
		if meant := syntax.Suggest(domain); meant != "" {
			t.Errorf("Suggest(%q) = %q", domain, meant)
		}
	}
	if n < 10000 {
		t.Errorf("the list has %d names", n)
	}
}

func TestADomainOnTheHostsOfTheProviderIsNoSlip(t *testing.T) {
	free := t.TempDir() + "/names"
	if err := os.WriteFile(free, []byte("free gmial.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := reference.Load(reference.Options{UserFiles: []string{free}})
	if err != nil {
		t.Fatal(err)
	}
	v := &Verifier{config: Config{Reference: data}}
	for _, test := range []struct{ domain, provider, want string }{
		{"hotmial.com", "", "hotmail.com"},
		{"hotmial.com", "google", "hotmail.com"},
		{"hotmial.com", "outlook", ""},
		{"yahooo.com", "yahoo", ""},
		{"gmaill.com", "google", ""},
		{"gmial.com", "", ""}, // the user says that it is a provider
	} {
		r := v.result(
			Task{Address: syntax.Stored("ann", test.domain)},
			evidence{reason: verdict.Accepted, answer: mx.Answer{Provider: mx.Provider{Name: test.provider}}},
		)
		if got := strings.TrimPrefix(r.Suggestion, "ann@"); got != test.want ||
			slices.Contains(r.Flags, FlagTypo) != (got != "") {
			t.Errorf("at %q, %s may mean %q, want %q; flags %v", test.provider, test.domain, got, test.want, r.Flags)
		}
	}
}
