// Package mx finds the mail hosts of a domain, and says what kind of hosts they are.
//
//	resolver, err := mx.New(mx.Config{})
//	defer resolver.Close()
//	answer, err := resolver.Lookup(ctx, "corp.example")
//	switch {
//	case errors.Is(err, mx.ErrNoSuchDomain): // NXDOMAIN, twice
//	case err == nil:
//		for _, host := range answer.Hosts { ... } // in the order in which to try them
//	}
//
// NXDOMAIN, no data, SERVFAIL, REFUSED and a time-out are five different things, and only the first two are about the
// domain: those become errors that stand ([ErrNoSuchDomain], [ErrNoMailHost], [ErrNullMX]), the rest a
// [TemporaryError]. Queries go over UDP with EDNS0, over TCP where the answer is truncated, and to another resolver
// where one fails. A question is asked once for any number of waiters, and answers are kept for their TTL.
package mx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

// Errors that are about the domain, and stand.
var (
	// ErrNoSuchDomain: NXDOMAIN, confirmed by a second query, to another resolver where there is one.
	ErrNoSuchDomain = errors.New("no such domain")
	// ErrNullMX: the domain says that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("null MX")
	// ErrNoMailHost: neither MX nor A nor AAAA, or no MX target that has an address.
	ErrNoMailHost = errors.New("no mail host")
	// ErrNotPublic: every mail host has only loopback, private or otherwise non-public addresses.
	ErrNotPublic = errors.New("mail hosts on non-public addresses only")
)

// TemporaryError says that DNS gave no answer; it says nothing about the domain.
type TemporaryError struct {
	Kind string // servfail, refused, timeout, network, malformed, lame (delegated to servers that do not know the zone)
	Err  error  // the cause; nil where the server's answer says it all
}

func (e *TemporaryError) Error() string {
	if e.Err != nil {
		return e.Kind + ": " + e.Err.Error()
	}
	return e.Kind
}

func (e *TemporaryError) Unwrap() error { return e.Err }

// Config says whom to ask and how. The zero value of a field means its default.
type Config struct {
	Servers      []string         // host:port of resolvers; default those of /etc/resolv.conf
	Timeout      time.Duration    // for one try; default 5 s
	Attempts     int              // tries of a question over all resolvers; default 3
	AllowPrivate bool             // keep mail hosts on loopback, private and other non-public addresses
	IPv4, IPv6   bool             // look up only this family; both or neither: both
	CacheSize    int              // answers kept; default 200,000
	Now          func() time.Time // default time.Now
}

// Resolver looks up mail hosts. Safe for concurrent use. Close it.
type Resolver struct {
	config    Config
	client    *client
	cache     *cache
	providers *providers
}

// Answer is where a domain's mail goes.
type Answer struct {
	Domain      string
	Hosts       []Host // in the order in which to try them
	Implicit    bool   // no MX record: the domain's own address (RFC 5321 section 5.1)
	Provider    Provider
	Destination string    // what counts our sessions there: provider, else the registrable domain of the first host, else its address
	Expires     time.Time // when the answer's TTL ends
}

// Host is a mail host.
type Host struct {
	Name       string // in lower case, without the last dot
	Preference uint16
	Addrs      []netip.Addr
}

// New returns a Resolver. It fails where no resolver is given and the system has none.
func New(config Config) (*Resolver, error) {
	if len(config.Servers) == 0 {
		system, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("mx: no resolver given, and the system's cannot be read: %w", err)
		}
		for _, server := range system.Servers {
			config.Servers = append(config.Servers, net.JoinHostPort(server, system.Port))
		}
	}
	if len(config.Servers) == 0 {
		return nil, errors.New("mx: no resolver given, and the system has none")
	}
	for i, server := range config.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			config.Servers[i] = net.JoinHostPort(strings.Trim(server, "[]"), "53")
		}
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Attempts == 0 {
		config.Attempts = 3
	}
	if config.CacheSize == 0 {
		config.CacheSize = 200_000
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	table, err := loadProviders()
	if err != nil {
		return nil, err
	}
	return &Resolver{config: config, client: newClient(config), cache: newCache(config.CacheSize, config.Now), providers: table}, nil
}

// Close closes the resolver's sockets; look-ups under way fail.
func (r *Resolver) Close() error { return r.client.close() }

// Lookup returns where mail for a domain goes. The domain is a name in A-labels. The error is one of the errors above
// or the context's.
func (r *Resolver) Lookup(ctx context.Context, domain string) (Answer, error) {
	answer, err := r.lookup(ctx, strings.TrimSuffix(strings.ToLower(domain), "."))
	if err != nil {
		return answer, fmt.Errorf("mail hosts of %s: %w", domain, err)
	}
	return answer, nil
}

func (r *Resolver) lookup(ctx context.Context, domain string) (Answer, error) {
	answer := Answer{Domain: domain}
	found, err := r.ask(ctx, domain, dns.TypeMX)
	if err != nil {
		return answer, err
	}
	answer.Expires = found.expires
	if found.status == dns.RcodeNameError {
		if confirmed, err := r.confirm(ctx, domain); err != nil || confirmed {
			return answer, cmp.Or(err, ErrNoSuchDomain)
		}
	}
	for _, record := range found.mx {
		if record.Mx == "." || record.Mx == "" {
			if len(found.mx) == 1 {
				return answer, ErrNullMX
			}
			continue // not allowed beside others (RFC 7505 section 3): it is the others that count
		}
		answer.Hosts = append(answer.Hosts, Host{Name: strings.ToLower(strings.TrimSuffix(record.Mx, ".")), Preference: record.Preference})
	}
	if len(found.mx) == 0 {
		answer.Implicit = true
		answer.Hosts = []Host{{Name: domain}}
	}
	rand.Shuffle(len(answer.Hosts), func(i, j int) { answer.Hosts[i], answer.Hosts[j] = answer.Hosts[j], answer.Hosts[i] })
	slices.SortStableFunc(answer.Hosts, func(a, b Host) int { return cmp.Compare(a.Preference, b.Preference) })
	answer.Provider = r.providers.match(answer.Hosts)
	if err := r.locate(ctx, &answer); err != nil {
		return answer, err
	}
	answer.Destination = destination(answer)
	return answer, nil
}

// confirm asks again about a name that was said not to exist, past the cache and first at another resolver.
func (r *Resolver) confirm(ctx context.Context, domain string) (bool, error) {
	if r.cache.confirmed(domain) {
		return true, nil
	}
	again, err := r.query(ctx, domain, dns.TypeMX, 1)
	if err != nil {
		return false, err
	}
	if again.status != dns.RcodeNameError {
		// Two resolvers disagree about whether a name exists: nothing that could be held against it.
		return false, &TemporaryError{Kind: "servfail", Err: errors.New("one answer says that the name does not exist, another that it does")}
	}
	r.cache.confirm(domain)
	return true, nil
}

// maxHosts is how many mail hosts of a domain are looked at.
const maxHosts = 16

// locate finds the addresses of the hosts, and leaves out hosts without.
func (r *Resolver) locate(ctx context.Context, answer *Answer) error {
	hosts := answer.Hosts[:min(len(answer.Hosts), maxHosts)]
	private := false
	failures := make([]error, len(hosts))
	together(len(hosts), func(i int) { hosts[i].Addrs, failures[i] = r.addresses(ctx, hosts[i].Name) })
	kept := hosts[:0]
	for _, host := range hosts {
		public := host.Addrs
		if !r.config.AllowPrivate {
			public = slices.DeleteFunc(host.Addrs, func(a netip.Addr) bool { return !isPublic(a) })
		}
		private = private || len(public) < len(host.Addrs)
		if host.Addrs = slices.Clip(public); len(public) > 0 {
			kept = append(kept, host)
		}
	}
	if answer.Hosts = kept; len(kept) > 0 {
		return nil
	}
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	if private {
		return ErrNotPublic
	}
	return ErrNoMailHost
}

// together does n things at a time, the last of them here: most domains have one host, and most hosts are known.
func together(n int, do func(i int)) {
	var others sync.WaitGroup
	for i := range n - 1 {
		others.Go(func() { do(i) })
	}
	if n > 0 {
		do(n - 1)
	}
	others.Wait()
}

// addresses returns the addresses of a host name; none where the name has none. An MX target that is an address,
// which RFC 5321 does not allow and some domains have, is taken for what it means.
func (r *Resolver) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return []netip.Addr{literal}, nil
	}
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	if r.config.IPv4 != r.config.IPv6 {
		types = types[:1]
		if r.config.IPv6 {
			types[0] = dns.TypeAAAA
		}
	}
	var answers [2]found
	var failures [2]error
	together(len(types), func(i int) { answers[i], failures[i] = r.ask(ctx, name, types[i]) })
	addrs := slices.Concat(answers[0].addrs, answers[1].addrs)
	if len(addrs) > 0 {
		return addrs, nil
	}
	if err := cmp.Or(failures[0], failures[1]); err != nil || answers[0].proven || answers[1].proven {
		return nil, err
	}
	// Resolvers answer with nothing at all where a name is delegated to servers that do not know it, and some leave
	// the SOA out of every empty answer: who has a zone can show its SOA.
	zone, err := r.ask(ctx, name, dns.TypeSOA)
	if err == nil && !zone.proven {
		err = &TemporaryError{Kind: "lame", Err: errors.New("an empty answer with no zone behind it")}
	}
	return nil, err
}

// isPublic says whether an address is one that a mail host on the internet can have.
func isPublic(a netip.Addr) bool {
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
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
}

// destination names what counts our sessions on the other side.
func destination(answer Answer) string {
	if answer.Provider.Name != "" {
		return answer.Provider.Name
	}
	host := answer.Hosts[0]
	if _, err := netip.ParseAddr(strings.Trim(host.Name, "[]")); err != nil {
		if registrable, err := publicsuffix.EffectiveTLDPlusOne(host.Name); err == nil {
			return registrable
		}
	}
	return host.Addrs[0].String()
}
