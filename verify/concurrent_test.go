package verify_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/verify"
)

// checkAllAtOnce checks addresses from as many goroutines.
func checkAllAtOnce(t testing.TB, v *verify.Verifier, addresses []string) []verify.Result {
	t.Helper()
	results := make([]verify.Result, len(addresses))
	var group sync.WaitGroup
	for i, a := range addresses {
		group.Go(func() {
			var err error
			if results[i], err = v.Check(t.Context(), a); err != nil {
				t.Errorf("%s: %v", a, err)
			}
		})
	}
	group.Wait()
	return results
}

// questions returns how many impossible addresses were asked for, by domain.
func questions(l *lab.Lab, given []string) map[string]int {
	known := map[string]bool{}
	for _, a := range given {
		known[a] = true
	}
	n := map[string]int{}
	for address, times := range l.AllProbes() {
		if !known[address] {
			_, domain, _ := strings.Cut(address, "@")
			n[domain] += times
		}
	}
	return n
}

// corp declares a host and domains there in which every third address of user0, user1 and so on does not exist. It
// returns the declaration, the addresses, and the reasons to be found.
func corp(options string, domains, each int) (declaration string, addresses []string, want map[string]string) {
	var b strings.Builder
	fmt.Fprintf(&b, "host mx.corp.lab %s\n", options)
	want = map[string]string{}
	for d := range domains {
		domain := fmt.Sprintf("d%d.lab", d)
		fmt.Fprintf(&b, "domain %s mx=mx.corp.lab\nmailbox postmaster@%s", domain, domain)
		for i, a := range numbered("user", domain, each) {
			addresses = append(addresses, a)
			if want[a] = "mailbox_unknown"; i%3 > 0 {
				want[a] = "accepted"
				b.WriteString(" " + a)
			}
		}
		b.WriteString("\n")
	}
	return b.String(), addresses, want
}

func TestConcurrentChecksAreAsPoliteAsAList(t *testing.T) {
	type world struct {
		options       string
		domains, each int
	}
	bubbles(t, map[string]world{
		"200 in one domain":                      {"sessions=4 latency=20ms", 1, 200},
		"200 in one domain, one by one":          {"sessions=4 latency=20ms nopipelining", 1, 200},
		"200 in 200 domains of a host":           {"sessions=4 latency=20ms", 200, 1},
		"200 at a host with an error limit":      {"sessions=4 latency=20ms errors=20", 1, 200},
		"200 at a host with a limit of one":      {"sessions=4 latency=20ms rcpts=1", 10, 20},
		"2,000 in 20 domains, slowly and in TLS": {"sessions=4 latency=200ms starttls", 20, 100},
	}, func(t *testing.T, w world) {
		declaration, addresses, want := corp(w.options, w.domains, w.each)
		l, v := memoryWorld(t, declaration, nil)
		wantReasons(t, checkAllAtOnce(t, v, addresses), want)
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := wantPoliteness(t, l)
		if c.PeakSessions["mx.corp.lab"] > 4 || c.Connections > len(addresses)/4+4 {
			t.Errorf("%d sessions at a time and %d connections; want 4 at most, and no session a check",
				c.PeakSessions["mx.corp.lab"], c.Connections)
		}
		again := 0 // what met the limit on recipients before it was known
		for domain, n := range questions(l, addresses) {
			if again += n - 1; n > 2 {
				t.Errorf("%s was asked %d times about an impossible address, want once", domain, n)
			}
		}
		for _, a := range addresses {
			again += l.Probes(a) - 1
		}
		if again != 0 && !strings.Contains(w.options, "rcpts=1") || again > len(addresses)/4 {
			t.Errorf("%d recipients were asked more than once", again)
		}
	})
}

func TestChecksOfOneAddressAtATimeShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, v := memoryWorld(
			t,
			"host mx.corp.lab latency=20ms\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			nil,
		)
		addresses := make([]string, 200)
		for i := range addresses {
			addresses[i] = "ann@corp.lab"
		}
		wantReasons(t, checkAllAtOnce(t, v, addresses), all("accepted", addresses))
		if n := l.Probes("ann@corp.lab"); n > 2 {
			t.Errorf("asked %d times, want once or twice", n)
		}
	})
}

func TestACheckRemembersWhatEarlierChecksLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, v := memoryWorld(t, `
			host mx.corp.lab
			host mx.wall.lab banner554
			host mx.hole.lab blackhole
			domain corp.lab mx=mx.corp.lab catchall
			domain w0.lab mx=mx.wall.lab
			domain w1.lab mx=mx.wall.lab
			domain w2.lab mx=mx.wall.lab
			domain w3.lab mx=mx.wall.lab
			domain h0.lab mx=mx.hole.lab
			domain h1.lab mx=mx.hole.lab
			mailbox ann@corp.lab`, nil)
		check := func(address, want string) (verify.Result, time.Duration) {
			t.Helper()
			begun := time.Now()
			r, err := v.Check(t.Context(), address)
			if err != nil || string(r.Reason) != want {
				t.Errorf("%s: %s (%s), %v; want %s", address, r.Reason, r.Detail, err, want)
			}
			if err := v.Wait(t.Context()); err != nil { // the dispatcher ends, and what it knows is kept
				t.Error(err)
			}
			return r, time.Since(begun)
		}
		for i := range 10 {
			check(fmt.Sprintf("user%d@corp.lab", i), "catch_all")
		}
		if n := questions(l, numbered("user", "corp.lab", 10))["corp.lab"]; n != 2 {
			t.Errorf("asked about %d impossible addresses in ten checks, want 2", n)
		}
		before := l.Count().Connections
		for range 5 {
			for d := range 4 {
				check(fmt.Sprintf("ann@w%d.lab", d), "sender_blocked")
			}
		}
		if n := l.Count().Connections - before; n > 3 {
			t.Errorf("%d connections to a host that refuses us, want 3", n)
		}
		_, took := check("ann@h0.lab", "timeout")
		within(t, "the first check at a host that never connects", took, 30*time.Second, 31*time.Second)
		r, took := check("ann@h1.lab", "timeout")
		within(t, "the second", took, 0, 0)
		if !strings.HasPrefix(r.Detail, "not asked:") {
			t.Errorf("its detail is %q", r.Detail)
		}
		time.Sleep(6 * time.Minute)
		_, took = check("ann@h1.lab", "timeout")
		within(t, "a check five minutes later", took, 30*time.Second, 31*time.Second)
		time.Sleep(time.Hour)
		before = l.Count().Connections
		check("ann@w0.lab", "sender_blocked")
		check("ann@w1.lab", "sender_blocked")
		if n := l.Count().Connections - before; n != 1 {
			t.Errorf("%d connections an hour after the circuit opened, want 1", n)
		}
		wantPoliteness(t, l)
	})
}

func TestAListAndChecksAtOneHostShareItsSessions(t *testing.T) {
	for options, most := range map[string]time.Duration{
		"sessions=4 latency=100ms":              2 * time.Second,
		"sessions=4 latency=100ms nopipelining": 7 * time.Second, // a transaction of fifty under way
	} {
		synctest.Test(t, func(t *testing.T) {
			declaration, addresses, want := corp(options, 1, 3000)
			l, v := memoryWorld(t, declaration+"\ndomain other.lab mx=mx.corp.lab\nmailbox ann@other.lab", nil)
			var group sync.WaitGroup
			group.Go(func() { wantReasons(t, verifyAll(t, v, addresses), want) })
			time.Sleep(3 * time.Second)
			for range 3 {
				for _, a := range []string{"postmaster@d0.lab", "ann@other.lab"} {
					begun := time.Now()
					if r, err := v.Check(t.Context(), a); err != nil || r.Reason != "accepted" {
						t.Errorf("%s: %s (%s), %v", a, r.Reason, r.Detail, err)
					}
					within(t, "a check next to a list at "+options, time.Since(begun), 0, most)
				}
			}
			group.Wait()
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c := wantPoliteness(t, l); c.PeakSessions["mx.corp.lab"] > 4 {
				t.Errorf("%d sessions at a time, want 4 at most", c.PeakSessions["mx.corp.lab"])
			}
		})
	}
}

func TestTwoRunsOverOneVerifierShareAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses, want := corp("sessions=4 latency=50ms", 4, 600)
		l, v := memoryWorld(t, declaration, nil)
		var group sync.WaitGroup
		lasted := make([]time.Duration, 2)
		begun := time.Now()
		for i := range 2 {
			group.Go(func() {
				// One list has all of the domains, the other one every second address of these.
				mine := addresses
				if i == 1 {
					mine = nil
					for k := 0; k < len(addresses); k += 8 {
						mine = append(mine, addresses[k])
					}
					time.Sleep(500 * time.Millisecond)
				}
				wantReasons(t, verifyAll(t, v, mine), want)
				lasted[i] = time.Since(begun)
			})
		}
		group.Wait()
		if lasted[1] > lasted[0]*3/4 {
			t.Errorf(
				"the list of 300 was done after %v, the one of 2,400 after %v; want the short one well before",
				lasted[1],
				lasted[0],
			)
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := wantPoliteness(t, l); c.PeakSessions["mx.corp.lab"] > 4 {
			t.Errorf("%d sessions at a time, want 4 at most", c.PeakSessions["mx.corp.lab"])
		}
		for domain, n := range questions(l, addresses) {
			if n > 1 {
				t.Errorf("%s was asked %d times about an impossible address, want once", domain, n)
			}
		}
	})
}

func TestTheSessionCapHoldsForEachServerAddress(t *testing.T) {
	type world struct {
		latency string
		hosts   int
	}
	bubbles(t, map[string]world{
		"one address with six names":        {"latency=20ms", 1},
		"one address with six names, slow":  {"latency=200ms nopipelining", 1},
		"two addresses behind each of them": {"latency=20ms", 2},
	}, func(t *testing.T, w world) {
		declaration, names := "", ""
		for h := range w.hosts {
			declaration += fmt.Sprintf("host real%d.lab sessions=4 %s\n", h, w.latency)
			names += fmt.Sprintf(",real%d.lab", h)
		}
		var addresses []string
		for n := range 6 {
			declaration += fmt.Sprintf("name mx.n%d.lab %s\ndomain n%d.lab mx=mx.n%d.lab\nmailbox", n, names[1:], n, n)
			for _, a := range numbered("user", fmt.Sprintf("n%d.lab", n), 150) {
				addresses = append(addresses, a)
				declaration += " " + a
			}
			declaration += "\n"
		}
		l, v := memoryWorld(t, declaration, nil)
		var group sync.WaitGroup
		group.Go(func() { wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses)) })
		group.Go(func() { wantReasons(t, checkAllAtOnce(t, v, addresses[:100]), all("accepted", addresses)) })
		group.Wait()
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := wantPoliteness(t, l)
		for addr, n := range c.PeakByAddr {
			if n > 4 {
				t.Errorf("%d sessions at a time at %s, want 4 at most", n, addr)
			}
		}
	})
}
