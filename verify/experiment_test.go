package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/catchall"
)

// unreadable are refusals that no rule reads. A verb is the recipient, and another one an ID.
var unreadable = map[string]string{
	"no words":  "550",
	"Finnish":   "550 5.0.0 <%s>: postilaatikkoa ei ole (tunnus %s)",
	"Hungarian": "550 <%s> nincs ilyen postafiok, azonosito %s",
	"Georgian":  "550 <%s> საფოსტო ყუთი ვერ მოიძებნა %s",
	"a riddle":  "554 5.0.0 The moon is closed for <%s>, ref https://help.lab/%s",
}

// words fills a refusal in.
func words(reply string, v lab.Visit) string {
	if !strings.Contains(reply, "%") {
		return reply
	}
	return fmt.Sprintf(reply, v.Recipient, fmt.Sprintf("q%dx%d", v.Session, v.Total))
}

func TestTheControlExperimentReadsRefusalsThatNoRuleReads(t *testing.T) {
	good, bad := numbered("good", "corp.lab", 20), numbered("bad", "corp.lab", 25)
	for _, options := range []string{"", "nopipelining", "errors=20", "rcpts=3"} {
		bubbles(t, unreadable, func(t *testing.T, reply string) {
			l, v := scripted(t, options, good, refusingBy(func(v lab.Visit) string { return words(reply, v) }), nil)
			reasons := all("accepted", good)
			for _, a := range bad {
				reasons[a] = "mailbox_unknown"
			}
			results := verifyAll(t, v, append(bad, good...))
			wantReasons(t, results, reasons)
			wantOwnReplies(t, results)
			for _, a := range bad {
				if n := l.Probes(a); n > 3 {
					t.Errorf("%s: %s was asked %d times", options, a, n)
				}
			}
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantPoliteness(t, l)
		})
	}
}

func TestAGuardThatRefusesEverybodyFromThenOnMakesNobodyInvalid(t *testing.T) {
	const reply = "550 the moon is closed"
	bubbles(t, map[string]lab.Script{
		"a harvest guard: after a refusal in a session everybody is refused": func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && (!v.Known || v.Refused > 0) {
				return reply, 0
			}
			return "", 0
		},
		"a limit on the session": func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && (v.Asked >= 4 || !v.Known) {
				return reply, 0
			}
			return "", 0
		},
		"a limit on the transaction": func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && (v.Position >= 3 || !v.Known) {
				return reply, 0
			}
			return "", 0
		},
		"a limit on the host's life, which starts half-way": func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && (v.Total >= 12 || !v.Known) {
				return reply, 0
			}
			return "", 0
		},
		"a limit that ends after some time": func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && (v.Session == 1 && v.Asked > 5 || !v.Known && v.Session < 3) {
				return reply, 0
			}
			return "", 0
		},
	}, func(t *testing.T, script lab.Script) {
		good := numbered("good", "corp.lab", 20)
		_, v := scripted(t, "", good, script, nil)
		for _, r := range verifyAll(t, v, good) {
			if r.Verdict == "invalid" || r.Reason == "catch_all" {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}

func TestWhatTheControlCannotTellIsRefused(t *testing.T) {
	const reply = "550 the moon is closed"
	good, bad := numbered("good", "corp.lab", 5), numbered("bad", "corp.lab", 4)
	type world struct {
		boxes  []string
		ask    []string
		script lab.Script
		want   map[string]string
	}
	refused := func(want string) map[string]string {
		m := all(want, good)
		for _, a := range bad {
			m[a] = "refused"
		}
		return m
	}
	bubbles(t, map[string]world{
		"none is accepted":                       {nil, bad, refusing(reply), all("refused", bad)},
		"one address, and nothing to compare to": {nil, bad[:1], refusing(reply), all("refused", bad)},
		"the impossible address is refused in clear words": {
			good, append(bad, good...), refusingBy(func(v lab.Visit) string {
				if strings.HasPrefix(v.Recipient, "bad") {
					return reply
				}
				return "550 5.1.1 User unknown"
			}), refused("accepted"),
		},
		"the impossible address is accepted": {
			good, append(bad, good...), func(v lab.Visit) (string, time.Duration) {
				if v.Command == "RCPT" && strings.HasPrefix(v.Recipient, "bad") {
					return reply, 0
				}
				return map[string]string{"RCPT": "250 Ok"}[v.Command], 0
			}, refused("catch_all"),
		},
		"other words than those for the impossible address": {
			good, append(bad, good...), refusingBy(func(v lab.Visit) string {
				if strings.HasPrefix(v.Recipient, "bad") {
					return reply
				}
				return "550 the sun is closed"
			}), refused("accepted"),
		},
		"other words in the test": {
			good, append(bad, good...), refusingBy(func(v lab.Visit) string {
				if strings.HasPrefix(v.Recipient, "bad") && v.Session > 1 {
					return "550 the sun is closed"
				}
				return reply
			}), refused("accepted"),
		},
		"the words of the impossible address in the test only": {
			good, append(bad, good...), refusingBy(func(v lab.Visit) string {
				if strings.HasPrefix(v.Recipient, "bad") && v.Session == 1 {
					return "550 the sun is closed"
				}
				return reply
			}), refused("accepted"),
		},
		"words that a rule reads as about us": {
			good, append(bad, good...), refusingBy(func(v lab.Visit) string {
				switch {
				case strings.HasPrefix(v.Recipient, "bad0"):
					return "550 5.7.1 Access denied"
				case strings.HasPrefix(v.Recipient, "bad"):
					return reply
				}
				return "550 5.7.1 Access denied"
			}), nil,
		},
	}, func(t *testing.T, w world) {
		_, v := scripted(t, "", w.boxes, w.script, nil)
		results := verifyAll(t, v, w.ask)
		if w.want != nil {
			wantReasons(t, results, w.want)
		}
		for _, r := range results {
			if r.Verdict == "invalid" {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}

func TestARefusalThatNobodyReadsBringsTheQuestionAlongWhereTheAnswerIsKnown(t *testing.T) {
	good, bad := numbered("good", "corp.lab", 5), numbered("bad", "corp.lab", 3)
	bubbles(t, map[string]catchall.Answer{"no catch-all": catchall.No, "a catch-all": catchall.Yes},
		func(t *testing.T, fact catchall.Answer) {
			l, v := scripted(t, "", good, refusing("550 the moon is closed"), nil)
			queue := newNotebook(t, append(bad, good...))
			queue.facts["corp.lab"] = verify.Facts{Name: "corp.lab", CatchAll: fact}
			if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			reasons := all("mailbox_unknown", bad)
			for _, a := range good { // two sessions have refused the impossible address: it is no catch-all any more
				reasons[a] = "accepted"
			}
			wantReasons(t, queue.list(), reasons)
			if got := queue.facts["corp.lab"].CatchAll; got != catchall.No {
				t.Errorf("what is kept of the domain: %q", got)
			}
			if n := questions(l, append(good, bad...))["corp.lab"]; n != 2 {
				t.Errorf("the question was asked %d times, want twice", n)
			}
		})
}

func TestClearWordsNeedNoControl(t *testing.T) {
	bubbles(t, map[string]string{"": "550 5.1.1 User unknown"}, func(t *testing.T, reply string) {
		good, bad := numbered("good", "corp.lab", 5), numbered("bad", "corp.lab", 5)
		l, v := scripted(t, "", good, refusing(reply), nil)
		verifyAll(t, v, append(bad, good...))
		if c := l.Count(); c.Rcpts != 11 || c.Connections != 1 {
			t.Errorf("%d recipients in %d sessions, want 11 in one", c.Rcpts, c.Connections)
		}
	})
}

func TestATestThatMeetsALimitIsMadeAgainAndOneThatNeverEndsIsGivenUp(t *testing.T) {
	const reply = "550 the moon is closed"
	good, bad := numbered("good", "corp.lab", 5), numbered("bad", "corp.lab", 4)
	type world struct {
		spoils string // what the real address gets in a test that comes last there
		tests  int    // that get it
		bad    string
		asked  int // tests at most
	}
	bubbles(t, map[string]world{
		"one limit":                {"450 4.7.1 slow down", 1, "mailbox_unknown", 3}, // the next one is careful
		"two limits":               {"450 4.7.1 slow down", 2, "mailbox_unknown", 6},
		"a limit every time":       {"450 4.7.1 slow down", 100, "refused", 3},
		"the session ends once":    {"421 4.3.2 closing", 1, "mailbox_unknown", 2},
		"it ends every time":       {"421 4.3.2 closing", 100, "refused", 3},
		"a refusal is no accident": {"550 5.1.1 User unknown", 1, "refused", 1},
	}, func(t *testing.T, w world) {
		tests, test := 0, 0
		_, v := scripted(t, "", good, func(v lab.Visit) (string, time.Duration) {
			switch {
			case v.Command != "RCPT":
				return "", 0
			case v.Asked == 0 && !v.Known && !strings.HasPrefix(v.Recipient, "bad"):
				tests++
				test = v.Session
			}
			if v.Session == test && v.Known && tests <= w.tests {
				return w.spoils, 0
			}
			if !v.Known {
				return reply, 0
			}
			return "", 0
		}, nil)
		reasons := all(w.bad, bad)
		for _, a := range good {
			reasons[a] = "accepted"
		}
		got := verifyAll(t, v, append(bad, good...))
		for _, r := range got {
			if strings.HasPrefix(r.Normalized, "good") && w.bad == "refused" && r.Reason == "catch_all_unknown" {
				reasons[r.Normalized] = "catch_all_unknown" // nothing told what the words mean
			}
		}
		wantReasons(t, got, reasons)
		if tests > w.asked || tests == 0 {
			t.Errorf("%d tests, want %d at most", tests, w.asked)
		}
	})
}
