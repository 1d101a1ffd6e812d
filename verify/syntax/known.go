package syntax

import "slices"

// WellKnown reports whether a domain, in lower case, is one of the large mailbox providers at the start of domains.txt,
// which exist as long as DNS does.
func WellKnown(domain string) bool { return slices.Contains(known().targets, domain) }
