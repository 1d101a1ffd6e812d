package lab

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeRoom is how many octets a pipe holds before a writer waits, as the buffers of a socket do.
const pipeRoom = 256 << 10

// errLost is what a reader gets in place of io.EOF when not all that was written arrived.
var errLost = errors.New("the path loses large packets")

// pipe is one direction of an in-memory connection. It waits with a sync.Cond, so that a goroutine that waits here
// does not stop the clock of a testing/synctest bubble.
type pipe struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    bytes.Buffer
	limit   int       // of a write: a larger one is lost with all that follows; 0: none
	lost    bool      // such a write was made
	ended   bool      // the writer has closed: what is left can still be read
	shut    bool      // the reader has closed: nothing can be written any more
	readBy  time.Time // deadlines; zero: none
	writeBy time.Time
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// wait waits for a change, but not past a deadline. The caller holds the lock.
func (p *pipe) wait(deadline time.Time) {
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), func() { p.change(func() {}) })
		defer timer.Stop()
	}
	p.changed.Wait()
}

// change does something under the lock and wakes all who wait.
func (p *pipe) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	p.changed.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.shut:
			return 0, net.ErrClosed
		case passed(p.readBy):
			return 0, os.ErrDeadlineExceeded
		case p.data.Len() > 0:
			p.changed.Broadcast()
			return p.data.Read(b)
		case p.ended && p.lost:
			return 0, errLost
		case p.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		p.wait(p.readBy)
	}
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.ended:
			return n, net.ErrClosed
		case passed(p.writeBy):
			return n, os.ErrDeadlineExceeded
		case p.shut:
			return n, syscall.EPIPE
		}
		p.lost = p.lost || p.limit > 0 && len(b) > p.limit
		if p.lost {
			return len(b), nil
		}
		if room := min(pipeRoom-p.data.Len(), len(b)); room > 0 {
			p.data.Write(b[:room])
			p.changed.Broadcast()
			n, b = n+room, b[room:]
		}
		if len(b) == 0 {
			return n, nil
		}
		p.wait(p.writeBy)
	}
}

func passed(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// memoryConn is one end of an in-memory connection. It behaves as a *net.TCPConn does.
type memoryConn struct {
	in, out       *pipe
	local, remote net.Addr
}

// connected returns both ends of a new connection.
func connected(client, server netip.AddrPort) (atClient, atServer *memoryConn) {
	there, back := newPipe(), newPipe()
	c, s := net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(server)
	return &memoryConn{
		in:     back,
		out:    there,
		local:  c,
		remote: s,
	}, &memoryConn{
		in:     there,
		out:    back,
		local:  s,
		remote: c,
	}
}

// Read implements net.Conn.
func (c *memoryConn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	if err != nil && err != io.EOF {
		err = c.failed("read", err)
	}
	return n, err
}

// Write implements net.Conn.
func (c *memoryConn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if err != nil {
		err = c.failed("write", err)
	}
	return n, err
}

func (c *memoryConn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close implements net.Conn. What was written before can still be read at the other end.
func (c *memoryConn) Close() error {
	c.in.change(func() { c.in.shut = true; c.in.data = bytes.Buffer{} })
	return c.CloseWrite()
}

// CloseWrite closes this end's half of the connection.
func (c *memoryConn) CloseWrite() error {
	c.out.change(func() { c.out.ended = true })
	return nil
}

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *memoryConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.readBy = t })
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.change(func() { c.out.writeBy = t })
	return nil
}
