package verify

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// worker holds one SMTP session: it opens it, asks what it is told to, reports what was said, and leaves. It knows no
// lock, no Queue and no destination.
type worker struct {
	prober  Prober
	weigher weigher
	log     *slog.Logger
	order   openOrder
	mailbox <-chan any // a flyingOrder or a quitOrder, one at a time
	events  chan<- message
	begun   time.Time
	asked   int
	refused int
	session Session
}

// flyingOrder is a flight with the means to end it early.
type flyingOrder struct {
	flyOrder
	ctx context.Context // ends the flight at once
	end <-chan struct{} // closed: it ends after the next answer
}

// run holds the session from beginning to end. ctx ends an attempt to open it.
func (w *worker) run(ctx context.Context) {
	w.begun = time.Now()
	if source := w.order.target.Source; source.IsValid() {
		w.log = w.log.With("source", source)
	}
	session, err := w.prober.Open(ctx, w.order.target)
	if err != nil {
		w.log.Debug("no session", "host", w.order.target.Host, "addresses", w.order.target.Addrs, "error", err)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		w.events <- message{event: failed{w.order.session, w.weigher.openFailures(err, w.order.provider, w.order.target)}}
		return
	}
	w.session = session
	w.events <- message{event: opened{
		session: w.order.session, addr: session.Addr(), trip: session.RoundTrip(), greeting: session.Greeting(),
		pipelines: session.Pipelining(), smtputf8: session.SMTPUTF8(), tls: session.TLS(), tlsFailed: session.TLSFailed(),
		limits: session.Limits(),
	}}
	for o := range w.mailbox {
		switch o := o.(type) {
		case flyingOrder:
			w.events <- message{event: w.fly(o)}
		case quitOrder:
			w.leave(o.why)
			return
		}
	}
}

// fly asks a flight.
func (w *worker) fly(o flyingOrder) heard {
	transactions := make([][]string, len(o.transactions))
	for i, t := range o.transactions {
		transactions[i] = t.recipients
	}
	refused := o.refused
	last := time.Duration(0) // that a refusal took
	enough := func(a smtpprobe.Answer) bool {
		if a.Reply.Code/100 != 2 {
			refused++
			if doubled(last, a.Took) {
				return true // a tarpit: the next one takes longer still
			}
			last = a.Took
		}
		select {
		case <-o.end:
			return true
		default:
			return refused >= o.most
		}
	}
	begun := time.Now()
	answered, err := w.session.Probe(o.ctx, transactions, enough)
	result := heard{session: o.session, took: time.Since(begun)}
	target := w.order.target
	for i, t := range answered {
		at := o.transactions[i]
		x := saidTransaction{answers: make([]saidAnswer, len(t.Answers))}
		for k, a := range t.Answers {
			x.answers[k] = saidAnswer{w.weigher.weigh(a.Reply, reply.RCPT, at.provider, at.host, target.Source), a.Took}
			w.asked++
			if a.Reply.Code/100 != 2 {
				w.refused++
			}
		}
		if t.Refused != nil {
			s := w.weigher.weigh(t.Refused.Reply, t.Refused.Command, at.provider, at.host, target.Source)
			x.refused = &s
		}
		result.transactions = append(result.transactions, x)
	}
	if err != nil {
		result.broken = w.broken(o, len(answered), err)
	}
	return result
}

// broken says why a session ended in a flight.
func (w *worker) broken(o flyingOrder, answered int, err error) *broken {
	at := o.transactions[min(max(0, answered-1), len(o.transactions)-1)]
	b := &broken{kind: brokenClosed, evidence: networkEvidence(at.host, w.order.target.Source, err)}
	var closing *smtpprobe.ClosingError
	var timeout net.Error
	switch {
	case o.ctx.Err() != nil, errors.Is(err, smtpprobe.ErrAddressGone):
		b.kind = brokenByUs
	case errors.As(err, &closing):
		command := closing.Command
		if command == "" {
			command = reply.RCPT
		}
		s := w.weigher.weigh(closing.Reply, command, at.provider, at.host, w.order.target.Source)
		if command != reply.RCPT {
			s = s.beforeRCPT()
		}
		b.said, b.command, b.evidence = &s, closing.Command, s.evidence
	case errors.Is(err, smtpprobe.ErrProtocol):
		b.kind = brokenProtocol
	case errors.As(err, &timeout) && timeout.Timeout():
		b.kind = brokenTimeout
	}
	return b
}

// leave ends the session: QUIT is said and its answer awaited for a second at most.
func (w *worker) leave(why string) {
	if err := w.session.Close(context.Background()); err != nil {
		w.log.Debug("closing a session", "host", w.order.target.Host, "error", err)
	}
	w.log.Debug("session", "host", w.order.target.Host, "address", w.session.Addr(),
		"tls", w.session.TLS(), "recipients", w.asked, "refused", w.refused,
		"took", time.Since(w.begun).Round(time.Millisecond), "ended", why)
	w.events <- message{event: closed{w.order.session}}
}
