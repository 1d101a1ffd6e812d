package verify_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"presend/verify"
)

// journal keeps what is logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) lines(with string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.b.String()) {
		if strings.Contains(line, with) {
			found = append(found, line)
		}
	}
	return found
}

// hosts declares count hosts with one domain and so many good addresses each. Host i is mx.h<i>.lab.
func hosts(count, each int, options string) (declaration string, addresses []string) {
	var b strings.Builder
	for h := range count {
		domain := fmt.Sprintf("h%d.lab", h)
		list := numbered("user", domain, each)
		fmt.Fprintf(
			&b,
			"host mx.%s %s\ndomain %s mx=mx.%s\nmailbox %s\n",
			domain,
			options,
			domain,
			domain,
			strings.Join(list, " "),
		)
		addresses = append(addresses, list...)
	}
	return b.String(), addresses
}

var three = addrs("127.0.0.2", "127.0.0.3", "127.0.0.4")

func TestASourceThatIsBlockedOrClosedCostsNoAddressItsAnswer(t *testing.T) {
	type world struct {
		hosts, each int
		options     string
		bad         netip.Addr
	}
	cases := map[string]world{}
	for _, bad := range three { // the first, the last, and between
		for what, options := range map[string]string{"blocked": "blocks-from=", "closed": "closed-from="} {
			name := fmt.Sprintf(" is %s", what)
			options += bad.String()
			cases[bad.String()+name+" at 60 small hosts"] = world{60, 2, options, bad}
			if bad == three[1] {
				cases[bad.String()+name+" at one host"] = world{1, 1800, options, bad}
				cases[bad.String()+name+" at 60 hosts"] = world{60, 30, options, bad}
				cases[bad.String()+name+" at 60 hosts that answer one by one"] = world{
					60,
					5,
					"nopipelining " + options,
					bad,
				}
			}
		}
	}
	bubbles(t, cases, func(t *testing.T, w world) {
		declaration, addresses := hosts(w.hosts, w.each, "latency=20ms "+w.options)
		var log journal
		l, v := memoryWorld(t, declaration, func(c *verify.Config) {
			c.Sources, c.Logger = three, slog.New(
				slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}),
			)
		})
		begun := time.Now()
		results := verifyAll(t, v, addresses)
		wantReasons(t, results, all("accepted", addresses))
		within(t, "the run", time.Since(begun), 0, 45*time.Second) // a closed source costs its first time-out
		for _, r := range results {
			if r.Source == w.bad || !r.Source.IsValid() {
				t.Errorf("%s was accepted from %s", r.Normalized, r.Source)
				break
			}
		}
		c := wantPoliteness(t, l)
		if w.hosts > 1 {
			if said := log.lines("source"); len(said) != 1 || !strings.Contains(said[0], w.bad.String()) {
				t.Errorf("logged %q, want one line about %s", said, w.bad)
			}
			if n := c.ConnectionsFrom[w.bad]; n > 40 {
				t.Errorf("%d connections from the source that is of no use, of %d", n, c.Connections)
			}
		}
	})
}

func TestAllSourcesBlockedIsAboutUs(t *testing.T) {
	bubbles(t, map[string]string{"blocked": "blocks-from=127.0.0.2,127.0.0.3,127.0.0.4", "banner": "banner554"},
		func(t *testing.T, options string) {
			declaration, addresses := hosts(20, 30, options)
			l, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = three })
			results := verifyAll(t, v, addresses)
			wantReasons(t, results, all("sender_blocked", addresses))
			for _, r := range results {
				if !r.RetryAt.IsZero() || r.Verdict != "unknown" {
					t.Fatalf("%s: %s, retry at %s", r.Normalized, r.Verdict, r.RetryAt)
				}
			}
			wantPoliteness(t, l)
		})
}

func TestAGreylistingHostSeesTheSourceOfTheFirstTryAgain(t *testing.T) {
	bubbles(t, map[string]string{
		"all sources work": "", "one is blocked": " blocks-from=127.0.0.3", "one is closed": " closed-from=127.0.0.2",
	}, func(t *testing.T, options string) {
		declaration, addresses := hosts(10, 3, "greylist-first=300s latency=20ms"+options)
		_, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = three })
		queue := newNotebook(t, addresses)
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		wantReasons(t, queue.list(), all("greylisted", addresses))
		first := map[string]netip.Addr{}
		for _, r := range queue.list() {
			first[r.Normalized] = r.Source
		}
		time.Sleep(20 * time.Minute)
		queue.again()
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, r := range queue.list() {
			if r.Reason != "accepted" || r.Source != first[r.Normalized] {
				t.Errorf("%s: %s from %s, first tried from %s", r.Normalized, r.Reason, r.Source, first[r.Normalized])
			}
		}
	})
}

func TestARetryBoundToASourceThatIsGoneOrOfNoUseComesFromAnother(t *testing.T) {
	type world struct {
		options string
		bound   netip.Addr
	}
	bubbles(t, map[string]world{
		"no longer configured": {"", netip.MustParseAddr("127.0.0.99")},
		"blocked now":          {"blocks-from=127.0.0.3", three[1]},
		"closed now":           {"closed-from=127.0.0.3", three[1]},
	}, func(t *testing.T, w world) {
		declaration, addresses := hosts(10, 3, "latency=20ms "+w.options)
		l, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = three })
		queue := newNotebook(t, addresses)
		for id := range queue.addresses {
			queue.results[id] = verify.Result{Reason: "greylisted", RetryAt: time.Now(), Source: w.bound}
		}
		queue.again()
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		wantReasons(t, queue.list(), all("accepted", addresses))
		wantPoliteness(t, l)
	})
}

func TestTheOrderOfSourcesOfBothFamiliesDecidesNothing(t *testing.T) {
	mixed := addrs("127.0.0.2", "2001:db8::2", "127.0.0.3")
	orders := map[string][]netip.Addr{
		"IPv4 first": mixed,
		"IPv6 first": {mixed[1], mixed[0], mixed[2]},
		"IPv6 last":  {mixed[0], mixed[2], mixed[1]},
	}
	bubbles(t, orders, func(t *testing.T, sources []netip.Addr) {
		l, v := memoryWorld(t, `
			host mx.four.lab 127.0.1.1
			host mx.six.lab 2001:db8:1::1
			host mx.both.lab 127.0.1.2 2001:db8:1::2
			host mx.six2.lab 2001:db8:1::3 dead
			domain four.lab mx=mx.four.lab
			domain six.lab mx=mx.six.lab
			domain both.lab mx=mx.both.lab
			domain fall.lab mx=10:mx.six2.lab,20:mx.four.lab
			mailbox ann@four.lab ann@six.lab ann@both.lab ann@fall.lab`, func(c *verify.Config) { c.Sources = sources })
		addresses := []string{
			"ann@four.lab",
			"bob@four.lab",
			"ann@six.lab",
			"bob@six.lab",
			"ann@both.lab",
			"bob@both.lab",
			"ann@fall.lab",
		}
		for _, r := range verifyAll(t, v, addresses) {
			want := "accepted"
			if r.Normalized[0] == 'b' {
				want = "mailbox_unknown"
			}
			if string(r.Reason) != want {
				t.Errorf("%s: %s (%s), want %s", r.Normalized, r.Reason, r.Detail, want)
			}
		}
		wantPoliteness(t, l)
	})
}

func TestSessionsAreSpreadOverTheSources(t *testing.T) {
	type world struct {
		hosts, each int
		least       int // connections from each source
	}
	bubbles(t, map[string]world{
		"over many small destinations": {120, 3, 30},
		"over the sessions of one":     {1, 3000, 1},
	}, func(t *testing.T, w world) {
		declaration, addresses := hosts(w.hosts, w.each, "latency=50ms sessions=12")
		l, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = three })
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		c := wantPoliteness(t, l)
		for _, source := range three {
			if n := c.ConnectionsFrom[source]; n < w.least {
				t.Errorf("%d connections from %s, want at least %d: %v", n, source, w.least, c.ConnectionsFrom)
			}
		}
	})
}

func TestAServerThatIsDownForOneSourceIsAskedFromAnother(t *testing.T) {
	bubbles(t, map[string]int{"one address": 1, "many": 50}, func(t *testing.T, each int) {
		// Two of three cannot reach it, and which one can differs.
		declaration := ""
		var addresses []string
		for h := range 9 {
			closed := slices.Delete(slices.Clone(three), h%3, h%3+1)
			list := numbered("user", fmt.Sprintf("h%d.lab", h), each)
			declaration += fmt.Sprintf("host mx.h%d.lab closed-from=%s,%s\ndomain h%d.lab mx=mx.h%d.lab\nmailbox %s\n",
				h, closed[0], closed[1], h, h, strings.Join(list, " "))
			addresses = append(addresses, list...)
		}
		l, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sources = three })
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		wantPoliteness(t, l)
	})
}
