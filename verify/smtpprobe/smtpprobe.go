// Package smtpprobe asks SMTP servers whether they would take mail for a recipient, and never sends a message.
//
// A [Prober] opens sessions; a [Session] serves many recipients of a mail host, a transaction for each domain:
//
//	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "verify.example.com", From: "check@example.com"})
//	session, err := prober.Open(ctx, smtpprobe.Target{Host: "mx1.corp.example", Addr: address})
//	said, err := session.Probe(ctx, []string{"alice@corp.example", "bob@corp.example"}, []string{"carol@shop.example"})
//	session.Close(ctx)
//
// A session says EHLO (HELO where that is refused), uses STARTTLS where it is offered without checking the
// certificate (RFC 7435: some privacy beats none). Where the server offers PIPELINING, MAIL and RCPT of all transactions
// go in one flight, with RSET between them (RFC 2920 section 3.1). It never sends DATA. Reading is bounded: by
// deadlines, by 8 KiB a line and by 100 lines a reply.
//
// What a reply means is not decided here but by package reply; how fast to go is in [Pace].
package smtpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"presend/verify/reply"
)

// Errors of a session. Each is returned wrapped, with the host and the step at which it happened.
var (
	// ErrProtocol: what came from the server is not SMTP, or beyond the limits on lines and replies.
	ErrProtocol = errors.New("not SMTP")
	// ErrClosed: the server closed the connection, with or without a 421.
	ErrClosed = errors.New("connection closed by the server")
	// ErrTLS: STARTTLS was accepted and the handshake failed. Open again with Plain.
	ErrTLS = errors.New("TLS handshake failed")
)

// RefusedError is a reply of 4xx or 5xx to a command before RCPT: to the connection, to EHLO and HELO, or to MAIL.
type RefusedError struct {
	Command reply.Command
	Reply   reply.Reply
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s answered with %s", e.Command, e.Reply)
}

// Config says who we are and how patient. The zero value of a field means its default.
type Config struct {
	HELO    string        // name said in EHLO; default the host's name. It should be what the client IP's PTR says
	From    string        // MAIL FROM; empty is the null reverse-path <>
	Port    int           // default 25
	Timeout time.Duration // for the connection and every reply but RCPT's; default 30 s
	RCPT    time.Duration // for a reply to RCPT, since many servers look up before they answer; default 45 s or Timeout if longer

	// Dial makes a TCP connection from a source address (invalid: the system's choice). Default a net.Dialer.
	Dial func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)
}

// Prober opens sessions. Safe for concurrent use; it holds nothing that must be closed.
type Prober struct{ config Config }

// Sender returns the MAIL FROM address; empty for the null reverse-path.
func (p *Prober) Sender() string { return p.config.From }

// New returns a Prober. It fails where HELO or From could not stand in a command.
func New(config Config) (*Prober, error) {
	if config.HELO == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("smtpprobe: no HELO name: %w", err)
		}
		config.HELO = name
	}
	for what, value := range map[string]string{"HELO name": config.HELO, "MAIL FROM address": config.From} {
		if strings.ContainsAny(value, " \r\n\t<>\x00") {
			return nil, fmt.Errorf("smtpprobe: %s %q must not contain spaces, brackets or control characters", what, value)
		}
	}
	if config.Port == 0 {
		config.Port = 25
	}
	if config.Timeout == 0 {
		config.Timeout = 30 * time.Second
	}
	if config.RCPT == 0 {
		config.RCPT = max(45*time.Second, config.Timeout)
	}
	if config.Dial == nil {
		config.Dial = func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
			var d net.Dialer
			if source.IsValid() {
				d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
			}
			return d.DialContext(ctx, "tcp", address)
		}
	}
	return &Prober{config: config}, nil
}

// Target says where a session goes.
type Target struct {
	Host   string     // name of the MX host, for TLS and messages
	Addr   netip.Addr // its address
	Source netip.Addr // our address; invalid: the system's choice
	Plain  bool       // leave STARTTLS alone, since it failed before
}

// Open connects and greets. The error is a *RefusedError where the server refused us, one of the errors above, or
// the network's; a context or deadline that ended shows as such with errors.Is.
func (p *Prober) Open(ctx context.Context, t Target) (*Session, error) {
	dialing, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	address := netip.AddrPortFrom(t.Addr, uint16(p.config.Port)).String()
	raw, err := p.config.Dial(dialing, t.Source, address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s [%s]: %w", t.Host, t.Addr, err)
	}
	s := &Session{config: p.config, target: t, conn: newConn(raw)}
	if err := s.greet(ctx, t.Plain); err != nil {
		var refused *RefusedError
		s.over = !errors.As(err, &refused) || refused.Reply.Code == 421
		_ = s.Close(ctx) // with QUIT where the server still listens; why there is no session says more
		return nil, fmt.Errorf("%s [%s]: %w", t.Host, t.Addr, err)
	}
	return s, nil
}

// greet takes the session from the banner to the answer to the last EHLO.
func (s *Session) greet(ctx context.Context, plain bool) error {
	banner, err := s.conn.read(ctx, s.config.Timeout)
	if err != nil {
		return fmt.Errorf("banner: %w", err)
	}
	if banner.Code/100 != 2 {
		return &RefusedError{Command: reply.Connect, Reply: banner}
	}
	if err := s.hello(ctx); err != nil {
		return err
	}
	if plain || !s.offers("STARTTLS") {
		return nil
	}
	answer, err := s.ask(ctx, "STARTTLS")
	if err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	if answer.Code != 220 {
		return nil // offered and refused: plain text will do
	}
	if s.conn.buffered() {
		return fmt.Errorf("%w: text after the answer to STARTTLS", ErrProtocol)
	}
	// No certificate check: opportunistic TLS (RFC 7435); a probe carries nothing worth a refusal.
	client := tls.Client(s.conn.Conn, &tls.Config{ServerName: s.target.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10})
	shaking, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	if err := client.HandshakeContext(shaking); err != nil {
		return fmt.Errorf("%w: %w", ErrTLS, err)
	}
	s.conn = newConn(client)
	s.tls = true
	return s.hello(ctx)
}

// hello says EHLO, and HELO where EHLO is refused as not known (RFC 5321 section 4.1.1.1).
func (s *Session) hello(ctx context.Context) error {
	s.extensions = nil
	begun := time.Now()
	answer, err := s.ask(ctx, "EHLO "+s.config.HELO)
	s.trip = time.Since(begun)
	if err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	if answer.Code == 250 {
		s.extensions = map[string]bool{}
		for _, line := range answer.Lines[1:] {
			keyword, _, _ := strings.Cut(line, " ")
			s.extensions[strings.ToUpper(keyword)] = true
		}
		return nil
	}
	if answer.Code != 421 && answer.Code/100 == 5 {
		if answer, err = s.ask(ctx, "HELO "+s.config.HELO); err != nil {
			return fmt.Errorf("HELO: %w", err)
		}
		if answer.Code == 250 {
			return nil
		}
	}
	return &RefusedError{Command: reply.EHLO, Reply: answer}
}
