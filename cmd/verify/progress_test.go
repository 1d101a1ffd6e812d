package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"presend/verify"
)

var began = time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)

func someProgress() pass {
	return pass{
		total: 12400, done: 6200, begun: began, last: began.Add(10 * time.Minute),
		ahead: verify.Ahead{Slowest: "yahoo", Words: "yahoo, at 5 a second", Left: 4 * time.Minute},
		verdicts: map[verify.Verdict]int{
			verify.Deliverable: 5000, verify.Risky: 600, verify.Invalid: 500, verify.Unknown: 100,
		},
	}
}

func TestTheLineOfAPassFitsTheTerminal(t *testing.T) {
	now := began.Add(10 * time.Minute)
	const whole = "6,200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left; " +
		"waiting for yahoo, at 5 a second"
	for width, want := range map[int]string{
		0:   whole,
		184: whole,
		104: "6,200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left",
		90:  "5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left (yahoo)",
		72:  "5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left",
		64:  "5000 deliverable 600 risky 500 invalid 100 unknown; 10 min left",
		50:  "6200; 5000 d 600 r 500 i 100 u; about 10 min left",
		45:  "5000 d 600 r 500 i 100 u; about 10 min left",
		38:  "5000 d 600 r 500 i 100 u; 10 min left",
		30:  "6200; 10 min left",
		10:  "6200",
		1:   "6200",
	} {
		if got := someProgress().line(now, width); got != want {
			t.Errorf("at %d cells %q, want %q", width, got, want)
		}
	}
	silent := someProgress()
	silent.ahead, silent.last = verify.Ahead{Slowest: "slow.lab", Words: "slow.lab to answer"}, began
	for width, want := range map[int]string{
		200: "6,200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; time left unknown; " +
			"waiting for slow.lab to answer",
		76: "5000 deliverable, 600 risky, 500 invalid, 100 unknown; waiting for slow.lab",
		65: "6200; 5000 d 600 r 500 i 100 u; waiting for slow.lab",
	} {
		if got := silent.line(now, width); got != want {
			t.Errorf("at %d cells %q, want %q", width, got, want)
		}
	}
	wide := someProgress()
	wide.ahead.Words = strings.Repeat("日本", 20) // two cells a letter
	for width := 10; width < 200; width++ {
		if got := uniseg.StringWidth(wide.line(now, width)); got > width {
			t.Errorf("%d cells where the terminal has %d", got, width)
		}
	}
}

func TestTheTimeLeftIsSaidOnlyWhereThereIsABasis(t *testing.T) {
	for _, test := range []struct {
		name        string
		done, total int
		took        time.Duration
		silent      time.Duration // since the last result
		ahead       time.Duration // what the engine knows
		want        string
	}{
		{"nothing done", 0, 100, time.Hour, 0, 0, "time left unknown"},
		{"the first second", 50, 100, time.Second, 0, 0, "time left unknown"},
		{
			"the first second, with a provider whose pace is known", 50, 100, time.Second, 0, time.Minute,
			"at least 1 min left",
		},
		{"too few of many", 10, 100_000, 10 * time.Second, 0, 0, "time left unknown"},
		{"a few of many after a while", 100, 100_000, 30 * time.Second, 0, 0, "about 8 h 19 min left"},
		{"half", 50, 100, 20 * time.Second, 0, 0, "about 20 s left"},
		{"nearly all, and the rest is at a slow provider", 90, 100, 20 * time.Second, 0, 4 * time.Minute, "about 4 min left"},
		{"nearly all, and the rest says nothing", 99, 100, time.Minute, 6 * time.Second, 0, "time left unknown"},
		{
			"nearly all, and a provider that asked for a pause", 99, 100, time.Minute, 6 * time.Second, time.Minute,
			"about 1 min left",
		},
		{"all", 100, 100, 20 * time.Second, 0, 0, "about 0 s left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := began.Add(test.took)
			p := pass{
				total: test.total, done: test.done, begun: began, last: now.Add(-test.silent),
				ahead: verify.Ahead{Left: test.ahead}, verdicts: map[verify.Verdict]int{},
			}
			if got := p.line(now, 0); !strings.HasSuffix(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
