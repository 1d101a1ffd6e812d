package verify

import (
	"strings"

	"presend/verify/mx"
	"presend/verify/syntax"
)

// providerOf is the provider, as package mx calls it, of the domains that are suggested most.
var providerOf = map[string]string{
	"gmail": "google", "googlemail": "google", "yahoo": "yahoo", "ymail": "yahoo", "aol": "yahoo",
	"hotmail": "outlook", "outlook": "outlook", "live": "outlook", "msn": "outlook",
}

// suggest returns the domain that a domain is a slip of; empty: none. A domain of a free mailbox provider is none, nor is
// one whose mail hosts are those of the provider that would be suggested.
func (v *Verifier) suggest(domain string, answer mx.Answer) string {
	meant := syntax.Suggest(domain)
	if meant == "" || v.config.Reference != nil && v.config.Reference.Free(domain) {
		return ""
	}
	name, _, _ := strings.Cut(meant, ".")
	if provider := providerOf[name]; provider != "" && provider == answer.Provider.Name {
		return ""
	}
	return meant
}

