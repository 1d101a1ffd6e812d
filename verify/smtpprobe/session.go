package smtpprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
	begun      bool            // a transaction, which RSET must end before the next
	over       bool            // the server said 421, hung up or lost step: nothing may be sent any more
}

// Answer is what a server said to one recipient. Command is RCPT.
type Answer struct {
	Recipient string
	Reply     reply.Reply
	Took      time.Duration // from the command to the answer; 0 where the command was one of a flight
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

// Transaction is what a server said to one transaction.
type Transaction struct {
	Answers []Answer      // in the order of the recipients; fewer than these where the session ended among them
	Refused *RefusedError // MAIL was refused, so that no recipient was answered; nil: it was not
}

// Probe runs transactions, each MAIL and a RCPT for each of its recipients, with RSET between one and the next. The
// recipients of a transaction should be of one domain. With PIPELINING all of them go in one flight; without, enough is
// asked after each answer, and nothing more is sent once it says true. A nil enough never does.
//
// It returns a Transaction for each that the server began to answer. An error says why the session ended, by a 421 or
// the end of the connection, and then Over is true; what it ended is the last Transaction returned, and those behind it
// have none.
func (s *Session) Probe(ctx context.Context, enough func(Answer) bool, transactions ...[]string) ([]Transaction, error) {
	if s.over {
		return nil, fmt.Errorf("%s: %w", s.target.Host, ErrClosed)
	}
	for _, recipient := range slices.Concat(transactions...) {
		if strings.ContainsAny(recipient, "\r\n") {
			return nil, fmt.Errorf("smtpprobe: recipient %q holds a line break", recipient)
		}
	}
	if s.Pipelining() {
		enough = nil
		if err := s.fly(ctx, transactions); err != nil {
			return nil, s.broken(err)
		}
	}
	var said []Transaction
	for _, recipients := range transactions {
		t, ended, err := s.transaction(ctx, enough, recipients)
		said = append(said, t)
		if err != nil {
			return said, s.broken(err)
		}
		if ended {
			break
		}
	}
	if err := s.unasked(ctx); err != nil {
		return said, s.broken(err)
	}
	return said, nil
}

// broken ends the session for an error, and says whose it was.
func (s *Session) broken(err error) error {
	s.over = true
	return fmt.Errorf("%s [%s]: %w", s.target.Host, s.target.Addr, err)
}

// mail is the command that begins a transaction.
func (s *Session) mail(recipients []string) string {
	mail := "MAIL FROM:<" + s.config.From + ">"
	if s.SMTPUTF8() && slices.ContainsFunc(recipients, func(r string) bool { return !isASCII(r) }) {
		mail += " SMTPUTF8"
	}
	return mail
}

// fly sends the commands of transactions in one flight.
func (s *Session) fly(ctx context.Context, transactions [][]string) error {
	var flight []byte
	for i, recipients := range transactions {
		if s.begun || i > 0 {
			flight = append(flight, "RSET\r\n"...)
		}
		flight = append(flight, s.mail(recipients)+"\r\n"...)
		for _, recipient := range recipients {
			flight = append(flight, "RCPT TO:<"+recipient+">\r\n"...)
		}
	}
	return s.conn.write(ctx, s.config.Timeout, flight)
}

// transaction reads the replies to a transaction, whose commands it sends one by one where they did not fly. Ended says
// that enough has been asked.
func (s *Session) transaction(ctx context.Context, enough func(Answer) bool, recipients []string) (t Transaction, ended bool, err error) {
	// RSET comes before a transaction and not behind one: there is nothing to clear where QUIT follows (RFC 5321
	// section 4.1.1.10), and it would cost a round trip where nothing flies.
	if s.begun {
		if _, err := s.step(ctx, "RSET", s.config.Timeout); err != nil {
			return t, false, err
		}
	}
	s.begun = true
	r, err := s.step(ctx, s.mail(recipients), s.config.Timeout)
	if err != nil {
		return t, false, err
	}
	if r.Code/100 != 2 {
		t.Refused = &RefusedError{Command: reply.MAIL, Reply: r}
		if !s.Pipelining() {
			return t, false, nil
		}
	}
	for _, recipient := range recipients {
		begun := time.Now()
		r, err := s.step(ctx, "RCPT TO:<"+recipient+">", s.config.RCPT)
		if err != nil {
			return t, false, err
		}
		if t.Refused != nil {
			continue
		}
		answer := Answer{Recipient: recipient, Reply: r}
		if !s.Pipelining() {
			answer.Took = time.Since(begun)
		}
		t.Answers = append(t.Answers, answer)
		if enough != nil && enough(answer) {
			return t, true, nil
		}
	}
	return t, false, nil
}

// step reads the next reply, to a command that it sends unless that has flown.
func (s *Session) step(ctx context.Context, command string, patience time.Duration) (reply.Reply, error) {
	if !s.Pipelining() {
		if err := s.unasked(ctx); err != nil {
			return reply.Reply{}, err
		}
		if err := s.conn.write(ctx, s.config.Timeout, []byte(command+"\r\n")); err != nil {
			return reply.Reply{}, err
		}
	}
	return s.next(ctx, patience)
}

// unasked returns an error if something came behind the last reply. Nobody asked for it, so it can only be a 421, after
// which nothing may be sent.
func (s *Session) unasked(ctx context.Context) error {
	if !s.conn.buffered() {
		return nil
	}
	_, err := s.next(ctx, s.config.Timeout)
	return errors.Join(err, ErrClosed)
}

// next reads the next reply; a 421, whichever command it answers, ends the session (RFC 5321 section 4.2.2).
func (s *Session) next(ctx context.Context, patience time.Duration) (reply.Reply, error) {
	r, err := s.conn.read(ctx, patience)
	if err == nil && r.Code == 421 {
		err = &ClosingError{Reply: r}
	}
	return r, err
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
