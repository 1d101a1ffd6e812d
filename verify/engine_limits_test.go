package verify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"presend/verify"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// countingProber counts the sessions that are being opened, or ask.
type countingProber struct {
	verify.Prober
	mu        sync.Mutex
	now, most int
}

type countingSession struct {
	verify.Session
	prober *countingProber
}

func (p *countingProber) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now += n
	p.most = max(p.most, p.now)
}

func (p *countingProber) Open(ctx context.Context, target smtpprobe.Target) (verify.Session, error) {
	p.add(1)
	defer p.add(-1)
	s, err := p.Prober.Open(ctx, target)
	if err != nil {
		return nil, err
	}
	return countingSession{s, p}, nil
}

func (s countingSession) Probe(
	ctx context.Context, recipients [][]string, enough func(smtpprobe.Answer) bool,
) ([]smtpprobe.Transaction, error) {
	s.prober.add(1)
	defer s.prober.add(-1)
	return s.Session.Probe(ctx, recipients, enough)
}

func TestNoMoreSessionsAreOpenThanTheConfigurationAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var declaration strings.Builder
		var list []string
		for i := range 12 {
			domain := fmt.Sprintf("d%d.lab", i)
			fmt.Fprintf(&declaration, "host mx.%s latency=20ms\ndomain %s mx=mx.%s\n", domain, domain, domain)
			for k := range 30 {
				list = append(list, fmt.Sprintf("m%d@%s", k, domain))
			}
		}
		var p *countingProber
		_, v := memoryWorld(t, declaration.String(), func(c *verify.Config) {
			p = &countingProber{Prober: c.Prober}
			c.Prober, c.Sessions = p, 3
		})
		verifyAll(t, v, list)
		if p.most != 3 {
			t.Errorf("%d sessions at a time, want 3", p.most)
		}
	})
}

// traps takes every address for a spam trap whose local part begins with "spamtrap".
type traps struct{}

func (traps) Disposable(string) bool           { return false }
func (traps) Free(string) bool                 { return false }
func (traps) Role(string) bool                 { return false }
func (traps) SpecialUse(string) bool           { return false }
func (traps) TrapSuspect(local, _ string) bool { return strings.HasPrefix(local, "spamtrap") }

func TestAnAddressThatLooksLikeATrapIsNeverAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trap = "spamtrap42@corp.lab"
		l, v := memoryWorld(
			t,
			"host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox "+trap,
			func(c *verify.Config) {
				c.Reference = traps{}
			},
		)
		if r := verifyAll(t, v, []string{trap})[0]; r.Reason != "spam_trap_suspect" {
			t.Errorf("in a run: %s", r.Reason)
		}
		r, err := v.Check(t.Context(), trap)
		if err != nil || r.Reason != "spam_trap_suspect" {
			t.Errorf("in a check: %s, %v", r.Reason, err)
		}
		if got := l.Count().Rcpts; got != 0 {
			t.Errorf("%d recipients were asked, want none", got)
		}
	})
}

func TestAParkedDomainIsASuspectedTrapAndNeverAsked(t *testing.T) {
	const declaration = "host mail.h-email.net\nhost mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab\n" +
		"domain typo.lab mx=mail.h-email.net catchall\ndomain both.lab mx=mx.corp.lab,mail.h-email.net\n" +
		"mailbox ann@both.lab\n"
	cases := map[string]bool{"mail hosts are asked": true, "mail hosts are not asked": false}
	bubbles(t, cases, func(t *testing.T, probes bool) {
		l, v := memoryWorld(t, declaration, func(c *verify.Config) {
			if !probes {
				c.Prober = nil
			}
		})
		results := verifyAll(t, v, []string{"ann@typo.lab", "ann@both.lab", "ann@corp.lab"})
		checked, err := v.Check(t.Context(), "bob@typo.lab")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []verify.Result{results[0], checked} {
			if r.Verdict != "risky" || r.Reason != "spam_trap_suspect" || r.Action != verdict.DoNotSend ||
				!slices.Contains(r.Flags, verify.FlagParked) || !strings.Contains(r.Detail, "mail.h-email.net") {
				t.Errorf("%s: %s (%s), %s, %v", r.Normalized, r.Reason, r.Detail, r.Action, r.Flags)
			}
		}
		for _, r := range results[1:] {
			if probes != (r.Reason == "accepted") || slices.Contains(r.Flags, verify.FlagParked) {
				t.Errorf("%s: %s (%s), %v", r.Normalized, r.Reason, r.Detail, r.Flags)
			}
		}
		if n := l.Probes("ann@typo.lab") + l.Probes("bob@typo.lab"); n != 0 {
			t.Errorf("%d recipients were asked, want none", n)
		}
	})
}
