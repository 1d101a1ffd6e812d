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
	dial    dialer
	mu      sync.Mutex
	idle    []*socket // the last one is taken first
	open    map[*socket]struct{}
	closed  bool
	life    context.Context // ends when the pool is closed
	end     context.CancelFunc
}

type socket struct {
	net.Conn
	opened time.Time
	buffer [4096]byte
}

// socketAge is how long a socket is used: its port may get known, and our address may change.
const socketAge = 10 * time.Second

var errClosed = errors.New("the resolver is closed")

// dialer opens connections, as the method DialContext of net.Dialer does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func newPool(address string, dial dialer) *pool {
	life, end := context.WithCancel(context.Background())
	return &pool{address: address, dial: dial, open: map[*socket]struct{}{}, life: life, end: end}
}

// exchange sends a question with a new ID and returns the answer. The deadline is for both. After an error or a
// time-out no idle socket is used any more: what is wrong with one, such as an address that this machine does not have
// any more, is wrong with all. Where an idle one fails at once, a new one is tried.
func (p *pool) exchange(ctx context.Context, m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	for {
		s, used, err := p.take(ctx)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { s.Close() })
		reply, err := s.exchange(m, deadline)
		p.give(s, stop() && err == nil)
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		p.flush()
		if !used || isTimeout(err) {
			return nil, err
		}
	}
}

// take returns an idle socket that is not too old, else a new one.
func (p *pool) take(ctx context.Context) (s *socket, used bool, err error) {
	if s, err := p.kept(); s != nil || err != nil {
		return s, true, err
	}
	conn, err := p.dial(ctx, "udp", p.address)
	if err != nil {
		return nil, false, err
	}
	s = &socket{Conn: conn, opened: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, cmp.Or(s.Close(), errClosed)
	}
	p.open[s] = struct{}{}
	return s, false, nil
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

// flush closes the idle sockets.
func (p *pool) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		p.discard(s)
	}
	p.idle = nil
}

// alive returns a context that ends when the pool is closed too, with errClosed as its cause.
func (p *pool) alive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(p.life, func() { cancel(errClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// close closes all sockets, which ends the exchanges under way, over TCP too.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.end()
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
