package verify

import (
	"strings"
	"testing"
	"time"
)

func TestABudgetADayHandsTheRestToTomorrow(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 2\nrecipients = 10\nsession = 500\nerrors = 9\nday = 25\n")
	})
	w.host("10.0.0.1")
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(60, "good", "a.lab")...)
	asked := 0
	for _, f := range w.flights {
		asked += len(f.recipients)
	}
	if got := r.reasons(); asked != 25 || got["accepted"] != 24 || got["not_probed"] != 36 {
		t.Errorf("%d recipients: %v; want 25, the question among them, 24 accepted and 36 not probed", asked, got)
	}
	tomorrow := simEpoch.Truncate(24 * time.Hour).Add(24 * time.Hour)
	for _, f := range r.results {
		if e := f.evidence; e.reason == NotProbed && (e.retryAt.Before(tomorrow) || e.retryAt.Sub(tomorrow) > time.Hour ||
			!strings.HasPrefix(e.detail, "not asked: today's budget") || e.reply != nil) {
			t.Fatalf("%+v; want a time early tomorrow and the reason", e)
		}
	}
	if again := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"),
		"goodmore@a.lab"); again.reasons()["not_probed"] != 1 {
		t.Errorf("later that day: %v", again.reasons())
	}
	w.now = tomorrow
	next := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(20, "goodmore", "a.lab")...)
	if got := next.reasons(); got["accepted"] != 20 {
		t.Errorf("the next day: %v", got)
	}
}

func TestAnHourlyLimitHandsTheRestToTheNextHourAndKeepsWhatWasAnswered(t *testing.T) {
	for _, words := range []string{
		"450 4.7.1 Error: hourly limit exceeded", "421 4.7.0 Too many recipients per hour, try again in an hour",
		"452 4.3.1 recipients per hour exceeded",
	} {
		w := newSim(t, nil)
		total := 0
		w.host("10.0.0.1").rcpt = func(s *simSession, recipient string) string {
			if total++; total > 13 {
				return words
			}
			return ordinary(s, recipient)
		}
		r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"),
			append(addresses(20, "good", "a.lab"), addresses(9, "goodlast", "a.lab")...)...)
		took := w.now.Sub(simEpoch)
		got := r.reasons()
		if got["accepted"]+got["catch_all_unknown"] < 10 || got["accepted"]+got["catch_all_unknown"]+
			got["rate_limited"] != 29 ||
			took > time.Minute {
			t.Errorf("%s: %v after %v", words, got, took)
		}
		for _, f := range r.results {
			if e := f.evidence; e.reason != Accepted && (e.retryAt.Before(simEpoch.Add(time.Hour)) ||
				e.retryAt.After(simEpoch.Add(90*time.Minute))) {
				t.Fatalf("%s: %s is asked again at %v", words, f.task.Address, e.retryAt)
			}
		}
	}
}
