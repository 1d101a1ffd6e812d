package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify"
)

func TestADomainThatRefusesAllIsFlagged(t *testing.T) {
	const unknown = "550 5.1.1 User unknown"
	good, bad := numbered("good", "corp.lab", 2), numbered("bad", "corp.lab", 5)
	type world struct {
		ask    []string
		script lab.Script
		want   bool
	}
	full := func(v lab.Visit) (string, time.Duration) {
		if strings.HasPrefix(v.Recipient, "full") {
			return "552 5.2.2 Mailbox full", 0
		}
		return refusing(unknown)(v)
	}
	bubbles(t, map[string]world{
		"five refused":                   {bad, refusing(unknown), true},
		"three refused":                  {bad[:3], refusing(unknown), true},
		"two refused":                    {bad[:2], refusing(unknown), false},
		"two refused, one of them twice": {append(bad[:2:2], bad[0]), refusing(unknown), false},
		"one accepted at last":           {append(bad[:5:5], good...), refusing(unknown), false},
		"one accepted at first":          {append(good[:2:2], bad...), refusing(unknown), false},
		"one is full":                    {append(bad[:5:5], "full@corp.lab"), full, false},
		"the impossible ones are accepted": {bad, func(v lab.Visit) (string, time.Duration) {
			if v.Command == "RCPT" && strings.HasPrefix(v.Recipient, "bad") {
				return unknown, 0
			}
			return map[string]string{"RCPT": "250 Ok"}[v.Command], 0
		}, false},
	}, func(t *testing.T, w world) {
		for _, options := range []string{"", "nopipelining", "rcpts=1", "errors=4"} {
			l, v := scripted(t, options, good, w.script, nil)
			results := verifyAll(t, v, w.ask)
			if options == "errors=4" && questions(l, w.ask)["corp.lab"] == 0 {
				continue // the session ended before the question, and nobody waits for its answer
			}
			for _, r := range results {
				if r.Reason != "mailbox_unknown" {
					continue
				}
				if got := slices.Contains(r.Flags, verify.FlagDomainRefusesAll); got != w.want || r.Verdict != "invalid" {
					t.Errorf("%s: %s: %s %v, want the flag: %v", options, r.Normalized, r.Verdict, r.Flags, w.want)
				}
			}
		}
	})
}

func TestACatchAllWithExceptionsKeepsItsAnswer(t *testing.T) {
	good := numbered("good", "corp.lab", 9)
	script := func(v lab.Visit) (string, time.Duration) {
		switch {
		case v.Command != "RCPT":
			return "", 0
		case strings.HasPrefix(v.Recipient, "bad"):
			return "550 5.1.1 User unknown", 0
		}
		return "250 2.1.5 Ok", 0
	}
	for at := range 9 {
		bubbles(t, map[string]string{fmt.Sprint(at): "", "rcpts=2": "rcpts=2", "one by one": "nopipelining"},
			func(t *testing.T, options string) {
				_, v := scripted(t, options, nil, script, nil)
				reasons := all("catch_all", good)
				reasons["bad@corp.lab"] = "mailbox_unknown"
				wantReasons(t, verifyAll(t, v, slices.Insert(slices.Clone(good), at, "bad@corp.lab")), reasons)
			})
	}
}

func TestTheImpossibleAddressesChangeFromRunToRun(t *testing.T) {
	bubbles(t, map[string]string{"": ""}, func(t *testing.T, _ string) {
		asked := map[string]bool{}
		l, _ := scripted(t, "", []string{"ann@corp.lab"}, refusing("550 5.1.1 User unknown"), nil)
		for range 3 {
			v := verifier(t, l, l.Resolver(), nil)
			verifyAll(t, v, []string{"ann@corp.lab"})
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
		for address := range l.AllProbes() {
			asked[address] = true
		}
		if len(asked) != 4 {
			t.Errorf("three runs asked about %v", asked)
		}
	})
}
