package verify_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func TestAThousandAddressesAtOneHostCostTensOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var declaration strings.Builder
		fmt.Fprintln(&declaration, "host mx1.bighost.lab")
		var addresses []string
		for d := range 20 {
			fmt.Fprintf(&declaration, "domain d%d.lab mx=10:mx1.bighost.lab\n", d)
			for m := range 50 {
				address := fmt.Sprintf("m%d@d%d.lab", m, d)
				addresses = append(addresses, address)
				if m%20 != 0 { // one in twenty does not exist
					fmt.Fprintf(&declaration, "mailbox %s\n", address)
				}
			}
		}
		l, v := memoryWorld(t, declaration.String(), nil)
		for i, r := range verifyAll(t, v, addresses) {
			want := verify.Reason("accepted")
			if i%50%20 == 0 {
				want = "mailbox_unknown"
			}
			if r.Reason != want {
				t.Errorf("%s: %s (%s), want %s", addresses[i], r.Reason, r.Detail, want)
			}
		}
		counts := l.Count()
		if counts.Connections > 50 {
			t.Errorf("%d connections for %d addresses, want tens", counts.Connections, len(addresses))
		}
		if len(counts.Violations) > 0 {
			t.Errorf("the verifier was rude: %v", counts.Violations)
		}
		t.Logf("%d addresses, %d connections, %d RCPTs", len(addresses), counts.Connections, counts.Rcpts)
	})
}

func TestTheTruthOfTheDemoIsFound(t *testing.T) {
	l, v := world(t, lab.Demo, nil)
	var addresses []string
	for _, truth := range l.Truth() {
		addresses = append(addresses, truth.Address)
	}
	for i, r := range verifyAll(t, v, addresses) {
		if want := l.Truth()[i].Reason; string(r.Reason) != want {
			t.Errorf("%s: %s (%s), want %s", addresses[i], r.Reason, r.Detail, want)
		}
	}
	if counts := l.Count(); len(counts.Violations) > 0 {
		t.Errorf("the verifier was rude: %v", counts.Violations)
	}
}

func TestSpellingsThatDifferInCaseShareOneProbeWhereTheProviderIgnoresCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, v := memoryWorld(t, `
			host gmail-smtp-in.l.google.com
			domain gmail.com mx=gmail-smtp-in.l.google.com
			mailbox ann@gmail.com
			host mx.strict.lab
			domain strict.lab mx=mx.strict.lab
			mailbox ann@strict.lab`, nil)
		for _, r := range verifyAll(t, v, []string{"ann@gmail.com", "Ann@gmail.com", "ANN@gmail.com"}) {
			if r.Reason != "accepted" {
				t.Errorf("%s: %s, want accepted", r.Normalized, r.Reason)
			}
		}
		if n := l.Probes("ann@gmail.com"); n != 1 {
			t.Errorf("%d probes for one mailbox in three spellings, want 1", n)
		}
		verifyAll(t, v, []string{"ann@strict.lab", "Ann@strict.lab"})
		if n := l.Count().Rcpts; n != 1+1+2+1 { // a spelling and a question at gmail.com, two and one at strict.lab
			t.Errorf("%d recipients asked for, want 5", n)
		}
	})
}

func TestAnAddressThatIsRefusedInULabelsIsAskedForInALabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, labels := range []string{"", "alabels"} {
			l, v := memoryWorld(
				t,
				"host mx.corp.lab "+labels+"\n"+
					"domain пример.lab mx=mx.corp.lab\nmailbox иван@пример.lab\nmailbox ann@пример.lab",
				nil,
			)
			addresses := []string{"иван@пример.lab", "nobody@пример.lab", "ann@xn--e1afmkfd.lab", "никто@пример.lab"}
			for i, r := range verifyAll(t, v, addresses) {
				if want := []string{"accepted", "mailbox_unknown"}[i%2]; string(r.Reason) != want {
					t.Errorf("host %s: %s: %s (%s), want %s", labels, r.Normalized, r.Reason, r.Detail, want)
				}
			}
			if got, want := l.Probes("иван@xn--e1afmkfd.lab"), 1+len(labels)/len("alabels"); got != want {
				t.Errorf("host %s: asked %d times, want %d", labels, got, want)
			}
		}
	})
}

func TestGreylistingPassesOnALaterRunAndThenTheCatchAllQuestionIsAnsweredToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []struct{ domain, want string }{
			{"domain grey.lab mx=mx.grey.lab", "accepted"}, {"domain grey.lab mx=mx.grey.lab catchall", "catch_all"},
		} {
			_, v := memoryWorld(t, "host mx.grey.lab greylist-first=300s\n"+kind.domain+"\nmailbox ann@grey.lab", nil)
			first := verifyAll(t, v, []string{"ann@grey.lab"})[0]
			if first.Reason != "greylisted" || first.RetryAt.IsZero() {
				t.Errorf("first %s, retry at %s; want greylisted and a time", first.Reason, first.RetryAt)
			}
			time.Sleep(5*time.Minute + time.Second)
			if later := verifyAll(t, v, []string{"ann@grey.lab"})[0]; string(later.Reason) != kind.want {
				t.Errorf("later %s (%s), want %s", later.Reason, later.Detail, kind.want)
			}
		}
	})
}

func TestADomainThatAcceptsWhatCannotExistAndRefusesAMailboxIsACatchAllWithExceptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(
			t,
			"host mx.semi.lab latency=1ms rcpts=5\ndomain semi.lab mx=mx.semi.lab catchall\nunknown zz@semi.lab",
			nil,
		)
		var addresses []string
		for i := range 40 {
			addresses = append(addresses, fmt.Sprintf("a%d@semi.lab", i))
		}
		for i, r := range verifyAll(t, v, append(addresses, "zz@semi.lab")) {
			want := verdict.CatchAll
			if i == len(addresses) {
				want = verdict.MailboxUnknown
			}
			if r.Reason != want {
				t.Errorf("%s: %s, want %s", r.Normalized, r.Reason, want)
			}
		}
	})
}

func TestNoServerIsDrivenToEndASessionForRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1200
		var addresses, known []string
		for i := range n {
			addresses = append(addresses, fmt.Sprintf("user%d@corp.lab", i))
			if i%4 > 0 {
				known = append(known, addresses[i])
			}
		}
		for _, options := range []string{"", "errors=20", "errors=20 nopipelining"} {
			l, v := memoryWorld(
				t,
				"host mx.corp.lab latency=2ms "+options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox "+strings.Join(
					known,
					" ",
				),
				nil,
			)
			unknown := 0
			for _, r := range verifyAll(t, v, addresses) {
				if r.Reason == verdict.MailboxUnknown {
					unknown++
				}
			}
			c := l.Count()
			if unknown != n/4 || c.ErrorLimits > 0 || len(c.Violations) > 0 {
				t.Errorf(
					"%s: %d unknown, %d sessions ended by the server, %v",
					options,
					unknown,
					c.ErrorLimits,
					c.Violations,
				)
			}
		}
	})
}

func TestADestinationThatRefusesUsIsLeftAloneAndNothingIsHeldAgainstItsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var declaration strings.Builder
		fmt.Fprintln(
			&declaration,
			"host mx.wall.lab blocks\nhost mx.kind.lab\ndomain kind.lab mx=mx.kind.lab\nmailbox ann@kind.lab",
		)
		addresses := []string{"ann@kind.lab"}
		for d := range 10 {
			fmt.Fprintf(&declaration, "domain d%d.lab mx=mx.wall.lab\n", d)
			for m := range 20 {
				fmt.Fprintf(&declaration, "mailbox m%d@d%d.lab\n", m, d)
				addresses = append(addresses, fmt.Sprintf("m%d@d%d.lab", m, d))
			}
		}
		l, v := memoryWorld(t, declaration.String(), nil)
		for i, r := range verifyAll(t, v, addresses) {
			want := verify.Reason("sender_blocked")
			if i == 0 {
				want = "accepted"
			}
			if r.Reason != want || !r.RetryAt.IsZero() {
				t.Errorf("%s: %s, retry at %s; want %s and no time", addresses[i], r.Reason, r.RetryAt, want)
			}
		}
		if n := l.Count().Connections; n > 8 {
			t.Errorf("%d connections, to a host that refuses us; want a handful", n)
		}
	})
}

func TestTheNextMXIsAskedWhereTheFirstIsDownBusyOrNotInCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, first := range map[string]string{
			"dead": "host mx1.a.lab dead", "busy": "host mx1.a.lab banner421", "no SMTP": "host mx1.a.lab garbage",
		} {
			_, v := memoryWorld(
				t,
				first+"\nhost mx2.b.lab\n"+
					"domain corp.lab mx=10:mx1.a.lab,20:mx2.b.lab\nmailbox ann@corp.lab\nunknown bob@corp.lab",
				nil,
			)
			results := verifyAll(t, v, []string{"ann@corp.lab", "bob@corp.lab"})
			if results[0].Reason != "accepted" || results[1].Reason != "mailbox_unknown" ||
				results[0].MX != "mx2.b.lab" {
				t.Errorf(
					"%s: %s and %s from %s; want accepted and mailbox_unknown from mx2.b.lab",
					name,
					results[0].Reason,
					results[1].Reason,
					results[0].MX,
				)
			}
		}
	})
}

func TestAStoppedRunReturnsAndLeavesTheRestForLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		l, v := memoryWorld(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab", nil)
		queue := verify.NewMemoryQueue(map[int64]syntax.Address{0: {Local: "ann", Domain: "corp.lab"}})
		if err := v.Run(t.Context(), queue, verify.RunOptions{Stop: stop}); err != nil || len(queue.Results) != 0 {
			t.Errorf("%v, %d results; want none of both", err, len(queue.Results))
		}
		if n := l.Count().Rcpts; n != 0 {
			t.Errorf("%d recipients asked for by a run that was stopped before", n)
		}
	})
}

func TestARetryComesFromTheAddressThatWasGreylisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := []netip.Addr{
			netip.MustParseAddr("127.0.0.2"),
			netip.MustParseAddr("127.0.0.3"),
			netip.MustParseAddr("127.0.0.4"),
		}
		declaration := "host mx.grey.lab greylist-first=300s\n"
		var addresses []string
		for d := range 6 {
			declaration += fmt.Sprintf("domain d%d.lab mx=mx.grey.lab\nmailbox ann@d%d.lab bob@d%d.lab\n", d, d, d)
			addresses = append(addresses, fmt.Sprintf("ann@d%d.lab", d), fmt.Sprintf("bob@d%d.lab", d))
		}
		_, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = sources })
		first := verifyAll(t, v, addresses)
		time.Sleep(5*time.Minute + time.Second)
		tasks := map[int64]syntax.Address{}
		for i, r := range first {
			if r.Reason != "greylisted" || !r.Source.IsValid() {
				t.Fatalf("%s: %s from %s; want greylisted from one of ours", addresses[i], r.Reason, r.Source)
			}
			a, err := syntax.Parse(addresses[i])
			if err != nil {
				t.Fatal(err)
			}
			tasks[int64(i)] = a
		}
		queue := &bound{MemoryQueue: verify.NewMemoryQueue(tasks), first: first}
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		for i, address := range addresses {
			if r := queue.Results[int64(i)]; r.Reason != "accepted" || r.Source != first[i].Source {
				t.Errorf("%s: %s from %s, want accepted from %s", address, r.Reason, r.Source, first[i].Source)
			}
		}
	})
}

// bound is a queue whose tasks are retries of first.
type bound struct {
	*verify.MemoryQueue
	first []verify.Result
}

func (q *bound) Lease(ctx context.Context, domain string, max int) ([]verify.Task, error) {
	tasks, err := q.MemoryQueue.Lease(ctx, domain, max)
	for i := range tasks {
		tasks[i].Memory.Tries, tasks[i].Source = 1, q.first[tasks[i].ID].Source
	}
	return tasks, err
}

// order is an Observer that notes which domain each result came from, in their order.
type order struct {
	mu      sync.Mutex
	domains []string
}

func (o *order) Done(r verify.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, domain, _ := strings.Cut(r.Normalized, "@")
	o.domains = append(o.domains, domain)
}

func (o *order) Waiting(verify.Ahead) {}

func TestOneHugeDomainHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const huge = 300
		declaration := "host mx.huge.lab latency=10ms nopipelining\ndomain huge.lab mx=mx.huge.lab\n" +
			"host mx.small.lab\ndomain small.lab mx=mx.small.lab\nmailbox ann@small.lab"
		for i := range huge {
			declaration += fmt.Sprintf(" user%d@huge.lab", i)
		}
		_, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sessions = 5 })
		tasks := map[int64]syntax.Address{}
		for i := range huge {
			tasks[int64(i)] = syntax.Address{Local: fmt.Sprintf("user%d", i), Domain: "huge.lab"}
		}
		tasks[huge] = syntax.Address{Local: "ann", Domain: "small.lab"}
		var seen order
		if err := v.Run(t.Context(), verify.NewMemoryQueue(tasks), verify.RunOptions{Observer: &seen}); err != nil {
			t.Fatal(err)
		}
		if at := slices.Index(seen.domains, "small.lab"); at < 0 || at > huge/4 {
			t.Errorf("the result of the small domain was number %d of %d, want an early one", at+1, len(seen.domains))
		}
	})
}
