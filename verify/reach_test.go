package verify_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

func TestPort25ThatIsClosedHereIsNoAddresssFault(t *testing.T) {
	bubbles(t, map[string]error{
		"dropped":                 errDropped,
		"rejected":                syscall.ECONNREFUSED,
		"rejected as unreachable": syscall.EHOSTUNREACH,
		"rejected as prohibited":  syscall.EACCES,
	}, func(t *testing.T, how error) {
		declaration, addresses := hosts(700, 3, "latency=20ms")
		n, v := networkWorld(t, declaration, true, nil)
		n.set(everywhere(how))
		n.large = errors.New("no large provider answers")
		begun := time.Now()
		results := verifyAll(t, v, addresses)
		within(t, "the run", time.Since(begun), 0, 40*time.Second) // a time-out, some patience, the test
		for _, r := range results {
			if r.Reason != "not_probed" || !strings.HasPrefix(r.Detail, "not asked: port 25 is closed from this machine") {
				t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
			if r.Verdict != "unknown" || r.Action != verdict.FixSender || r.Reply != nil || r.Source.IsValid() ||
				!r.RetryAt.IsZero() || !r.Ours || r.Trouble == nil || r.Trouble.Kind != verify.PortClosed {
				t.Fatalf("%+v", r)
			}
		}
		if dials, tests := n.counted(); dials > 410 || tests != 1 {
			t.Errorf("%d connections and %d tests", dials, tests)
		}
	})
}

func TestHostsThatAreDownAreJudgedAsBeforeWhereLargeOnesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(12, 3, "blackhole")
		n, v := networkWorld(t, declaration, true, nil)
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "timeout" || r.Trouble != nil || r.Ours || r.RetryAt.IsZero() {
				t.Errorf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
			}
		}
		if _, tests := n.counted(); tests > 3 {
			t.Errorf("%d tests", tests)
		}
	})
}

func TestAHealthyRunTestsNothing(t *testing.T) {
	bubbles(t, map[string]string{"dropped": "blackhole", "refused": "dead"}, func(t *testing.T, fault string) {
		declaration, addresses := hosts(30, 3, "latency=300ms")
		for i := range 8 { // fewer than make a silence of many, and they fail first
			declaration += fmt.Sprintf("host mx.down%d.lab %s\ndomain down%d.lab mx=mx.down%d.lab\n", i, fault, i, i)
			addresses = append(addresses, fmt.Sprintf("user@down%d.lab", i))
		}
		n, v := networkWorld(t, declaration, true, nil)
		for _, r := range verifyAll(t, v, addresses) {
			want := verify.Accepted
			if strings.Contains(r.Normalized, "down") {
				want = map[string]verify.Reason{"blackhole": verify.Timeout, "dead": verify.Unreachable}[fault]
			}
			if r.Reason != want || r.Ours || r.Trouble != nil {
				t.Errorf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
			}
		}
		if _, tests := n.counted(); tests != 0 {
			t.Errorf("%d tests", tests)
		}
	})
}

func TestARunOfOneOrTwoDestinationsIsTestedAtItsEnd(t *testing.T) {
	type world struct {
		count int
		large error
	}
	closed := errors.New("no large provider answers")
	bubbles(t, map[string]world{
		"one that is down": {1, nil}, "one, and port 25 is closed": {1, closed}, "two, and port 25 is closed": {2, closed},
	}, func(t *testing.T, w world) {
		declaration, addresses := hosts(w.count, 4, "blackhole")
		n, v := networkWorld(t, declaration, true, nil)
		n.large = w.large
		for _, r := range verifyAll(t, v, addresses) {
			if closed := r.Trouble != nil && r.Reason == "not_probed"; closed != (w.large != nil) {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		if _, tests := n.counted(); tests != 1 {
			t.Errorf("%d tests", tests)
		}
	})
}

func TestWithoutATestARunInWhichNothingAnsweredSaysSo(t *testing.T) {
	bubbles(t, map[string]int{"one destination": 1, "many": 30}, func(t *testing.T, count int) {
		declaration, addresses := hosts(count, 3, "blackhole")
		_, v := networkWorld(t, declaration, false, nil)
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "timeout" || !r.Ours || r.Trouble == nil || r.Trouble.Kind != verify.NoAnswer {
				t.Errorf("%s: %s (%s), ours %v, %v", r.Normalized, r.Reason, r.Detail, r.Ours, r.Trouble)
			}
		}
	})
}

func TestAFailureCountsOnlyWhereAnotherDestinationAnswered(t *testing.T) {
	dead := "host mx.dead.lab dead\ndomain dead.lab mx=mx.dead.lab\n"
	type world struct {
		declaration string
		addresses   []string
		ours        bool
	}
	bubbles(t, map[string]world{
		"nothing else in the run": {dead, nil, true},
		"another answers later": {
			dead + "host mx.corp.lab latency=2s\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			[]string{"ann@corp.lab"},
			false,
		},
		"another of the same destination answers": {
			dead + "host two.dead.lab\ndomain corp.lab mx=two.dead.lab\nmailbox ann@corp.lab", []string{"ann@corp.lab"}, true,
		},
		"another refuses us": {
			dead + "host mx.corp.lab banner554\ndomain corp.lab mx=mx.corp.lab", []string{"ann@corp.lab"}, false,
		},
	}, func(t *testing.T, w world) {
		_, v := networkWorld(t, w.declaration, false, nil)
		results := verifyAll(t, v, append([]string{"bob@dead.lab"}, w.addresses...))
		if r := results[0]; r.Reason != "unreachable" || r.Ours != w.ours {
			t.Errorf("%s (%s), ours %v", r.Reason, r.Detail, r.Ours)
		}
	})
}

func TestAHostThatIsDownForTheSourceThatWorksIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(2, 3, "latency=2s")
		declaration += "host mx.dead.lab dead\ndomain dead.lab mx=mx.dead.lab\n"
		n, v := networkWorld(t, declaration, false, func(c *verify.Config) { c.Sources = three[:2] })
		n.set(func(source, _ netip.Addr) error {
			if source == three[0] {
				return syscall.EHOSTUNREACH
			}
			return nil
		})
		for _, r := range verifyAll(t, v, append([]string{"bob@dead.lab"}, addresses...)) {
			if r.Normalized == "bob@dead.lab" &&
				(r.Reason != "unreachable" || r.Ours || !strings.Contains(r.Detail, "refused")) {
				t.Errorf("%s (%s), ours %v; want what was met from the source that works", r.Reason, r.Detail, r.Ours)
			}
		}
	})
}

func TestWhatThisMachineLacksIsNoTry(t *testing.T) {
	const six = "host mx.six.lab 2001:db8:1::1\ndomain six.lab mx=mx.six.lab\nmailbox ann@six.lab\n"
	const both = "host four.lab 127.0.1.1 dead\nhost six2.lab 2001:db8:1::2\nname mx.both.lab four.lab,six2.lab\n" +
		"domain both.lab mx=mx.both.lab\nmailbox ann@both.lab\n"
	good, more := hosts(6, 2, "")
	bubbles(t, map[string]error{
		"no route": syscall.ENETUNREACH, "no such family": syscall.EAFNOSUPPORT, "no such address": syscall.EADDRNOTAVAIL,
	}, func(t *testing.T, how error) {
		n, v := networkWorld(t, good+six+both, false, func(c *verify.Config) {
			c.Sources = addrs("127.0.0.2", "2001:db8::2")
		})
		n.set(func(_, addr netip.Addr) error {
			if addr.Is6() {
				return how
			}
			return nil
		})
		results := verifyAll(t, v, append([]string{"ann@six.lab", "ann@both.lab"}, more...))
		for i, r := range results {
			switch {
			case i > 1 && r.Reason != "accepted":
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			case i > 1:
			case r.Verdict != "unknown" || !r.Ours && !r.RetryAt.IsZero():
				t.Errorf("%s: %s (%s) counts as a try", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}

func TestAMachineWithoutAnyRouteSaysSo(t *testing.T) {
	bubbles(t, map[string]error{
		"no route": syscall.ENETUNREACH, "no such address": syscall.EADDRNOTAVAIL,
	}, func(t *testing.T, how error) {
		declaration, addresses := hosts(20, 3, "")
		n, v := networkWorld(t, declaration, true, func(c *verify.Config) { c.Sources = addrs("127.0.0.2") })
		n.large = errors.New("no large provider answers")
		n.set(everywhere(how))
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "not_probed" || r.Trouble == nil || r.Action != verdict.FixSender || !r.Ours {
				t.Fatalf("%s: %s (%s), %s, ours %v", r.Normalized, r.Reason, r.Detail, r.Action, r.Ours)
			}
		}
	})
}

func TestOneClosedFamilyLeavesTheOtherAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		var four, six []string
		for i := range 8 {
			fmt.Fprintf(&b, "host mx.f%d.lab 127.0.1.%d\nhost mx.s%d.lab 2001:db8:1::%d\n", i, i+1, i, i+1)
			fmt.Fprintf(&b, "domain f%d.lab mx=mx.f%d.lab\ndomain s%d.lab mx=mx.s%d.lab\n", i, i, i, i)
			fmt.Fprintf(&b, "mailbox ann@f%d.lab ann@s%d.lab\n", i, i)
			four, six = append(four, fmt.Sprintf("ann@f%d.lab", i)), append(six, fmt.Sprintf("ann@s%d.lab", i))
		}
		n, v := networkWorld(t, b.String(), true, nil)
		n.large = errors.New("no large provider answers")
		n.set(func(_, addr netip.Addr) error {
			if addr.Is4() {
				return errDropped
			}
			return nil
		})
		for _, r := range verifyAll(t, v, append(four, six...)) {
			switch closed := r.Normalized[4] == 'f'; {
			case !closed && r.Reason != "accepted":
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			case closed && !strings.HasPrefix(r.Detail, "not asked: port 25 is closed from this machine (over IPv4)"):
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.tests) != 1 || n.tests[0].ipv6 {
			t.Errorf("tested %v", n.tests)
		}
	})
}

func TestFiveRunsAtOnceAreOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(3, 2, "")
		declaration += "host mx.dead.lab dead\ndomain dead.lab mx=mx.dead.lab\n"
		addresses = append([]string{"bob@dead.lab"}, addresses...)
		_, v := networkWorld(t, declaration, false, nil)
		run := func(m verdict.Memory) (verify.Result, verdict.Memory) {
			queue := newNotebook(t, addresses)
			queue.memory = map[int64]verdict.Memory{0: m}
			if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			r := queue.results[0]
			if r.Ours {
				t.Fatal("others answered, so that the try is not ours")
			}
			return r, m.After(r.Reason, r.CheckedAt, r.RetryAt)
		}
		var m verdict.Memory
		var r verify.Result
		begun := time.Now()
		for range 5 {
			r, m = run(m)
			time.Sleep(2 * time.Second)
		}
		if m.Tries != 1 || m.Counted != 1 || r.Reason != "unreachable" {
			t.Errorf("%s after %v; %+v", r.Reason, time.Since(begun), m)
		}
		day := 0
		for ; r.Reason != "gave_up" && day < 10; day++ {
			time.Sleep(24 * time.Hour)
			r, m = run(m)
		}
		if day < 4 || day == 10 {
			t.Errorf("%s on day %d; %+v", r.Reason, day, m)
		}
	})
}
