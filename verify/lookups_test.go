package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/mx"
)

// brittle is a Resolver that gives no answers while it is down, nor about domains that begin with "bad".
type brittle struct {
	from, till time.Time // down
	tests      atomic.Int64
}

func (b *brittle) down() bool { return !time.Now().Before(b.from) && time.Now().Before(b.till) }

func (b *brittle) Lookup(ctx context.Context, domain string) (mx.Answer, error) {
	takes, late := 20*time.Millisecond, strings.HasPrefix(domain, "answered")
	if late { // asked before DNS went away, and answered later
		takes = 20 * time.Second
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return mx.Answer{}, ctx.Err()
	}
	if b.down() && !late || strings.HasPrefix(domain, "bad") {
		return mx.Answer{}, &mx.TemporaryError{Kind: "timeout", Err: errors.New("no resolver answered")}
	}
	if strings.HasPrefix(domain, "gone") {
		return mx.Answer{}, mx.ErrNoSuchDomain
	}
	if strings.HasPrefix(domain, "inside") {
		return mx.Answer{}, fmt.Errorf("as one resolver says: %w", mx.ErrNotPublic)
	}
	host := mx.Host{Name: "mx." + domain, Preference: 10, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	return mx.Answer{Domain: domain, Hosts: []mx.Host{host}, Destination: domain}, nil
}

// preflight is the test of DNS.
func (b *brittle) preflight(context.Context) error {
	b.tests.Add(1)
	if b.down() {
		return errors.New("no resolver answers")
	}
	return nil
}

// lookedUp runs domains through a Verifier that asks no mail host.
func lookedUp(t *testing.T, b *brittle, o verify.RunOptions, domains ...string) []verify.Result {
	t.Helper()
	v, err := verify.New(verify.Config{Resolver: b, Lookups: 20, Preflight: b.preflight})
	if err != nil {
		t.Fatal(err)
	}
	addresses := make([]string, len(domains))
	for i, d := range domains {
		addresses[i] = "ann@" + d
	}
	queue := newNotebook(t, addresses)
	if err := v.Run(t.Context(), queue, o); err != nil {
		t.Fatal(err)
	}
	if len(queue.results) != len(addresses) {
		t.Fatalf("%d of %d have a result", len(queue.results), len(addresses))
	}
	return queue.list()
}

func domains(prefix string, count int) []string {
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d.lab", prefix, i)
	}
	return list
}

func TestDNSThatGoesAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brittle{from: time.Now().Add(100 * time.Millisecond), till: time.Now().Add(3 * time.Minute)}
		var seen waitedFor
		list := append(domains("d", 400), domains("gone", 400)...)
		for _, r := range lookedUp(t, b, verify.RunOptions{Patience: 10 * time.Minute, Observer: &seen}, list...) {
			if r.Reason == "dns_failure" || r.Trouble != nil {
				t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
		if !seen.heard("DNS") {
			t.Error("nobody was told that DNS is waited for")
		}
	})
}

func TestALateAnswerSettlesNothingWhileDNSIsTested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brittle{from: time.Now().Add(100 * time.Millisecond), till: time.Now().Add(3 * time.Minute)}
		list := append(domains("answered", 1), domains("d", 400)...)
		for _, r := range lookedUp(t, b, verify.RunOptions{Patience: 10 * time.Minute}, list...) {
			if r.Reason == "dns_failure" {
				t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}

func TestDomainsAboveTheBoundWaitForTheTestOfDNSToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brittle{from: time.Now(), till: time.Now().Add(3 * time.Minute)}
		v, err := verify.New(verify.Config{Resolver: b, Lookups: 2000, Preflight: b.preflight})
		if err != nil {
			t.Fatal(err)
		}
		var addresses []string
		for _, d := range domains("d", 2000) {
			addresses = append(addresses, "ann@"+d)
		}
		queue := newNotebook(t, addresses)
		if err := v.Run(t.Context(), queue, verify.RunOptions{Patience: 10 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		for _, r := range queue.list() {
			if r.Reason == "dns_failure" {
				t.Fatalf("%s: %s (%s)", r.Normalized, r.Reason, r.Detail)
			}
		}
	})
}

func TestDNSThatStaysAwayIsGivenUpAndNothingIsConcluded(t *testing.T) {
	bubbles(t, map[string]time.Duration{"at once": 0, "after a minute": time.Minute},
		func(t *testing.T, patience time.Duration) {
			b := &brittle{from: time.Now().Add(100 * time.Millisecond), till: time.Now().Add(time.Hour)}
			begun, failed := time.Now(), 0
			list := append(domains("d", 4000), domains("gone", 400)...)
			for _, r := range lookedUp(t, b, verify.RunOptions{Patience: patience}, list...) {
				if r.Reason != "dns_failure" {
					continue
				}
				failed++
				if !r.Ours || r.Trouble == nil || r.Trouble.Kind != verify.DNSDown {
					t.Fatalf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
				}
			}
			within(t, "the run", time.Since(begun), patience, patience+20*time.Second)
			if failed < 4000 {
				t.Errorf("only %d without an answer", failed)
			}
		})
}

func TestADomainWithoutAnAnswerCountsOnlyWhereAnotherHasOne(t *testing.T) {
	type world struct {
		domains []string
		ours    bool
		tests   int64
	}
	bubbles(t, map[string]world{
		"nothing else":                   {domains("bad", 3), true, 0},
		"others exist":                   {append(domains("bad", 3), domains("d", 3)...), false, 0},
		"others do not exist":            {append(domains("bad", 3), domains("gone", 3)...), false, 0},
		"many in a row, and DNS is fine": {append(domains("d", 20), domains("bad", 70)...), false, 3},
	}, func(t *testing.T, w world) {
		b := &brittle{}
		for _, r := range lookedUp(t, b, verify.RunOptions{}, w.domains...) {
			if strings.Contains(r.Normalized, "@bad") && (r.Reason != "dns_failure" || r.Ours != w.ours || r.Trouble != nil) {
				t.Errorf("%s: %s (%s), ours %v", r.Normalized, r.Reason, r.Detail, r.Ours)
			}
		}
		if n := b.tests.Load(); n > w.tests || n == 0 && w.tests > 0 {
			t.Errorf("DNS was tested %d times, want %d at most", n, w.tests)
		}
	})
}

func TestHostsOnPrivateAddressesOnlyAreNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, r := range lookedUp(t, &brittle{}, verify.RunOptions{}, "inside.lab", "d.lab") {
			if strings.Contains(r.Normalized, "inside") &&
				(r.Reason != "dns_failure" || !strings.Contains(r.Detail, "non-public") || !r.Ours) {
				t.Errorf("%s (%s), ours %v", r.Reason, r.Detail, r.Ours)
			}
		}
	})
}
