package mx

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Answer is where a domain's mail goes.
type Answer struct {
	Domain   string
	Hosts    []Host // every MX target, in the order in which to try them
	Implicit bool   // no MX record: the domain's own address (RFC 5321 section 5.1)
	Provider Provider
	// Destination names who counts our sessions there: the provider, else the registrable domain of the first host that
	// has an address, else that address. Where no host has an address it is that of the first host, or its name.
	Destination string
	Expires     time.Time // when the first of the TTLs of MX and addresses ends; zero where that is not known
}

// Host is a mail host. It has an address or an error.
type Host struct {
	Name       string // in lower case, without the last dot
	Preference uint16
	Addrs      []netip.Addr // of both families, A before AAAA
	// Err is nil where there is an address; else ErrNoAddress, ErrNotPublic, ErrLocalhostMX or a *TemporaryError.
	Err error
}

// Assemble makes the answer of a domain from its hosts, as Lookup returns it. It sorts a copy of the hosts by
// preference, keeps the order of equal ones, and finds Provider and Destination. A host with neither addresses nor an
// error gets ErrNoAddress. Expires is left to the caller.
//
// The error is nil where a host has an address. Otherwise it is the error of the first host with a temporary one, else
// ErrNotPublic where a host has that, else ErrLocalhostMX where a host has that, else ErrNoMailHost. The answer is
// filled in all the same.
func Assemble(domain string, hosts []Host, implicit bool) (Answer, error) {
	table, err := providerTable()
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Domain: domain, Hosts: slices.Clone(hosts), Implicit: implicit}
	for i, host := range answer.Hosts {
		switch {
		case len(host.Addrs) > 0:
			answer.Hosts[i].Err = nil
		case host.Err == nil:
			answer.Hosts[i].Err = ErrNoAddress
		}
	}
	slices.SortStableFunc(answer.Hosts, byPreference)
	answer.Provider = table.match(answer.Hosts)
	answer.Destination = destination(answer)
	return answer, conclusion(answer.Hosts)
}

func byPreference(a, b Host) int { return cmp.Compare(a.Preference, b.Preference) }

// conclusion returns the error of a domain by the errors of its hosts: nil where one of them has an address.
func conclusion(hosts []Host) error {
	conclusion := ErrNoMailHost
	var temporary error
	for _, host := range hosts {
		switch {
		case host.Err == nil:
			return nil
		case errors.Is(host.Err, ErrLocalhostMX):
			if conclusion != ErrNotPublic {
				conclusion = ErrLocalhostMX
			}
		case errors.Is(host.Err, ErrNoAddress):
		case errors.Is(host.Err, ErrNotPublic):
			conclusion = ErrNotPublic
		case temporary == nil:
			temporary = fmt.Errorf("%s: %w", host.Name, host.Err)
		}
	}
	return cmp.Or(temporary, conclusion)
}

// destination names who counts our sessions on the other side. Hosts without an address are never connected to, so they
// decide only where no host has one.
func destination(answer Answer) string {
	if answer.Provider.Name != "" {
		return answer.Provider.Name
	}
	for _, host := range answer.Hosts {
		if len(host.Addrs) > 0 {
			return cmp.Or(registrable(host.Name), host.Addrs[0].String())
		}
	}
	if len(answer.Hosts) > 0 {
		return cmp.Or(registrable(answer.Hosts[0].Name), answer.Hosts[0].Name)
	}
	return answer.Domain
}

// registrable returns the registrable domain of a host name; empty for an address and for a name that has none.
func registrable(host string) string {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return domain
}
