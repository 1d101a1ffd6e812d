package syntax_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/verify/syntax"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct {
		name, in, want string // want "" for refused
		repairs        []string
	}{
		{"an ordinary address", "alice@corp.lab", "alice@corp.lab", nil},
		{"the domain is lower-cased, the local part never", "Alice.B@Corp.LAB", "Alice.B@corp.lab", nil},
		{"a subaddress", "alice+news@corp.lab", "alice+news@corp.lab", nil},
		{"an apostrophe", "o'hara@corp.lab", "o'hara@corp.lab", nil},
		{"space around it", "  alice@corp.lab\t", "alice@corp.lab", []string{"surrounding space"}},
		{"a no-break space around it", "\u00a0alice@corp.lab", "alice@corp.lab", []string{"surrounding space"}},
		{"a zero-width space inside", "ali\u200bce@corp.lab", "alice@corp.lab", []string{"zero-width characters"}},
		{"a byte order mark in front", "\ufeffalice@corp.lab", "alice@corp.lab", []string{"zero-width characters"}},
		{"mailto", "MAILTO:alice@corp.lab?subject=hi", "alice@corp.lab", []string{"mailto:"}},
		{"a display name", `"Lee, Alice" <alice@corp.lab>`, "alice@corp.lab", []string{"display name"}},
		{"angle brackets", "<alice@corp.lab>", "alice@corp.lab", []string{"angle brackets"}},
		{"a trailing dot", "alice@corp.lab.", "alice@corp.lab", []string{"trailing dot"}},
		{"a full-width @", "alice\uff20corp.lab", "alice@corp.lab", []string{"full-width @"}},
		{"an international domain becomes A-labels", "info@bücher.lab", "info@xn--bcher-kva.lab", nil},
		{"an international domain in capitals", "info@BÜCHER.lab", "info@xn--bcher-kva.lab", nil},
		{"A-labels stay", "info@xn--bcher-kva.lab", "info@xn--bcher-kva.lab", nil},
		{"a local part beyond ASCII", "jürgen@corp.lab", "jürgen@corp.lab", nil},
		{"a quoted local part", `"a b"@corp.lab`, `"a b"@corp.lab`, nil},
		{"a quoted @", `"a@b"@corp.lab`, `"a@b"@corp.lab`, nil},
		{"64 octets before the @", long + "@corp.lab", long + "@corp.lab", nil},

		{"65 octets before the @", long + "a@corp.lab", "", nil},
		{"nothing", "", "", nil},
		{"only space", "   ", "", nil},
		{"no @", "alice.corp.lab", "", nil},
		{"no local part", "@corp.lab", "", nil},
		{"no domain", "alice@", "", nil},
		{"two @ apart", "alice@b@corp.lab", "", nil},
		{"a key and a value", "mail=alice@corp.lab", "", nil},
		{"a name in words before the address", "Alice Lee alice@corp.lab", "", nil},
		{"two addresses", "alice@corp.lab, bob@corp.lab", "", nil},
		{"two addresses with a semicolon", "alice@corp.lab;bob@corp.lab", "", nil},
		{"a dot in front", ".alice@corp.lab", "", nil},
		{"a dot at the end", "alice.@corp.lab", "", nil},
		{"two dots", "al..ice@corp.lab", "", nil},
		{"a space inside", "al ice@corp.lab", "", nil},
		{"one label", "alice@localhost", "", nil},
		{"a domain literal", "alice@[192.0.2.1]", "", nil},
		{"an IP address", "alice@192.0.2.1", "", nil},
		{"an underscore in the domain", "alice@my_corp.lab", "", nil},
		{"a hyphen in front of a label", "alice@-corp.lab", "", nil},
		{"a hyphen at the end of a label", "alice@corp-.lab", "", nil},
		{"two dots in the domain", "alice@corp..lab", "", nil},
		{"a comment", "alice(comment)@corp.lab", "", nil},
		{"an open quotation mark", `"alice@corp.lab`, "", nil},
		{"a quotation mark inside", `al"i"ce@corp.lab`, "", nil},
		{"empty quotes", `""@corp.lab`, "", nil},
		{"a line break", "alice@corp.lab\r\nRSET", "", nil},
		{"a control character", "ali\x01ce@corp.lab", "", nil},
		{"broken UTF-8", "al\xffice@corp.lab", "", nil},
		{"254 octets are exceeded", long + "@" + strings.Repeat(strings.Repeat("b", 61)+".", 3) + "labs", "", nil},
		{"a label of 64 octets", "a@" + long + ".lab", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := syntax.Parse(test.in)
			if test.want == "" {
				var problem *syntax.Error
				if !errors.As(err, &problem) || problem.Problem == "" {
					t.Errorf("Parse(%q) = %q, %v; want an *Error with a sentence", test.in, got, err)
				}
				return
			}
			if err != nil || got.String() != test.want || !slices.Equal(got.Repairs, test.repairs) {
				t.Errorf("Parse(%q) = %q, repairs %q, %v; want %q, %q", test.in, got, got.Repairs, err, test.want, test.repairs)
			}
		})
	}
}

// asParsed reports an error unless Stored returns from the parts of an address what Parse returned, but for the
// repairs.
func asParsed(t *testing.T, a syntax.Address) {
	t.Helper()
	got := syntax.Stored(a.Local, a.Domain)
	a.Repairs, a.Fallback = nil, ""
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("Stored(%q, %q) differs from what Parse returned:\n%s", a.Local, a.Domain, diff)
	}
}

func TestAStoredAddressIsWhatWasParsed(t *testing.T) {
	for _, text := range []string{
		"alice@corp.lab", "alice+news@corp.lab", "+alice@corp.lab", "alice+@corp.lab", "o'hara@corp.lab",
		"jürgen@bücher.lab", "jürgen+news@corp.lab", `"a b"@corp.lab`, `"a+b"@corp.lab`, `"jürgen b"@corp.lab`,
		`"a@b"@corp.lab`, `"a\"b"@corp.lab`, "Alice.B@Corp.LAB", "info@xn--bcher-kva.lab", " <alice@corp.lab> ",
	} {
		a, err := syntax.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		asParsed(t, a)
	}
}

func TestAStoredAddressIsNeverRefused(t *testing.T) {
	if a := syntax.Stored("once..allowed", "corp.lab"); a.String() != "once..allowed@corp.lab" {
		t.Errorf("Stored returned %q", a)
	}
}

func TestSeveralAddressesInOneFieldAreCounted(t *testing.T) {
	_, err := syntax.Parse("a@corp.lab, b@corp.lab; c@corp.lab")
	if err == nil || !strings.Contains(err.Error(), "3 addresses") {
		t.Errorf("%v, want a word of 3 addresses", err)
	}
}

func TestSuggestMendsSlipsAndLeavesWellKnownDomainsAlone(t *testing.T) {
	for in, want := range map[string]string{
		"gmial.com": "gmail.com", "gmai.com": "gmail.com", "gmaill.com": "gmail.com", "gmail.con": "gmail.com",
		"gmail.co": "gmail.com", "gmsil.com": "gmail.com",
		"hotmial.com": "hotmail.com", "yaho.com": "yahoo.com", "yahooo.com": "yahoo.com", "outlok.com": "outlook.com",
		"iclould.com": "icloud.com",
		"ymail.com":   "", "gmx.de": "", "gmx.net": "", "mail.com": "", "hey.com": "", "gmail.com": "", "corp.lab": "",
		"email.com": "", "outlook.co": "",
	} {
		if got := syntax.Suggest(in); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", in, got, want)
		}
	}
}

// The corpus is stored next to the checkout, if it is there.
func TestParseAgreesWithTheAddressCorpus(t *testing.T) {
	file, err := os.Open("../../../shared/corpus/addresses.jsonl")
	if err != nil {
		t.Skip("the corpus is not here: ", err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row struct {
			Address, Label, Why string
			Doubtful            bool
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(row.Address) != row.Address {
			continue // white space around an address is what lists hold, and is taken away
		}
		a, err := syntax.Parse(row.Address)
		if err == nil {
			asParsed(t, a)
			if len(a.Repairs) > 0 {
				continue // what it is without the repair is another text
			}
		}
		if valid := row.Label != "invalid"; valid != (err == nil) && !row.Doubtful {
			t.Errorf("%q is %s (%s), Parse says %v", row.Address, row.Label, row.Why, err)
		}
	}
}

func Example() {
	a, err := syntax.Parse(" mailto:Alice@Example.COM ")
	if err != nil {
		panic(err)
	}
	fmt.Println(a, a.Repairs)
	// Output: Alice@example.com [surrounding space mailto:]
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a@b.cc", `"a b"@b.cc`, "Name <a@b.cc>", "mailto:a@b.cc.", "jürgen@bücher.de",
		"a@b.cc,c@d.ee",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := syntax.Parse(in)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") || len(a.String()) > 254 {
			t.Errorf("Parse(%q) lets through %q", in, a)
		}
		asParsed(t, a)
		again, err := syntax.Parse(a.String())
		if err != nil || again.String() != a.String() {
			t.Errorf("Parse(%q) = %q, which reads as %q, %v", in, a, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := syntax.Parse("alice.liddell@corp.lab"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSuggest(b *testing.B) {
	for b.Loop() {
		syntax.Suggest("somecompany.com")
	}
}
