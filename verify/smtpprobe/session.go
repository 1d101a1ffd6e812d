package smtpprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"presend/verify/reply"
)

// Session is one SMTP session. Not safe for concurrent use; Close it.
type Session struct {
	config     Config
	target     Target
	conn       *conn
	tls        bool
	extensions map[string]bool // by keyword, in upper case
	trip       time.Duration   // from the last EHLO to its answer
	over       bool            // the server said 421, hung up or lost step: nothing may be sent any more
}

// Answer is what a server said to one recipient. Command is RCPT.
type Answer struct {
	Recipient string
	Reply     reply.Reply
}

// Host returns the name of the mail host.
func (s *Session) Host() string { return s.target.Host }

// Addr returns the address of the mail host.
func (s *Session) Addr() netip.Addr { return s.target.Addr }

// TLS says whether the session is encrypted.
func (s *Session) TLS() bool { return s.tls }

// SMTPUTF8 says whether the server takes recipients with a non-ASCII local part (RFC 6531).
func (s *Session) SMTPUTF8() bool { return s.offers("SMTPUTF8") }

// Pipelining says whether commands may be sent without waiting (RFC 2920).
func (s *Session) Pipelining() bool { return s.offers("PIPELINING") }

// RoundTrip returns how long the answer to EHLO took: the way there and back, and what the server needs for a word.
func (s *Session) RoundTrip() time.Duration { return s.trip }

// Over says that the session has ended and a new one is needed.
func (s *Session) Over() bool { return s.over }

func (s *Session) offers(extension string) bool { return s.extensions[extension] }

// Probe runs one transaction: MAIL, a RCPT for each recipient, RSET. All recipients should be of one domain.
//
// The answers are in the order of the recipients, and may be fewer than these: a 421 or the end of the connection
// leaves the rest unanswered, and then the error says why and Over is true. A *RefusedError means that MAIL was
// refused, so that no recipient was answered.
func (s *Session) Probe(ctx context.Context, recipients []string) ([]Answer, error) {
	if s.over {
		return nil, fmt.Errorf("%s: %w", s.target.Host, ErrClosed)
	}
	mail := "MAIL FROM:<" + s.config.From + ">"
	for _, recipient := range recipients {
		if strings.ContainsAny(recipient, "\r\n") {
			return nil, fmt.Errorf("smtpprobe: recipient %q holds a line break", recipient)
		}
		if !isASCII(recipient) && s.SMTPUTF8() {
			mail = "MAIL FROM:<" + s.config.From + "> SMTPUTF8"
		}
	}
	answers, err := s.transaction(ctx, mail, recipients)
	var refused *RefusedError
	if err != nil && !errors.As(err, &refused) {
		s.over = true
	}
	if err != nil {
		err = fmt.Errorf("%s [%s]: %w", s.target.Host, s.target.Addr, err)
	}
	return answers, err
}

func (s *Session) transaction(ctx context.Context, mail string, recipients []string) ([]Answer, error) {
	flight := len(recipients) // how many RCPTs are sent before their replies are read
	if !s.Pipelining() {
		flight = 0
	}
	out := []byte(mail + "\r\n")
	for _, recipient := range recipients[:flight] {
		out = append(out, "RCPT TO:<"+recipient+">\r\n"...)
	}
	if flight > 0 {
		out = append(out, "RSET\r\n"...)
	}
	if err := s.conn.write(ctx, s.config.Timeout, out); err != nil {
		return nil, err
	}
	begun, err := s.next(ctx, s.config.Timeout)
	if err != nil {
		return nil, err
	}
	var refused error
	if begun.Code/100 != 2 {
		refused = &RefusedError{Command: reply.MAIL, Reply: begun}
		if flight == 0 {
			return nil, errors.Join(refused, s.reset(ctx))
		}
	}
	answers := make([]Answer, 0, len(recipients))
	for _, recipient := range recipients {
		if flight == 0 {
			if s.conn.buffered() { // a 421 that came behind the last reply: nothing may be sent any more
				_, err := s.next(ctx, s.config.Timeout)
				return answers, errors.Join(err, ErrClosed)
			}
			if err := s.conn.write(ctx, s.config.Timeout, []byte("RCPT TO:<"+recipient+">\r\n")); err != nil {
				return answers, err
			}
		}
		r, err := s.next(ctx, s.config.RCPT)
		if err != nil {
			return answers, errors.Join(refused, err)
		}
		if refused == nil {
			answers = append(answers, Answer{Recipient: recipient, Reply: r})
		}
	}
	if flight == 0 {
		return answers, s.reset(ctx)
	}
	_, err = s.next(ctx, s.config.Timeout) // the answer to RSET
	return answers, errors.Join(refused, err)
}

// reset ends a transaction that was not pipelined.
func (s *Session) reset(ctx context.Context) error {
	_, err := s.ask(ctx, "RSET")
	return err
}

// next reads the next reply; a 421, whichever command it answers, ends the session (RFC 5321 section 4.2.2).
func (s *Session) next(ctx context.Context, patience time.Duration) (reply.Reply, error) {
	r, err := s.conn.read(ctx, patience)
	if err != nil {
		s.over = true
		return r, err
	}
	if r.Code == 421 {
		s.over = true
		return r, &ClosingError{Reply: r}
	}
	return r, nil
}

// ClosingError is a 421 in the middle of a session. The command it stands in place of was not answered.
type ClosingError struct{ Reply reply.Reply }

func (e *ClosingError) Error() string { return "the server ends the session: " + e.Reply.String() }

// Is makes a ClosingError an ErrClosed.
func (e *ClosingError) Is(target error) bool { return target == ErrClosed }

// ask sends one command and reads its reply.
func (s *Session) ask(ctx context.Context, command string) (reply.Reply, error) {
	if err := s.conn.write(ctx, s.config.Timeout, []byte(command+"\r\n")); err != nil {
		s.over = true
		return reply.Reply{}, err
	}
	return s.conn.read(ctx, s.config.Timeout)
}

// Close says QUIT, if the session still stands, waits a moment for the answer and closes the connection.
func (s *Session) Close(ctx context.Context) error {
	if !s.over {
		s.over = true
		const moment = 3 * time.Second // the answer to QUIT changes nothing
		if err := s.conn.write(ctx, moment, []byte("QUIT\r\n")); err == nil {
			_, _ = s.conn.read(ctx, moment)
		}
	}
	if err := s.conn.Close(); err != nil {
		return fmt.Errorf("closing the session with %s: %w", s.target.Host, err)
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
