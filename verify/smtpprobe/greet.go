package smtpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"presend/verify/reply"
)

// Open connects to a host and greets it. Where TLS fails it connects to the same address again and stays in plain text.
//
// The error is a *ConnectError if no address could be connected to, and a *GreetError if the host was connected to and
// no session came of it. It matches the error of ctx only if ctx has ended.
func (p *Prober) Open(ctx context.Context, t Target) (*Session, error) {
	raw, addr, failures, err := p.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	s := p.session(t, addr, raw)
	err = s.greet(ctx, t.Plain)
	if errors.Is(err, errTLS) && contextError(ctx) == nil {
		s.discard()
		raw, err := p.dial(ctx, t.Source, addr, p.config.Timeout)
		if err != nil {
			err = fmt.Errorf("connecting again without TLS: %w", err)
			return nil, &GreetError{Host: t.Host, Addr: addr, Err: err, Failures: failures, TLSFailed: true}
		}
		s = p.session(t, addr, raw)
		s.tlsFailed = true
		return s.orClose(ctx, s.greet(ctx, true), failures)
	}
	return s.orClose(ctx, err, failures)
}

func (p *Prober) session(t Target, addr netip.Addr, raw net.Conn) *Session {
	s := &Session{prober: p, host: t.Host, addr: addr, source: t.Source, conn: newConn(raw)}
	if logger := p.config.Logger; logger != nil && logger.Enabled(context.Background(), LevelDialogue) {
		s.conn.dialogue = logger.With("host", t.Host, "address", addr)
	}
	return s
}

// orClose returns the session, or closes it and returns a *GreetError if it could not begin.
func (s *Session) orClose(ctx context.Context, err error, failures []AddrError) (*Session, error) {
	if err == nil {
		return s, nil
	}
	err = s.orGone(err)
	var refused *RefusedError
	s.over = !errors.As(err, &refused) || refused.Reply.Code == 421
	_ = s.Close(ctx) // with QUIT where the server still listens; the first error says more than this one
	return nil, &GreetError{Host: s.host, Addr: s.addr, Err: err, Failures: failures, TLSFailed: s.tlsFailed}
}

// greet takes the session from the banner to the answer to the last EHLO.
func (s *Session) greet(ctx context.Context, plain bool) error {
	defer s.conn.watch(ctx)()
	banner, err := s.conn.read(ctx, s.prober.config.Timeout)
	if err != nil {
		return fmt.Errorf("banner: %w", err)
	}
	if banner.Code/100 != 2 {
		return &RefusedError{Command: reply.Connect, Reply: banner}
	}
	s.greeting, _ = reply.GreetingName(banner)
	if err := s.hello(ctx); err != nil {
		return err
	}
	if plain || !s.offers.startTLS {
		return nil
	}
	answer, err := s.ask(ctx, "STARTTLS")
	switch {
	case errors.Is(err, ErrProtocol):
		return fmt.Errorf("STARTTLS: %w", err)
	case err != nil: // it hung up or says nothing more
		return fmt.Errorf("%w: STARTTLS: %w", errTLS, err)
	case answer.Code == 421:
		s.tlsFailed = true
		return &RefusedError{Command: reply.STARTTLS, Reply: answer}
	case answer.Code != 220:
		return nil // it was offered and is refused: the session goes on in plain text
	case s.conn.buffered():
		return fmt.Errorf("%w: text after the answer to STARTTLS", ErrProtocol)
	}
	if err := s.encrypt(ctx); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	err = s.hello(ctx)
	if errors.Is(err, ErrClosed) { // a server that cannot go on after the handshake
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return err
}

// encrypt makes the TLS handshake.
func (s *Session) encrypt(ctx context.Context) error {
	client := tls.Client(s.conn.Conn, s.prober.tlsConfig(s.addr, s.host))
	if err := s.conn.limit(ctx, s.prober.config.Timeout); err != nil {
		return err
	}
	if err := client.Handshake(); err != nil {
		return networkError(ctx, err)
	}
	s.conn.upgrade(client)
	s.tls = true
	return nil
}

// extensions are what a server offers in its answer to EHLO.
type extensions struct {
	startTLS, pipelining, smtputf8 bool
	limits                         ServerLimits
}

// offered returns what an answer to EHLO offers. Its first line is a greeting, and each line behind that begins with
// the keyword of an extension (RFC 5321 section 4.1.1.1).
func offered(answer reply.Reply) extensions {
	var offers extensions
	for i, line := range answer.Lines {
		keyword, _, _ := strings.Cut(line, " ")
		if i == 0 || !isASCII(keyword) { // ToUpper makes an S of a long s
			continue
		}
		switch strings.ToUpper(keyword) {
		case "STARTTLS":
			offers.startTLS = true
		case "PIPELINING":
			offers.pipelining = true
		case "SMTPUTF8":
			offers.smtputf8 = true
		case "LIMITS":
			offers.limits = serverLimits(line[len(keyword):])
		}
	}
	return offers
}

// hello says EHLO, and HELO where EHLO is refused as not known (RFC 5321 section 4.1.1.1).
func (s *Session) hello(ctx context.Context) error {
	s.offers = extensions{}
	begun := time.Now()
	answer, err := s.ask(ctx, "EHLO "+s.prober.config.HELO)
	s.trip = time.Since(begun)
	if err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	if answer.Code == 250 {
		s.offers = offered(answer)
		return nil
	}
	if answer.Code/100 == 5 {
		if answer, err = s.ask(ctx, "HELO "+s.prober.config.HELO); err != nil {
			return fmt.Errorf("HELO: %w", err)
		}
		if answer.Code == 250 {
			return nil
		}
	}
	return &RefusedError{Command: reply.EHLO, Reply: answer}
}

// ask sends one command and reads its reply.
func (s *Session) ask(ctx context.Context, command string) (reply.Reply, error) {
	if err := s.conn.write(ctx, s.prober.config.Timeout, append(s.conn.scratch(), command+"\r\n"...)); err != nil {
		return reply.Reply{}, err
	}
	return s.conn.read(ctx, s.prober.config.Timeout)
}
