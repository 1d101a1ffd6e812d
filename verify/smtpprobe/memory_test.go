package smtpprobe_test

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memoryPair returns the two ends of a connection in memory. Unlike net.Pipe it buffers what is written, as TCP does,
// so a flight needs no reader at the other end. In a synctest bubble its deadlines follow the simulated time.
func memoryPair() (client, server net.Conn) {
	up, down := newStream(), newStream()
	return &memoryConn{in: down, out: up}, &memoryConn{in: up, out: down}
}

// stream is one direction of a connection in memory.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	bytes    []byte
	ended    bool // by the writer
	gone     bool // the reader
	deadline time.Time
	timer    *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.bytes) > 0:
			n := copy(b, s.bytes)
			s.bytes = s.bytes[:copy(s.bytes, s.bytes[n:])]
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0, net.ErrClosed
	case s.gone:
		return 0, syscall.EPIPE
	}
	s.bytes = append(s.bytes, b...)
	s.changed.Broadcast()
	return len(b), nil
}

func (s *stream) end(gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gone {
		s.gone = true
		if s.timer != nil {
			s.timer.Stop()
		}
	} else {
		s.ended = true
	}
	s.changed.Broadcast()
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	switch {
	case s.gone:
	case t.IsZero():
		if s.timer != nil {
			s.timer.Stop()
		}
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(t), s.wake)
	default:
		s.timer.Reset(time.Until(t))
	}
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

type memoryConn struct{ in, out *stream }

func (c *memoryConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memoryConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *memoryConn) Close() error {
	c.in.end(true)
	c.out.end(false)
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (c *memoryConn) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 25} }
func (c *memoryConn) SetDeadline(t time.Time) error      { c.in.setDeadline(t); return nil }
func (c *memoryConn) SetReadDeadline(t time.Time) error  { c.in.setDeadline(t); return nil }
func (c *memoryConn) SetWriteDeadline(t time.Time) error { return nil } // a write never waits
