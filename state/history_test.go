package state_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func TestHistoryKeepsEveryChangeAndNothingElse(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	at := time.Now().Add(-500 * 24 * time.Hour)
	for _, reason := range []verify.Reason{verdict.Accepted, verdict.Accepted, verdict.MailboxFull, verdict.MailboxUnknown} {
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
	if err := f.Prune(t.Context(), 150*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if changes, err = f.History(t.Context(), ann); err != nil || len(changes) != 1 {
		t.Errorf("%+v, %v; want the newest change alone", changes, err)
	}
}

func TestHistoryHoldsSettledResultsOnly(t *testing.T) {
	catchAll := verify.Result{Verdict: verdict.Risky, Reason: verdict.CatchAll}
	settled := verify.Result{Verdict: verdict.Deliverable, Reason: verdict.Accepted}
	for _, test := range []struct {
		name   string
		before []verify.Result
		after  *verify.Result // nil: the run was broken off
		want   []verify.Reason
	}{
		{"heard and never settled", nil, nil, nil},
		{"heard and settled", nil, &settled, []verify.Reason{verdict.Accepted}},
		{"accepted as before", []verify.Result{settled}, &settled, []verify.Reason{verdict.Accepted}},
		{"another result than before", []verify.Result{settled}, &catchAll, []verify.Reason{verdict.Accepted, verdict.CatchAll}},
		{
			"as it once was",
			[]verify.Result{settled, catchAll},
			&settled,
			[]verify.Reason{verdict.Accepted, verdict.CatchAll, verdict.Accepted},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				pass := func(provisionally bool, result *verify.Result) {
					run := begin(t, f, state.Policy{Fresh: true}, "a@one.lab")
					_, tasks := lease(t, run)
					if provisionally {
						record(t, run, provisional(tasks[0]))
						time.Sleep(time.Minute)
					}
					if result != nil {
						result.CheckedAt = time.Now()
						record(t, run, verify.Done{Task: tasks[0], Result: *result})
					}
					finish(t, run)
					time.Sleep(24 * time.Hour)
				}
				for _, before := range test.before {
					pass(false, &before)
				}
				pass(true, test.after)
				if got := reasons(t, f, "a@one.lab"); !slices.Equal(got, test.want) {
					t.Errorf("history %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestPruneKeepsTheNewestChangeOfEachAddress(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		for _, reason := range []verify.Reason{verdict.Accepted, verdict.MailboxFull, verdict.Accepted} {
			run := begin(t, f, state.Policy{Fresh: true}, "a@one.lab", "b@one.lab")
			work(t, run, func(task verify.Task) verify.Result {
				r := accepted(task)
				if task.Address.Local == "a" {
					r.Reason = reason
				}
				return r
			})
			finish(t, run)
			time.Sleep(24 * time.Hour)
		}
		if err := f.Prune(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"a@one.lab", "b@one.lab"} {
			if got := reasons(t, f, address); !slices.Equal(got, []verify.Reason{verdict.Accepted}) {
				t.Errorf("%s: history %v, want the newest change", address, got)
			}
		}
	})
}
