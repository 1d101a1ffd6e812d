package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
)

// limited is a world with a limit of the receiver, and what asking there may cost.
type limited struct {
	options  string
	script   lab.Script
	within   time.Duration
	sessions int  // at most
	lost     bool // sessions may time out, and are closed without QUIT
}

// wantLimit verifies a list of good and bad addresses at a host with a limit.
func wantLimit(t *testing.T, goods, bads int, w limited) {
	t.Helper()
	good, bad := numbered("good", "corp.lab", goods), numbered("bad", "corp.lab", bads)
	l, v := scripted(t, w.options, good, w.script, nil)
	reasons := all("accepted", good)
	for _, a := range bad {
		reasons[a] = "mailbox_unknown"
	}
	begun := time.Now()
	results := verifyAll(t, v, append(bad, good...))
	took := time.Since(begun)
	wantReasons(t, results, reasons)
	wantOwnReplies(t, results)
	if !w.lost {
		wantPoliteness(t, l)
	}
	c := l.Count()
	t.Logf("%v, %d sessions, %d recipients", took, c.Connections, c.Rcpts)
	if took > w.within {
		t.Errorf("it took %v, want %v at most", took, w.within)
	}
	if c.Connections > w.sessions {
		t.Errorf("%d sessions, want %d at most", c.Connections, w.sessions)
	}
}

func TestALimitOnATransactionIsLearnedWhateverItsWords(t *testing.T) {
	cases := map[string]limited{}
	for _, reply := range []string{
		"452 4.5.3 Too many recipients", "552 Too many recipients", "552 5.5.3 Too many recipients",
		"550 5.5.3 only one recipient per message", "452 Too many recipients",
		"452 4.5.3 only one recipient allowed with null reverse address",
		"550 5.5.3 only one recipient allowed without SPF pass", "452 4.5.3 not authenticated: one recipient a message",
	} {
		for _, most := range []int{1, 3} {
			for _, options := range []string{"", "nopipelining"} {
				cases[fmt.Sprintf("%s, %d %s", reply, most, options)] = limited{options, func(v lab.Visit) (string, time.Duration) {
					if v.Command == "RCPT" && v.Taken >= most {
						return reply, 0
					}
					return "", 0
				}, 10 * time.Second, 12, false}
			}
		}
	}
	bubbles(t, cases, func(t *testing.T, w limited) { wantLimit(t, 40, 6, w) })
}

func TestALimitOnTheTransactionsOfASessionCostsNoPause(t *testing.T) {
	cases := map[string]limited{}
	for _, options := range []string{"rcpts=1", "rcpts=1 nopipelining", "rcpts=5"} {
		cases[options] = limited{options, func(v lab.Visit) (string, time.Duration) {
			if v.Command == "MAIL" && v.Mails > 5 {
				return "421 4.7.0 Max message per connection reached, closing", 0
			}
			return "", 0
		}, 5 * time.Second, 20, false}
	}
	bubbles(t, cases, func(t *testing.T, w limited) { wantLimit(t, 40, 6, w) })
}

func TestALimitOnErrorsCostsNoPause(t *testing.T) {
	cases := map[string]limited{}
	for _, options := range []string{"", "nopipelining"} {
		for _, most := range []int{1, 2, 3} {
			cases[fmt.Sprint(most, options)] = limited{options, func(v lab.Visit) (string, time.Duration) {
				if v.Command == "RCPT" && v.Refused >= most {
					return "421 4.7.0 mx.corp.lab Error: too many errors", 0
				}
				return "", 0
			}, 10 * time.Second, 45, false}
		}
	}
	bubbles(t, cases, func(t *testing.T, w limited) { wantLimit(t, 40, 23, w) })
}

func TestAHostThatPutsOffEveryFirstVisitorIsAskedAgainInTheSameRun(t *testing.T) {
	cases := map[string]limited{}
	for _, options := range []string{"", "nopipelining"} {
		cases[options] = limited{options, func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && v.Session == 1 {
				return "450 4.3.2 Service currently unavailable", 0
			}
			return "", 0
		}, 15 * time.Second, 6, false}
	}
	bubbles(t, cases, func(t *testing.T, w limited) { wantLimit(t, 20, 4, w) })
}

func TestLimitsThatEHLONamesAreKept(t *testing.T) {
	bubbles(t, map[string]string{
		"recipients": "RCPTMAX=2", "transactions": "MAILMAX=3", "both": "MAILMAX=4,RCPTMAX=1",
	}, func(t *testing.T, limits string) {
		broken := 0
		wantLimit(t, 20, 4, limited{"limits=" + limits, func(v lab.Visit) (string, time.Duration) {
			switch {
			case strings.Contains(limits, "RCPTMAX=2") && v.Position >= 2,
				strings.Contains(limits, "RCPTMAX=1") && v.Position >= 1,
				strings.Contains(limits, "MAILMAX=3") && v.Mails > 3,
				strings.Contains(limits, "MAILMAX=4") && v.Mails > 4:
				broken++
			}
			return "", 0
		}, 5 * time.Second, 12, false})
		if broken > 0 {
			t.Errorf("the limits were broken %d times", broken)
		}
	})
}

func TestATarpitCostsTwoRefusalsASession(t *testing.T) {
	cases := map[string]limited{}
	for _, options := range []string{"sessions=5", "nopipelining sessions=5"} {
		cases[options] = limited{options, func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && !v.Known {
				return "", 8 * time.Second << v.Refused
			}
			return "", 0
		}, 270 * time.Second, 30, true}
	}
	bubbles(t, cases, func(t *testing.T, w limited) { wantLimit(t, 6, 40, w) })
}

func TestAHostThatAnsweredBeforeIsNotTakenForOneThatPutsOffFirstVisitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := numbered("good", "corp.lab", 5)
		down := false
		l, v := scripted(t, "", good, func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && down {
				return "450 4.3.2 Service currently unavailable", 0
			}
			return "", 0
		}, nil)
		wantReasons(t, verifyAll(t, v, append(good[:1:1], "bad@corp.lab")), map[string]string{
			good[0]: "accepted", "bad@corp.lab": "mailbox_unknown",
		})
		down = true
		wantReasons(t, verifyAll(t, v, good[1:]), all("server_unavailable", good[1:]))
		for _, a := range good[1:] {
			if n := l.Probes(a); n != 1 {
				t.Errorf("%s was asked %d times, want once", a, n)
			}
		}
	})
}
