package mx

import (
	"net/netip"
	"strings"
)

// isLocalhost reports whether an MX target is literally this machine: localhost, or a loopback address in its place.
// A domain that says so takes no mail from outside.
func isLocalhost(target string) bool {
	a, err := netip.ParseAddr(strings.Trim(target, "[]"))
	return target == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// IsPublic reports whether a host on the internet can have the address.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, special := range nonPublic {
		if special.Contains(a) {
			return false
		}
	}
	return true
}

// nonPublic are the special-purpose blocks (IANA registries) that net/netip does not know.
var nonPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20"),
}
