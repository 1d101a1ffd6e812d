package verify

import (
	"net/netip"
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

// slowed is a lane whose rate was learned: half a recipient a second.
func slowed(t *testing.T) (*sim, *destination) {
	t.Helper()
	w := newSim(t, nil)
	d := newDestination("a.lab", w.plan.rules.pace.For("a.lab"), 1)
	w.plan.destinations[d.name] = d
	s := &session{dest: d}
	for range 2 {
		if w.plan.now = w.now; w.plan.strained(s) {
			t.Fatal("nothing passes")
		}
		w.now = w.now.Add(20 * time.Second)
		d.lanes[0].strain.count(w.now, w.now, 10, true)
	}
	return w, d
}

func TestALearnedRateIsKeptByOneSessionAndGrowsWhenNothingWasSaidForAWhile(t *testing.T) {
	w, d := slowed(t)
	l := &d.lanes[0]
	if r := float64(l.limiter.Limit()); r < 0.44 || r > 0.46 || l.ceiling != 1 {
		t.Fatalf("%v a second in %d sessions, want 0.45 in one", r, l.ceiling)
	}
	most := d.table
	for range 4 * quietFlights {
		l.answered(w.now, most)
	}
	if r := float64(l.limiter.Limit()); r > 0.46 || l.ceiling != 1 {
		t.Errorf("%v a second in %d sessions at once", r, l.ceiling)
	}
	w.now = w.now.Add(raiseAfter)
	for range quietFlights {
		l.answered(w.now, most)
	}
	if r := float64(l.limiter.Limit()); r < 0.56 || r > 0.57 {
		t.Errorf("%v a second after five quiet minutes, want a quarter more", r)
	}
	if d.forget(w.now.Add(learnedFor)); l.limiter != nil || l.strain.learned {
		t.Error("the rate is not tried again after a day")
	}
}

func TestTheTablesRateIsNeverExceededByALearnedOne(t *testing.T) {
	w, d := slowed(t)
	d.table.Rate = 0.5
	l := &d.lanes[0]
	for range 20 * quietFlights {
		w.now = w.now.Add(raiseAfter)
		l.answered(w.now, d.table)
	}
	if r := float64(l.limiter.Limit()); r != 0.5 {
		t.Errorf("%v a second, the table says 0.5", r)
	}
}

func TestWhatWasAskedOnOtherDaysOrFromOtherAddressesTakesNothingFromTheBudget(t *testing.T) {
	today := simEpoch.Truncate(wholeDay)
	for name, test := range map[string]struct {
		spent Spent
		left  int
	}{
		"today":                {Spent{today, "a.lab", netip.Addr{}, 7}, 13},
		"more than there is":   {Spent{today, "a.lab", netip.Addr{}, 70}, 0},
		"yesterday":            {Spent{today.Add(-wholeDay), "a.lab", netip.Addr{}, 7}, 20},
		"from another address": {Spent{today, "a.lab", netip.MustParseAddr("192.0.2.1"), 7}, 20},
		"at another host":      {Spent{today, "b.lab", netip.Addr{}, 7}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSim(t, func(r *rules) {
				r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 10\nsession = 500\nerrors = 9\nday = 20\n")
			})
			w.plan.handle(w.now, begin{run: 1, spent: []Spent{test.spent}})
			d := w.plan.destinations["a.lab"]
			if d == nil {
				d = newDestination("a.lab", w.plan.rules.pace.For("a.lab"), 1)
			}
			if left := d.leftToday(0, w.now); left != test.left {
				t.Errorf("%d left, want %d", left, test.left)
			}
		})
	}
}
