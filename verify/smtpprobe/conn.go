package smtpprobe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"presend/verify/reply"
)

// Limits on what a server may send. RFC 5321 section 4.5.3.1.5 allows 512 octets a line; servers exceed it.
const (
	maxLine  = 8 << 10
	maxLines = 100
)

// conn is a network connection that reads SMTP replies within limits.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, r: bufio.NewReaderSize(c, maxLine)} }

func (c *conn) buffered() bool { return c.r.Buffered() > 0 }

// bound gives the connection a deadline and makes the end of ctx interrupt it. The caller runs release.
func (c *conn) bound(ctx context.Context, patience time.Duration) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return func() {}, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return func() {}, err
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }, nil
}

func (c *conn) write(ctx context.Context, patience time.Duration, b []byte) error {
	release, err := c.bound(ctx, patience)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.Write(b); err != nil {
		return ended(ctx, err)
	}
	return nil
}

// read reads one reply of one or more lines (RFC 5321 section 4.2.1).
func (c *conn) read(ctx context.Context, patience time.Duration) (reply.Reply, error) {
	release := func() {}
	defer func() { release() }()
	var text strings.Builder
	for n, waits := 0, false; ; n++ {
		if n == maxLines {
			return reply.Reply{}, fmt.Errorf("%w: a reply of more than %d lines", ErrProtocol, maxLines)
		}
		if !waits && !c.holdsLine() { // most replies to a flight are at hand, and need no deadline
			waits = true
			var err error
			if release, err = c.bound(ctx, patience); err != nil {
				return reply.Reply{}, err
			}
		}
		line, err := c.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return reply.Reply{}, fmt.Errorf("%w: a line of more than %d octets", ErrProtocol, maxLine)
		}
		if err != nil {
			return reply.Reply{}, ended(ctx, err)
		}
		if !isReplyLine(line) {
			return reply.Reply{}, fmt.Errorf("%w: %.60q", ErrProtocol, line)
		}
		text.Write(line)
		if line[3] != '-' {
			break
		}
	}
	r, err := reply.Parse(text.String())
	if err != nil {
		return reply.Reply{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return r, nil
}

// holdsLine says whether a whole line has been read already.
func (c *conn) holdsLine() bool {
	at, _ := c.r.Peek(c.r.Buffered()) // never fails for what is buffered
	return bytes.IndexByte(at, '\n') >= 0
}

// isReplyLine says whether a line begins as a reply does: three digits, and a space, a hyphen or the end.
func isReplyLine(line []byte) bool {
	if len(line) < 4 || line[0] < '2' || line[0] > '5' {
		return false
	}
	for _, b := range line[1:3] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return strings.IndexByte(" -\r\n", line[3]) >= 0
}

// ended names the end of a connection: by the context, by a deadline, or by the server.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}
