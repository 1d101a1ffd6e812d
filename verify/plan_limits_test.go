package verify

import (
	"testing"
	"time"
)

// tarpit is a host that takes twice as long over each refusal in a session, and stalls in its second session.
func tarpit(w *sim) {
	h := w.host("10.0.0.1")
	h.takes = func(s *simSession) time.Duration { return 4 * time.Second << s.refused }
	h.rcpt = func(s *simSession, recipient string) string {
		if len(w.opens) == 2 {
			return stalls
		}
		return ordinary(s, recipient)
	}
}

func TestASessionThatTimedOutAtATarpitCountsForAWhile(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 10\nsession = 500\nerrors = 9\n")
	})
	tarpit(w)
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(20, "bad", "a.lab")...)
	if len(w.opens) < 3 {
		t.Fatalf("%d sessions", len(w.opens))
	}
	if wait := w.opens[2].at.Sub(w.opens[1].at); wait < 2*time.Minute || wait > 130*time.Second {
		t.Errorf("%v after the session that timed out; want that its end there is waited for", wait)
	}
	if got := r.reasons()[MailboxUnknown]; got != 20 {
		t.Errorf("%v", r.reasons())
	}
}

func TestATarpitIsRememberedFromRunToRun(t *testing.T) {
	// The table asks for so few refusals that the tarpit changes no other limit.
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 10\nsession = 500\nerrors = 1\n")
	})
	tarpit(w)
	w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(1, "bad", "a.lab")...)
	begun := w.now
	w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(2, "badmore", "a.lab")...)
	if took := w.now.Sub(begun); took < 2*time.Minute {
		t.Errorf("%v; want that the session that timed out is known to be at a tarpit", took)
	}
	d := w.plan.destinations["a.lab"]
	if d == nil || !d.tarpit {
		t.Fatal("the tarpit is forgotten")
	}
	if d.forget(w.now.Add(learnedFor)); d.tarpit {
		t.Error("the tarpit is not tried again after a day")
	}
}
