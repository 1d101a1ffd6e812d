package syntax

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed domains.txt
var wellKnown string

//go:embed national.txt
var national string

//go:embed tlds.txt
var endings string

// known is the parsed data, made on first use.
var known = sync.OnceValue(func() (k struct {
	all     map[string]bool
	slip    map[string]string // a domain with one octet left out -> the domain
	targets []string          // the most common first
	ending  map[string]string // what is no top-level domain -> what is meant
},
) {
	k.all, k.slip, k.ending = map[string]bool{}, map[string]string{}, map[string]string{}
	for line := range strings.Lines(national) {
		if !strings.HasPrefix(line, "#") {
			for _, domain := range strings.Fields(line) {
				k.all[domain] = true
			}
		}
	}
	for line := range strings.Lines(endings) {
		if wrong, right, ok := strings.Cut(strings.TrimSpace(line), " "); ok && wrong != "#" {
			k.ending[wrong] = right
		}
	}
	targets := true
	for line := range strings.Lines(wellKnown) {
		domain := strings.TrimSpace(line)
		switch {
		case domain == "" || domain[0] == '#':
			continue
		case domain == "---":
			targets = false
			continue
		}
		k.all[domain] = true
		if !targets {
			continue
		}
		k.targets = append(k.targets, domain)
		if strings.IndexByte(domain, '.') < 4 {
			continue // too short: everything is one slip away from it
		}
		k.slip[domain] = domain
		for i := range len(domain) {
			if shorter := domain[:i] + domain[i+1:]; k.slip[shorter] == "" {
				k.slip[shorter] = domain // the more common domain comes first in the file
			}
		}
	}
	return k
})

// Suggest returns the domain that a domain is a slip of: a well-known one with one letter missing, added, changed or
// swapped with its neighbour, or the same one with an ending that exists (acme.cmo). It is empty where there is none,
// and for every domain that is a well-known provider's itself.
func Suggest(domain string) string {
	k := known()
	if k.all[domain] {
		return ""
	}
	if target := wellKnownSlip(domain); target != "" {
		return target
	}
	dot := strings.LastIndexByte(domain, '.')
	if right := k.ending[domain[dot+1:]]; dot > 0 && right != "" {
		return domain[:dot+1] + right
	}
	return ""
}

func wellKnownSlip(domain string) string {
	k := known()
	if len(domain) > 24 {
		return ""
	}
	if target := k.slip[domain]; target != "" {
		return target
	}
	var buffer [24]byte
	for i := range len(domain) {
		shorter := append(append(buffer[:0], domain[:i]...), domain[i+1:]...)
		if target := k.slip[string(shorter)]; target != "" && oneSlip(domain, target) {
			return target
		}
	}
	return ""
}

// oneSlip reports whether one insertion, deletion, change or swap of neighbours leads from a to b (optimal string
// alignment distance 1).
func oneSlip(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a)+len(b) == 1 || len(a) == 1 && len(b) == 1 ||
		len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// guess returns the address that a text that is none may mean, where a repair would not be safe; empty: none.
func guess(text string) string {
	text = strings.TrimSpace(text)
	for _, change := range guesses {
		changed := change(text)
		if changed == "" || changed == text {
			continue
		}
		if a, err := parse(changed); err == nil {
			return a.String()
		}
	}
	return ""
}

// guesses are what people write in the place of an address; each returns the address that is meant, or nothing.
var guesses = []func(string) string{
	spelledOut, withoutKey, dottedComma, withoutDot, withoutAt, hashForAt, lastWord, withoutQuote,
	func(text string) string { return strings.ReplaceAll(text, "..", ".") },
	func(text string) string {
		local, domain, _ := strings.Cut(text, "@")
		return strings.Trim(local, ".") + "@" + strings.Trim(domain, ".")
	},
	func(text string) string {
		if strings.Count(text, "@") != 1 || len(strings.Fields(text)) > 3 {
			return ""
		}
		return strings.Join(strings.Fields(text), "")
	},
}

// spelledOut reads bob[at]acme[dot]com, bob (at) acme.com and bob AT acme DOT com.
func spelledOut(text string) string {
	if strings.Contains(text, "@") {
		return ""
	}
	text = spelling.Replace(strings.ToLower(text))
	return strings.ReplaceAll(text, " ", "")
}

var spelling = strings.NewReplacer(
	"[at]", "@", "(at)", "@", "{at}", "@", "<at>", "@", "_at_", "@", " at ", "@", "[ät]", "@", "(ät)", "@",
	"(a)", "@", "[a]", "@", "(arroba)", "@", "[arroba]", "@", " arroba ", "@", "(chiocciola)", "@", "[chiocciola]", "@",
	"(собака)", "@", "[собака]", "@",
	"[dot]", ".", "(dot)", ".", "{dot}", ".", "_dot_", ".", " dot ", ".", "[.]", ".", "(.)", ".", "[punkt]", ".",
	"(punkt)", ".", " punkt ", ".", "[punto]", ".", "(punto)", ".", " punto ", ".", "[point]", ".", "(point)", ".",
)

// withoutKey reads mail=bob@acme.com, of which the key is no part of the address.
func withoutKey(text string) string {
	_, value, ok := strings.Cut(text, "=")
	if !ok || !isKeyed(text) {
		return ""
	}
	return strings.Trim(value, `"'`)
}

// dottedComma reads commas as dots.
func dottedComma(text string) string {
	if strings.Count(text, "@") != 1 || strings.Contains(text, " ") {
		return ""
	}
	return strings.Trim(strings.NewReplacer(",", ".", ";", ".").Replace(text), ".")
}

// withoutDot reads joe@gmailcom and joe@gmail.
func withoutDot(text string) string {
	local, domain, ok := strings.Cut(text, "@")
	domain = strings.ToLower(domain)
	if !ok || strings.ContainsAny(domain, ".@") {
		return ""
	}
	for _, target := range known().targets {
		name, _, _ := strings.Cut(target, ".")
		if strings.ReplaceAll(target, ".", "") == domain || name == domain && len(name) > 3 {
			return local + "@" + target
		}
	}
	for _, ending := range []string{"com", "net", "org"} {
		if name, ok := strings.CutSuffix(domain, ending); ok && len(name) > 3 {
			return local + "@" + name + "." + ending
		}
	}
	return ""
}

// withoutAt reads joegmail.com and joe.gmail.com.
func withoutAt(text string) string {
	if strings.ContainsAny(text, "@ ") {
		return ""
	}
	for _, target := range known().targets {
		local, ok := strings.CutSuffix(strings.ToLower(text), target)
		if ok && len(strings.Trim(local, ".")) > 1 && strings.IndexByte(target, '.') > 3 {
			return strings.TrimRight(text[:len(local)], ".") + "@" + target
		}
	}
	return ""
}

// hashForAt reads bob#acme.com.
func hashForAt(text string) string {
	if strings.Contains(text, "@") || strings.Count(text, "#") != 1 {
		return ""
	}
	return strings.ReplaceAll(text, "#", "@")
}

// lastWord reads Bob Smith bob@acme.com and bob@acme.com Bob Smith, where one word holds an @.
func lastWord(text string) string {
	found := ""
	for _, word := range strings.Fields(text) {
		if strings.Contains(word, "@") {
			if found != "" {
				return ""
			}
			found = strings.Trim(word, `,;:.()[]<>"'`)
		}
	}
	if strings.HasPrefix(found, "@") || strings.HasSuffix(found, "@") {
		return ""
	}
	return found
}

// withoutQuote reads "bob@acme.com with one quotation mark.
func withoutQuote(text string) string {
	if strings.Count(text, `"`) != 1 {
		return ""
	}
	return strings.Trim(text, `"`)
}
