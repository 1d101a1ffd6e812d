package state_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func open(t testing.TB, path string) *state.File {
	t.Helper()
	f, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func rows(addresses ...string) iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for i, text := range addresses {
			a, err := syntax.Parse(text)
			entry := state.Entry{Row: int64(i + 1), Address: &a}
			if err != nil {
				entry.Address = nil
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func begin(t testing.TB, f *state.File, p state.Policy, addresses ...string) *state.Run {
	t.Helper()
	run, err := f.Begin(t.Context(), "list", p)
	if err != nil {
		t.Fatal(err)
	}
	run.Close() // so that the test may begin the next one
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
	return verify.Result{
		Verdict: verdict.Deliverable, Score: 98, Reason: verdict.Accepted, CheckedAt: time.Now(),
		Flags: []verify.Flag{verdict.FlagRole},
	}
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
	run := begin(t, f, state.Policy{}, "a@one.lab", "not an address", "b@two.lab", "a@one.lab", "c@two.lab", "A@one.lab",
		"d@two.lab")
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
		case want != "" && (r == nil || r.Normalized != want || r.Reason != verdict.Accepted || len(r.Flags) != 1):
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
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(-time.Minute)
		case "later":
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(time.Hour)
		case "old":
			r.CheckedAt = time.Now().Add(-40 * 24 * time.Hour)
		case "bad":
			r.Reason, r.CheckedAt = verdict.MailboxUnknown, time.Now().Add(-2*24*time.Hour)
		}
		return r
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	defer f.Close()
	run = begin(t, f, state.Policy{}, "known@one.lab", "due@one.lab", "later@one.lab", "old@one.lab", "bad@one.lab",
		"new@one.lab")
	tries := map[string]int{}
	taken := work(t, run, func(task verify.Task) verify.Result {
		tries[task.Address.Local] = task.Memory.Tries
		return accepted(task)
	})
	if len(taken) != 3 || tries["due"] != 1 {
		t.Errorf("taken %v with tries %v, want due (tried once), old and new", taken, tries)
	}
	if p, err := run.Plan(t.Context()); err != nil || p.Reused != 6 {
		t.Errorf("plan %+v, %v; want all six reused by now", p, err)
	}
}

func TestThePlanSaysWhatIsNewDueStaleAndReused(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	list := []string{"known@one.lab", "due@one.lab", "later@one.lab", "old@one.lab", "gone@one.lab"}
	work(t, begin(t, f, state.Policy{}, list...), func(task verify.Task) verify.Result {
		r := accepted(task)
		switch task.Address.Local {
		case "due":
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(-time.Minute)
		case "later":
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(time.Hour)
		case "old":
			r.CheckedAt = time.Now().Add(-40 * 24 * time.Hour)
		case "gone":
			r.Reason, r.Verdict, r.CheckedAt = verdict.MailboxUnknown, verdict.Invalid, time.Now().Add(-3*24*time.Hour)
		}
		return r
	})
	for _, test := range []struct {
		name   string
		policy state.Policy
		want   state.Plan
	}{
		{"as a rule", state.Policy{}, state.Plan{Rows: 7, New: 1, Due: 1, Stale: 1, Reused: 3}},
		{
			"nothing older than two days",
			state.Policy{MaxAge: 48 * time.Hour},
			state.Plan{Rows: 7, New: 1, Due: 1, Stale: 2, Reused: 2},
		},
	} {
		run := begin(t, f, test.policy, append(list, "new@one.lab", "known@one.lab")...)
		if got, err := run.Plan(t.Context()); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestAFreshRunThatWasBrokenOffDoesNotBeginAgain(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	list := []string{"a@one.lab", "b@one.lab"}
	run := begin(t, f, state.Policy{}, list...)
	work(t, run, func(task verify.Task) verify.Result {
		r := accepted(task)
		r.CheckedAt = time.Now().Add(-time.Hour)
		return r
	})
	if err := run.Finish(t.Context(), state.Summary{}); err != nil {
		t.Fatal(err)
	}
	run = begin(t, f, state.Policy{Fresh: true}, list...)
	if _, err := run.Domains(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	tasks, err := run.Lease(t.Context(), "one.lab", 1)
	if err != nil || len(tasks) != 1 {
		t.Fatal(tasks, err)
	}
	if err := run.Record(t.Context(), []verify.Done{{Task: tasks[0], Result: accepted(tasks[0])}}, nil); err != nil {
		t.Fatal(err)
	}
	if p, err := begin(t, f, state.Policy{Fresh: true}, list...).Plan(t.Context()); err != nil || p.Stale != 1 ||
		p.Reused != 1 {
		t.Errorf("plan %+v, %v; want one to do and one done", p, err)
	}
}

func entries(all ...state.Suppressed) iter.Seq2[state.Suppressed, error] {
	return func(yield func(state.Suppressed, error) bool) {
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestSuppressedAddressesAreNeverWorkWhetherKeptPlainOrHashed(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	added, err := f.Suppress(t.Context(), entries(
		state.Suppressed{Name: "Ann@One.lab", Reason: "unsubscribe", Source: "manual"},
		state.Suppressed{Name: "@two.lab", Reason: "manual", Source: "manual"},
		state.Suppressed{Name: "ann@one.lab", Reason: "complaint", Source: "sendgrid"},
	))
	if err != nil || added != 2 {
		t.Errorf("added %d, %v; want 2", added, err)
	}
	list := []string{"ann@one.lab", "ANN@one.lab", "bob@one.lab", "x@two.lab", "x@sub.two.lab"}
	check := func(how string) {
		t.Helper()
		run := begin(t, f, state.Policy{Fresh: true}, list...)
		if p, err := run.Plan(t.Context()); err != nil || p.Suppressed != 3 {
			t.Errorf("%s: plan %+v, %v; want 3 suppressed", how, p, err)
		}
		got := results(t, run)
		for i, want := range []string{"complaint", "complaint", "", "manual", ""} {
			if s := got[i].Suppressed; (s == nil) != (want == "") || s != nil && s.Reason != want {
				t.Errorf("%s: %s is %+v, want %q", how, list[i], s, want)
			}
		}
	}
	check("plain")
	if err := f.HashSuppression(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("hashed")
	for s, err := range f.SuppressionList(t.Context()) {
		if err != nil || !strings.HasPrefix(s.Name, "sha256:") {
			t.Errorf("%+v, %v; want hashes only", s, err)
		}
	}
	if err := f.Unsuppress(t.Context(), "ann@one.lab"); err != nil {
		t.Error(err)
	}
	if err := f.Unsuppress(t.Context(), "ann@one.lab"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}

func TestAHashIsNotHashedAgain(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	hash := "sha256:" + strings.Repeat("ab", 32)
	for name := range strings.FieldsSeq("ann@one.lab " + hash) {
		if _, err := f.Suppress(t.Context(), entries(state.Suppressed{Name: name, Reason: "manual"})); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.HashSuppression(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, n := false, 0
	for s, err := range f.SuppressionList(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		kept = kept || s.Name == hash
		n++
	}
	if !kept || n != 2 {
		t.Errorf("%d entries, the hash kept: %v", n, kept)
	}
}

func TestHistoryKeepsEveryChangeAndNothingElse(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	at := time.Now().Add(-500 * 24 * time.Hour)
	for _, reason := range []verify.Reason{
		verdict.Accepted, verdict.Accepted, verdict.MailboxFull,
		verdict.MailboxUnknown,
	} {
		at = at.Add(100 * 24 * time.Hour)
		run := begin(t, f, state.Policy{Fresh: true, MaxAge: time.Second}, "ann@one.lab")
		taken := work(t, run, func(verify.Task) verify.Result {
			return verify.Result{Reason: reason, Verdict: reason.Verdict(), CheckedAt: at}
		})
		if len(taken) != 1 {
			t.Fatalf("taken %v", taken)
		}
		if err := run.Finish(t.Context(), state.Summary{Rows: 1}); err != nil {
			t.Fatal(err)
		}
	}
	ann, err := syntax.Parse("ann@one.lab")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := f.History(t.Context(), ann)
	if err != nil || len(changes) != 3 || changes[2].Reason != verdict.MailboxUnknown {
		t.Errorf("%+v, %v; want three changes, the last to mailbox_unknown", changes, err)
	}
	months, err := f.Trend(t.Context())
	if err != nil || len(months) != 1 || months[0].Rows != 1 {
		t.Errorf("%+v, %v; want one month with one row", months, err)
	}
	if err := f.Prune(t.Context(), state.Retention{Changes: 150 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if changes, err = f.History(t.Context(), ann); err != nil || len(changes) != 1 {
		t.Errorf("%+v, %v; want the newest change alone", changes, err)
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
	for name, before := range map[string]string{
		"no lock file yet": "",
		"a lock file of an older version that was killed": "process 1234567 on a.host.with.a.name since " +
			"2026-01-01T00:00:00Z\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			if before != "" {
				if err := os.WriteFile(path+".lock", []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := fmt.Sprintf("process %d on ", os.Getpid())
			for range 2 { // what the first one wrote is overwritten
				f := open(t, path)
				_, err := state.Open(t.Context(), path)
				var locked *state.LockedError
				if !errors.As(err, &locked) || !strings.HasPrefix(locked.Holder, want) ||
					strings.ContainsAny(locked.Holder, "\n\x00") {
					t.Errorf("error %q, want a LockedError that names the holder", err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAFileIsStoredUnderItsOwnNameWhateverThatHolds(t *testing.T) {
	for _, tt := range []struct{ name, similar string }{
		{"crm #1.state", "crm #2.state"},
		{"crm?.state", "crm?mode=memory.state"},
		{"100%41.state", "100A.state"},
		{"50%.state", "50%25.state"},
		{"a&b=c;d+e.state", "a&b=c;d e.state"},
		{"été 名.state", "ete.state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			for _, folder := range []string{folder, filepath.Join(folder, tt.similar+".folder")} {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				name, similar := filepath.Join(folder, tt.name), filepath.Join(folder, tt.similar)
				f, other := open(t, name), open(t, similar)
				if _, err := f.Suppress(t.Context(),
					entries(state.Suppressed{Name: "ann@corp.lab", Reason: "manual"})); err != nil {
					t.Fatal(err)
				}
				for entry, err := range other.SuppressionList(t.Context()) {
					t.Errorf("%s holds what was put into %s: %v, %v", tt.similar, tt.name, entry, err)
				}
				if err := errors.Join(f.Close(), other.Close()); err != nil {
					t.Fatal(err)
				}
				for _, path := range []string{name, similar} {
					if info, err := os.Stat(path); err != nil || info.Size() == 0 {
						t.Errorf("%s: %v", path, err)
					}
				}
			}
		})
	}
}

// withSQL runs statements on a file behind the package's back.
func withSQL(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfEveryVersionIsBroughtUpToDate(t *testing.T) {
	steps, err := filepath.Glob("schema/*.sql")
	if err != nil || len(steps) == 0 {
		t.Fatal(steps, err)
	}
	for i := range steps {
		dump, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", i+1))
		if err != nil {
			t.Fatalf("every version needs a file that was written by it: %v", err)
		}
		path := filepath.Join(t.TempDir(), "s.db")
		withSQL(t, path, string(dump))
		withSQL(t, path, "UPDATE results SET checked_at = unixepoch() - 60")
		f := open(t, path)
		if err := f.Check(t.Context()); err != nil {
			t.Error(err)
		}
		run := begin(t, f, state.Policy{}, "ann@x.lab", "gone@x.lab", "new@x.lab", "never@y.lab")
		if taken := work(t, run, accepted); !slices.Equal(taken, []string{"new@x.lab"}) {
			t.Errorf("version %d: taken %v, want only what is new", i+1, taken)
		}
		var got []string
		for _, r := range results(t, run) {
			if r.Suppressed != nil {
				got = append(got, "suppressed")
				continue
			}
			got = append(got, string(r.Result.Reason))
		}
		if want := []string{"accepted", "mailbox_unknown", "accepted", "suppressed"}; !slices.Equal(got, want) {
			t.Errorf("version %d: %v, want %v", i+1, got, want)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFileOfANewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	withSQL(t, path, "PRAGMA user_version = 99")
	if _, err := state.Open(t.Context(), path); !errors.Is(err, state.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("error %v, want ErrNewer with its version", err)
	}
}

func TestFilesThatCannotBeUsedAreRefusedClearly(t *testing.T) {
	directory := t.TempDir()
	junk := filepath.Join(directory, "junk.db")
	if err := os.WriteFile(junk, []byte("name,email\nthis is a list and no state file at all, and long enough to be "+
		"looked at\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(t.Context(), junk); !errors.Is(err, state.ErrNotState) {
		t.Errorf("a CSV: error %v, want ErrNotState", err)
	}
	if _, err := state.Open(context.Background(), filepath.Join(directory, "missing", "s.db")); err == nil {
		t.Error("a folder that is missing: no error")
	}
}
