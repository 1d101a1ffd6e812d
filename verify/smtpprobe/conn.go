package smtpprobe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"presend/verify/reply"
)

// conn is a network connection that reads SMTP replies within limits. Every read and write has a deadline.
type conn struct {
	net.Conn
	raw      net.Conn // below TLS
	buffers  *buffers
	dialogue *slog.Logger // nil: the dialogue is not logged
}

// buffers is the memory that sessions use one after the other.
type buffers struct {
	in  *bufio.Reader
	out []byte // commands
}

var pool = sync.Pool{New: func() any { return &buffers{in: bufio.NewReaderSize(nil, reply.MaxLine)} }}

// keepMost is how large a buffer of commands may be that another session uses again.
const keepMost = 16 << 10

func newConn(c net.Conn) *conn {
	b := pool.Get().(*buffers)
	b.in.Reset(c)
	return &conn{Conn: c, raw: c, buffers: b}
}

// upgrade puts TLS between the connection and what reads it. Nothing may be buffered.
func (c *conn) upgrade(client net.Conn) {
	c.Conn = client
	c.buffers.in.Reset(client)
}

// release gives the buffers to the next session. The connection cannot be used any more.
func (c *conn) release() {
	b := c.buffers
	c.buffers = nil
	b.in.Reset(nil)
	if cap(b.out) <= keepMost {
		pool.Put(b)
	}
}

func (c *conn) buffered() bool { return c.buffers.in.Buffered() > 0 }

// scratch returns an empty slice to append commands to. What write gets of it is used again.
func (c *conn) scratch() []byte { return c.buffers.out[:0] }

// watch makes the end of ctx interrupt reads and writes until the returned function is called. After that function has
// returned, the end of ctx does nothing.
func (c *conn) watch(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = c.raw.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// limit sets the deadline of what follows. It looks at ctx after that, since the end of ctx may have set a deadline
// just before.
func (c *conn) limit(ctx context.Context, patience time.Duration) error {
	if err := c.raw.SetDeadline(time.Now().Add(patience)); err != nil {
		return ended(ctx, err)
	}
	return contextError(ctx)
}

// write sends commands, of which b holds whole lines.
func (c *conn) write(ctx context.Context, patience time.Duration, b []byte) error {
	c.buffers.out = b
	if c.dialogue != nil {
		for line := range bytes.Lines(b) {
			c.log(ctx, "client", line)
		}
	}
	if err := c.limit(ctx, patience); err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return ended(ctx, err)
	}
	return nil
}

func (c *conn) log(ctx context.Context, from string, line []byte) {
	text := strings.TrimRight(string(line), "\r\n")
	c.dialogue.LogAttrs(ctx, LevelDialogue, "smtp", slog.String("from", from), slog.String("line", text))
}

// read reads one reply. What is not one is an ErrProtocol.
func (c *conn) read(ctx context.Context, patience time.Duration) (reply.Reply, error) {
	waits := false
	r, err := reply.Read(func() ([]byte, error) {
		if !waits && !c.holdsLine() { // most replies to a flight are at hand, and need no deadline
			waits = true
			if err := c.limit(ctx, patience); err != nil {
				return nil, err
			}
		}
		line, err := c.buffers.in.ReadSlice('\n')
		if c.dialogue != nil && len(line) > 0 {
			c.log(ctx, "server", line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, ended(ctx, err)
		}
		return line, err
	})
	if errors.Is(err, reply.ErrMalformed) {
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return r, err
}

// holdsLine reports whether a whole line has been read already.
func (c *conn) holdsLine() bool {
	at, _ := c.buffers.in.Peek(c.buffers.in.Buffered()) // never fails for what is buffered
	return bytes.IndexByte(at, '\n') >= 0
}

// ended names the end of a connection: by the caller's context, by a deadline, or by the server.
func ended(ctx context.Context, err error) error {
	err = networkError(ctx, err)
	switch {
	case contextError(ctx) != nil, isTimeout(err):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}
