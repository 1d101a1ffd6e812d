package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify"
)

// bucket lets so many recipients pass at once, and so many a minute after that.
func bucket(burst, minute float64) func(now time.Time) bool {
	tokens, at := burst, time.Time{}
	return func(now time.Time) bool {
		if !at.IsZero() {
			tokens = min(burst, tokens+now.Sub(at).Minutes()*minute)
		}
		at = now
		if tokens < 1 {
			return false
		}
		tokens--
		return true
	}
}

// window lets so many recipients pass in each stretch of time, the first of which begins with the first recipient.
func window(most int, every time.Duration) func(now time.Time) bool {
	n, at := 0, time.Time{}
	return func(now time.Time) bool {
		if at.IsZero() || now.Sub(at) >= every {
			n, at = 0, now
		}
		n++
		return n <= most
	}
}

// allBut lets all recipients pass but one.
func allBut(one int) func(time.Time) bool {
	n := 0
	return func(time.Time) bool {
		n++
		return n != one
	}
}

// rated is a host that lets only so many recipients pass.
type rated struct {
	passes      func(now time.Time) bool
	words       string
	count       int
	least, most time.Duration
	slows       int // recipients that are told to slow down, at most
	lost        int // addresses that are left for later, at most
}

func TestARateIsLearnedAndKeptJustUnder(t *testing.T) {
	const slow = "450 4.7.1 Error: too much mail from your address, slow down"
	bubbles(t, map[string]rated{
		"30 a minute, a bucket":              {bucket(30, 30), slow, 38, 15 * time.Second, 22 * time.Second, 14, 0},
		"30 a minute, a bucket, longer":      {bucket(30, 30), slow, 120, 3 * time.Minute, 4 * time.Minute, 14, 0},
		"30 a minute, counted by the minute": {window(30, time.Minute), slow, 38, time.Minute, 80 * time.Second, 16, 0},
		"60 a minute, counted by the minute": {window(60, time.Minute), slow, 200, 3 * time.Minute, 5 * time.Minute, 60, 0},
		"10 a second":                        {window(10, time.Second), slow, 400, 40 * time.Second, 90 * time.Second, 60, 0},
		"421 in place of an answer": {
			bucket(30, 30), "421 4.7.0 Too fast, slow down", 38, 15 * time.Second,
			40 * time.Second, 14, 0,
		},
		"one bad moment": {allBut(40), slow, 400, 0, 5 * time.Second, 1, 0},
	}, func(t *testing.T, w rated) {
		slows := 0
		good, bad := numbered("good", "corp.lab", w.count*3/4), numbered("bad", "corp.lab", w.count/4)
		l, v := scripted(t, "", good, rateScript(w, &slows), nil)
		reasons := all("accepted", good)
		for _, a := range bad {
			reasons[a] = "mailbox_unknown"
		}
		begun := time.Now()
		results := verifyAll(t, v, append(bad, good...))
		took := time.Since(begun)
		lost := 0
		for _, r := range results {
			if string(r.Reason) != reasons[r.Normalized] {
				if lost++; lost > w.lost {
					t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				}
			}
		}
		c := l.Count()
		t.Logf("%d of %d rows right, %v, %d sessions, %d recipients, %d told to slow down",
			len(results)-lost, len(results), took, c.Connections, c.Rcpts, slows)
		within(t, "the run", took, w.least, w.most)
		if slows > w.slows {
			t.Errorf("%d recipients were told to slow down, want %d at most", slows, w.slows)
		}
	})
}

func TestTheControlExperimentIsMadeAtALearnedRateToo(t *testing.T) {
	for rate, most := range map[float64]int{6: 12, 30: 0, 300: 0} { // what cannot be told stays refused
		bubbles(t, map[string]string{fmt.Sprint(rate, " a minute"): "450 4.7.1 slow down"}, func(t *testing.T, words string) {
			slows, passes := 0, bucket(rate, rate)
			good, bad := numbered("good", "corp.lab", 20), numbered("bad", "corp.lab", 20)
			_, v := scripted(t, "", good, func(v lab.Visit) (string, time.Duration) {
				switch {
				case v.Command != "RCPT":
					return "", 0
				case !passes(v.Now):
					slows++
					return words, 0
				case !v.Known:
					return "550 the moon is closed", 0
				}
				return "", 0
			}, nil)
			begun := time.Now()
			wrong := 0
			for _, r := range verifyAll(t, v, append(bad, good...)) {
				if strings.HasPrefix(r.Normalized, "good") != (r.Reason == "accepted") ||
					strings.HasPrefix(r.Normalized, "bad") != (r.Reason == "mailbox_unknown") {
					wrong++
					if r.Reason != "refused" && r.Reason != "catch_all_unknown" && r.Reason != "rate_limited" {
						t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
					}
				}
			}
			t.Logf("%v, %d told to slow down, %d wrong", time.Since(begun), slows, wrong)
			if wrong > most {
				t.Errorf("%d of 40 are wrong", wrong)
			}
		})
	}
}

func rateScript(w rated, slows *int) lab.Script {
	return func(v lab.Visit) (string, time.Duration) {
		if v.Command == "RCPT" && !w.passes(v.Now) {
			*slows++
			return w.words, 0
		}
		return "", 0
	}
}

func TestAHostThatLetsNothingPassForMinutesIsLeftToTheNextHour(t *testing.T) {
	bubbles(t, map[string]string{"": "450 4.7.1 Error: too much mail from your address"},
		func(t *testing.T, words string) {
			slows := 0
			good := numbered("good", "corp.lab", 200)
			_, v := scripted(t, "", good, rateScript(rated{passes: window(50, time.Hour), words: words}, &slows), nil)
			queue := newNotebook(t, good)
			begun := time.Now()
			if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begun)
			within(t, "the run", took, 10*time.Minute, 15*time.Minute)
			answered := 0
			for _, r := range queue.list() {
				switch {
				case r.Reason == "accepted" || r.Reason == "catch_all_unknown":
					answered++
				case r.Reason != "rate_limited":
					t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				case strings.HasPrefix(r.Detail, "not asked:") && r.RetryAt.Sub(r.CheckedAt) < 50*time.Minute:
					t.Errorf("%s is asked again after %v", r.Normalized, r.RetryAt.Sub(r.CheckedAt))
				}
			}
			if answered < 49 || slows > 170 {
				t.Errorf("%d answered, %d told to slow down", answered, slows)
			}
			for range 4 { // hour after hour
				time.Sleep(time.Hour + time.Minute)
				queue.again()
				if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			left := 0
			for _, r := range queue.list() {
				if r.Reason != "accepted" {
					left++
				}
			}
			if left > 10 {
				t.Errorf("%d of 200 are not done after five hours at 50 an hour", left)
			}
		})
}
