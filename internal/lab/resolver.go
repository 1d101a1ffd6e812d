package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

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
	for i := range hosts {
		hosts[i].Addrs, hosts[i].Err = r.addresses(hosts[i].Name)
	}
	answer, err := mx.Assemble(domain, hosts, implicit)
	answer.Expires = time.Now().Add(ttl * time.Second)
	return answer, err
}

func (r *Resolver) wait(ctx context.Context) error {
	if !pause(ctx, r.lab.world.Latency) {
		return ctx.Err()
	}
	return nil
}

// addresses returns the addresses of a host in both families, and the error of a family whose look-up failed. An MX
// that is an IP literal is taken for what it means.
func (r *Resolver) addresses(name string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{literal}, nil
	}
	var addrs []netip.Addr
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, err := r.query(name, qtype)
		if err != nil && !errors.Is(err, mx.ErrNoSuchDomain) {
			failed = err
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
	return addrs, failed
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
