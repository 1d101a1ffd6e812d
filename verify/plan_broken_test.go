package verify

import (
	"slices"
	"testing"
	"time"
)

func TestAHostThatDropsSessionsAfterAFewRecipientsCostsNobodyItsAnswer(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	h.rcpt = func(s *simSession, recipient string) string {
		if s.asked >= 3 {
			return hangsUp
		}
		return ordinary(s, recipient)
	}
	r := w.begin(1)
	for _, domain := range []string{"a.lab", "b.lab", "c.lab", "d.lab", "e.lab"} {
		list := append(addresses(9, "good", domain), addresses(3, "bad", domain)...)
		w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), list...)
	}
	w.feed(fed{1})
	w.run()
	if got := r.reasons(); got["accepted"] != 45 || got["mailbox_unknown"] != 15 {
		t.Errorf("%v; want 45 accepted, 15 unknown", got)
	}
}

func TestARecipientThatEndsTheSessionIsAskedAgainAloneAndThenBelieved(t *testing.T) {
	for _, end := range []string{"421 4.3.0 Recipient not in route list", hangsUp} {
		w := newSim(t, nil)
		h := w.host("10.0.0.1")
		h.rcpt = func(s *simSession, recipient string) string {
			if recipient == "bad7@a.lab" {
				return end
			}
			return ordinary(s, recipient)
		}
		list := append(addresses(20, "good", "a.lab"), "bad7@a.lab")
		r := w.verifyAll(
			answerOf("a.lab", "10 mx.a.lab 10.0.0.1"),
			append(list, addresses(20, "goodmore", "a.lab")...)...)
		if got := r.reasons(); got["accepted"] != 40 {
			t.Errorf("%s: %v; want 40 accepted", end, got)
		}
		if got := r.of(t, "bad7@a.lab").reason; got != "server_unavailable" {
			t.Errorf("%s: %s, want server_unavailable", end, got)
		}
		alone := 0
		for _, f := range w.flights {
			if slices.Contains(f.recipients, "bad7@a.lab") && len(f.recipients) == 1 {
				alone++
			}
		}
		if got := w.askedFor("bad7@a.lab"); got < 2 || got > 3 || alone != got-1 {
			t.Errorf(
				"%s: asked %d times, %d of them alone; want two or three, all but the first alone",
				end,
				got,
				alone,
			)
		}
	}
}

func TestARecipientThatEndedASessionByChanceHasItsAnswer(t *testing.T) {
	w := newSim(t, nil)
	times := 0
	w.host("10.0.0.1").rcpt = func(s *simSession, recipient string) string {
		if recipient == "good3@a.lab" {
			if times++; times == 1 {
				return "421 4.3.2 Service not available, closing channel"
			}
		}
		return ordinary(s, recipient)
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(8, "good", "a.lab")...)
	if got := r.reasons(); got["accepted"] != 8 {
		t.Errorf("%v; want 8 accepted", got)
	}
}

func TestAHostThatDropsEverySessionIsGivenUpAndTheNextIsTried(t *testing.T) {
	for _, n := range []int{1, 2, 50} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(*simSession, string) string { return hangsUp }
		w.host("10.0.0.2")
		x := answerOf("a.lab", "10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.2")
		r := w.verifyAll(x, addresses(n, "good", "a.lab")...)
		if got := r.reasons(); got["accepted"] != n {
			t.Errorf("%d addresses: %v; want all accepted by the second host", n, got)
		}
		bad := 0
		for _, f := range w.flights {
			if f.addr.String() == "10.0.0.1" {
				bad++
			}
		}
		if bad != 3 {
			t.Errorf("%d addresses: %d sessions at the host that drops them, want 3", n, bad)
		}
	}
}

func TestAHostThatDropsEverySessionEndsInAResult(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").rcpt = func(*simSession, string) string { return hangsUp }
	r := w.verifyAll(answerOf("a.lab", "10 mx1.a.lab 10.0.0.1"), addresses(50, "good", "a.lab")...)
	if got := r.reasons(); got["server_unavailable"] != 50 || len(w.opens) > endedMost+1 {
		t.Errorf("%v after %d sessions; want 50 server_unavailable after some twenty", got, len(w.opens))
	}
}

func TestALargeFlightThatTimesOutIsTriedAgainSmall(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	h.rcpt = func(_ *simSession, recipient string) string {
		if len(w.flights[len(w.flights)-1].recipients) > smallFlight {
			return stalls
		}
		return ordinary(nil, recipient)
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(60, "good", "a.lab")...)
	if got := r.reasons(); got["accepted"] != 60 {
		t.Errorf("%v; want 60 accepted", got)
	}
}

func TestNoAnswerOfAFlightIsUsedWhoseRepliesDoNotFit(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").garbled = true
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), append(addresses(20, "good", "a.lab"), "bad@a.lab")...)
	if got := r.reasons(); got["protocol_error"] != 21 {
		t.Errorf("%v; want 21 times protocol_error", got)
	}
	if len(w.opens) > 5 {
		t.Errorf("%d sessions at a host that speaks no SMTP", len(w.opens))
	}
}

func TestLimitsOnRecipientsAreLearnedAndExpireAfterADay(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	limit := 5
	h.rcpt = func(s *simSession, recipient string) string {
		if s.position >= limit {
			return "452 4.5.3 Error: too many recipients"
		}
		return ordinary(s, recipient)
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(40, "good", "a.lab")...)
	if got := r.reasons(); got["accepted"] != 40 {
		t.Errorf("%v; want 40 accepted", got)
	}
	d := w.plan.destinations["a.lab"]
	if d == nil || d.limits.Recipients != limit {
		t.Fatalf("the limit was not learned: %+v", d)
	}
	w.now, limit = w.now.Add(25*time.Hour), 1000
	r = w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(40, "good", "a.lab")...)
	if got := w.plan.destinations["a.lab"]; got != nil && got.limits.Recipients != 50 || r.reasons()["accepted"] != 40 {
		t.Errorf("a day later the limit is still believed: %v", r.reasons())
	}
}
