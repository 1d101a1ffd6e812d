package mx

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// pool keeps UDP sockets that are connected to one resolver. A socket carries one question at a time, so that a forged
// answer has to guess the port as well as the ID. A socket that failed, or on which an answer did not come, is closed.
type pool struct {
	address string
	slots   chan struct{} // holds one for each socket in use
	mu      sync.Mutex
	idle    []*socket // the last one is taken first
	open    map[*socket]struct{}
	closed  bool
}

type socket struct {
	net.Conn
	opened time.Time
	buffer [4096]byte
}

const (
	poolSize  = 256              // sockets in use at a time
	socketAge = 10 * time.Second // how long a socket is used: its port may get known, and our address may change
)

var errClosed = errors.New("the resolver is closed")

func newPool(address string) *pool {
	return &pool{address: address, slots: make(chan struct{}, poolSize), open: map[*socket]struct{}{}}
}

// exchange sends a question with a new ID and returns the answer. The deadline is for both.
func (p *pool) exchange(ctx context.Context, m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.slots }()
	s, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	reply, err := s.exchange(m, deadline)
	p.give(s, stop() && err == nil)
	if err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	return reply, nil
}

// take returns an idle socket that is not too old, else a new one.
func (p *pool) take(ctx context.Context) (*socket, error) {
	if s, err := p.kept(); s != nil || err != nil {
		return s, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", p.address)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: conn, opened: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, cmp.Or(s.Close(), errClosed)
	}
	p.open[s] = struct{}{}
	return s, nil
}

func (p *pool) kept() (*socket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		s := p.idle[last]
		p.idle = p.idle[:last]
		if time.Since(s.opened) < socketAge {
			return s, nil
		}
		p.discard(s)
	}
	return nil, nil
}

// give takes a socket back; a good one is kept.
func (p *pool) give(s *socket, good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if good && !p.closed {
		p.idle = append(p.idle, s)
		return
	}
	p.discard(s)
}

// discard closes a socket. The caller holds the lock.
func (p *pool) discard(s *socket) {
	delete(p.open, s)
	_ = s.Close() // nothing is written to it any more
}

// close closes all sockets, which ends the exchanges under way.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var err error
	for s := range p.open {
		err = errors.Join(err, s.Close())
	}
	clear(p.open)
	p.idle = nil
	return err
}

// exchange sends a question and reads until its answer comes. What has another ID or answers another question is
// passed over: it may be late or forged.
func (s *socket) exchange(m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	m.Id = uint16(rand.Uint32())
	packed, err := m.PackBuffer(s.buffer[:])
	if err != nil {
		return nil, err
	}
	if err := s.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := s.Write(packed); err != nil {
		return nil, err
	}
	for {
		n, err := s.Read(s.buffer[:])
		if err != nil {
			return nil, err
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(s.buffer[:n]); (err == nil || reply.Truncated) && answers(m, reply) {
			return reply, nil
		}
	}
}

// answers reports whether a reply is one to this question.
func answers(m, reply *dns.Msg) bool {
	if !reply.Response || reply.Id != m.Id || len(reply.Question) != 1 {
		return false
	}
	a, b := m.Question[0], reply.Question[0]
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}
