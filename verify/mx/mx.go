// Package mx finds the mail hosts of a domain and recognises who runs them. The example shows the common path.
//
// NXDOMAIN, no data, SERVFAIL, REFUSED and a time-out are five different things, and only the first two are about the
// domain. Those become the errors [ErrNoSuchDomain], [ErrNoMailHost] and [ErrNullMX]; the others become a
// [TemporaryError]. Every MX target stays in the answer with its addresses of both families or with its error.
//
// Queries go over UDP with EDNS0, over TCP where the answer is truncated, and to another resolver where one fails. A
// question is asked once for any number of waiters, and answers are kept for their TTL.
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
)

// Errors that are conclusions about the domain or about one of its mail hosts.
var (
	// ErrNoSuchDomain: NXDOMAIN, confirmed by a second query, to another resolver where there is one.
	ErrNoSuchDomain = errors.New("no such domain")
	// ErrNullMX: the domain says that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("null MX")
	// ErrNoMailHost: the domain has neither MX nor A nor AAAA, or every one of its MX targets has ErrNoAddress.
	ErrNoMailHost = errors.New("no mail host")
	// ErrNotPublic: a mail host has only loopback, private or otherwise non-public addresses. Of a domain: every mail
	// host has this error or ErrNoAddress.
	ErrNotPublic = errors.New("non-public addresses only")
	// ErrNoAddress: a mail host is known not to resolve. Its name does not exist, or it has neither A nor AAAA.
	ErrNoAddress = errors.New("no address")
)

// TemporaryError is the error of a question that DNS gave no answer to. It says nothing about the domain.
type TemporaryError struct {
	// Kind is servfail, refused, timeout, network, malformed, lame (delegated to servers that do not know the zone) or
	// limit (one MX target of so many that it was not looked up).
	Kind string
	Err  error // the cause; nil where the server's answer says it all
}

func (e *TemporaryError) Error() string {
	if e.Err != nil {
		return e.Kind + ": " + e.Err.Error()
	}
	return e.Kind
}

func (e *TemporaryError) Unwrap() error { return e.Err }

// Config holds the settings of a Resolver. The zero value of a field means its default.
type Config struct {
	Servers      []string      // host:port of resolvers; default those of /etc/resolv.conf
	Timeout      time.Duration // for one try; default 5 s
	Attempts     int           // tries of a question over all resolvers; default 3
	AllowPrivate bool          // keep addresses that are loopback, private or otherwise not public
	CacheSize    int           // answers kept; default 200,000
}

// Resolver looks up mail hosts. It is safe for concurrent use. Close it after use.
type Resolver struct {
	config Config
	client *client
	cache  *cache
}

// New returns a Resolver. It fails where no resolver is given and the system has none.
func New(config Config) (*Resolver, error) {
	if _, err := providerTable(); err != nil {
		return nil, err
	}
	config.Servers = slices.Clone(config.Servers)
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
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.Attempts = cmp.Or(config.Attempts, 3)
	config.CacheSize = cmp.Or(config.CacheSize, 200_000)
	return &Resolver{config: config, client: newClient(config), cache: newCache(config.CacheSize)}, nil
}

// Close closes the resolver's sockets; look-ups under way fail.
func (r *Resolver) Close() error { return r.client.close() }

// Lookup returns where mail for a domain goes. The domain is a name in A-labels. If the context has ended, the error is
// the context's; else it is one of the errors above. Where the error is about the hosts, the answer still holds every
// host with its own error.
func (r *Resolver) Lookup(ctx context.Context, domain string) (Answer, error) {
	answer, err := r.lookup(ctx, strings.TrimSuffix(strings.ToLower(domain), "."))
	if ended := ended(ctx); err != nil && ended != nil {
		err = ended
	}
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
	var hosts []Host
	for _, record := range found.mx {
		// A null MX among others is not allowed (RFC 7505 section 3), so the others count.
		if name := strings.ToLower(strings.TrimSuffix(record.Mx, ".")); name != "" {
			hosts = append(hosts, Host{Name: name, Preference: record.Preference})
		}
	}
	implicit := len(found.mx) == 0
	switch {
	case implicit:
		hosts = []Host{{Name: domain}}
	case len(hosts) == 0:
		return answer, ErrNullMX
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, byPreference)
	expires := r.locate(ctx, hosts)
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	answer, err = Assemble(domain, hosts, implicit)
	answer.Expires = earlier(found.expires, expires)
	return answer, err
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
		// Two resolvers disagree about whether the name exists, so neither answer counts against it.
		return false, &TemporaryError{
			Kind: "servfail", Err: errors.New("one answer says that the name does not exist, another that it does"),
		}
	}
	r.cache.confirm(domain)
	return true, nil
}

// maxHosts is how many mail hosts of a domain are looked up.
const maxHosts = 16

// locate fills in the addresses of the hosts or their errors. It returns when the first of these answers expires.
func (r *Resolver) locate(ctx context.Context, hosts []Host) time.Time {
	asked := hosts[:min(len(hosts), maxHosts)]
	expires := make([]time.Time, len(asked))
	together(len(asked), func(i int) {
		asked[i].Addrs, expires[i], asked[i].Err = r.addresses(ctx, asked[i].Name)
	})
	for i := range hosts[len(asked):] {
		hosts[len(asked)+i].Err = &TemporaryError{
			Kind: "limit", Err: fmt.Errorf("only the first %d mail hosts of a domain are looked up", maxHosts),
		}
	}
	return earlier(expires...)
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

// failureTTL is how long an answer may be kept that lacks something because DNS failed (RFC 2308 section 7.1).
const failureTTL = 5 * time.Minute

// addresses returns the addresses of a host name, A before AAAA, and when the first of these answers expires. The error
// is nil where there is an address. An MX target that is an address, which RFC 5321 does not allow and some domains
// have, is used as that address.
func (r *Resolver) addresses(ctx context.Context, name string) (addrs []netip.Addr, expires time.Time, err error) {
	types := [...]uint16{dns.TypeA, dns.TypeAAAA}
	var answers [len(types)]found
	var failures [len(types)]error
	if literal, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		answers[0].addrs = []netip.Addr{literal}
	} else {
		r.askAll(ctx, name, types[:], answers[:], failures[:])
	}
	proven := false
	for i, answer := range answers {
		addrs = append(addrs, answer.addrs...)
		proven = proven || answer.proven
		if failures[i] != nil {
			answer.expires = time.Now().Add(failureTTL)
		}
		expires = earlier(expires, answer.expires)
	}
	all := len(addrs)
	if !r.config.AllowPrivate {
		addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !isPublic(a) })
	}
	failure := cmp.Or(failures[:]...)
	switch {
	case len(addrs) > 0:
		return addrs, expires, nil
	case failure != nil:
		return nil, expires, failure
	case all > 0:
		return nil, expires, ErrNotPublic
	case proven:
		return nil, expires, ErrNoAddress
	}
	// Resolvers answer with nothing at all where a name is delegated to servers that do not know it, and some leave the
	// SOA out of every empty answer. A zone that exists can show its SOA.
	zone, err := r.ask(ctx, name, dns.TypeSOA)
	switch {
	case err != nil:
		return nil, earlier(expires, time.Now().Add(failureTTL)), err
	case !zone.proven:
		return nil, expires, &TemporaryError{Kind: "lame", Err: errors.New("an empty answer with no zone behind it")}
	}
	return nil, expires, ErrNoAddress
}

// earlier returns the earliest of the times that are set; the zero time where none is.
func earlier(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// isPublic reports whether a mail host on the internet can have the address.
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
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20"),
}
