package reference

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

func TestPatternsOfTrapsHaveAStarAtOneEndAtMost(t *testing.T) {
	for _, pattern := range load(t).trapLocals {
		word := strings.TrimPrefix(pattern, "*")
		if word == pattern {
			word = strings.TrimSuffix(pattern, "*")
		}
		if word == "" || strings.ContainsAny(word, `*?[\`) {
			t.Errorf("%q cannot be matched", pattern)
		}
	}
}

func load(t testing.TB, files ...string) *Data {
	t.Helper()
	d, err := Load(Options{UserFiles: files})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryNameIsWellFormedAndInItsPlace(t *testing.T) {
	for name, data := range map[string]string{
		"disposable.txt": disposableData, "free.txt": freeData, "roles.txt": rolesData, "known.txt": knownData,
	} {
		all := slices.Collect(lines(data))
		if len(all) < 100 {
			t.Errorf("%s holds %d names", name, len(all))
		}
		if name != "known.txt" && !slices.IsSorted(all) {
			t.Errorf("%s is not sorted", name)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
			t.Errorf("%s holds a name twice", name)
		}
		for _, line := range all {
			if line != strings.ToLower(line) || strings.ContainsAny(line, " \t@") {
				t.Errorf("%s: %q", name, line)
			}
			if name != "roles.txt" {
				if ascii, err := idna.Lookup.ToASCII(line); err != nil || ascii != line || !strings.Contains(line, ".") {
					t.Errorf("%s: %q is no domain in A-labels: %v", name, line, err)
				}
			}
		}
	}
}

func TestDomainsOfWellKnownProvidersAreNotDisposable(t *testing.T) {
	d := load(t)
	domains := slices.Collect(lines(knownData))
	domains = append(domains, "gmail.com", "gmx.de", "icloud.com", "hey.com", "duck.com", "mozmail.com",
		"privaterelay.appleid.com", "abc.mozmail.com")
	text, err := os.ReadFile("../../verify/syntax/domains.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range lines(string(text)) {
		if line != "---" {
			domains = append(domains, line)
		}
	}
	for _, domain := range domains {
		if d.Disposable(domain) {
			t.Errorf("%s is called disposable", domain)
		}
	}
}

func TestThrowAwayDomainsAreFoundWithTheirSubdomains(t *testing.T) {
	d := load(t)
	for _, domain := range []string{
		"mailinator.com", "guerrillamail.com", "10minutemail.com", "yopmail.com", "sharklasers.com",
		"anything.mailinator.com",
	} {
		if !d.Disposable(domain) {
			t.Errorf("%s is not called disposable", domain)
		}
	}
	for _, domain := range []string{"example.com", "ibm.com", "com", ""} {
		if d.Disposable(domain) {
			t.Errorf("%q is called disposable", domain)
		}
	}
}

func TestRolesAreFunctionsAndNotPeople(t *testing.T) {
	d := load(t)
	for _, local := range []string{
		"info", "Sales", "POSTMASTER", "abuse", "support+ticket", "noreply", "no-reply", "webmaster", "hostmaster", "noc",
		"security", "www", "news",
	} {
		if !d.Role(local) {
			t.Errorf("%s is not called a role", local)
		}
	}
	for _, local := range []string{
		"alice", "bob.smith", "alexa", "paris", "mark", "bill", "art", "grace", "april", "june", "dean", "abbott", "jm", "",
	} {
		if d.Role(local) {
			t.Errorf("%q is called a role", local)
		}
	}
}

func TestSpecialUseDomainsAreThemselvesAndWhatIsBelow(t *testing.T) {
	d := load(t)
	for domain, want := range map[string]bool{
		"corp.test": true, "a.b.invalid": true, "x.example": true, "example.com": true, "mail.example.org": true,
		"printer.local": true, "x.onion": true, "x.alt": true, "vpn.internal": true, "router.home.arpa": true,
		"localhost": true, "myexample.com": false, "corp.lab": false, "testing.com": false, "local.com": false,
	} {
		if d.SpecialUse(domain) != want {
			t.Errorf("%s: special use is %v, want %v", domain, !want, want)
		}
	}
}

func TestTrapsAreSuspectedByDomainAndByLocalPart(t *testing.T) {
	d := load(t)
	if !d.TrapSuspect("spamtrap42", "corp.lab") || !d.TrapSuspect("x", "projecthoneypot.org") {
		t.Error("a trap is not suspected")
	}
	if d.TrapSuspect("alice", "corp.lab") || d.TrapSuspect("trapper.john", "corp.lab") {
		t.Error("a person is suspected")
	}
}

func TestAUserFileAddsAndOverrules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ours.txt")
	rules := "# ours\ndisposable burner.lab\n-disposable mailinator.com\nrole kontakt24\n" +
		"-role info # we write to them\nfree isp.lab\ntrap old-brand.lab\ndisposable bücher.lab\n"
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	d := load(t, file)
	for what, ok := range map[string]bool{
		"burner.lab is disposable": d.Disposable("burner.lab"),
		"mailinator.com is not":    !d.Disposable("mailinator.com"),
		"nor is what is below":     !d.Disposable("x.mailinator.com"),
		"kontakt24 is a role":      d.Role("kontakt24"),
		"info is not":              !d.Role("info"),
		"isp.lab is free":          d.Free("isp.lab"),
		"old-brand.lab is a trap":  d.TrapSuspect("x", "old-brand.lab"),
		"an international name":    d.Disposable("xn--bcher-kva.lab"),
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
	for rule, want := range map[string]string{
		"disposible x.lab": "line 1: no kind of name", "disposable": "want a word and a name", "free a..b": "is no domain",
	} {
		if err := os.WriteFile(file, []byte(rule), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Options{UserFiles: []string{file}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want a word of %q", rule, err, want)
		}
	}
	if _, err := Load(Options{UserFiles: []string{"missing.txt"}}); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestWhatOneCallerLoadsChangesNothingForAnother(t *testing.T) {
	before := load(t)
	own := load(t, userFile(t, "-disposable mailinator.com\ndisposable gmail.com\nrole kontakt24\n-role info\n"+
		"free isp.lab\ntrap old-brand.lab\n"))
	if own.Disposable("mailinator.com") || !own.Disposable("gmail.com") || !own.Role("kontakt24") || own.Role("info") ||
		!own.Free("isp.lab") || !own.TrapSuspect("x", "old-brand.lab") {
		t.Error("the user's file does not count")
	}
	for name, d := range map[string]*Data{"loaded before": before, "loaded after": load(t)} {
		if !d.Disposable("mailinator.com") || d.Disposable("gmail.com") || d.Role("kontakt24") || !d.Role("info") ||
			d.Free("isp.lab") || d.TrapSuspect("x", "old-brand.lab") {
			t.Errorf("the data %s have the rules of another caller's file", name)
		}
	}
}

func TestAUsersDisposableNameBelowAKnownProviderHoldsForWhatIsBelowIt(t *testing.T) {
	d := load(t, userFile(t, "disposable burner.gmail.com\n"))
	for domain, want := range map[string]bool{
		"burner.gmail.com": true, "x.burner.gmail.com": true, "gmail.com": false, "x.gmail.com": false,
	} {
		if d.Disposable(domain) != want {
			t.Errorf("%s is disposable: %t, want %t", domain, !want, want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	file := userFile(b, "disposable burner.lab\nrole kontakt\n")
	for name, options := range map[string]Options{"embedded": {}, "user file": {UserFiles: []string{file}}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Load(options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// userFile writes a user file and returns its path.
func userFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ours.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
