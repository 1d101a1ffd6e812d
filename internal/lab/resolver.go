package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"presend/verify/mx"
)

// Resolver looks up mail hosts in a lab without sockets, as an mx.Resolver does over them. It answers from the same
// records as the name server, counts the same queries, and keeps nothing: each look-up takes the world's latency once
// for the domain and once for its hosts.
type Resolver struct{ lab *Lab }

// Resolver returns a Resolver of this lab.
func (l *Lab) Resolver() *Resolver { return &Resolver{lab: l} }

// Lookup returns where mail for a domain goes. The errors are those of mx.Resolver.
func (r *Resolver) Lookup(ctx context.Context, domain string) (mx.Answer, error) {
	answer, err := r.lookup(ctx, strings.TrimSuffix(strings.ToLower(domain), "."))
	if err != nil {
		return answer, fmt.Errorf("mail hosts of %s: %w", domain, err)
	}
	return answer, nil
}

func (r *Resolver) lookup(ctx context.Context, domain string) (mx.Answer, error) {
	none := mx.Answer{Domain: domain}
	if err := r.wait(ctx); err != nil {
		return none, err
	}
	found, err := r.query(domain, dns.TypeMX)
	if err != nil {
		return none, err
	}
	var hosts []mx.Host
	for _, rr := range found {
		record, ok := rr.(*dns.MX)
		switch {
		case !ok:
		case record.Mx == ".":
			return none, mx.ErrNullMX
		default:
			hosts = append(hosts, mx.Host{Name: strings.TrimSuffix(record.Mx, "."), Preference: record.Preference})
		}
	}
	implicit := len(hosts) == 0
	if implicit {
		hosts = []mx.Host{{Name: domain}}
	}
	if err := r.wait(ctx); err != nil {
		return none, err
	}
	failures := make([]error, len(hosts))
	for i := range hosts {
		hosts[i].Addrs, failures[i] = r.addresses(hosts[i].Name)
	}
	answer, err := assemble(domain, hosts, failures, implicit)
	answer.Expires = time.Now().Add(ttl * time.Second)
	return answer, err
}

func (r *Resolver) wait(ctx context.Context) error {
	if !pause(ctx, r.lab.world.Latency) {
		return ctx.Err()
	}
	return nil
}

// addresses returns the addresses of a host in both families. An MX that is an IP literal is taken for what it means.
func (r *Resolver) addresses(name string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{literal}, nil
	}
	var addrs []netip.Addr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, err := r.query(name, qtype)
		if err != nil && !errors.Is(err, mx.ErrNoSuchDomain) {
			return nil, err
		}
		for _, rr := range found {
			switch record := rr.(type) {
			case *dns.A:
				addrs = append(addrs, netip.AddrFrom4([4]byte(record.A.To4())))
			case *dns.AAAA:
				addrs = append(addrs, netip.AddrFrom16([16]byte(record.AAAA)))
			}
		}
	}
	return addrs, nil
}

// query asks the lab's name server one question.
func (r *Resolver) query(name string, qtype uint16) ([]dns.RR, error) {
	r.lab.tally.queries.Add(1)
	m := r.lab.names.answer(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), false)
	switch {
	case m == nil:
		return nil, &mx.TemporaryError{Kind: "timeout"}
	case m.Rcode == dns.RcodeNameError:
		return nil, mx.ErrNoSuchDomain
	case m.Rcode != dns.RcodeSuccess:
		return nil, &mx.TemporaryError{Kind: "servfail"}
	}
	return m.Answer, nil
}

// assemble makes the answer of what was found, as mx.Resolver does.
func assemble(domain string, hosts []mx.Host, failures []error, implicit bool) (mx.Answer, error) {
	answer := mx.Answer{Domain: domain, Implicit: implicit}
	var failure error
	for i, host := range hosts {
		failure = cmp.Or(failure, failures[i])
		if len(host.Addrs) > 0 {
			answer.Hosts = append(answer.Hosts, host)
		}
	}
	if len(answer.Hosts) == 0 {
		return answer, cmp.Or(failure, mx.ErrNoMailHost)
	}
	for _, host := range answer.Hosts {
		if i := slices.IndexFunc(providers, func(p provider) bool { return strings.HasSuffix(host.Name, p.suffix) }); i >= 0 {
			answer.Provider = providers[i].Provider
			break
		}
	}
	first := answer.Hosts[0]
	registrable, err := publicsuffix.EffectiveTLDPlusOne(first.Name)
	if _, literal := netip.ParseAddr(first.Name); err != nil || literal == nil {
		registrable = first.Addrs[0].String()
	}
	answer.Destination = cmp.Or(answer.Provider.Name, registrable)
	return answer, nil
}

type provider struct {
	suffix string
	mx.Provider
}

// providers that a world is likely to play.
var providers = []provider{
	{".l.google.com", mx.Provider{Name: "google", IgnoresCase: true}},
	{".mail.protection.outlook.com", mx.Provider{Name: "microsoft", IgnoresCase: true}},
	{".yahoodns.net", mx.Provider{Name: "yahoo", AcceptsAll: true, IgnoresCase: true}},
}
