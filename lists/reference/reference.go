// Package reference knows names: domains that hand out throw-away addresses, mailbox providers that anybody can join,
// local parts that name a role, special-use domains, and suspected spam traps. The example shows the common path.
//
// The data are stored in data/*.txt, and each file says where it comes from. go generate makes those of throw-away
// domains, free domains and roles from npm packages. known.txt is written by hand and holds providers that are never
// disposable, whatever the packages say.
//
// A user file adds to the data or overrules it, with one rule on each line:
//
//	# ours.txt
//	disposable burner.example
//	-disposable partner.example
//	role kontakt
//	free regional-isp.example
//	trap old-brand.example
package reference

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/idna"
)

//go:generate go run ./generate

//go:embed data/disposable.txt
var disposableData string

//go:embed data/free.txt
var freeData string

//go:embed data/roles.txt
var rolesData string

//go:embed data/known.txt
var knownData string

//go:embed data/special-use.txt
var specialUseData string

//go:embed data/traps.txt
var trapsData string

// Options tell what is added to the embedded data.
type Options struct {
	UserFiles []string // read in order; a later line overrules an earlier one
}

// Data is the reference data. It never changes after it is loaded, so it is safe for concurrent use.
type Data struct {
	disposable, free, roles, known, specialUse, traps names
	trapLocals                                        []string // patterns, see matches
}

// names is a set of names in two layers. A user's rule about a name goes before the embedded data.
type names struct {
	user     map[string]bool // false takes a name out
	embedded map[string]bool // shared by all Data and never changed
}

// has reports whether a name is in the set, and whether either layer has a rule about it.
func (n names) has(name string) (in, found bool) {
	if in, found = n.user[name]; found {
		return in, true
	}
	in, found = n.embedded[name]
	return in, found
}

// embedded parses the embedded data.
var embedded = sync.OnceValue(func() Data {
	d := Data{
		disposable: set(disposableData), free: set(freeData), roles: set(rolesData), known: set(knownData),
		specialUse: set(specialUseData), traps: names{embedded: map[string]bool{}},
	}
	for line := range lines(trapsData) {
		switch kind, name, _ := strings.Cut(line, " "); kind {
		case "domain":
			d.traps.embedded[name] = true
		case "local":
			d.trapLocals = append(d.trapLocals, name)
		}
	}
	return d
})

// Load returns the embedded data with the user's files on top. The embedded data are parsed at the first call and
// shared by all. The error names a file and line.
func Load(options Options) (*Data, error) {
	shared := embedded()
	d := &shared
	for _, n := range []*names{&d.disposable, &d.free, &d.roles, &d.known, &d.traps} {
		n.user = map[string]bool{}
	}
	for _, file := range options.UserFiles {
		if err := d.overrule(file); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// lines returns the lines of a data file without comments and blank ones.
func lines(data string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(data) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}

func set(data string) names {
	n := make(map[string]bool, strings.Count(data, "\n"))
	for line := range lines(data) {
		n[line] = true
	}
	return names{embedded: n}
}

// overrule reads a user file.
func (d *Data) overrule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reference names: %w", err)
	}
	defer f.Close() // read only
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		line, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := d.rule(words); err != nil {
			return fmt.Errorf("%s, line %d: %w", file, n, err)
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("reference names: %s: %w", file, err)
	}
	return nil
}

func (d *Data) rule(words []string) error {
	if len(words) != 2 {
		return errors.New("want a word and a name, as in: disposable burner.example")
	}
	word, out := strings.CutPrefix(words[0], "-")
	sets := map[string]names{"disposable": d.disposable, "free": d.free, "role": d.roles, "trap": d.traps}
	into, ok := sets[word]
	if !ok {
		return fmt.Errorf("no kind of name is called %q; they are disposable, free, role, trap", word)
	}
	name := strings.ToLower(words[1])
	if word != "role" {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
		if err == nil && slices.Contains(strings.Split(ascii, "."), "") {
			err = errors.New("a label is empty")
		}
		if err != nil {
			return fmt.Errorf("%q is no domain: %w", words[1], err)
		}
		name = ascii
	}
	into.user[name] = !out
	if word == "disposable" && !out {
		d.known.user[name] = false // the user knows better
	}
	return nil
}

// below looks up a domain and its parents, the closest first.
func (n names) below(domain string) (in, found bool) {
	for {
		if in, found = n.has(domain); found {
			return in, true
		}
		dot := strings.IndexByte(domain, '.')
		if dot < 0 {
			return false, false
		}
		domain = domain[dot+1:]
	}
}

// Disposable reports whether a domain or one of its parents hands out throw-away addresses. This and the other methods
// expect a domain as A-labels in lower case.
func (d *Data) Disposable(domain string) bool {
	if own, found := d.disposable.has(domain); found {
		return own
	}
	if known, _ := d.known.below(domain); known {
		return false
	}
	in, _ := d.disposable.below(domain)
	return in
}

// Free reports whether anybody can get a mailbox at a domain.
func (d *Data) Free(domain string) bool {
	in, _ := d.free.has(domain)
	return in
}

// Role reports whether a local part names a function and not a person. Case and +detail do not matter.
func (d *Data) Role(local string) bool {
	base, _, _ := strings.Cut(strings.ToLower(local), "+")
	in, _ := d.roles.has(base)
	return in
}

// SpecialUse reports whether a domain is reserved and so never carries mail on the internet.
func (d *Data) SpecialUse(domain string) bool {
	in, _ := d.specialUse.below(domain)
	return in
}

// TrapSuspect reports whether an address looks like a spam trap.
func (d *Data) TrapSuspect(local, domain string) bool {
	if in, _ := d.traps.below(domain); in {
		return true
	}
	local = strings.ToLower(local)
	return slices.ContainsFunc(d.trapLocals, func(pattern string) bool { return matches(pattern, local) })
}

// matches reports whether a word matches a pattern. A pattern is a word, or the beginning or end of one with a star for
// the rest. A test checks that the data have no other patterns.
func matches(pattern, word string) bool {
	if beginning, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(word, beginning)
	}
	if end, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(word, end)
	}
	return pattern == word
}
