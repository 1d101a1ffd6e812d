package verify

import (
	"strings"

	"presend/verify/mx"
)

// providerOf is the provider, as package mx calls it, of the domains that are suggested most.
var providerOf = map[string]string{
	"gmail": "google", "googlemail": "google", "yahoo": "yahoo", "ymail": "yahoo", "aol": "yahoo",
	"hotmail": "outlook", "outlook": "outlook", "live": "outlook", "msn": "outlook",
}

// isAtProvider reports whether the mail hosts of a domain are those of the provider whose domain would be suggested for
// it: then it is one of that provider's domains, and no slip.
func isAtProvider(answer mx.Answer, suggested string) bool {
	name, _, _ := strings.Cut(suggested, ".")
	provider := providerOf[name]
	return provider != "" && provider == answer.Provider.Name
}
