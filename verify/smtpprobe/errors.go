package smtpprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"presend/verify/reply"
)

// Errors of a session. Each is returned wrapped, with the host and, while a session is opened, with the step.
var (
	// ErrProtocol: what the server sent is not SMTP (then it is a reply.ErrMalformed as well) or does not fit the
	// commands, so that it is not known which reply belongs to which command.
	ErrProtocol = errors.New("not SMTP")
	// ErrClosed: the server closed the connection, with or without a 421, or the connection broke; also the error of a
	// session that was over before.
	ErrClosed = errors.New("connection closed by the server")
	// ErrAddressGone: this machine does not have the address any more from which the session was opened, so nothing that
	// the server says can arrive. The error matches the one that showed it as well.
	ErrAddressGone = errors.New("the address of this machine is gone")
)

// addressGone reports whether this machine does not have a local address any more.
func addressGone(local net.Addr) bool {
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return false
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: tcp.IP, Zone: tcp.Zone}) // sends nothing
	if err != nil {
		return errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	_ = c.Close() // nothing was sent on it
	return false
}

// errTLS: STARTTLS was accepted, and TLS failed. Open connects again and leaves STARTTLS alone.
var errTLS = errors.New("TLS failed")

// AddrError is why a connection to an address failed.
type AddrError struct {
	Addr netip.Addr
	Err  error
}

func (e AddrError) Error() string { return fmt.Sprintf("[%s]: %v", e.Addr, e.Err) }

// Unwrap returns Err.
func (e AddrError) Unwrap() error { return e.Err }

// ConnectError says that no address of a host could be connected to. Failures holds the addresses that failed by
// themselves, in the order in which they failed. An attempt that the end of the caller's context cut off is not one of
// them; in that case the error matches the context's error.
type ConnectError struct {
	Host     string
	Failures []AddrError

	ended error // of the caller's context
}

func (e *ConnectError) Error() string {
	return "connecting to " + e.Host + ": " + strings.Join(reasons(e.Failures, e.ended), "; ")
}

// Unwrap returns the failures, and the error of the caller's context if that ended.
func (e *ConnectError) Unwrap() []error { return all(e.Failures, e.ended) }

// GreetError says that a host accepted the connection and no session came of it. Err is a *RefusedError if the server
// refused us, wraps ErrProtocol or ErrClosed, or is an error of the network or of the caller's context.
type GreetError struct {
	Host      string
	Addr      netip.Addr
	Err       error
	Failures  []AddrError // of the addresses that were tried before
	TLSFailed bool        // the next attempt should leave STARTTLS alone
}

func (e *GreetError) Error() string { return fmt.Sprintf("%s [%s]: %v", e.Host, e.Addr, e.Err) }

// Unwrap returns Err. The failures of other addresses say nothing about this one.
func (e *GreetError) Unwrap() error { return e.Err }

func reasons(failures []AddrError, ended error) []string {
	var texts []string
	for _, err := range all(failures, ended) {
		texts = append(texts, err.Error())
	}
	if len(texts) == 0 {
		return []string{"it has no address"}
	}
	return texts
}

func all(failures []AddrError, ended error) []error {
	errs := make([]error, 0, len(failures)+1)
	for _, failure := range failures {
		errs = append(errs, failure)
	}
	if ended != nil {
		errs = append(errs, ended)
	}
	return errs
}

// RefusedError is a reply that does not accept a command before RCPT, of 4xx or 5xx unless the server confuses its
// codes: to the connection, to EHLO or HELO (both are reply.EHLO), to STARTTLS (only 421, since the session goes on in
// plain text after any other), or to MAIL.
type RefusedError struct {
	Command reply.Command
	Reply   reply.Reply
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s answered with %s", e.Command, e.Reply)
}

// RSET is the command that a [ClosingError] names if the 421 came in place of the answer to RSET.
const RSET reply.Command = "RSET"

// ClosingError is a 421 in the middle of a session. Command is the command whose answer it replaced: reply.RCPT,
// reply.MAIL or RSET. That command has no other answer. Command is empty if the 421 came unasked after an answer.
type ClosingError struct {
	Command reply.Command
	Reply   reply.Reply
}

func (e *ClosingError) Error() string { return "the server ends the session: " + e.Reply.String() }

// Is makes a ClosingError an ErrClosed.
func (e *ClosingError) Is(target error) bool { return target == ErrClosed }

// timeoutError is a time limit of ours that ended. It hides the error of the context that carried the limit, which
// the caller could take for its own.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string        { return e.text }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// contextError returns the error of the caller's context if that has ended. A deadline that has passed counts, since
// the network may notice it before the context does.
func contextError(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// networkError returns the error to report for a failed operation of the network: the error of the caller's context if
// that has ended, and otherwise err in a form that does not match a context's error.
func networkError(ctx context.Context, err error) error {
	if ended := contextError(ctx); ended != nil {
		return ended
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &timeoutError{text: err.Error()}
	case errors.Is(err, context.Canceled):
		return errors.New(err.Error())
	}
	return err
}

// isTimeout reports whether a time limit ended.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
