package smtpprobe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const (
	// headStart is how long an attempt to connect is alone before the next address is tried (RFC 8305 section 5).
	headStart = 250 * time.Millisecond
	// shortPatience is how long an attempt may take if another address waits for its end.
	shortPatience = 5 * time.Second
)

// Target says where a session goes.
type Target struct {
	Host   string       // name of the MX host, for TLS and messages
	Addrs  []netip.Addr // its addresses, in the order in which to try them; at least one
	AtOnce int          // how many attempts to connect may be under way at a time; 0 and 1: one after the other
	Source netip.Addr   // our address; invalid: the system's choice
	Plain  bool         // leave STARTTLS alone, since it failed before
}

// attempt is the end of one attempt to connect.
type attempt struct {
	addr netip.Addr
	conn net.Conn
	err  error
}

// connect connects to the first address of a target that answers. It returns the addresses that failed before. The
// next address is tried when an attempt fails, or after headStart while fewer than AtOnce attempts are under way.
// Attempts that lose are cancelled, and those that connected all the same are closed before their banner; connect waits
// for them, so nothing of them is left when it returns. The error is a *ConnectError.
func (p *Prober) connect(ctx context.Context, t Target) (net.Conn, netip.Addr, []AddrError, error) {
	if err := contextError(ctx); err != nil || len(t.Addrs) == 0 {
		return nil, netip.Addr{}, nil, &ConnectError{Host: t.Host, ended: err}
	}
	racing, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		atOnce            = max(t.AtOnce, 1)
		ends              = make(chan attempt)
		failures          []AddrError
		started, underWay int
		next              = time.NewTimer(headStart)
	)
	defer next.Stop()
	start := func() {
		addr, patience := t.Addrs[started], p.config.Timeout
		if started < len(t.Addrs)-atOnce {
			patience = min(patience, shortPatience)
		}
		started++
		underWay++
		go func() {
			conn, err := p.dial(racing, t.Source, addr, patience)
			ends <- attempt{addr: addr, conn: conn, err: err}
		}()
		next.Reset(headStart)
	}
	for start(); underWay > 0; {
		select {
		case end := <-ends:
			underWay--
			if end.err == nil {
				cancel()
				for ; underWay > 0; underWay-- {
					if lost := <-ends; lost.err == nil {
						_ = lost.conn.Close() // the session does not need it
					}
				}
				return end.conn, end.addr, failures, nil
			}
			if contextError(ctx) != nil {
				continue
			}
			failures = append(failures, AddrError{Addr: end.addr, Err: end.err})
			if started < len(t.Addrs) {
				start()
			}
		case <-next.C:
			if started < len(t.Addrs) && underWay < atOnce {
				start()
			}
		}
	}
	return nil, netip.Addr{}, failures, &ConnectError{Host: t.Host, Failures: failures, ended: contextError(ctx)}
}

// dial connects to one address within a time limit.
func (p *Prober) dial(ctx context.Context, source, addr netip.Addr, patience time.Duration) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := p.config.Dial(dialing, source, netip.AddrPortFrom(addr, uint16(p.config.Port)).String())
	if err != nil {
		return nil, networkError(ctx, err)
	}
	return conn, nil
}
