package mx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
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
}

const (
	udpSize    = 1232 // what passes every path unfragmented (DNS flag day 2020)
	minTTL     = 30 * time.Second
	maxTTL     = 24 * time.Hour
	noTTL      = 5 * time.Minute // a negative answer without an SOA
	chainLimit = 10              // CNAMEs in a row
)

// ask answers a question from the cache, or asks once for all who wait for the same.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (found, error) {
	return r.cache.get(ctx, question{name, kind}, func(ctx context.Context) (found, error) {
		return r.query(ctx, name, kind, 0)
	})
}

// askAll answers questions about one name at a time: here where the cache knows the answers, as for most mail hosts.
func (r *Resolver) askAll(ctx context.Context, name string, kinds []uint16, answers []found, failures []error) {
	var unknown []int
	for i, kind := range kinds {
		var known bool
		if answers[i], known = r.cache.known(question{name, kind}); !known {
			unknown = append(unknown, i)
		}
	}
	together(len(unknown), func(i int) {
		i = unknown[i]
		answers[i], failures[i] = r.ask(ctx, name, kinds[i])
	})
}

// query asks resolver after resolver, beginning with the one at offset, until one answers.
func (r *Resolver) query(ctx context.Context, name string, kind uint16, offset int) (found, error) {
	for hops := 0; ; hops++ {
		reply, err := r.attempts(ctx, name, kind, offset)
		if err != nil {
			return found{}, err
		}
		f, alias := r.read(reply, name, kind)
		if alias == "" {
			return f, nil
		}
		if hops == chainLimit {
			return found{}, &TemporaryError{Kind: "servfail", Err: fmt.Errorf("more than %d CNAMEs in a row", chainLimit)}
		}
		name = alias
	}
}

func (r *Resolver) attempts(ctx context.Context, name string, kind uint16, offset int) (*dns.Msg, error) {
	var last error
	for try := range r.config.Attempts {
		server := (try + offset) % len(r.config.Servers)
		reply, err := r.client.exchange(ctx, server, name, kind)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			last = err
		case reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError:
			return reply, nil
		case reply.Rcode == dns.RcodeRefused:
			last = &TemporaryError{Kind: "refused"}
		default:
			status := dns.RcodeToString[reply.Rcode]
			last = &TemporaryError{Kind: "servfail", Err: fmt.Errorf("%s from %s", status, r.config.Servers[server])}
		}
	}
	return nil, last
}

// ended returns the error of a context that has ended. A deadline ends it by the clock as well: a connection with the
// same deadline may fail a moment before the context knows.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// read takes the records of a kind out of a reply, along its CNAMEs. alias is where a chain goes on that the reply
// does not hold.
func (r *Resolver) read(reply *dns.Msg, name string, kind uint16) (f found, alias string) {
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

// client exchanges messages with resolvers.
type client struct {
	config  Config
	servers []*pool
}

func newClient(config Config) *client {
	c := &client{config: config}
	for _, address := range config.Servers {
		c.servers = append(c.servers, newPool(address))
	}
	return c
}

func (c *client) close() error {
	var err error
	for _, server := range c.servers {
		err = errors.Join(err, server.close())
	}
	return err
}

// exchange asks one resolver once, over TCP where the answer does not fit into UDP.
func (c *client) exchange(ctx context.Context, index int, name string, kind uint16) (*dns.Msg, error) {
	server := c.servers[index]
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(udpSize, false)
	deadline := time.Now().Add(c.config.Timeout)
	reply, err := server.exchange(ctx, m, deadline)
	if err == nil && reply.Truncated {
		reply, err = overTCP(ctx, server.address, m, deadline)
	}
	if err == nil && reply.Rcode == dns.RcodeFormatError && m.IsEdns0() != nil {
		m.Extra = nil // a server from before EDNS0
		reply, err = server.exchange(ctx, m, deadline)
	}
	var timeout net.Error
	switch {
	case err == nil:
		return reply, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		cause := fmt.Errorf("no answer from %s within %s", server.address, c.config.Timeout)
		return nil, &TemporaryError{Kind: "timeout", Err: cause}
	}
	return nil, &TemporaryError{Kind: "network", Err: err}
}

// overTCP asks on a connection of its own. The connection is closed when the context ends, which ends every read and
// write on it at once.
func overTCP(ctx context.Context, address string, m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	conn, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stream := &dns.Conn{Conn: conn}
	if err := stream.WriteMsg(m); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	reply, err := stream.ReadMsg()
	switch {
	case err != nil:
		return nil, cmp.Or(ctx.Err(), err)
	case !answers(m, reply):
		return nil, errors.New("the answer is to another question")
	}
	return reply, nil
}
