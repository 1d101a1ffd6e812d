package state_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/verdict"
)

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
			r.CheckedAt = time.Now().Add(-31 * 24 * time.Hour)
		case "bad":
			r.Reason, r.CheckedAt = verdict.MailboxUnknown, time.Now().Add(-31*24*time.Hour)
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
	run := begin(t, f, state.Policy{}, list...)
	work(t, run, func(task verify.Task) verify.Result {
		r := accepted(task)
		switch task.Address.Local {
		case "due":
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(-time.Minute)
		case "later":
			r.Reason, r.RetryAt = verdict.Greylisted, time.Now().Add(time.Hour)
		case "old":
			r.CheckedAt = time.Now().Add(-31 * 24 * time.Hour)
		case "gone":
			r.Reason, r.Verdict, r.CheckedAt = verdict.MailboxUnknown, verdict.Invalid, time.Now().Add(-100*24*time.Hour)
		}
		return r
	})
	for _, test := range []struct {
		name   string
		policy state.Policy
		want   state.Plan
	}{
		{"as a rule", state.Policy{}, state.Plan{Rows: 7, New: 1, Due: 1, Stale: 1, Reused: 3}},
		{"nothing older than 90 days", state.Policy{MaxAge: 90 * 24 * time.Hour}, state.Plan{Rows: 7, New: 1, Due: 1, Stale: 2, Reused: 2}},
	} {
		run.Close()
		run = begin(t, f, test.policy, append(list, "new@one.lab", "known@one.lab")...)
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
	run.Close()
	if p, err := begin(t, f, state.Policy{Fresh: true}, list...).Plan(t.Context()); err != nil || p.Stale != 1 || p.Reused != 1 {
		t.Errorf("plan %+v, %v; want one to do and one done", p, err)
	}
}

func TestSuppressedAddressesAreNeverWorkWhetherKeptPlainOrHashed(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	added, err := f.Suppress(t.Context(), entries(
		state.Suppressed{Name: "Ann@One.lab", Reason: "unsubscribe", Source: "manual"},
		state.Suppressed{Name: "@two.lab", Reason: "manual", Source: "manual"},
		state.Suppressed{Name: "ann@one.lab", Reason: "hard_bounce", Source: "sendgrid"},
	))
	if err != nil || added != 2 {
		t.Errorf("added %d, %v; want 2", added, err)
	}
	list := []string{"ann@one.lab", "ANN@one.lab", "bob@one.lab", "x@two.lab", "x@sub.two.lab"}
	check := func(how string) {
		t.Helper()
		run := begin(t, f, state.Policy{Fresh: true}, list...)
		defer run.Close()
		if p, err := run.Plan(t.Context()); err != nil || p.Suppressed != 3 {
			t.Errorf("%s: plan %+v, %v; want 3 suppressed", how, p, err)
		}
		got := results(t, run)
		for i, want := range []string{"hard_bounce", "hard_bounce", "", "manual", ""} {
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
