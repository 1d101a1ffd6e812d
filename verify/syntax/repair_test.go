package syntax_test

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"presend/verify/syntax"
)

func TestWhatListsWrapAroundAnAddressIsTakenAway(t *testing.T) {
	for _, test := range []struct {
		in, want string
		repairs  []string
	}{
		{`"bob@corp.lab"`, "bob@corp.lab", []string{"wrapping quotes"}},
		{`'bob@corp.lab'`, "bob@corp.lab", []string{"wrapping quotes"}},
		{"`bob@corp.lab`", "bob@corp.lab", []string{"wrapping quotes"}},
		{"“bob@corp.lab”", "bob@corp.lab", []string{"curly quotes", "wrapping quotes"}},
		{"«bob@corp.lab»", "bob@corp.lab", []string{"curly quotes", "wrapping quotes"}},
		{"[bob@corp.lab]", "bob@corp.lab", []string{"wrapping brackets"}},
		{"(bob@corp.lab)", "bob@corp.lab", []string{"wrapping brackets"}},
		{"{bob@corp.lab}", "bob@corp.lab", []string{"wrapping brackets"}},
		{"<<bob@corp.lab>>", "bob@corp.lab", []string{"display name", "trailing >"}},
		{"SMTP:bob@corp.lab", "bob@corp.lab", []string{"smtp:"}},
		{"Email: bob@corp.lab", "bob@corp.lab", []string{"email:"}},
		{"E-Mail:bob@corp.lab", "bob@corp.lab", []string{"e-mail:"}},
		{"mailto://bob@corp.lab", "bob@corp.lab", []string{"mailto:"}},
		{"[Bob](mailto:bob@corp.lab)", "bob@corp.lab", []string{"Markdown link", "mailto:"}},
		{"[bob@corp.lab](https://corp.lab)", "bob@corp.lab", []string{"Markdown link"}},
		{`<a href="mailto:bob@corp.lab">Bob</a>`, "bob@corp.lab", []string{"HTML", "mailto:"}},
		{"<td>bob@corp.lab</td>", "bob@corp.lab", []string{"HTML"}},
		{"bob&#64;corp.lab", "bob@corp.lab", []string{"HTML entities"}},
		{"o&#39;hara@corp.lab", "o'hara@corp.lab", []string{"HTML entities"}},
		{"&lt;bob@corp.lab&gt;", "bob@corp.lab", []string{"HTML entities", "angle brackets"}},
		{"bob@corp.lab,", "bob@corp.lab", []string{"trailing comma"}},
		{"bob@corp.lab;", "bob@corp.lab", []string{"trailing semicolon"}},
		{"bob@corp.lab>", "bob@corp.lab", []string{"trailing >"}},
		{"bob@corp.lab/", "bob@corp.lab", []string{"trailing /"}},
		{`bob@corp.lab"`, "bob@corp.lab", []string{"trailing quote"}},
		{"bob@corp.lab.;", "bob@corp.lab", []string{"trailing semicolon", "trailing dot"}},
		{"<bob@corp.lab", "bob@corp.lab", []string{"leading <"}},
		{", bob@corp.lab", "bob@corp.lab", []string{"leading comma"}},
		{`"<bob@corp.lab>"`, "bob@corp.lab", []string{"wrapping quotes", "angle brackets"}}, // needs a second round
		{"bob@corp.lab <Bob Smith>", "bob@corp.lab", []string{"name behind the address"}},
		{"bob@corp.lab (Bob Smith)", "bob@corp.lab", []string{"name behind the address"}},
		{"Bob Smith (bob@corp.lab)", "bob@corp.lab", []string{"display name"}},
		{"bob @ corp.lab", "bob@corp.lab", []string{"space around @"}},
		{"bob@ corp.lab", "bob@corp.lab", []string{"space around @"}},
		{"bob@corp .lab", "bob@corp.lab", []string{"space around dots"}},
		{"bob@corp. lab", "bob@corp.lab", []string{"space around dots"}},
		{"bob@@corp.lab", "bob@corp.lab", []string{"doubled @"}},
		{"bob@acme,com", "bob@acme.com", []string{"comma for a dot"}},
		{"bob%40corp.lab", "bob@corp.lab", []string{"%40"}},
		{"o’hara@corp.lab", "o'hara@corp.lab", []string{"curly apostrophe"}},
		{"ｂｏｂ＠ｃｏｒｐ．ｌａｂ", "bob@corp.lab", []string{"full-width letters", "full-width @"}},
		{"bob@corp。lab", "bob@corp.lab", []string{"full-width letters"}},
		{"“Lee, Bob” <bob@corp.lab>;", "bob@corp.lab", []string{"curly quotes", "trailing semicolon", "display name"}},

		{"o'hara@corp.lab", "o'hara@corp.lab", nil},
		{"a%40b@corp.lab", "a%40b@corp.lab", nil},
		{"bounce+bob=acme.com@corp.lab", "bounce+bob=acme.com@corp.lab", nil},
		{"{x}@corp.lab", "{x}@corp.lab", nil},
		{"a&b@corp.lab", "a&b@corp.lab", nil},
		{"+bob@corp.lab", "+bob@corp.lab", nil},
	} {
		t.Run(test.in, func(t *testing.T) {
			got, err := syntax.Parse(test.in)
			if err != nil || got.String() != test.want || !slices.Equal(got.Repairs, test.repairs) {
				t.Errorf("Parse returns %q, repairs %q, %v; want %q, %q", got, got.Repairs, err, test.want, test.repairs)
			}
		})
	}
}

func TestALegalAddressStaysAndNamesWhatItMayMean(t *testing.T) {
	for in, fallback := range map[string]string{
		"'sam@corp.lab": "sam@corp.lab", "*sam@corp.lab": "sam@corp.lab", "=sam@corp.lab": "sam@corp.lab",
		"-sam@corp.lab": "sam@corp.lab",
		"{sam@corp.lab": "sam@corp.lab", "''sam@corp.lab": "sam@corp.lab",
		"sam@corp.lab": "", "+sam@corp.lab": "", "_sam@corp.lab": "", "o'hara@corp.lab": "", "'@corp.lab": "",
		"'.sam@corp.lab": "",
	} {
		a, err := syntax.Parse(in)
		if err != nil || a.String() != in || a.Fallback != fallback || len(a.Repairs) > 0 {
			t.Errorf("Parse(%q) = %q or %q, repairs %q, %v; want the text, or %q", in, a, a.Fallback, a.Repairs, err, fallback)
		}
	}
	a, err := syntax.Parse(" ’sam@corp.lab>")
	if err != nil || a.String() != "'sam@corp.lab" || a.Fallback != "sam@corp.lab" {
		t.Errorf("repaired: %q or %q, %v", a, a.Fallback, err)
	}
}

func TestAddressesOfOneMailbox(t *testing.T) {
	for in, want := range map[string]string{
		"Bob@Corp.lab": "bob@corp.lab", "b.o.b+news@gmail.com": "bob@gmail.com", "Bo.B@googlemail.com": "bob@gmail.com",
		"b.ob+x@corp.lab": "b.ob@corp.lab", "+bob@corp.lab": "+bob@corp.lab", `"A+b"@corp.lab`: `"a+b"@corp.lab`,
	} {
		a, err := syntax.Parse(in)
		if err != nil || a.Mailbox() != want {
			t.Errorf("the mailbox of %q is %q, %v; want %q", in, a.Mailbox(), err, want)
		}
	}
}

func TestWhatIsNotSafeToRepairGetsASuggestion(t *testing.T) {
	for in, want := range map[string]string{
		"bob[at]acme.com": "bob@acme.com", "bob (at) acme (dot) com": "bob@acme.com", "bob AT acme DOT com": "bob@acme.com",
		"joe@gmailcom": "joe@gmail.com", "joe@gmail": "joe@gmail.com", "joe@acmecom": "joe@acme.com",
		"joegmail.com": "joe@gmail.com", "joe.hotmail.com": "joe@hotmail.com",
		"joe,smith@acme.com": "joe.smith@acme.com", "joe@acme,co,uk": "joe@acme.co.uk", "joe#acme.com": "joe@acme.com",
		"mail=joe@acme.com":      "joe@acme.com",
		"Joe Smith joe@acme.com": "joe@acme.com", "joe..smith@acme.com": "joe.smith@acme.com",
		".joe@acme.com": "joe@acme.com", `"joe@acme.com`: "joe@acme.com",
		"joe@acme.com. Call him": "joe@acme.com", "joe smith@acme.com": "smith@acme.com",
		"joe": "", "joe@": "", "a@x.com, b@x.com": "", "": "", "no address here": "", "joe@localhost": "", "joe@aol": "",
	} {
		_, err := syntax.Parse(in)
		var problem *syntax.Error
		if !errors.As(err, &problem) || problem.Suggestion != want {
			t.Errorf("Parse(%q): %v, suggestion %q; want %q", in, err, problem.Suggestion, want)
		}
	}
}

func TestSlipsOfAnEndingGetASuggestion(t *testing.T) {
	for in, want := range map[string]string{
		"acme.cmo": "acme.com", "acme.con": "acme.com", "acme.ogr": "acme.org",
		"acme.couk": "acme.co.uk", "acme.com": "", "acme.cm": "", "acme.co": "", "cmo": "",
	} {
		if got := syntax.Suggest(in); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNoNationalNameOfALargeProviderIsASlip(t *testing.T) {
	n := 0
	for _, domain := range words(t, "national.txt") {
		n++
		if got := syntax.Suggest(domain); got != "" {
			t.Errorf("Suggest(%q) = %q", domain, got)
		}
		if _, err := syntax.Parse("joe@" + domain); err != nil {
			t.Error(err)
		}
	}
	if n < 300 {
		t.Errorf("there are only %d names", n)
	}
}

func TestNoEndingThatExistsIsTakenForASlip(t *testing.T) {
	all := words(t, "tlds.txt")
	for i := 0; i < len(all); i += 2 {
		if _, listed := publicsuffix.PublicSuffix("acme." + all[i]); listed {
			t.Errorf("%s is a top-level domain", all[i])
		}
		if suffix, listed := publicsuffix.PublicSuffix("acme." + all[i+1]); !listed || suffix != all[i+1] {
			t.Errorf("%s is meant by %s and is no top-level domain", all[i+1], all[i])
		}
	}
}

// words returns the words of a data file without its comments.
func words(t *testing.T, name string) (all []string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "#") {
			all = append(all, strings.Fields(lines.Text())...)
		}
	}
	return all
}
