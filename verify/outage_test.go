package verify_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

// waitedFor is an Observer that keeps what a run waited for.
type waitedFor struct {
	mu    sync.Mutex
	words []string
}

func (w *waitedFor) Done(verify.Result) {}

func (w *waitedFor) Waiting(ahead verify.Ahead) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words = append(w.words, ahead.Words)
}

func (w *waitedFor) heard(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, words := range w.words {
		if strings.Contains(words, what) {
			return true
		}
	}
	return false
}

// outage is a network that goes down while a run is under way.
type outage struct {
	how      error // of connections
	after    time.Duration
	lasts    time.Duration // 0: for good
	patience time.Duration
	hosts    int
}

// runThroughOutage runs a list over a network that goes down and perhaps comes back.
func runThroughOutage(t *testing.T, o outage, test bool) (*net25, *waitedFor, []verify.Result) {
	t.Helper()
	declaration, addresses := hosts(o.hosts, 4, "latency=100ms")
	n, v := networkWorld(t, declaration, test, func(c *verify.Config) { c.Sessions = 40 })
	down := time.AfterFunc(o.after, func() {
		n.mu.Lock()
		n.large = errors.New("no large provider answers")
		n.mu.Unlock()
		n.set(everywhere(o.how))
		n.cut(true)
	})
	defer down.Stop()
	if o.lasts > 0 {
		back := time.AfterFunc(o.after+o.lasts, func() {
			n.mu.Lock()
			n.large = nil
			n.mu.Unlock()
			n.set(nil)
			n.cut(false)
		})
		defer back.Stop()
	}
	var seen waitedFor
	queue := newNotebook(t, addresses)
	if err := v.Run(t.Context(), queue, verify.RunOptions{Observer: &seen, Patience: o.patience}); err != nil {
		t.Fatal(err)
	}
	if len(queue.results) != len(addresses) {
		t.Fatalf("%d of %d have a result", len(queue.results), len(addresses))
	}
	return n, &seen, queue.list()
}

func TestANetworkThatComesBackCostsNoAddressItsAnswer(t *testing.T) {
	bubbles(t, map[string]outage{
		"connections hang for two minutes":     {errDropped, time.Second, 2 * time.Minute, 10 * time.Minute, 300},
		"there is no route for two minutes":    {syscall.ENETUNREACH, time.Second, 2 * time.Minute, 10 * time.Minute, 300},
		"connections are refused for a minute": {syscall.ECONNREFUSED, time.Second, time.Minute, 10 * time.Minute, 300},
		"hosts are unreachable for 9 minutes":  {syscall.EHOSTUNREACH, time.Second, 9 * time.Minute, 10 * time.Minute, 300},
		"the proxy is away for three seconds": {
			&verify.ProxyError{Err: syscall.ECONNREFUSED}, time.Second, 3 * time.Second, 10 * time.Minute, 300,
		},
	}, func(t *testing.T, o outage) {
		for _, test := range []bool{false, true} {
			n, seen, results := runThroughOutage(t, o, test)
			for _, r := range results {
				if r.Reason != "accepted" || r.Trouble != nil {
					t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				}
			}
			if o.lasts > 20*time.Second && !seen.heard("the network") {
				t.Error("nobody was told that the network is waited for")
			}
			if dials, _ := n.counted(); dials > 300+3*40+3*int(o.lasts/(5*time.Second)+1) {
				t.Errorf("%d connections", dials)
			}
		}
	})
}

func TestANetworkThatStaysDownEndsTheRunWhenItsPatienceIsOver(t *testing.T) {
	bubbles(t, map[string]outage{
		"after ten minutes":          {errDropped, time.Second, 0, 10 * time.Minute, 300},
		"at once":                    {errDropped, time.Second, 0, 0, 300},
		"after a minute, no route":   {syscall.ENETUNREACH, time.Second, 0, time.Minute, 300},
		"after a minute, few to ask": {errDropped, 600 * time.Millisecond, 0, time.Minute, 60},
	}, func(t *testing.T, o outage) {
		for _, test := range []bool{false, true} {
			begun := time.Now()
			_, _, results := runThroughOutage(t, o, test)
			within(t, "the run", time.Since(begun), o.patience, o.patience+3*time.Minute)
			down := 0
			for _, r := range results {
				switch {
				case r.Reason == "accepted" || r.Reason == "catch_all_unknown":
				case r.Reason == "not_probed" && r.Action == verdict.FixSender && r.Ours && r.Trouble != nil &&
					r.Trouble.Kind == verify.NetworkDown &&
					strings.HasPrefix(r.Detail, "not asked: the network of this machine is down"):
					down++
				default:
					t.Fatalf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
				}
			}
			if down == 0 {
				t.Error("no row says that the network is down")
			}
		}
	})
}

func TestManyHostsThatAreDownAtTheEndAreNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(20, 2, "")
		dead, more := hosts(60, 2, "blackhole")
		dead = strings.NewReplacer("mx.h", "mx.x", "domain h", "domain x", "@h", "@x").Replace(dead)
		for i := range more {
			more[i] = strings.Replace(more[i], "@h", "@x", 1)
		}
		n, v := networkWorld(t, declaration+dead, false, func(c *verify.Config) { c.Sessions = 10 })
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		queue := newNotebook(t, more)
		begun, seen := time.Now(), map[netip.Addr]bool{}
		if err := v.Run(t.Context(), queue, verify.RunOptions{Patience: 10 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		for _, r := range queue.list() {
			if r.Reason != verify.Timeout || r.Ours || r.Trouble != nil {
				t.Errorf("%s: %s (%s), ours %v, %v", r.Normalized, r.Reason, r.Detail, r.Ours, r.Trouble)
			}
		}
		within(t, "the run", time.Since(begun), 2*time.Minute, 5*time.Minute)
		tests := map[time.Time]bool{} // when hosts were connected to that had been before
		for _, d := range n.dials {
			if d.at.Sub(begun) > 10*time.Second && seen[d.addr] {
				tests[d.at] = true
			}
			seen[d.addr] = true
		}
		if len(tests) == 0 || len(tests) > 4 { // each doubles how many must be down for the next
			t.Errorf("%d tests: %v", len(tests), tests)
		}
	})
}

func TestAProxyThatRefusesUsEndsTheRunAtOnce(t *testing.T) {
	bubbles(t, map[string]error{
		"wrong password":     &verify.ProxyError{Err: errors.New("username/password authentication failed")},
		"a rule against all": &verify.ProxyError{Rule: true, Err: errors.New("not allowed by ruleset")},
		"cannot be found":    &verify.ProxyError{Err: syscall.ECONNREFUSED},
	}, func(t *testing.T, how error) {
		declaration, addresses := hosts(300, 3, "")
		n, v := networkWorld(t, declaration, false, nil)
		n.set(everywhere(how))
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "not_probed" || r.Trouble == nil || r.Trouble.Kind != verify.ProxyBroken ||
				r.Action != verdict.FixSender || !strings.HasPrefix(r.Detail, "not asked: the proxy") {
				t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		if dials, _ := n.counted(); dials > 210 {
			t.Errorf("%d connections", dials)
		}
	})
}

func TestARuleOfTheProxyAgainstOneHostIsNotAboutTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(40, 2, "latency=20ms")
		declaration += "host mx.barred.lab 127.9.9.9 latency=20ms\ndomain barred.lab mx=mx.barred.lab\n"
		n, v := networkWorld(t, declaration, false, func(c *verify.Config) { c.Sessions = 4 })
		barred := netip.MustParseAddr("127.9.9.9")
		n.set(func(_, addr netip.Addr) error {
			if addr == barred {
				return &verify.ProxyError{Rule: true, Err: errors.New("not allowed by ruleset")}
			}
			return nil
		})
		for _, r := range verifyAll(t, v, append(addresses, "ann@barred.lab")) {
			switch {
			case !strings.Contains(r.Normalized, "barred"):
				if r.Reason != "accepted" {
					t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
				}
			case r.Verdict != "unknown" || !r.Ours:
				t.Errorf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
			}
		}
	})
}

func TestASessionThatHungWhenTheNetworkWentDownForGoodIsNoTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each session asks one address at a time and is in a flight when the network goes down.
		declaration, addresses := hosts(20, 30, "latency=400ms nopipelining")
		n, v := networkWorld(t, declaration, false, nil)
		down := time.AfterFunc(3*time.Second, func() {
			n.set(everywhere(errDropped))
			n.cut(true)
		})
		defer down.Stop()
		queue := newNotebook(t, addresses)
		if err := v.Run(t.Context(), queue, verify.RunOptions{Patience: time.Minute}); err != nil {
			t.Fatal(err)
		}
		for _, r := range queue.list() {
			if r.Reason != "accepted" && r.Reason != "catch_all_unknown" && r.Trouble == nil {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}
