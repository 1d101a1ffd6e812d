package verify

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/syntax"
)

// nowhere is a Resolver that is never asked.
type nowhere struct{}

func (nowhere) Lookup(context.Context, string) (mx.Answer, error) {
	return mx.Answer{}, &mx.TemporaryError{Kind: "network"}
}

// walk lets an address meet the same temporary answer until it has no retry any more, on a simulated clock, and
// returns when it was tried and what was said at last.
func walk(t *testing.T, e evidence) (tries []time.Duration, last Result) {
	t.Helper()
	v, err := New(Config{Resolver: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	address, err := syntax.Parse("ann@corp.lab")
	if err != nil {
		t.Fatal(err)
	}
	task, begun := Task{Address: address}, time.Now()
	for {
		tries = append(tries, time.Since(begun))
		last = v.result(task, e)
		if last.RetryAt.IsZero() {
			return tries, last
		}
		if task.Tries == 0 {
			task.Since = last.CheckedAt
		}
		task.Tries++
		time.Sleep(time.Until(last.RetryAt)) // the bubble's clock
	}
}

func TestTheRetryTimetable(t *testing.T) {
	for _, reason := range []Reason{reply.Greylisted, reply.RateLimited, reply.ServerUnavailable, reply.Unreachable, reply.Timeout, reply.DNSFailure, reply.MailboxFull} {
		t.Run(fmt.Sprintf("%s is tried five times within 72 hours", reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, last := walk(t, evidence{reason: reason, detail: "try later"})
				if len(tries) != 5 {
					t.Fatalf("tried at %v, want five times", tries)
				}
				if tries[1] < 15*time.Minute || tries[1] > 17*time.Minute {
					t.Errorf("the second try comes after %s, want 15 minutes and a little", tries[1])
				}
				for i := 2; i < len(tries); i++ {
					if tries[i]-tries[i-1] < 2*(tries[i-1]-tries[i-2]) {
						t.Errorf("tried at %v: the gaps do not grow", tries)
					}
				}
				if tries[4] > 72*time.Hour {
					t.Errorf("the last try comes after %s, want within 72 hours", tries[4])
				}
				if last.Reason != reply.GaveUp || last.Verdict != "invalid" || last.Detail == "" {
					t.Errorf("at last %s (%s): %s; want gave_up", last.Reason, last.Verdict, last.Detail)
				}
			})
		})
	}
	t.Run("the time that a reply names is kept to", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if tries, _ := walk(t, evidence{reason: reply.Greylisted, after: 5 * time.Minute}); tries[1] != 5*time.Minute+time.Second {
				t.Errorf("the second try comes after %s, want 5 minutes and a second", tries[1])
			}
		})
	})
	for _, reason := range []Reason{reply.SenderBlocked, reply.SenderAuth, reply.Policy, reply.ProtocolError, reply.MailboxUnknown, reply.Accepted} {
		t.Run(fmt.Sprintf("%s has no retry and never becomes gave_up", reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tries, last := walk(t, evidence{reason: reason}); len(tries) != 1 || last.Reason != reason {
					t.Errorf("tried at %v, at last %s", tries, last.Reason)
				}
			})
		})
	}
}
