package verify

import (
	"fmt"
	"strings"
	"testing"
)

// unreadableHost refuses unknown recipients in words that no rule reads.
func unreadableHost(_ *simSession, recipient string) string {
	if strings.HasPrefix(recipient, "good") {
		return "250 2.1.5 Ok"
	}
	return "550 the moon is closed"
}

func TestTheControlExperimentKeepsToTheBudgetOfTheDay(t *testing.T) {
	for day := 1; day <= 24; day++ {
		w := newSim(t, func(r *rules) {
			const row = "[default]\nsessions = 2\nrecipients = 10\nsession = 500\nerrors = 9\nday = %d\n"
			r.pace = paced(t, fmt.Sprintf(row, day))
		})
		w.host("10.0.0.1").rcpt = unreadableHost
		r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"),
			append(addresses(4, "good", "a.lab"), addresses(6, "bad", "a.lab")...)...)
		asked := 0
		for _, f := range w.flights {
			asked += len(f.recipients)
		}
		if asked > day {
			t.Errorf("a budget of %d: %d recipients were asked: %v", day, asked, w.flights)
		}
		for _, f := range r.results {
			bad := strings.HasPrefix(f.task.Address.Local, "bad")
			switch e := f.evidence; e.reason {
			case NotProbed, CatchAllUnknown:
				if e.retryAt.IsZero() {
					t.Errorf("a budget of %d: %s is %s without a time to retry", day, f.task.Address, e.reason)
				}
			case MailboxUnknown, Refused:
				if !bad {
					t.Errorf("a budget of %d: %s is %s", day, f.task.Address, e.reason)
				}
			case Accepted:
				if bad {
					t.Errorf("a budget of %d: %s is %s", day, f.task.Address, e.reason)
				}
			default:
				t.Errorf("a budget of %d: %s is %s", day, f.task.Address, e.reason)
			}
		}
		if got := r.reasons()[MailboxUnknown]; day >= 20 && got != 6 {
			t.Errorf("a budget of %d is enough: %v", day, r.reasons())
		}
	}
}

func TestTheControlExperimentKeepsToTheRate(t *testing.T) {
	for _, rate := range []float64{0.05, 0.5, 5} {
		w := newSim(t, func(r *rules) {
			const row = "[default]\nsessions = 2\nrecipients = 5\nsession = 500\nerrors = 9\nrate = %v\n"
			r.pace = paced(t, fmt.Sprintf(row, rate))
		})
		w.host("10.0.0.1").rcpt = unreadableHost
		r := w.begin(1)
		for i := range 6 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"),
				append(addresses(3, "good", domain), addresses(2, "bad", domain)...)...)
		}
		w.feed(fed{1})
		w.run()
		w.wantRate(5+0.01, rate)
		if got := r.reasons(); got[MailboxUnknown] != 12 || got[Accepted] != 18 {
			t.Errorf("%v a second: %v", rate, got)
		}
		if len(w.opens) > 60 { // at the smallest rate each recipient has its own
			t.Errorf("%v a second: %d sessions", rate, len(w.opens))
		}
	}
}
