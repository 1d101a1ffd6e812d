package lab

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// InMemory makes the lab work without sockets: hosts are reached with [Lab.Dial] only, and names are looked up with
// [Lab.Resolver]. All that waits in such a lab is durably blocked, so that it runs in a testing/synctest bubble.
func InMemory() Option { return func(l *Lab) { l.memory = true } }

// smtpPort is the port of every mail host of a lab in memory.
const smtpPort = 25

// connect opens an in-memory connection. The handshake takes a round trip, and so does a refusal.
func (l *Lab) connect(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	if !source.IsValid() {
		source = loopback(to.Addr())
	}
	if source.Is4() != to.Addr().Is4() {
		return nil, failed(&net.AddrError{Err: "mismatched local address type", Addr: source.String()})
	}
	h := l.byAddr[to.Addr()]
	if h != nil && (h.Fault == Blackhole || slices.Contains(h.ClosedFrom, source)) {
		select {
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
	}
	if h != nil && !pause(ctx, h.Latency) || ctx.Err() != nil {
		return nil, failed(ctx.Err())
	}
	if h == nil || h.Fault == Dead || to.Port() != smtpPort {
		return nil, failed(syscall.ECONNREFUSED)
	}
	from := netip.AddrPortFrom(source, ephemeral(l.dialled.Add(1)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil { // Close waits for no connection that begins from here on
		return nil, failed(syscall.ECONNREFUSED)
	}
	client, server := connected(from, to)
	client.out.limit = h.Stall
	l.conns[server] = struct{}{}
	l.wg.Go(func() { h.serve(server, to.Addr(), h.Latency) })
	return client, nil
}

// loopback returns the loopback address of the same family.
func loopback(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// ephemeral returns the port of the nth connection, as systems choose them.
func ephemeral(n uint32) uint16 { return uint16(49152 + n%16384) }
