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

// client exchanges messages with resolvers. Its UDP sockets are kept and carry many questions at a time, told apart
// by ID, question and socket.
type client struct {
	config  Config
	servers []*server
	readers sync.WaitGroup
}

// socketsPerServer spreads the source ports that a forged answer would have to guess.
const socketsPerServer = 4

type server struct {
	address string
	mu      sync.Mutex
	sockets [socketsPerServer]*socket
	closed  bool
}

// socket is a connected UDP socket with the questions that wait for an answer on it.
type socket struct {
	conn    net.Conn
	mu      sync.Mutex
	waiting map[uint16]waiter
}

type waiter struct {
	asked dns.Question
	reply chan<- *dns.Msg // holds one
}

var errClosed = errors.New("the resolver is closed")

func newClient(config Config) *client {
	c := &client{config: config}
	for _, address := range config.Servers {
		c.servers = append(c.servers, &server{address: address})
	}
	return c
}

func (c *client) close() error {
	var err error
	for _, s := range c.servers {
		s.mu.Lock()
		s.closed = true
		for _, k := range s.sockets {
			if k != nil {
				err = errors.Join(err, k.conn.Close())
			}
		}
		s.mu.Unlock()
	}
	c.readers.Wait()
	return err
}

// exchange asks one resolver once, over TCP where the answer does not fit into UDP.
func (c *client) exchange(ctx context.Context, index int, name string, kind uint16) (*dns.Msg, error) {
	s := c.servers[index]
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(udpSize, false)
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	reply, err := c.overUDP(ctx, s, m)
	if err == nil && reply.Truncated {
		reply, err = overTCP(ctx, s, m)
	}
	if err == nil && reply.Rcode == dns.RcodeFormatError && m.IsEdns0() != nil {
		m.Extra = nil // a server from before EDNS0
		reply, err = c.overUDP(ctx, s, m)
	}
	var timeout net.Error
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		cause := fmt.Errorf("no answer from %s within %s", s.address, c.config.Timeout)
		return nil, &TemporaryError{Kind: "timeout", Err: cause}
	}
	return nil, &TemporaryError{Kind: "network", Err: err}
}

func (c *client) overUDP(ctx context.Context, s *server, m *dns.Msg) (*dns.Msg, error) {
	k, err := c.socket(ctx, s, rand.N(socketsPerServer))
	if err != nil {
		return nil, err
	}
	reply := make(chan *dns.Msg, 1)
	id, err := k.expect(m.Question[0], reply)
	if err != nil {
		return nil, err
	}
	defer k.forget(id, reply)
	m.Id = id
	packed, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := k.conn.Write(packed); err != nil {
		return nil, err
	}
	select {
	case r := <-reply:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overTCP asks on a connection of its own. The connection is closed when the context ends, which ends every read and
// write on it at once.
func overTCP(ctx context.Context, s *server, m *dns.Msg) (*dns.Msg, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	stream := &dns.Conn{Conn: conn}
	if err := stream.WriteMsg(m); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	reply, err := stream.ReadMsg()
	switch {
	case err != nil:
		return nil, cmp.Or(ctx.Err(), err)
	case !reply.Response, reply.Id != m.Id, len(reply.Question) != 1, !sameQuestion(m.Question[0], reply.Question[0]):
		return nil, errors.New("the answer is to another question")
	}
	return reply, nil
}

// socket returns one of a server's sockets, and opens it where need be.
func (c *client) socket(ctx context.Context, s *server, index int) (*socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if k := s.sockets[index]; k != nil {
		return k, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", s.address)
	if err != nil {
		return nil, err
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(1 << 20) // as much as the system grants
	}
	k := &socket{conn: conn, waiting: map[uint16]waiter{}}
	s.sockets[index] = k
	c.readers.Go(func() {
		k.read()
		s.mu.Lock()
		if s.sockets[index] == k {
			s.sockets[index] = nil
		}
		s.mu.Unlock()
		conn.Close()
	})
	return k, nil
}

// expect books a free random ID for a question.
func (k *socket) expect(q dns.Question, reply chan<- *dns.Msg) (uint16, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) > 1<<15 {
		return 0, errors.New("too many questions under way")
	}
	for {
		id := uint16(rand.Uint32())
		if _, taken := k.waiting[id]; !taken {
			k.waiting[id] = waiter{q, reply}
			return id, nil
		}
	}
}

// forget frees an ID, unless its answer came and it is another question's by now.
func (k *socket) forget(id uint16, reply chan<- *dns.Msg) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting[id].reply == reply {
		delete(k.waiting, id)
	}
}

// read hands answers to those who wait until the socket is closed. An ICMP error (nobody listens) is not the end:
// the questions run into their time-out or are asked elsewhere.
func (k *socket) read() {
	buffer := make([]byte, 1<<16)
	for {
		n, err := k.conn.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		m := new(dns.Msg)
		if m.Unpack(buffer[:n]) != nil && !m.Truncated || !m.Response || len(m.Question) != 1 {
			continue
		}
		k.mu.Lock()
		w, ok := k.waiting[m.Id]
		if ok = ok && sameQuestion(w.asked, m.Question[0]); ok {
			delete(k.waiting, m.Id)
		}
		k.mu.Unlock()
		if ok {
			w.reply <- m
		}
	}
}

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}
