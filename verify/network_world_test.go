package verify_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/smtpprobe"
)

// net25 is the network between a Verifier and a lab, as far as connections go.
type net25 struct {
	mu    sync.Mutex // guards what follows
	fails func(source, addr netip.Addr) error
	dials []dialled
	tests []testedWay
	large error         // what large hosts outside answer
	name  string        // how they greet
	up    chan struct{} // nil: what is said in sessions arrives
	lab   *lab.Lab
}

type dialled struct {
	at   time.Time
	addr netip.Addr
}

type testedWay struct {
	source netip.Addr
	ipv6   bool
}

// errDropped lets a connection get no answer until its time is up.
var errDropped = errors.New("dropped")

func (n *net25) set(fails func(source, addr netip.Addr) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fails = fails
}

func (n *net25) dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	to := netip.MustParseAddrPort(address).Addr()
	n.mu.Lock()
	n.dials = append(n.dials, dialled{time.Now(), to})
	fails := n.fails
	n.mu.Unlock()
	if fails == nil {
		return n.connected(ctx, source, address)
	}
	err := fails(source, to)
	switch {
	case err == nil:
		return n.connected(ctx, source, address)
	case errors.Is(err, errDropped):
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
}

func (n *net25) connected(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	c, err := n.lab.Dial(ctx, source, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: c, n: n, closed: make(chan struct{})}, nil
}

// cut stops what is said in sessions, from now on or no longer.
func (n *net25) cut(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if down {
		n.up = make(chan struct{})
		return
	}
	close(n.up)
	n.up = nil
}

// cutConn is a connection over a network that can be down: what the other side says arrives when it is up again.
type cutConn struct {
	net.Conn
	n      *net25
	mu     sync.Mutex
	readBy time.Time
	once   sync.Once
	closed chan struct{}
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.mu.Lock()
	up := c.n.up
	c.n.mu.Unlock()
	if up == nil {
		return n, err
	}
	c.mu.Lock()
	left := time.Until(c.readBy)
	if c.readBy.IsZero() {
		left = time.Hour
	}
	c.mu.Unlock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-up:
		return n, err
	case <-timer.C:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *cutConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.readBy = t
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *cutConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.readBy = t
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

func (c *cutConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// outside is the test of large hosts.
func (n *net25) outside(_ context.Context, source netip.Addr, ipv6 bool) (verify.Greeting, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tests = append(n.tests, testedWay{source, ipv6})
	return verify.Greeting{Host: "mx.large.lab", Name: n.name}, n.large
}

func (n *net25) counted() (dials, tests int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dials), len(n.tests)
}

// everywhere fails all connections alike.
func everywhere(err error) func(source, addr netip.Addr) error {
	return func(_, _ netip.Addr) error { return err }
}

// networkWorld is a memoryWorld with a network that can fail. Where the test is nil, there is none.
func networkWorld(
	t testing.TB, declaration string, test bool, change func(*verify.Config),
) (*net25, *verify.Verifier) {
	t.Helper()
	n := &net25{}
	l, v := memoryWorld(t, declaration, func(c *verify.Config) {
		c.Prober = nil
		if test {
			c.Outside = n.outside
		}
		if change != nil {
			change(c)
		}
		c.Prober = lateProber{n, t}
	})
	n.lab = l
	return n, v
}

// lateProber makes its prober at the first session, when the lab is there.
type lateProber struct {
	n *net25
	t testing.TB
}

func (p lateProber) Open(ctx context.Context, target smtpprobe.Target) (verify.Session, error) {
	return prober(p.t, p.n.lab, func(c *smtpprobe.Config) { c.Dial = p.n.dial }).Open(ctx, target)
}
