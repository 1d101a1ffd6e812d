package lists_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"presend/lists"
)

func TestSplitCell(t *testing.T) {
	for cell, want := range map[string][]string{
		"":                               nil,
		"  ":                             nil,
		"bob@x.lab":                      {"bob@x.lab"},
		" bob@x.lab ":                    {"bob@x.lab"},
		"bob@x.lab; amy@x.lab":           {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab,amy@x.lab":            {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab ::: amy@x.lab":        {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab\namy@x.lab\r\n":       {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab amy@x.lab":            {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab / amy@x.lab":          {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab | amy@x.lab":          {"bob@x.lab", "amy@x.lab"},
		"bob@x.lab;;":                    {"bob@x.lab"},
		"Bob <bob@x.lab>, Amy <a@x.lab>": {"Bob <bob@x.lab>", "Amy <a@x.lab>"},
		"Lee, Bob <bob@x.lab>":           {"Lee, Bob <bob@x.lab>"},
		`"Lee, Bob" <bob@x.lab>; "Ray; A" <a@x.lab>`: {`"Lee, Bob" <bob@x.lab>`, `"Ray; A" <a@x.lab>`},
		"Lee, Bob <bob@x.lab>; Ray, Amy <a@x.lab>":   {"Lee, Bob <bob@x.lab>", "Ray, Amy <a@x.lab>"},
		"bob@x.lab, the new one":                     {"bob@x.lab"},
		"bob@x.lab <Smith, Bob>":                     {"bob@x.lab <Smith, Bob>"},
		`"a;b"@x.lab`:                                {`"a;b"@x.lab`},
		"bob&#64;x.lab":                              {"bob&#64;x.lab"},
		"&lt;bob@x.lab&gt;":                          {"&lt;bob@x.lab&gt;"},
		"[bob@x.lab](mailto:bob@x.lab)":              {"[bob@x.lab](mailto:bob@x.lab)"},
		"bob.x.lab":                                  {"bob.x.lab"},
		"n/a; none":                                  {"n/a; none"},
		"bob@x.lab, amy@":                            {"bob@x.lab", "amy@"},
		"bob＠x.lab；":                                 {"bob＠x.lab；"},
	} {
		if diff := cmp.Diff(want, lists.SplitCell(cell), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("SplitCell(%q) (-want +got):\n%s", cell, diff)
		}
	}
}

func FuzzSplitCell(f *testing.F) {
	f.Add(`"Lee, Bob" <bob@x.lab>; a@x.lab ::: b@x.lab`)
	f.Add("a@b <c, d>;&#64;")
	f.Fuzz(func(t *testing.T, cell string) {
		for _, one := range lists.SplitCell(cell) {
			if one == "" || strings.TrimSpace(one) != one {
				t.Errorf("SplitCell(%q) holds %q", cell, one)
			}
		}
	})
}

func TestNoAddress(t *testing.T) {
	for _, cell := range []string{
		"", " ", "\u00a0", "-", "--", "—", "...", "?", "(blank)", "(No Email)", "N/A", "n/a ",
		"#N/A", "k.A.", "keine Angabe", "NULL", "\\N", "none", "нет", "なし", "没有", "없음", "'-'",
	} {
		if !lists.NoAddress(cell) {
			t.Errorf("%q is not taken for a placeholder", cell)
		}
	}
	for _, cell := range []string{"bob@x.lab", "n/a@x.lab", "bob", "bob.x.lab", "@", "Nathan", "www.x.lab", "no.reply"} {
		if lists.NoAddress(cell) {
			t.Errorf("%q is taken for a placeholder", cell)
		}
	}
}

func TestEveryPlaceholderOfTheDataIsOne(t *testing.T) {
	content, err := os.ReadFile("data/placeholders.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		for _, cell := range []string{line, strings.ToUpper(line), "(" + line + ")", " " + line + " "} {
			if !lists.NoAddress(cell) && !strings.ContainsAny(line, "ıİ") {
				t.Errorf("%q is not taken for a placeholder", cell)
			}
		}
	}
}

func TestIsAddressTellsAddressesFromWhatHasAnAt(t *testing.T) {
	for _, text := range []string{
		"bob@x.lab", "Bob <bob@x.lab>", `"Lee, Bob" <bob@x.lab>`, "'bob@x.lab'",
		"mailto:bob@x.lab", "SMTP: bob@x.lab", "bob@x.lab <Bob>", "bob@bücher.lab", "bob＠x.lab", "bob@x.lab.", "o'hara@x.lab",
		"bounce+a=b.lab@x.lab",
	} {
		if !lists.IsAddress(text) {
			t.Errorf("%q does not look like an address", text)
		}
	}
	for _, text := range []string{
		"", "@bob", "bob@", "bob", "https://bob@x.lab/", "https://medium.lab/@bob", "p@ssw0rd",
		"qw@rty.12x", "5 Elm @ Main", "12 @Harbour Plaza", "mail=bob@x.lab", "bob@x", "a b@x.lab", "bob@x..lab",
		"call bob@x.lab now",
	} {
		if lists.IsAddress(text) {
			t.Errorf("%q looks like an address", text)
		}
	}
}
