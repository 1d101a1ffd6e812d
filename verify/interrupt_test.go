package verify_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
)

// interrupted is a run that ends before its list does.
type interrupted struct {
	options string // of the host
	kind    string // of the domain
	after   time.Duration
	cancel  bool // the context ends; else Stop is closed
	want    string
	least   int // addresses to be kept
}

func TestWhatWasHeardBeforeAnInterruptIsKeptAndNotAskedForAgain(t *testing.T) {
	bubbles(t, map[string]interrupted{
		"stopped in the first transaction of a catch-all domain": {
			"nopipelining", "catchall", 1500 * time.Millisecond, false, "catch_all", 40,
		},
		"cancelled in the first transaction of a catch-all domain": {
			"nopipelining", "catchall", 1500 * time.Millisecond, true, "catch_all", 40,
		},
		"stopped when the question was answered": {
			"nopipelining", "catchall", 5 * time.Second, false, "catch_all", 150,
		},
		"cancelled after several hundred answers": {
			"nopipelining", "catchall", 9 * time.Second, true, "catch_all", 300,
		},
		"cancelled at a domain that is no catch-all": {
			"nopipelining", "", 9 * time.Second, true, "accepted", 300,
		},
		"stopped in a flight": {
			"latency=1s", "catchall", 4500 * time.Millisecond, false, "catch_all", 1,
		},
		"cancelled between flights": {
			"latency=1s", "catchall", 5500 * time.Millisecond, true, "catch_all", 1,
		},
	}, func(t *testing.T, x interrupted) {
		addresses := numbered("user", "corp.lab", 800)
		declaration := "host mx.corp.lab latency=50ms " + x.options + "\n" +
			"domain corp.lab mx=mx.corp.lab " + x.kind + "\nmailbox"
		for _, a := range addresses {
			declaration += " " + a
		}
		l, v := memoryWorld(t, declaration, nil)
		queue := newNotebook(t, addresses)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := make(chan struct{})
		time.AfterFunc(x.after, func() {
			if x.cancel {
				cancel()
			} else {
				close(stop)
			}
		})
		begun := time.Now()
		err := v.Run(ctx, queue, verify.RunOptions{Stop: stop})
		if x.cancel != errors.Is(err, context.Canceled) || !x.cancel && err != nil {
			t.Errorf("the run returned %v", err)
		}
		within(t, "the run", time.Since(begun), x.after, x.after+3*time.Second)
		kept := queue.kept()
		lost := 0
		for id, a := range addresses {
			if l.Probes(a) > 0 && !kept[int64(id)] {
				lost++
			}
		}
		if unanswered := 4; lost > unanswered && x.options == "nopipelining" || len(kept) < x.least {
			t.Errorf("%d kept and %d lost; want at least %d kept, and one a session lost", len(kept), lost, x.least)
		}
		for id, r := range queue.provisional {
			if r.Reason != "catch_all_unknown" || r.RetryAt.IsZero() || r.Reply == nil || r.Reply.Code != 250 {
				t.Fatalf("%s: %s, %v, retry at %s; want catch_all_unknown with its reply and a time",
					addresses[id], r.Reason, r.Reply, r.RetryAt)
			}
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !x.cancel { // which cuts the connections on which a reply is awaited
			wantPoliteness(t, l)
		}
		before := l.Count().Rcpts
		queue.again()
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		if most := len(addresses) - len(kept) + 4; l.Count().Rcpts-before > most {
			t.Errorf("the second run asked %d recipients, want at most %d: %d were heard before",
				l.Count().Rcpts-before, most, len(kept))
		}
		wantReasons(t, queue.list(), all(x.want, addresses))
		if len(queue.results) != len(addresses) {
			t.Errorf("%d of %d have a result", len(queue.results), len(addresses))
		}
	})
}

func TestAnotherProcessSettlesWhatWasHeardBeforeAnInterrupt(t *testing.T) {
	for _, kind := range []string{"", "catchall"} {
		synctest.Test(t, func(t *testing.T) {
			addresses := numbered("user", "corp.lab", 800)
			declaration := "host mx.corp.lab latency=50ms nopipelining\n" +
				"domain corp.lab mx=mx.corp.lab " + kind + "\nmailbox"
			for _, a := range addresses {
				declaration += " " + a
			}
			l, first := memoryWorld(t, declaration, nil)
			queue := newNotebook(t, addresses)
			stop := make(chan struct{})
			time.AfterFunc(1500*time.Millisecond, func() { close(stop) })
			if err := first.Run(t.Context(), queue, verify.RunOptions{Stop: stop}); err != nil {
				t.Fatal(err)
			}
			heard := len(queue.provisional)
			if heard < 20 {
				t.Errorf("%d heard, want some", heard)
			}
			before := l.Count().Rcpts
			queue.again()
			second := verifier(t, l, l.Resolver(), nil)
			if err := second.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"": "accepted", "catchall": "catch_all"}[kind]
			wantReasons(t, queue.list(), all(want, addresses))
			if asked, most := l.Count().Rcpts-before, len(addresses)-heard+4; asked > most ||
				len(queue.provisional) > 0 {
				t.Errorf(
					"%d recipients asked, want at most %d; %d are still provisional",
					asked,
					most,
					len(queue.provisional),
				)
			}
		})
	}
}

// watcher is an Observer that counts what it is told.
type watcher struct{ done []verify.Result }

func (w *watcher) Done(r verify.Result) { w.done = append(w.done, r) }
func (w *watcher) Waiting(verify.Ahead) {}

func TestAnObserverSeesOnlySettledResultsAndEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := numbered("user", "corp.lab", 200)
		_, v := memoryWorld(
			t,
			"host mx.corp.lab latency=50ms nopipelining\ndomain corp.lab mx=mx.corp.lab catchall",
			nil,
		)
		var seen watcher
		if err := v.Run(t.Context(), newNotebook(t, addresses), verify.RunOptions{Observer: &seen}); err != nil {
			t.Fatal(err)
		}
		wantReasons(t, seen.done, all("catch_all", addresses))
		if len(seen.done) != len(addresses) {
			t.Errorf("%d results were observed, want %d", len(seen.done), len(addresses))
		}
	})
}

func TestStoppingOneOfTwoRunsLeavesTheOther(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, v := memoryWorld(
				t,
				"host mx.corp.lab latency=50ms nopipelining\ndomain corp.lab mx=mx.corp.lab catchall",
				nil,
			)
			stopped := newNotebook(t, numbered("one", "corp.lab", 400))
			addresses := numbered("two", "corp.lab", 400)
			other := newNotebook(t, addresses)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stop := make(chan struct{})
			ends := make(chan error, 2)
			go func() { ends <- v.Run(t.Context(), other, verify.RunOptions{}) }()
			go func() {
				err := v.Run(ctx, stopped, verify.RunOptions{Stop: stop})
				if cancels && errors.Is(err, context.Canceled) {
					err = nil
				}
				ends <- err
			}()
			time.Sleep(1200 * time.Millisecond)
			if cancels {
				cancel()
			} else {
				close(stop)
			}
			for range 2 {
				if err := <-ends; err != nil {
					t.Error(err)
				}
			}
			wantReasons(t, other.list(), all("catch_all", addresses))
			if len(other.results) != len(addresses) {
				t.Errorf("%d of %d have a result", len(other.results), len(addresses))
			}
			for _, a := range addresses {
				if n := l.Probes(a); n != 1 {
					t.Errorf("%s was asked %d times", a, n)
					break
				}
			}
			if n := len(stopped.kept()); n == 0 || n > 300 {
				t.Errorf("the stopped run kept %d results", n)
			}
			if err := v.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !cancels {
				wantPoliteness(t, l)
			}
		})
	}
}

// waits is a Queue whose Domains waits for work that does not come.
type waits struct{ *notebook }

func (q waits) Domains(ctx context.Context, max int) ([]verify.Domain, error) {
	list, err := q.notebook.Domains(ctx, max)
	if len(list) > 0 || err != nil {
		return list, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestARunWhoseQueueWaitsForWorkEndsWhenItIsStopped(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, v := memoryWorld(
				t,
				"host mx.corp.lab latency=50ms\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
				nil,
			)
			queue := newNotebook(t, []string{"ann@corp.lab"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stop := make(chan struct{})
			time.AfterFunc(time.Minute, func() {
				if cancels {
					cancel()
				} else {
					close(stop)
				}
			})
			begun := time.Now()
			err := v.Run(ctx, waits{queue}, verify.RunOptions{Stop: stop})
			if errors.Is(err, context.Canceled) != cancels || !cancels && err != nil {
				t.Errorf("%v", err)
			}
			within(t, "the run", time.Since(begun), time.Minute, time.Minute)
			wantReasons(t, queue.list(), all("accepted", []string{"ann@corp.lab"}))
			if len(queue.results) != 1 {
				t.Error("the result was not kept")
			}
		})
	}
}

func TestResultsAreRecordedWhileTheQueueWaitsForMoreWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(
			t,
			"host mx.corp.lab latency=50ms\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			nil,
		)
		queue := newNotebook(t, []string{"ann@corp.lab"})
		stop := make(chan struct{})
		begun := time.Now()
		queue.onRecord = func() { within(t, "the result", time.Since(begun), 0, time.Second) }
		time.AfterFunc(time.Hour, func() { close(stop) })
		if err := v.Run(t.Context(), waits{queue}, verify.RunOptions{Stop: stop}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARunGoesOnWhenASlowQueueHasRecordedWhatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := numbered("user", "corp.lab", 25_000)
		l, v := memoryWorld(t, "host mx.corp.lab latency=20ms\ndomain corp.lab mx=mx.corp.lab catchall", nil)
		queue := newNotebook(t, addresses)
		most := 0
		queue.onRecord = func() {
			most = max(most, l.Count().Rcpts-len(queue.results))
			time.Sleep(time.Hour)
		}
		begun := time.Now()
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		within(t, "recording some 10,000 results an hour", time.Since(begun), 2*time.Hour, 5*time.Hour)
		wantReasons(t, queue.list(), all("catch_all", addresses))
		if len(queue.results) != len(addresses) || most > 12_000 {
			t.Errorf(
				"%d of %d have a result; %d were asked that were not recorded",
				len(queue.results),
				len(addresses),
				most,
			)
		}
		wantPoliteness(t, l)
	})
}
