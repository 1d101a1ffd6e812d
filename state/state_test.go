package state_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/reply"
	"presend/verify/score"
	"presend/verify/syntax"
)

func open(t testing.TB, path string) *state.File {
	t.Helper()
	f, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func rows(addresses ...string) iter.Seq2[*syntax.Address, error] {
	return func(yield func(*syntax.Address, error) bool) {
		for _, text := range addresses {
			a, err := syntax.Parse(text)
			address := &a
			if err != nil {
				address = nil
			}
			if !yield(address, nil) {
				return
			}
		}
	}
}

func begin(t testing.TB, f *state.File, p state.Policy, addresses ...string) *state.Run {
	t.Helper()
	run, err := f.Begin(t.Context(), "list.csv", p)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Add(t.Context(), rows(addresses...)); err != nil {
		t.Fatal(err)
	}
	return run
}

// work takes all that a run hands out and records a result for each, and returns what it was.
func work(t testing.TB, run *state.Run, result func(verify.Task) verify.Result) []string {
	t.Helper()
	var taken []string
	for {
		domains, err := run.Domains(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(domains) == 0 {
			return taken
		}
		for _, d := range domains {
			for {
				tasks, err := run.Lease(t.Context(), d.Name, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(tasks) == 0 {
					break
				}
				var done []verify.Done
				for _, task := range tasks {
					taken = append(taken, task.Address.String())
					done = append(done, verify.Done{Task: task, Result: result(task)})
				}
				if err := run.Record(t.Context(), done, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func accepted(verify.Task) verify.Result {
	return verify.Result{Verdict: score.Deliverable, Score: 98, Reason: reply.Accepted, CheckedAt: time.Now(), Flags: []verify.Flag{score.Role}}
}

func results(t testing.TB, run *state.Run) []state.RowResult {
	t.Helper()
	var all []state.RowResult
	for r, err := range run.Results(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestWorkGoesOutOnceByDomainAndComesBackInTheOrderOfTheRows(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	run := begin(t, f, state.Policy{}, "a@one.lab", "not an address", "b@two.lab", "a@one.lab", "c@two.lab", "A@one.lab", "d@two.lab")
	taken := work(t, run, accepted)
	if len(taken) != 5 || taken[0] != "b@two.lab" {
		t.Errorf("taken %v, want five addresses, those of the larger domain first", taken)
	}
	got := results(t, run)
	if len(got) != 7 {
		t.Fatalf("%d rows, want 7", len(got))
	}
	for i, want := range []string{"a@one.lab", "", "b@two.lab", "a@one.lab", "c@two.lab", "A@one.lab", "d@two.lab"} {
		switch r := got[i].Result; {
		case want == "" && r != nil:
			t.Errorf("row %d has a result, want none", i)
		case want != "" && (r == nil || r.Normalized != want || r.Reason != reply.Accepted || len(r.Flags) != 1):
			t.Errorf("row %d: %+v, want %s accepted", i, r, want)
		}
		if got[i].Duplicate != (i == 3) {
			t.Errorf("row %d: duplicate %v", i, got[i].Duplicate)
		}
	}
}

func TestASecondRunAsksOnlyForWhatIsNewOrDue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	run := begin(t, f, state.Policy{}, "known@one.lab", "due@one.lab", "later@one.lab", "old@one.lab", "bad@one.lab")
	work(t, run, func(task verify.Task) verify.Result {
		r := accepted(task)
		switch task.Address.Local {
		case "due":
			r.Reason, r.RetryAt = reply.Greylisted, time.Now().Add(-time.Minute)
		case "later":
			r.Reason, r.RetryAt = reply.Greylisted, time.Now().Add(time.Hour)
		case "old":
			r.CheckedAt = time.Now().Add(-31 * 24 * time.Hour)
		case "bad":
			r.Reason, r.CheckedAt = reply.MailboxUnknown, time.Now().Add(-31*24*time.Hour)
		}
		return r
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	defer f.Close()
	run = begin(t, f, state.Policy{}, "known@one.lab", "due@one.lab", "later@one.lab", "old@one.lab", "bad@one.lab", "new@one.lab")
	tries := map[string]int{}
	taken := work(t, run, func(task verify.Task) verify.Result {
		tries[task.Address.Local] = task.Tries
		return accepted(task)
	})
	if len(taken) != 3 || tries["due"] != 1 {
		t.Errorf("taken %v with tries %v, want due (tried once), old and new", taken, tries)
	}
	run = begin(t, f, state.Policy{Fresh: true}, "known@one.lab")
	if n, err := run.Pending(t.Context()); err != nil || n != 0 {
		t.Logf("pending %d, %v", n, err) // checked within this very second counts as fresh
	}
}

func TestABrokenOffRunGoesOnWhereItStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	list := []string{"a@one.lab", "b@one.lab", "c@one.lab", "d@two.lab"}
	run := begin(t, f, state.Policy{}, list...)
	if _, err := run.Domains(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	tasks, err := run.Lease(t.Context(), "one.lab", 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Record(t.Context(), []verify.Done{{Task: tasks[0], Result: accepted(tasks[0])}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil { // the second task is leased and lost
		t.Fatal(err)
	}
	f = open(t, path)
	defer f.Close()
	if taken := work(t, begin(t, f, state.Policy{}, list...), accepted); len(taken) != 3 {
		t.Errorf("taken %v, want the three without a result", taken)
	}
}

func TestASecondProcessIsToldWhoHoldsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	_, err := state.Open(t.Context(), path)
	var locked *state.LockedError
	if !errors.As(err, &locked) || locked.Holder == "" || locked.Holder == "another process" {
		t.Errorf("error %v, want a LockedError that names the holder", err)
	}
}

func TestFilesThatCannotBeUsedAreRefusedClearly(t *testing.T) {
	directory := t.TempDir()
	junk := filepath.Join(directory, "junk.db")
	if err := os.WriteFile(junk, []byte("name,email\nthis is a list and no state file at all, and long enough to be looked at\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(t.Context(), junk); !errors.Is(err, state.ErrNotState) {
		t.Errorf("a CSV: error %v, want ErrNotState", err)
	}
	if _, err := state.Open(context.Background(), filepath.Join(directory, "missing", "s.db")); err == nil {
		t.Error("a folder that is missing: no error")
	}
}
