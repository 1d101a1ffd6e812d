package verify_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
)

func TestCheckAllYieldsEachResultAsItIsKnownAndWithTheAddressAsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(t, `
			host mx.quick.lab latency=20ms
			host mx.slow.lab latency=10s
			host mx.silent.lab silent
			domain quick.lab mx=mx.quick.lab
			domain slow.lab mx=mx.slow.lab
			domain silent.lab mx=mx.silent.lab
			domain gone.lab nxdomain
			mailbox ann@quick.lab bob@quick.lab ann@slow.lab`, nil)
		given := map[string]string{
			" Ann@Quick.lab ": "accepted", "mailto:bob@quick.lab": "accepted", "ann@quick.lab": "accepted",
			"no address":   "syntax",
			"ann@gone.lab": "no_such_domain", "ann@slow.lab": "accepted", "ann@silent.lab": "timeout",
			"nobody@quick.lab": "mailbox_unknown",
		}
		var addresses []string
		for a := range given {
			addresses = append(addresses, a)
		}
		addresses = append(addresses, "ann@quick.lab") // twice
		slices.Sort(addresses)
		var got []string
		begun := time.Now()
		for r, err := range v.CheckAll(t.Context(), slices.Values(addresses)) {
			if err != nil || string(r.Reason) != given[r.Address] {
				t.Errorf("%q: %s (%s), %v; want %s", r.Address, r.Reason, r.Detail, err, given[r.Address])
			}
			if time.Since(begun) > time.Second && r.Address != "ann@slow.lab" && r.Address != "ann@silent.lab" {
				t.Errorf("%q came after %v", r.Address, time.Since(begun))
			}
			got = append(got, r.Address)
		}
		slices.Sort(got)
		if !slices.Equal(got, addresses) {
			t.Errorf("results for %q, want one for each of %q", got, addresses)
		}
	})
}

func TestCheckAllYieldsResultsWhileAddressesAreStillToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(
			t,
			"host mx.corp.lab latency=20ms\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			nil,
		)
		come := func(yield func(string) bool) {
			for _, a := range append([]string{"ann@corp.lab"}, numbered("nobody", "corp.lab", 5)...) {
				if !yield(a) {
					return
				}
				time.Sleep(time.Hour)
			}
		}
		begun, n := time.Now(), 0
		for r, err := range v.CheckAll(t.Context(), come) {
			if err != nil {
				t.Fatal(err)
			}
			late := time.Since(begun) - time.Duration(n)*time.Hour
			within(t, "the result of "+r.Address, late, 0, time.Second)
			n++
		}
		if n != 6 {
			t.Errorf("%d results, want 6", n)
		}
	})
}

func TestBreakingOffCheckAllEndsTheWork(t *testing.T) {
	bubbles(
		t,
		map[string]string{
			"at a quick host": "latency=20ms",
			"at a slow one":   "latency=1s nopipelining",
			"at a mute one":   "mute-quit",
		},
		func(t *testing.T, options string) {
			declaration, addresses, _ := corp(options, 20, 100)
			l, v := memoryWorld(t, declaration, nil)
			n := 0
			for _, err := range v.CheckAll(t.Context(), slices.Values(addresses)) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 5 {
					break
				}
			}
			broke, asked := time.Now(), l.Count().Rcpts
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			within(t, "leaving", time.Since(broke), 0, 2*time.Second)
			time.Sleep(time.Minute)
			if more := l.Count().Rcpts - asked; more > 60 { // flights that were under way arrive
				t.Errorf("%d recipients were asked after the break", more)
			}
			synctest.Wait() // a goroutine that is left would fail the bubble
		},
	)
}

func TestTheErrorOfTheContextComesFromCheckAllOnceAndLast(t *testing.T) {
	type world struct {
		options string
		after   time.Duration
		endless bool
	}
	bubbles(t, map[string]world{
		"while a host is silent":         {"silent", 2 * time.Second, false},
		"while answers come":             {"latency=200ms nopipelining", 30 * time.Second, false},
		"before it begins":               {"latency=20ms", 0, false},
		"while it waits for an address":  {"latency=20ms", time.Minute, true},
		"while a look-up is under way":   {"latency=20ms", 50 * time.Millisecond, false},
		"in the middle of the first run": {"latency=1s", 3500 * time.Millisecond, false},
	}, func(t *testing.T, w world) {
		declaration, addresses, _ := corp(w.options, 10, 100)
		_, v := memoryWorld(t, "dns latency=50ms\n"+declaration, nil)
		ctx, cancel := context.WithTimeout(t.Context(), w.after)
		defer cancel()
		source := slices.Values(addresses)
		if w.endless {
			source = endless(ctx, addresses)
		}
		var results, errs int
		begun := time.Now()
		for r, err := range v.CheckAll(ctx, source) {
			switch {
			case errs > 0:
				t.Errorf("%s, %v came after the error", r.Address, err)
			case err == nil:
				results++
			default:
				errs++
				if !errors.Is(err, context.DeadlineExceeded) || r.Address != "" {
					t.Errorf("%q, %v; want the context's error and no result", r.Address, err)
				}
			}
		}
		within(t, "it", time.Since(begun), w.after, w.after+time.Second)
		if errs != 1 {
			t.Errorf("%d errors and %d results, want one error", errs, results)
		}
		if (w.options == "latency=200ms nopipelining" || w.endless) && results < 50 {
			t.Errorf("%d results before the error", results)
		}
	})
}

// endless yields addresses and then waits for the end of ctx.
func endless(ctx context.Context, addresses []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, a := range addresses {
			if !yield(a) {
				return
			}
		}
		<-ctx.Done()
	}
}

func TestCheckAllReadsNoMoreAheadThanItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total, ahead = 28_000, 20_000
		_, v := memoryWorld(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab catchall", nil)
		var read atomic.Int64
		addresses := func(yield func(string) bool) {
			for _, a := range numbered("user", "corp.lab", total) {
				read.Add(1)
				if !yield(a) {
					return
				}
			}
		}
		taken := 0
		for r, err := range v.CheckAll(t.Context(), addresses) {
			if err != nil || r.Reason != "catch_all" {
				t.Fatalf("%s: %s (%s), %v", r.Address, r.Reason, r.Detail, err)
			}
			if taken++; taken%1000 == 1 { // a slow consumer
				time.Sleep(time.Minute)
				if n := int(read.Load()); n > taken+ahead+1 {
					t.Fatalf("%d addresses were read when %d results were taken", n, taken)
				}
			}
		}
		if taken != total {
			t.Errorf("%d results, want %d", taken, total)
		}
	})
}

func TestManyCheckAllsAtATimeShareAVerifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses, want := corp("sessions=4 latency=50ms", 10, 100)
		l, v := memoryWorld(t, declaration, nil)
		done := make(chan int)
		for range 5 {
			go func() {
				n := 0
				for r, err := range v.CheckAll(t.Context(), slices.Values(addresses)) {
					if err != nil || string(r.Reason) != want[r.Address] {
						t.Errorf("%s: %s, %v; want %s", r.Address, r.Reason, err, want[r.Address])
					}
					n++
				}
				done <- n
			}()
		}
		for range 5 {
			if n := <-done; n != len(addresses) {
				t.Errorf("%d results, want %d", n, len(addresses))
			}
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := wantPoliteness(t, l); c.PeakSessions["mx.corp.lab"] > 4 {
			t.Errorf("%d sessions at a time", c.PeakSessions["mx.corp.lab"])
		}
	})
}

var _ verify.Queue = (*notebook)(nil)
