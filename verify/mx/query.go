package mx

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// found is what a question came to: a status of NOERROR or NXDOMAIN, and the records at the end of any CNAME chain.
type found struct {
	status  int
	mx      []*dns.MX
	addrs   []netip.Addr
	proven  bool // of an empty answer: NXDOMAIN, or an SOA came along: the zone itself says what is not there
	expires time.Time
	by      upstreamSet // the resolvers that said it
}

const (
	minTTL     = 30 * time.Second
	maxTTL     = 24 * time.Hour
	noTTL      = 5 * time.Minute // a negative answer without an SOA
	chainLimit = 10              // CNAMEs in a row
)

// query asks along a chain of CNAMEs, first the resolvers that are not to be avoided.
func (r *Resolver) query(ctx context.Context, q question, avoid upstreamSet) (found, error) {
	var by upstreamSet
	for hops := 0; ; hops++ {
		reply, u, err := r.client.query(ctx, q, avoid)
		if err != nil {
			return found{}, err
		}
		by |= setOf(u)
		f, alias := read(reply, q.name, q.kind)
		if alias == "" {
			f.by = by
			return f, nil
		}
		if hops == chainLimit {
			return found{}, &TemporaryError{Kind: "servfail", Err: fmt.Errorf("more than %d CNAMEs in a row", chainLimit)}
		}
		q.name = alias
	}
}

// read takes the records of a kind out of a reply, along its CNAMEs. alias is where a chain goes on that the reply
// does not hold.
func read(reply *dns.Msg, name string, kind uint16) (f found, alias string) {
	f.status = reply.Rcode
	owner := dns.CanonicalName(name)
	ttl := maxTTL
	least := func(rr dns.RR) { ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second) }
	for range chainLimit {
		next := ""
		for _, rr := range reply.Answer {
			if dns.CanonicalName(rr.Header().Name) != owner {
				continue
			}
			switch rr := rr.(type) {
			case *dns.CNAME:
				if kind != dns.TypeCNAME {
					next = dns.CanonicalName(rr.Target)
					least(rr)
				}
			case *dns.MX:
				f.mx = append(f.mx, rr)
				least(rr)
			case *dns.A:
				if a, ok := netip.AddrFromSlice(rr.A); ok {
					f.addrs = append(f.addrs, a.Unmap())
					least(rr)
				}
			case *dns.AAAA:
				if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
					f.addrs = append(f.addrs, a)
					least(rr)
				}
			}
		}
		if next == "" {
			break
		}
		owner = next
	}
	if len(f.mx)+len(f.addrs) == 0 {
		f.proven = reply.Rcode == dns.RcodeNameError || hasSOA(reply)
		if owner != dns.CanonicalName(name) && reply.Rcode == dns.RcodeSuccess && !hasSOA(reply) {
			return f, strings.TrimSuffix(owner, ".")
		}
		ttl = noTTL
		for _, rr := range reply.Ns {
			if soa, ok := rr.(*dns.SOA); ok { // RFC 2308 section 5
				ttl = time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
			}
		}
		if owner != dns.CanonicalName(name) && reply.Rcode == dns.RcodeNameError {
			f.status = dns.RcodeSuccess // it is the alias's target that does not exist, not the name (RFC 6604 aside)
		}
	}
	f.expires = time.Now().Add(min(max(ttl, minTTL), maxTTL))
	return f, ""
}

func hasSOA(reply *dns.Msg) bool {
	isSOA := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	return slices.ContainsFunc(reply.Ns, isSOA) || slices.ContainsFunc(reply.Answer, isSOA)
}
