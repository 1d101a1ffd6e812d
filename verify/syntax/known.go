package syntax

import "slices"

// WellKnown reports whether a domain is one of the large mailbox providers of domains.txt, which exist as long as DNS
// does.
func WellKnown(domain string) bool { return slices.Contains(known().targets, domain) }
