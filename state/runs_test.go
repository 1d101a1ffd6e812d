package state_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func start(t *testing.T, f *state.File, list string, addresses ...string) *state.Run {
	t.Helper()
	run, err := f.Begin(t.Context(), list, state.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Add(t.Context(), rows(addresses...)); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestSeveralListsAreUnderWayInOneFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	const lists, addresses = 4, 60
	var group errgroup.Group
	var mu sync.Mutex
	asked := map[string]int{}
	for i := range lists {
		list := fmt.Sprintf("list %d", i)
		var own []string
		for j := range addresses {
			own = append(own, fmt.Sprintf("a%d@d%d.lab", j, j%7), fmt.Sprintf("%d-%d@own.lab", i, j))
		}
		group.Go(func() error {
			run := start(t, f, list, own...)
			defer run.Close()
			work(t, run, func(task verify.Task) verify.Result {
				mu.Lock()
				defer mu.Unlock()
				asked[list+task.Address.String()]++
				return accepted(task)
			})
			var got []string
			for _, r := range results(t, run) {
				if r.Result == nil {
					return fmt.Errorf("%s: row %d has no result", list, r.Row)
				}
				got = append(got, r.Result.Normalized)
			}
			if !slices.Equal(got, own) {
				return fmt.Errorf("%s: results %v, want those of its own rows in order", list, got)
			}
			return run.Finish(context.WithoutCancel(t.Context()), state.Summary{Rows: len(own)})
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	for address, n := range asked {
		if n != 1 {
			t.Errorf("%s was handed out %d times in its run", address, n)
		}
	}
}

func TestARunOverAListThatIsUnderWayIsRefused(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	run := start(t, f, "a.csv", "ann@one.lab")
	if _, err := f.Begin(t.Context(), "a.csv", state.Policy{}); !errors.Is(err, state.ErrUnderWay) {
		t.Errorf("error %v, want ErrUnderWay", err)
	}
	run.Close()
	start(t, f, "a.csv", "ann@one.lab").Close()
}

func TestARunThatWasBrokenOffGoesOnAfterOneOverAnotherList(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	broken := start(t, f, "a.csv", "ann@one.lab", "bob@one.lab", "cyd@one.lab")
	_, tasks := lease(t, broken)
	record(t, broken, verify.Done{Task: tasks[0], Result: accepted(tasks[0])})
	broken.Close()

	other := start(t, f, "b.csv", "zoe@two.lab")
	work(t, other, accepted)
	finish(t, other)
	other.Close()
	retries, err := f.BeginRetries(t.Context(), state.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	finish(t, retries)

	// Its rows are still there before the same list is added again.
	if got := results(t, broken); len(got) != 3 || got[0].Result == nil || got[1].Result != nil {
		t.Errorf("results %+v, want three rows with one result", got)
	}
	again, err := f.Begin(t.Context(), "a.csv", state.Policy{Fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Add(t.Context(), rows("ann@one.lab", "bob@one.lab", "cyd@one.lab")); err != nil {
		t.Fatal(err)
	}
	if taken := work(t, again, accepted); !slices.Equal(taken, []string{"bob@one.lab", "cyd@one.lab"}) {
		t.Errorf("taken %v, want what the first part of the run did not verify", taken)
	}
}

func TestARowMayHaveSeveralAddresses(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	run, err := f.Begin(t.Context(), "a.csv", state.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		row       int64
		column    int
		address   string
		duplicate bool
	}{
		{1, 0, "ann@one.lab", false},
		{1, 1, "bob@one.lab", false},
		{1, 2, "ann@one.lab", true},
		{2, 0, "", false},
		{2, 1, "bob@one.lab", true},
	}
	err = run.Add(t.Context(), of(func(yield func(state.Entry) bool) {
		for _, w := range want {
			e := state.Entry{Row: w.row, Column: w.column}
			if local, domain, ok := strings.Cut(w.address, "@"); ok {
				a := syntax.Stored(local, domain)
				e.Address = &a
			}
			if !yield(e) {
				return
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := run.Plan(t.Context()); err != nil || p != (state.Plan{Rows: 2, New: 2}) {
		t.Errorf("plan %+v, %v; want two rows and two addresses", p, err)
	}
	if taken := work(t, run, accepted); len(taken) != 2 {
		t.Errorf("taken %v, want each address once", taken)
	}
	for i, r := range results(t, run) {
		address := ""
		if r.Result != nil {
			address = r.Result.Normalized
		}
		w := want[i]
		if r.Row != w.row || r.Column != w.column || address != w.address || r.Duplicate != w.duplicate {
			t.Errorf("%+v with %q, want %+v", r, address, w)
		}
	}
}

// of makes a sequence that Add takes.
func of(seq iter.Seq[state.Entry]) iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for e := range seq {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestABadNightDoesNotReplaceWhatIsKnown(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		night := func(result func(verify.Task) verify.Result) state.RowResult {
			t.Helper()
			run := begin(t, f, state.Policy{Fresh: true}, "ann@one.lab")
			work(t, run, result)
			got := results(t, run)[0]
			finish(t, run)
			time.Sleep(24 * time.Hour)
			return got
		}
		unreachable := func(task verify.Task) verify.Result {
			now := time.Now()
			r := verify.Result{Reason: verdict.Timeout, Detail: "nothing answers", CheckedAt: now}
			var gaveUp bool
			if r.RetryAt, gaveUp = task.Memory.Retry(verdict.Answer{Reason: r.Reason, At: now}); gaveUp {
				r.Reason, r.Detail = verdict.GaveUp, "gave up"
			}
			r.Judge()
			return r
		}
		first := night(accepted)
		for n := range 60 {
			r := night(unreachable).Result
			age := time.Duration(n+1) * 24 * time.Hour
			unconfirmed := slices.Contains(r.Flags, verdict.FlagUnconfirmed)
			switch {
			case age < 22*24*time.Hour: // within the shortest shelf life
				if r.Reason != verdict.Accepted || !unconfirmed || !r.CheckedAt.Equal(first.Result.CheckedAt) ||
					!strings.Contains(r.Detail, "nothing answers") && !strings.Contains(r.Detail, "gave up") {
					t.Fatalf("night %d: %+v, want accepted, unconfirmed, with its old time and what happened tonight", n, r)
				}
			case age > 75*24*time.Hour: // twice the longest
				if unconfirmed || r.Verdict == verdict.Deliverable {
					t.Fatalf("night %d: %+v, want no deliverable any more", n, r)
				}
			}
		}
		if r := night(accepted).Result; r.Reason != verdict.Accepted || slices.Contains(r.Flags, verdict.FlagUnconfirmed) {
			t.Errorf("%+v, want accepted and confirmed once it answers again", r)
		}
		ann := syntax.Stored("ann", "one.lab")
		changes, err := f.History(t.Context(), ann)
		if err != nil || len(changes) > 4 {
			t.Errorf("%v, %v; want no change for a night that gave no answer", changes, err)
		}
	})
}

func TestATimeInTheFutureCountsAsUnknown(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "ann@one.lab")
		work(t, run, func(task verify.Task) verify.Result {
			r := accepted(task)
			r.CheckedAt = time.Now().AddDate(2, 0, 0)
			return r
		})
		finish(t, run)
		time.Sleep(time.Hour)
		if plan, err := begin(t, f, state.Policy{}, "ann@one.lab").Plan(t.Context()); err != nil || plan.Stale != 1 {
			t.Errorf("%+v, %v; want it asked again", plan, err)
		}
	})
}
