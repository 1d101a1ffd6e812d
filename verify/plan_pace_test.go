package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"presend/verify/smtpprobe"
)

const slowTable = "[default]\nsessions = 2\nrecipients = 20\nsession = 500\nerrors = 9\nrate = 5.0\n"

func TestRecipientsNeverExceedTheRateOfTheTable(t *testing.T) {
	for _, stepwise := range []bool{false, true} {
		w := newSim(t, func(r *rules) { r.pace = paced(t, slowTable) })
		w.host("10.0.0.1").stepwise = stepwise
		r := w.begin(1)
		for i := range 40 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(
				r,
				answerOf(domain, "10 mx.big.lab 10.0.0.1"),
				append(addresses(9, "good", domain), "bad@"+domain)...)
		}
		w.feed(fed{1})
		w.run()
		w.wantRate(20+1, 5)
		if took := w.now.Sub(w.start).Seconds(); took > 1.5*440/5 {
			t.Errorf("stepwise %v: 440 recipients took %.0f s at 5 a second", stepwise, took)
		}
		if len(w.opens) > 20 {
			t.Errorf("stepwise %v: %d sessions; want that one which waits for its rate is kept", stepwise, len(w.opens))
		}
	}
}

func TestASessionThatWaitsForItsRateIsParkedForFiveSecondsAtMost(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 10\nsession = 500\nerrors = 9\nrate = 0.1\n")
	})
	w.host("10.0.0.1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(30, "good", "a.lab")...)
	w.feed(fed{1})
	for len(w.flights) < 1 {
		w.step()
	}
	w.runFor(6 * time.Second)
	if len(w.open) != 0 {
		t.Errorf("a session that waits ten seconds for a recipient is still open")
	}
	if wake := w.plan.wake(); wake.IsZero() || wake.Sub(w.now) > 11*time.Second {
		t.Errorf("the next look is at %v, now %v", wake, w.now)
	}
	w.run()
}

func TestStrainPausesTheDestinationAndItComesBackSlowly(t *testing.T) {
	for _, words := range []string{
		"450 4.7.1 Too much mail from your address, slow down", "421 4.7.0 Too many connections from your address",
	} {
		w := newSim(t, nil)
		h := w.host("10.0.0.1")
		strained := 0
		h.rcpt = func(s *simSession, recipient string) string {
			if strained < 3 && len(w.flights) > 4 {
				strained++
				return words
			}
			return ordinary(s, recipient)
		}
		r := w.begin(1)
		for i := range 300 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(10, "bad", domain)...)
		}
		w.feed(fed{1})
		d := w.plan.destinations["big.lab"]
		l := &d.lanes[0]
		seen := false
		for w.busy() && w.step() {
			if !l.paused.After(w.now) {
				continue
			}
			if !seen && l.ceiling != 2 {
				t.Errorf("%s: ceiling %d, want it halved", words, l.ceiling)
			}
			seen = true
			if slices.ContainsFunc(w.plan.parked, func(s *session) bool { return s.dest == d }) {
				t.Errorf("%s: a session is parked during the pause", words)
			}
			for _, o := range w.opens {
				if o.at.Equal(w.now) && !o.at.Equal(w.start) {
					t.Errorf("%s: a session was opened during the pause", words)
				}
			}
			for _, f := range w.flights {
				if f.at.Equal(w.now) {
					t.Errorf("%s: a flight began during the pause", words)
				}
			}
		}
		if !seen {
			t.Errorf("%s: no pause", words)
		}
		if got := r.reasons()["mailbox_unknown"]; got < 2990 {
			t.Errorf("%s: %v", words, r.reasons())
		}
	}
}

func TestPausesDoubleUpToAMinute(t *testing.T) {
	l := lane{ceiling: 8}
	now := simEpoch
	for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		wait, begins := l.pause(now)
		if !begins || wait != time.Duration(want)*time.Second {
			t.Errorf("pause %d: %v, want %d s", i, wait, want)
		}
		if _, again := l.pause(now); again {
			t.Error("what was under way pauses it twice")
		}
		now = now.Add(wait)
	}
	if l.ceiling != 1 {
		t.Errorf("ceiling %d, want 1", l.ceiling)
	}
	for i := range 4 * quietFlights {
		l.answered(simEpoch, smtpprobe.Limits{Sessions: 3})
		if want := min(3, 1+(i+1)/quietFlights); l.ceiling != want {
			t.Errorf("ceiling %d after %d quiet flights, want %d", l.ceiling, i+1, want)
		}
	}
}

func TestNothingElseBringsAPause(t *testing.T) {
	for _, words := range []string{
		"250 2.1.5 Ok", "550 5.1.1 User unknown", "452 4.2.2 Mailbox full", "451 4.3.0 Local error in processing",
		"550 5.7.1 Message rejected due to local policy", hangsUp,
	} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(*simSession, string) string { return words }
		r := w.begin(1)
		w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(5, "good", "a.lab")...)
		w.feed(fed{1})
		for w.busy() && w.step() {
			if d := w.plan.destinations["a.lab"]; d != nil && d.lanes[0].pauses > 0 {
				t.Errorf("%s brought a pause", words)
				break
			}
		}
		w.run()
	}
}

func TestACircuitOpensAfterThreeRefusalsInARowAndTheRestIsNotAsked(t *testing.T) {
	for _, words := range []string{
		"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
		"550 5.7.1 Message rejected due to local policy",
	} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(*simSession, string) string { return words }
		r := w.begin(1)
		for i := range 50 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(20, "good", domain)...)
		}
		w.feed(fed{1})
		w.run()
		asked := 0
		for _, f := range w.flights {
			asked += len(f.recipients)
		}
		if asked > 200 || len(w.opens) > 6 {
			t.Errorf(
				"%s: %d recipients in %d sessions; want the circuit open after three flights",
				words,
				asked,
				len(w.opens),
			)
		}
		not := 0
		for _, f := range r.results {
			if !strings.HasPrefix(f.evidence.detail, "not asked:") {
				continue
			}
			not++
			if f.evidence.reply != nil || f.evidence.host != "" {
				t.Fatalf("%s: an address that was not asked carries a reply: %+v", words, f.evidence)
			}
		}
		if not < 500 {
			t.Errorf("%s: %d addresses were not asked, want most of 1,000", words, not)
		}
		if n := len(r.reasons()); n != 1 {
			t.Errorf("%s: %v, want one reason for all", words, r.reasons())
		}
	}
}

func TestAnAnswerBetweenRefusalsBeginsTheRowAnew(t *testing.T) {
	e := evidence{reason: "sender_blocked"}
	tests := []struct {
		name    string
		flights string // r: refused, a: answered
		open    bool
	}{
		{"two are chance", "rr", false},
		{"three are not", "rrr", true},
		{"an answer between them begins the row anew", "rrarr", false},
	}
	for _, tt := range tests {
		l := lane{ceiling: 1}
		for _, f := range tt.flights {
			if f == 'a' {
				l.answered(simEpoch, smtpprobe.Limits{Sessions: 4})
			} else {
				l.refused(simEpoch, "a.lab", e)
			}
		}
		if got := l.circuit != nil; got != tt.open {
			t.Errorf("%s: open %v", tt.name, got)
		}
	}
}

func TestAnHourLaterOneSessionTriesTheCircuitAgain(t *testing.T) {
	w := newSim(t, nil)
	blocked := true
	w.host("10.0.0.1").rcpt = func(s *simSession, recipient string) string {
		if blocked {
			return "554 5.7.1 Client host blocked using zen.spamhaus.org"
		}
		return ordinary(s, recipient)
	}
	id := runID(0)
	try := func(n int) *simRun {
		id++
		r := w.begin(id)
		for i := range n {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(30, "good", domain)...)
		}
		w.feed(fed{id})
		w.run()
		return r
	}
	try(5)
	n := len(w.opens)
	if try(5); len(w.opens) != n {
		t.Errorf("%d sessions while the circuit is open", len(w.opens)-n)
	}
	w.now = w.now.Add(circuitFor + time.Minute)
	if try(5); len(w.opens) != n+1 {
		t.Errorf("%d sessions after an hour, want one", len(w.opens)-n)
	}
	w.now = w.now.Add(circuitFor / 2)
	if try(5); len(w.opens) != n+1 {
		t.Error("a refusal did not keep the circuit open for another hour")
	}
	w.now, blocked = w.now.Add(circuitFor), false
	if r := try(5); r.reasons()["accepted"] != 150 {
		t.Errorf("%v after the server changed its mind, want 150 accepted", r.reasons())
	}
}

func TestAHostThatSaysTooManyAtItsBannerIsTriedAgainAfterPauses(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	h.banner = "421 4.7.0 Too many connections from your address"
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(5, "good", "a.lab")...)
	w.feed(fed{1})
	for len(w.opens) < 3 && w.now.Sub(w.start) < time.Hour {
		w.step()
	}
	for i, want := range []time.Duration{time.Second, 2 * time.Second} {
		if wait := w.opens[i+1].at.Sub(w.opens[i].at); wait < want || wait > want+time.Second {
			t.Errorf("attempt %d came %v after the one before, want a pause of %v", i+2, wait, want)
		}
	}
	h.banner = ""
	w.run()
	if got := r.reasons(); got["accepted"] != 5 {
		t.Errorf("%v; want 5 accepted when the host has room again", got)
	}
}
