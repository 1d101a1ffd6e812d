package mx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// view is a look-up with the answers that it sees.
type view struct {
	r     *Resolver
	again bool        // ask past the cache, and first at resolvers not to avoid
	avoid upstreamSet // those that gave the answers that this view is to confirm
	by    atomic.Uint64
}

// heard returns the resolvers that this view's answers are from.
func (v *view) heard() upstreamSet { return upstreamSet(v.by.Load()) }

// ask answers a question from the cache, or asks once for all who wait for the same.
func (v *view) ask(ctx context.Context, name string, kind uint16) (f found, err error) {
	q := question{name, kind}
	if v.again {
		f, err = v.r.query(ctx, q, v.avoid)
	} else {
		f, err = v.r.cache.get(ctx, q, func(ctx context.Context) (found, error) { return v.r.query(ctx, q, 0) })
	}
	v.by.Or(uint64(f.by))
	return f, err
}

// askAll answers questions about one name at a time: here where the cache knows the answers, as for most mail hosts.
func (v *view) askAll(ctx context.Context, name string, kinds []uint16, answers []found, failures []error) {
	var unknown []int
	for i, kind := range kinds {
		known := false
		if !v.again {
			answers[i], known = v.r.cache.known(question{name, kind})
		}
		if known {
			v.by.Or(uint64(answers[i].by))
		} else {
			unknown = append(unknown, i)
		}
	}
	together(len(unknown), func(i int) {
		i = unknown[i]
		answers[i], failures[i] = v.ask(ctx, name, kinds[i])
	})
}

// lookup finds the mail hosts of a domain.
func (v *view) lookup(ctx context.Context, domain string) (Answer, error) {
	answer := Answer{Domain: domain}
	found, err := v.ask(ctx, domain, dns.TypeMX)
	if err != nil {
		return answer, err
	}
	answer.Expires = found.expires
	if found.status == dns.RcodeNameError {
		return answer, ErrNoSuchDomain
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
	expires := v.locate(ctx, hosts)
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	answer, err = Assemble(domain, hosts, implicit)
	answer.Expires = earlier(found.expires, expires)
	return answer, err
}

// maxHosts is how many mail hosts of a domain are looked up.
const maxHosts = 16

// locate fills in the addresses of the hosts or their errors. It returns when the first of these answers expires.
func (v *view) locate(ctx context.Context, hosts []Host) time.Time {
	asked := hosts[:min(len(hosts), maxHosts)]
	expires := make([]time.Time, len(asked))
	together(len(asked), func(i int) {
		asked[i].Addrs, expires[i], asked[i].Err = v.addresses(ctx, asked[i].Name)
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
func (v *view) addresses(ctx context.Context, name string) (addrs []netip.Addr, expires time.Time, err error) {
	types := [...]uint16{dns.TypeA, dns.TypeAAAA}
	var answers [len(types)]found
	var failures [len(types)]error
	if !v.r.config.AllowPrivate && isLocalhost(name) {
		return nil, time.Time{}, ErrLocalhostMX
	}
	if literal, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		answers[0].addrs = []netip.Addr{literal}
	} else {
		v.askAll(ctx, name, types[:], answers[:], failures[:])
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
	if !v.r.config.AllowPrivate {
		addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !IsPublic(a) })
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
	zone, err := v.ask(ctx, name, dns.TypeSOA)
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
