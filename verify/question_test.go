package verify_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/smtpprobe"
)

func TestAnAnswerThatEndsTheSessionCostsOnlyItsOwnRecipient(t *testing.T) {
	type world struct {
		options string
		bad     string // the reason of the bad addresses
	}
	cases := map[string]world{}
	for _, options := range []string{"closes-unknown", "drops-unknown", "crash=bad1", "drops-after=3", "two-replies"} {
		bad := "mailbox_unknown"
		switch options {
		case "closes-unknown":
			bad = "" // what 421 Recipient not in route list means is decided by package reply
		case "drops-unknown":
			bad = "server_unavailable"
		}
		for _, more := range []string{
			"", " nopipelining", " nopipelining latency=30ms", " latency=30ms",
			" starttls latency=30ms",
		} {
			cases[options+more] = world{options + more, bad}
		}
	}
	bubbles(t, cases, func(t *testing.T, w world) {
		for _, domains := range []int{1, 6} {
			var b strings.Builder
			fmt.Fprintf(&b, "host mx.corp.lab %s\n", w.options)
			var addresses []string
			for d := range domains {
				domain := fmt.Sprintf("d%d.w%d.lab", d, domains)
				fmt.Fprintf(&b, "domain %s mx=mx.corp.lab\nmailbox good0,good1,good2@%s\n", domain, domain)
				addresses = append(addresses, numbered("bad", domain, 2)...)
				addresses = append(addresses, numbered("good", domain, 3)...)
			}
			l, v := memoryWorld(t, b.String(), nil)
			begun := time.Now()
			results := verifyAll(t, v, addresses)
			within(t, "the run", time.Since(begun), 0, 4*time.Minute)
			wantOwnReplies(t, results)
			for _, r := range results {
				good := strings.HasPrefix(r.Normalized, "good")
				switch {
				case strings.HasPrefix(w.options, "two-replies") && r.Reason == "protocol_error" && r.Reply == nil:
				case good && (r.Reason != "accepted" && r.Reason != "catch_all_unknown" ||
					r.Reply == nil || r.Reply.Code != 250):
					t.Errorf(
						"%s: %s (%s), %v; want it accepted with its own reply",
						r.Normalized,
						r.Reason,
						r.Detail,
						r.Reply,
					)
				case !good && w.bad != "" && string(r.Reason) != w.bad && !strings.HasPrefix(w.options, "crash"):
					t.Errorf("%s: %s (%s), want %s", r.Normalized, r.Reason, r.Detail, w.bad)
				case !good && (r.Verdict == "deliverable" || r.Verdict == "risky"):
					t.Errorf("%s: %s (%s)", r.Normalized, r.Verdict, r.Detail)
				case !good && strings.HasPrefix(w.options, "closes-unknown") && (r.Reply == nil || r.Reply.Code != 421):
					t.Errorf(
						"%s: %s (%s), %v; want the 421 that was its answer",
						r.Normalized,
						r.Reason,
						r.Detail,
						r.Reply,
					)
				case r.Normalized[:4] == "bad1" && strings.HasPrefix(w.options, "crash") &&
					r.Reason != "server_unavailable":
					t.Errorf("%s: %s (%s), want server_unavailable", r.Normalized, r.Reason, r.Detail)
				}
			}
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := l.Count()
			if !strings.HasPrefix(w.options, "two-replies") {
				c = wantPoliteness(t, l)
			}
			if most := 25 * domains; c.Connections > most {
				t.Errorf("%d connections for %d domains, want %d at most", c.Connections, domains, most)
			}
		}
	})
}

func TestAListOfOnlyGoodAddressesIsNotHeldUpByTheImpossibleOne(t *testing.T) {
	bubbles(t, map[string]string{
		"421, one by one": "closes-unknown nopipelining", "421, pipelined": "closes-unknown",
		"no word, one by one": "drops-unknown nopipelining", "no word, pipelined": "drops-unknown",
	}, func(t *testing.T, options string) {
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms "+options+"\ndomain corp.lab mx=mx.corp.lab\n"+
			"mailbox ann@corp.lab bob@corp.lab cleo@corp.lab", nil)
		addresses := []string{"ann@corp.lab", "bob@corp.lab", "cleo@corp.lab"}
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "accepted" && r.Reason != "catch_all_unknown" || r.Reply == nil || r.Reply.Code != 250 {
				t.Errorf(
					"%s: %s (%s), %v; want it accepted with its own reply",
					r.Normalized,
					r.Reason,
					r.Detail,
					r.Reply,
				)
			}
			if n := l.Probes(r.Normalized); n != 1 {
				t.Errorf("%s was asked %d times, want once", r.Normalized, n)
			}
		}
		if n := questions(l, addresses)["corp.lab"]; n > 4 {
			t.Errorf("the question was asked %d times", n)
		}
		for _, a := range addresses { // a single check fares no worse
			r, err := v.Check(t.Context(), a)
			if err != nil || r.Reply == nil || r.Reply.Code != 250 {
				t.Errorf("%s: %s (%s), %v", a, r.Reason, r.Detail, err)
			}
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantPoliteness(t, l)
	})
}

func TestManyBadAddressesThatEndTheirSessionsDoNotTakeTheHostDown(t *testing.T) {
	bubbles(t, map[string]string{"with 421": "closes-unknown", "without a word": "drops-unknown"},
		func(t *testing.T, options string) {
			good, bad := numbered("good", "corp.lab", 40), numbered("bad", "corp.lab", 40)
			l, v := memoryWorld(
				t,
				"host mx.corp.lab latency=20ms "+options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox "+
					strings.Join(good, " "),
				nil,
			)
			begun := time.Now()
			results := verifyAll(t, v, append(bad, good...))
			t.Logf("%v, %d connections, %d recipients", time.Since(begun), l.Count().Connections, l.Count().Rcpts)
			wantOwnReplies(t, results)
			for _, r := range results[40:] {
				if r.Reply == nil || r.Reply.Code != 250 {
					t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				}
			}
			for _, r := range results[:40] {
				notAsked := strings.HasPrefix(r.Detail, "not asked:") // sessions that end without an answer are limited
				if r.Verdict != "unknown" || r.RetryAt.IsZero() || notAsked && r.Reply != nil {
					t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				}
			}
		})
}

// known lets a greylisting host see addresses, as a run of before would have.
func known(t testing.TB, l *lab.Lab, source netip.Addr, addresses ...string) {
	t.Helper()
	answer, err := l.Resolver().Lookup(t.Context(), addresses[0][strings.Index(addresses[0], "@")+1:])
	if err != nil {
		t.Fatal(err)
	}
	s, err := prober(t, l, nil).Open(t.Context(), smtpprobe.Target{
		Host: answer.Hosts[0].Name, Addrs: answer.Hosts[0].Addrs, Source: source,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Probe(t.Context(), [][]string{addresses}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAGreylistedQuestionIsAskedAgainAtItsTimeAndSettlesWhatWasHeard(t *testing.T) {
	type world struct{ host, kind, want string }
	cases := map[string]world{}
	for _, options := range []string{
		"", " nopipelining", " rcpts=1",
	} {
		cases["no catch-all"+options] = world{"greylist-first=300s" + options, "", "accepted"}
		cases["a catch-all"+options] = world{"greylist-first=300s" + options, "catchall", "catch_all"}
	}
	bubbles(t, cases, func(t *testing.T, w world) {
		addresses := []string{"ann@corp.lab", "bob@corp.lab", "cleo@corp.lab"}
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms "+w.host+"\ndomain corp.lab mx=mx.corp.lab "+w.kind+
			"\nmailbox "+strings.Join(addresses, " "), nil)
		known(t, l, netip.Addr{}, addresses...)
		time.Sleep(6 * time.Minute)
		queue := newNotebook(t, addresses)
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		var at time.Time
		for _, r := range queue.list() {
			if r.Reason != "catch_all_unknown" || r.RetryAt.Before(time.Now().Add(5*time.Minute)) {
				t.Errorf("%s: %s (%s), retry at %s; want catch_all_unknown and a time after the greylisting",
					r.Normalized, r.Reason, r.Detail, r.RetryAt)
			}
			if !at.IsZero() && !at.Equal(r.RetryAt) && r.RetryAt.Sub(at).Abs() > time.Second {
				t.Errorf("what waits for one question comes back at %s and at %s", at, r.RetryAt)
			}
			at = r.RetryAt
		}
		time.Sleep(time.Until(at))
		before := l.Count().Rcpts
		queue.again()
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		wantReasons(t, queue.list(), all(w.want, addresses))
		for _, r := range queue.list() {
			if !r.RetryAt.IsZero() || r.Reply == nil || r.Reply.Code != 250 {
				t.Errorf("%s: retry at %s, %v; want it settled with its reply", r.Normalized, r.RetryAt, r.Reply)
			}
		}
		if n := l.Count().Rcpts - before; n > 4 {
			t.Errorf("the second run asked %d recipients, want the question and a control", n)
		}
		wantPoliteness(t, l)
	})
}

func TestASoftRefusalOfTheImpossibleAddressAsUnknownAnswersTheQuestion(t *testing.T) {
	bubbles(t, map[string]string{"pipelined": "", "one by one": "nopipelining"}, func(t *testing.T, options string) {
		_, v := memoryWorld(
			t,
			"host mx.corp.lab soft-unknown "+options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			nil,
		)
		results := verifyAll(t, v, []string{"ann@corp.lab", "nobody@corp.lab"})
		wantReasons(t, results, map[string]string{"ann@corp.lab": "accepted", "nobody@corp.lab": "server_unavailable"})
		if r := results[1]; r.RetryAt.IsZero() || r.Verdict != "unknown" {
			t.Errorf("450 4.1.1 made %s %s, retry at %s; want unknown and a time", r.Normalized, r.Verdict, r.RetryAt)
		}
	})
}

func TestTheQuestionIsNotAskedWithoutEnd(t *testing.T) {
	bubbles(t, map[string]string{
		"greylisted": "greylist-first=24h", "421": "closes-unknown", "dropped": "drops-unknown",
		"dropped, one by one": "drops-unknown nopipelining", "limited to one": "rcpts=1 drops-unknown",
	}, func(t *testing.T, options string) {
		addresses := numbered("user", "corp.lab", 100)
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms "+options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox "+
			strings.Join(addresses, " "), nil)
		if strings.HasPrefix(options, "greylist") {
			for i := 0; i < len(addresses); i += 25 {
				known(t, l, netip.Addr{}, addresses[i:i+25]...)
			}
			time.Sleep(25 * time.Hour)
		}
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reply == nil || r.Reply.Code != 250 {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		if n := questions(l, addresses)["corp.lab"]; n > 5 {
			t.Errorf("the question was asked %d times", n)
		}
	})
}

func TestAnImpossibleAddressThatBlocksUsCostsNoRealOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A host that takes every refusal as an attack: it ends the session at the second.
		addresses := numbered("user", "corp.lab", 60)
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms errors=1\ndomain corp.lab mx=mx.corp.lab\nmailbox "+
			strings.Join(addresses, " "), nil)
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		for _, a := range addresses {
			if n := l.Probes(a); n != 1 {
				t.Errorf("%s was asked %d times", a, n)
			}
		}
	})
}

func TestAHostThatEndsEverySessionIsLeftAlone(t *testing.T) {
	bubbles(t, map[string]string{
		"with 421": "closes-unknown", "without a word": "drops-unknown", "one by one": "drops-unknown nopipelining",
	}, func(t *testing.T, options string) {
		declaration, addresses := "host mx.corp.lab latency=20ms "+options+"\n", []string(nil)
		for d := range 50 {
			declaration += fmt.Sprintf("domain d%d.lab mx=mx.corp.lab\n", d)
			addresses = append(addresses, numbered("nobody", fmt.Sprintf("d%d.lab", d), 20)...)
		}
		l, v := memoryWorld(t, declaration, nil)
		for _, r := range verifyAll(t, v, addresses) {
			notAsked := strings.HasPrefix(r.Detail, "not asked:")
			if r.Verdict != "unknown" || r.RetryAt.IsZero() || notAsked != (l.Probes(r.Normalized) == 0) ||
				notAsked && r.Reply != nil {
				t.Errorf(
					"%s, asked %d times: %s (%s), %v",
					r.Normalized,
					l.Probes(r.Normalized),
					r.Reason,
					r.Detail,
					r.Reply,
				)
			}
		}
		if n := l.Count().Connections; n > 30 {
			t.Errorf("%d connections, want the twenty after which it is left alone", n)
		}
	})
}

func TestAFactKeepsTheTimeOfItsQuestion(t *testing.T) {
	for name, test := range map[string]struct {
		fact  catchall.Answer
		fresh bool
	}{
		"a remembered answer is not written back as fresh":  {catchall.No, false},
		"what was asked now has the time of now":            {catchall.Open, true},
		"a remembered catch-all is not written back either": {catchall.Yes, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, v := memoryWorld(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab", nil)
				queue := newNotebook(t, []string{"ann@corp.lab"})
				before := time.Now().Add(-20 * 24 * time.Hour)
				queue.facts["corp.lab"] = verify.Facts{Name: "corp.lab", CatchAll: test.fact, CheckedAt: before}
				if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
					t.Fatal(err)
				}
				if got := queue.facts["corp.lab"]; got.CheckedAt.Equal(before) == test.fresh {
					t.Errorf("%+v; want it fresh: %v", got, test.fresh)
				}
			})
		})
	}
}
