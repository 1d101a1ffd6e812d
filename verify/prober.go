package verify

import (
	"context"
	"net/netip"
	"time"

	"presend/verify/smtpprobe"
)

// Prober opens SMTP sessions. [SMTP] makes one of a *smtpprobe.Prober; tests have their own. A Prober with a method
// Sender() string says which MAIL FROM address it uses; the impossible addresses of the catch-all question depend on
// it.
type Prober interface {
	// Open opens a session, as (*smtpprobe.Prober).Open does, with its errors. It is safe for concurrent use.
	Open(ctx context.Context, target smtpprobe.Target) (Session, error)
}

// Session is an SMTP session; *smtpprobe.Session is one, and says what the methods do.
type Session interface {
	Addr() netip.Addr
	RoundTrip() time.Duration
	Greeting() string
	Pipelining() bool
	SMTPUTF8() bool
	TLS() bool
	TLSFailed() bool
	Limits() smtpprobe.ServerLimits
	Probe(context.Context, [][]string, func(smtpprobe.Answer) bool) ([]smtpprobe.Transaction, error)
	Close(context.Context) error
}

// SMTP returns the Prober for Config that opens sessions over the network.
func SMTP(p *smtpprobe.Prober) Prober { return prober{p} }

type prober struct{ *smtpprobe.Prober }

// Open implements Prober.
func (p prober) Open(ctx context.Context, target smtpprobe.Target) (Session, error) {
	s, err := p.Prober.Open(ctx, target)
	if err != nil {
		return nil, err // an interface that holds a nil session would not be nil
	}
	return s, nil
}
