// Package smtpprobe asks SMTP servers whether they accept mail for a recipient. It never sends a message.
//
// A [Prober] opens sessions. A [Session] serves many recipients of a mail host, with one transaction for each domain:
//
//	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "verify.example.com", From: "check@example.com"})
//	session, err := prober.Open(ctx, smtpprobe.Target{Host: "mx1.corp.example", Addrs: addresses})
//	said, err := session.Probe(ctx, [][]string{{"alice@corp.example", "bob@corp.example"}, {"carol@shop.example"}}, nil)
//	session.Close(ctx)
//
// Open tries the addresses of a host in their order, and with [Target].AtOnce above one it tries the next address
// while the one before has not answered yet (RFC 8305). A session says EHLO, or HELO where EHLO is refused. It uses
// STARTTLS where that is offered and does not check the certificate (RFC 7435: some privacy is better than none); where
// TLS fails, Open connects again and stays in plain text. Where the server offers PIPELINING, the commands of all
// transactions go in one flight, with RSET between them (RFC 2920 section 3.1). A session never sends DATA.
//
// Reading is bounded: every reply has a deadline, and its size has the limits that package reply sets.
//
// The end of the caller's context is reported as the context's error. Every other time limit is the Prober's own: its
// errors match [os.ErrDeadlineExceeded] or have Timeout() true, and never match [context.DeadlineExceeded].
//
// Package reply tells what a reply means. [Pace] tells how fast to ask.
package smtpprobe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// LevelDialogue is the level at which a session logs the lines that go over the wire.
const LevelDialogue = slog.LevelDebug - 4

// Config describes the client and its time limits. The zero value of a field means its default.
type Config struct {
	HELO    string        // name said in EHLO; default the host's name. It should be what the client IP's PTR says
	From    string        // MAIL FROM; empty is the null reverse-path <>
	Port    int           // default 25
	Timeout time.Duration // for a connection (5 s at most while more addresses wait) and a reply but to RCPT; default 30 s
	RCPT    time.Duration // for a reply to RCPT, because many servers look up first; default 45 s or Timeout if longer

	// Dial makes a TCP connection from a source address (invalid: the system's choice). It must return when ctx ends.
	// Default a net.Dialer.
	Dial func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)

	// Logger receives the dialogue, one record a line, at LevelDialogue, with the attributes host, address, from
	// ("client" or "server") and line. A session asks once, when it begins, whether the level is enabled. Nil: nothing
	// is logged.
	Logger *slog.Logger
}

// Prober opens sessions. It is safe for concurrent use and holds nothing that must be closed.
type Prober struct {
	config  Config
	tickets *tickets
}

// Sender returns the MAIL FROM address; empty for the null reverse-path.
func (p *Prober) Sender() string { return p.config.From }

// New returns a Prober. It fails if HELO or From cannot be part of a command, or if HELO is empty and the host has no
// name.
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
	return &Prober{config: config, tickets: newTickets(ticketsMost)}, nil
}
