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
		total: 12400, done: 6200, begun: began, waiting: "yahoo, at 5 a second",
		verdicts: map[verify.Verdict]int{verify.Deliverable: 5000, verify.Risky: 600, verify.Invalid: 500, verify.Unknown: 100},
	}
}

func TestTheLineOfAPassFitsTheTerminal(t *testing.T) {
	now := began.Add(10 * time.Minute)
	for width, want := range map[int]string{
		0:   "6200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left; waiting for yahoo, at 5 a second",
		200: "6200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left; waiting for yahoo, at 5 a second",
		100: "6200 of 12,400 addresses; 5000 deliverable, 600 risky, 500 invalid, 100 unknown; about 10 min left",
		70:  "6200 of 12,400 addresses; 5000 d 600 r 500 i 100 u; about 10 min left",
		50:  "6200; 5000 d 600 r 500 i 100 u; about 10 min left",
		30:  "6200; 5000 d 600 r 500 i 100 u",
		10:  "6200",
		1:   "6200",
	} {
		if got := someProgress().line(now, width); got != want {
			t.Errorf("at %d cells %q, want %q", width, got, want)
		}
	}
	wide := someProgress()
	wide.waiting = strings.Repeat("日本", 20) // two cells a letter
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
		want        string
	}{
		{"nothing done", 0, 100, time.Hour, "time left unknown"},
		{"the first second", 50, 100, time.Second, "time left unknown"},
		{"too few of many", 10, 100_000, 10 * time.Second, "time left unknown"},
		{"a few of many after a while", 100, 100_000, 30 * time.Second, "about 8 h 19 min left"},
		{"half", 50, 100, 20 * time.Second, "about 20 s left"},
		{"all", 100, 100, 20 * time.Second, "about 0 s left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := pass{total: test.total, done: test.done, begun: began, verdicts: map[verify.Verdict]int{}}
			if got := p.line(began.Add(test.took), 0); !strings.HasSuffix(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
