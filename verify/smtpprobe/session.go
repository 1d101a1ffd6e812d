package smtpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"presend/verify/reply"
)

// Session is one SMTP session. It is not safe for concurrent use. Close it.
type Session struct {
	prober    *Prober
	host      string
	addr      netip.Addr
	source    netip.Addr
	conn      *conn
	tls       bool
	tlsFailed bool
	offers    extensions
	trip      time.Duration // from the last EHLO to its answer
	begun     bool          // a transaction began, and RSET must end it before the next
	awaited   int           // replies to commands that were sent
	over      bool          // the server said 421, closed the connection or lost step: nothing may be sent any more
	closed    bool
	greeting  string // the name that the server greeted with
}

// Answer is what a server said to one recipient. The reply answers RCPT.
type Answer struct {
	Recipient string
	Reply     reply.Reply
	Took      time.Duration // from the command to the answer; in a flight, from the answer before
}

// Host returns the name of the mail host.
func (s *Session) Host() string { return s.host }

// Addr returns the address that the session is connected to.
func (s *Session) Addr() netip.Addr { return s.addr }

// Source returns the source address that was asked for; invalid if the system chose it.
func (s *Session) Source() netip.Addr { return s.source }

// TLS reports whether the session is encrypted.
func (s *Session) TLS() bool { return s.tls }

// TLSFailed reports whether TLS failed at this address, so that this session is in plain text and the next one should
// be opened with Plain.
func (s *Session) TLSFailed() bool { return s.tlsFailed }

// SMTPUTF8 reports whether the server accepts recipients with a non-ASCII local part (RFC 6531).
func (s *Session) SMTPUTF8() bool { return s.offers.smtputf8 }

// Pipelining reports whether commands may be sent without waiting for replies (RFC 2920).
func (s *Session) Pipelining() bool { return s.offers.pipelining }

// RoundTrip returns how long the answer to EHLO took: the way there and back, and the time that the server needs for a
// simple command.
func (s *Session) RoundTrip() time.Duration { return s.trip }

// Greeting returns the name with which the server greeted, as reply.GreetingName does.
func (s *Session) Greeting() string { return s.greeting }

// Over reports whether the session has ended, so that a new one is needed.
func (s *Session) Over() bool { return s.over }

// Transaction is what a server said to one transaction.
type Transaction struct {
	Answers []Answer      // in the order of the recipients, and one each; fewer if the session ended or enough was asked
	Refused *RefusedError // MAIL was refused, so that no recipient was answered; nil if it was accepted
}

// Probe runs transactions: MAIL and one RCPT for each recipient, with RSET between one transaction and the next. The
// recipients of a transaction should be of one domain. With PIPELINING all commands go in one flight. Without it, Probe
// calls enough after each answer and sends nothing more once enough returns true. A nil enough never does. With
// PIPELINING enough is not called.
//
// Probe returns a Transaction for each that it began, and with an error it returns everything that was read before. The
// last Transaction is then the one that the error cut off, perhaps before its first answer, and the recipients behind
// its answers have none. The error is
//
//   - a *ClosingError, which matches ErrClosed, if the server said 421;
//   - one that matches ErrClosed if the server closed the connection, or the session was over before;
//   - one that matches ErrProtocol if replies do not fit the commands or there is one too many: then no answer of this
//     flight can be trusted;
//   - the error of ctx if ctx ended;
//   - an error with Timeout() true if a reply did not come in time;
//   - none of these if a recipient holds a line break: then nothing was sent.
//
// After an error the session is over, unless a recipient holds a line break or ctx ended when no reply was awaited.
func (s *Session) Probe(ctx context.Context, transactions [][]string, enough func(Answer) bool) ([]Transaction, error) {
	if s.over {
		return nil, fmt.Errorf("%s [%s]: the session is over: %w", s.host, s.addr, ErrClosed)
	}
	for _, recipients := range transactions {
		for _, recipient := range recipients {
			if strings.ContainsAny(recipient, "\r\n") {
				return nil, fmt.Errorf("smtpprobe: recipient %q holds a line break", recipient)
			}
		}
	}
	if err := contextError(ctx); err != nil {
		return nil, s.broken(err)
	}
	defer s.conn.watch(ctx)()
	if err := s.unasked(ctx); err != nil {
		return nil, s.broken(err)
	}
	var unsent error
	if s.Pipelining() {
		enough = nil
		unsent = s.fly(ctx, transactions)
		if unsent != nil && !errors.Is(unsent, ErrClosed) {
			return nil, s.broken(unsent)
		} // a server that closed the connection may have said something before, which is read here
	}
	said := make([]Transaction, 0, len(transactions))
	for _, recipients := range transactions {
		t, done, err := s.transaction(ctx, recipients, enough)
		said = append(said, t)
		if err != nil {
			return said, s.broken(err)
		}
		if done {
			break
		}
	}
	if unsent != nil {
		return said, s.broken(unsent)
	}
	if err := s.unasked(ctx); err != nil {
		return said, s.broken(err)
	}
	return said, nil
}

// orGone adds ErrAddressGone to a time-out where that is why.
func (s *Session) orGone(err error) error {
	if isTimeout(err) && addressGone(s.conn.LocalAddr()) {
		return fmt.Errorf("%w: %w", ErrAddressGone, err)
	}
	return err
}

// broken adds the host to an error. It ends the session, unless the context ended and the server owes nothing.
func (s *Session) broken(err error) error {
	if s.awaited > 0 || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		s.over = true
	}
	return fmt.Errorf("%s [%s]: %w", s.host, s.addr, s.orGone(err))
}

// appendMAIL appends the command that begins a transaction.
func (s *Session) appendMAIL(b []byte, recipients []string) []byte {
	b = append(b, "MAIL FROM:<"...)
	b = append(b, s.prober.config.From...)
	b = append(b, '>')
	if s.SMTPUTF8() && slices.ContainsFunc(recipients, func(r string) bool { return !isASCII(r) }) {
		b = append(b, " SMTPUTF8"...)
	}
	return append(b, "\r\n"...)
}

func appendRCPT(b []byte, recipient string) []byte {
	b = append(b, "RCPT TO:<"...)
	b = append(b, recipient...)
	return append(b, ">\r\n"...)
}

// fly sends the commands of transactions in one flight.
func (s *Session) fly(ctx context.Context, transactions [][]string) error {
	flight, commands := s.conn.scratch(), 0
	for i, recipients := range transactions {
		if s.begun || i > 0 {
			flight = append(flight, "RSET\r\n"...)
			commands++
		}
		flight = s.appendMAIL(flight, recipients)
		for _, recipient := range recipients {
			flight = appendRCPT(flight, recipient)
		}
		commands += 1 + len(recipients)
	}
	if commands == 0 {
		return nil
	}
	s.awaited = commands
	return s.conn.write(ctx, s.prober.config.Timeout, flight)
}

// transaction reads the replies to a transaction, and sends its commands one by one if they are not in flight. Done
// reports that enough has been asked.
func (s *Session) transaction(ctx context.Context, recipients []string, enough func(Answer) bool) (
	t Transaction, done bool, err error,
) {
	// RSET comes before a transaction and not behind one: there is nothing to clear where QUIT follows (RFC 5321
	// section 4.1.1.10), and it would cost a round trip where nothing is pipelined.
	pipelined := s.Pipelining()
	if s.begun {
		if !pipelined {
			if err := s.send(ctx, append(s.conn.scratch(), "RSET\r\n"...)); err != nil {
				return t, false, err
			}
		}
		if _, err := s.next(ctx, RSET, s.prober.config.Timeout); err != nil {
			return t, false, err
		}
	}
	if !pipelined {
		if err := s.send(ctx, s.appendMAIL(s.conn.scratch(), recipients)); err != nil {
			return t, false, err
		}
	}
	s.begun = true
	r, err := s.next(ctx, reply.MAIL, s.prober.config.Timeout)
	if err != nil {
		return t, false, err
	}
	if r.Code/100 != 2 {
		t.Refused = &RefusedError{Command: reply.MAIL, Reply: r}
		if !pipelined {
			return t, false, nil
		}
	} else {
		t.Answers = make([]Answer, 0, len(recipients))
	}
	for _, recipient := range recipients {
		begun := time.Now()
		if !pipelined {
			if err := s.send(ctx, appendRCPT(s.conn.scratch(), recipient)); err != nil {
				return t, false, err
			}
		}
		r, err := s.next(ctx, reply.RCPT, s.prober.config.RCPT)
		if err != nil {
			return t, false, err
		}
		if t.Refused != nil {
			if r.Code/100 == 2 {
				return t, false, fmt.Errorf("%w: RCPT was accepted although MAIL was refused", ErrProtocol)
			}
			continue
		}
		answer := Answer{Recipient: recipient, Reply: r, Took: time.Since(begun)}
		t.Answers = append(t.Answers, answer)
		if enough != nil && enough(answer) {
			return t, true, nil
		}
	}
	return t, false, nil
}

// moment is how long a reply may take that changes nothing.
const moment = time.Second

// send sends one command, unless the server said something unasked.
func (s *Session) send(ctx context.Context, command []byte) error {
	if err := s.unasked(ctx); err != nil {
		return err
	}
	if err := contextError(ctx); err != nil {
		return err
	}
	s.awaited = 1
	err := s.conn.write(ctx, s.prober.config.Timeout, command)
	if errors.Is(err, ErrClosed) { // the server may have said why before it closed the connection
		if last, unread := s.conn.read(ctx, moment); unread == nil && last.Code == 421 {
			return &ClosingError{Reply: last}
		}
	}
	return err
}

// unasked returns an error if something came behind the last reply: a *ClosingError for a 421, which a server may
// send at any time, and otherwise an error that is ErrProtocol.
func (s *Session) unasked(ctx context.Context) error {
	if !s.conn.buffered() {
		return nil
	}
	s.awaited = 1
	r, err := s.conn.read(ctx, moment)
	switch {
	case err == nil && r.Code == 421:
		return &ClosingError{Reply: r}
	case err == nil:
		return fmt.Errorf("%w: a reply that nobody asked for: %s", ErrProtocol, r)
	case contextError(ctx) != nil, errors.Is(err, ErrProtocol):
		return err
	}
	return fmt.Errorf("%w: part of a reply that nobody asked for: %v", ErrProtocol, err)
}

// next reads the next reply, which answers command. A 421 ends the session whichever command it answers (RFC 5321
// section 4.2.2).
func (s *Session) next(ctx context.Context, command reply.Command, patience time.Duration) (reply.Reply, error) {
	r, err := s.conn.read(ctx, patience)
	switch {
	case err != nil:
		return r, err
	case r.Code == 421:
		return r, &ClosingError{Command: command, Reply: r}
	case !fits(command, r.Code):
		return r, fmt.Errorf("%w: %s answered with %s", ErrProtocol, command, r)
	}
	s.awaited--
	return r, nil
}

// fits reports whether a code can be the answer to a command: a refusal, or 25x for MAIL and RCPT. Other codes belong
// to other commands, so the server has lost step.
func fits(command reply.Command, code int) bool {
	switch code / 100 {
	case 4, 5:
		return true
	case 2:
		return command == RSET || code/10 == 25
	}
	return false
}

// Close says QUIT if the session is not over, waits for the answer for one second at most, and closes the connection.
// The end of ctx ends the wait.
func (s *Session) Close(ctx context.Context) error {
	if s.closed {
		return nil
	}
	if !s.over && s.quit(ctx) {
		if encrypted, ok := s.conn.Conn.(*tls.Conn); ok {
			_ = encrypted.CloseWrite() // the server may have closed the connection already
		}
	}
	raw := s.conn.raw
	s.end()
	if err := raw.Close(); err != nil {
		return fmt.Errorf("closing the session with %s: %w", s.host, err)
	}
	return nil
}

// quit says QUIT and reports whether the server answered.
func (s *Session) quit(ctx context.Context) bool {
	defer s.conn.watch(ctx)()
	begun := time.Now()
	if err := s.conn.write(ctx, moment, append(s.conn.scratch(), "QUIT\r\n"...)); err != nil {
		return false
	}
	_, err := s.conn.read(ctx, moment-time.Since(begun))
	return err == nil
}

// discard closes the connection without a word.
func (s *Session) discard() {
	_ = s.conn.raw.Close() // it is of no use any more
	s.end()
}

func (s *Session) end() {
	s.over, s.closed = true, true
	s.conn.release()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
