package syntax

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed domains.txt
var wellKnown string

// known is the parsed domains.txt, made on first use.
var known = sync.OnceValue(func() (k struct {
	all  map[string]bool
	slip map[string]string // a domain with one octet left out -> the domain
},
) {
	k.all, k.slip = map[string]bool{}, map[string]string{}
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
		if !targets || strings.IndexByte(domain, '.') < 4 {
			continue // too short: everything is one slip away from it
		}
		k.slip[domain] = domain
		for i := range len(domain) {
			if shorter := domain[:i] + domain[i+1:]; k.slip[shorter] == "" {
				k.slip[shorter] = domain // the more common domain stands first in the file
			}
		}
	}
	return k
})

// Suggest returns the well-known domain that a domain is a slip of: one letter missing, doubled, changed or swapped
// with its neighbour. It is empty where there is none, and for every domain that is well known itself.
func Suggest(domain string) string {
	k := known()
	if len(domain) > 24 || k.all[domain] {
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

// oneSlip says whether one insertion, deletion, change or swap of neighbours leads from a to b (optimal string
// alignment distance 1).
func oneSlip(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a)+len(b) == 1 || len(a) == 1 && len(b) == 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}
