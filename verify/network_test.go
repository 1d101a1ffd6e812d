package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHostWhoseConnectionsAreCutIsNotWrittenOff(t *testing.T) {
	type world struct {
		options        string
		domains, each  int
		most           time.Duration
		mostPerAddress float64 // RCPTs
	}
	bubbles(t, map[string]world{
		"after 20 answers, one by one":      {"cut-after=20 nopipelining", 1, 400, 25 * time.Minute, 1.2},
		"after 20 answers, pipelined":       {"cut-after=20", 1, 400, 25 * time.Minute, 12},
		"after 3 answers, one by one":       {"cut-after=3 nopipelining", 1, 60, 25 * time.Minute, 2},
		"after 20 answers, in many domains": {"cut-after=20", 40, 10, 25 * time.Minute, 12},
		"after one answer":                  {"cut-after=1 nopipelining", 1, 12, 25 * time.Minute, 3},
	}, func(t *testing.T, w world) {
		var b strings.Builder
		var addresses []string
		fmt.Fprintf(&b, "host mx.corp.lab latency=20ms %s\n", w.options)
		for d := range w.domains {
			list := numbered("user", fmt.Sprintf("d%d.lab", d), w.each)
			fmt.Fprintf(&b, "domain d%d.lab mx=mx.corp.lab\nmailbox %s\n", d, strings.Join(list, " "))
			addresses = append(addresses, list...)
		}
		l, v := memoryWorld(t, b.String(), nil)
		begun := time.Now()
		for _, r := range verifyAll(t, v, addresses) {
			if r.Reason != "accepted" && r.Reason != "catch_all_unknown" || r.Reply == nil {
				t.Errorf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		within(t, "the run", time.Since(begun), 0, w.most)
		c := l.Count()
		t.Logf("%v, %d connections, %d recipients for %d", time.Since(begun), c.Connections, c.Rcpts, len(addresses))
		if float64(c.Rcpts) > w.mostPerAddress*float64(len(addresses)) {
			t.Errorf("%d recipients asked for %d addresses", c.Rcpts, len(addresses))
		}
	})
}

func TestAConnectionThatIsCutWhileItWaitsForTheRateIsOpenedAgain(t *testing.T) {
	for _, idle := range []time.Duration{time.Second, 3 * time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			addresses := numbered("user", "gmx.net", 200)
			_, v := memoryWorld(
				t,
				fmt.Sprintf("host mx00.gmx.net latency=10ms cut-idle=%v\ndomain gmx.net mx=mx00.gmx.net\nmailbox %s",
					idle, strings.Join(addresses, " ")),
				nil,
			)
			begun := time.Now()
			wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
			within(t, "the run at 5 addresses a second", time.Since(begun), 34*time.Second, 10*time.Minute)
			t.Log(idle, time.Since(begun))
		})
	}
}

func TestWhereLargeFlightsGetLostSmallOnesAreTried(t *testing.T) {
	bubbles(t, map[string]int{"one address": 1, "a large list": 300, "many domains": -40}, func(t *testing.T, n int) {
		domains, each := 1, n
		if n < 0 {
			domains, each = -n, 10
		}
		var b strings.Builder
		var addresses []string
		b.WriteString("host mx.corp.lab latency=20ms stall=330\n")
		for d := range domains {
			list := numbered("user", fmt.Sprintf("d%d.lab", d), each)
			fmt.Fprintf(&b, "domain d%d.lab mx=mx.corp.lab\nmailbox %s\n", d, strings.Join(list, " "))
			addresses = append(addresses, list...)
		}
		l, v := memoryWorld(t, b.String(), nil)
		begun := time.Now()
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		within(t, "the run", time.Since(begun), 0, 5*time.Minute)
		t.Logf("%v, %d connections", time.Since(begun), l.Count().Connections)
		for _, a := range addresses {
			if n := l.Probes(a); n != 1 {
				t.Errorf("%s was asked %d times", a, n)
				break
			}
		}
		begun = time.Now()
		more := numbered("more", "d0.lab", 100)
		verifyAll(t, v, more)
		within(t, "a second run, which knows", time.Since(begun), 0, 30*time.Second)
	})
}

func TestADeadFamilyCostsAQuarterOfASecond(t *testing.T) {
	type world struct{ four, six string } // the fault of each family's address
	bubbles(t, map[string]world{
		"IPv4 is a black hole": {"blackhole", ""},
		"IPv6 is a black hole": {"", "blackhole"},
		"IPv4 refuses":         {"dead", ""},
		"IPv6 refuses":         {"", "dead"},
		"both work":            {"", ""},
	}, func(t *testing.T, w world) {
		l, v := memoryWorld(t, fmt.Sprintf(`
			host four.lab 127.0.1.1 latency=20ms sessions=4 %s
			host six.lab 2001:db8:1::1 latency=20ms sessions=4 %s
			name mx.corp.lab four.lab,six.lab
			domain corp.lab mx=mx.corp.lab
			domain other.lab mx=mx.corp.lab
			mailbox ann@corp.lab ann@other.lab`, w.four, w.six), nil)
		begun := time.Now()
		r, err := v.Check(t.Context(), "ann@corp.lab")
		if err != nil || r.Reason != "accepted" {
			t.Errorf("%s (%s), %v", r.Reason, r.Detail, err)
		}
		within(t, "the check", time.Since(begun), 60*time.Millisecond, 600*time.Millisecond)
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, "with QUIT", time.Since(begun), 60*time.Millisecond, 800*time.Millisecond)
		begun = time.Now()
		addresses := append(numbered("x", "corp.lab", 300), numbered("x", "other.lab", 300)...)
		wantReasons(t, verifyAll(t, v, addresses), all("mailbox_unknown", addresses))
		within(t, "a list", time.Since(begun), 0, 40*time.Second)
		c := wantPoliteness(t, l)
		for addr, n := range c.PeakByAddr {
			if n > 4 {
				t.Errorf("%d sessions at a time at %s", n, addr)
			}
		}
	})
}

func TestARaceForAnAddressCountsAgainstTheCaps(t *testing.T) {
	// The first address is slow to connect, so that many races are under way at a time, and both could be won.
	for _, milliseconds := range []time.Duration{240, 260, 400, 2000} {
		latency := milliseconds * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			addresses := numbered("user", "corp.lab", 600)
			l, v := memoryWorld(t, fmt.Sprintf(`
				host four.lab 127.0.1.1 latency=%v sessions=4
				host six.lab 2001:db8:1::1 latency=20ms sessions=4
				name mx.corp.lab four.lab,six.lab
				name mx.too.lab six.lab,four.lab
				domain corp.lab mx=mx.corp.lab
				domain too.lab mx=mx.too.lab
				mailbox %s`, latency, strings.Join(addresses, " ")), nil)
			more := numbered("user", "too.lab", 200)
			want := all("accepted", addresses)
			for _, a := range more {
				want[a] = "mailbox_unknown"
			}
			wantReasons(t, verifyAll(t, v, append(more, addresses...)), want)
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := wantPoliteness(t, l)
			for addr, n := range c.PeakByAddr {
				if n > 4 {
					t.Errorf("%v: %d sessions at a time at %s", latency, n, addr)
				}
			}
		})
	}
}

func TestAFailedTLSHandshakeLeadsToPlainTextOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := numbered("user", "corp.lab", 100)
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms tls-broken\ndomain corp.lab mx=mx.corp.lab\nmailbox "+
			strings.Join(addresses, " "), nil)
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		for range 5 {
			if r, err := v.Check(t.Context(), "user1@corp.lab"); err != nil || r.Reason != "accepted" {
				t.Errorf("%s, %v", r.Reason, err)
			}
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c := wantPoliteness(t, l)
		if lost := c.Connections - c.Sessions; lost > 1 || c.Handshakes > 0 {
			t.Errorf("%d connections and %d sessions", c.Connections, c.Sessions)
		}
	})
}
