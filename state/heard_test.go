package state_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/state"
	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// inTime runs a test in a synctest bubble, with a state file that is closed before the bubble ends.
func inTime(t *testing.T, test func(t *testing.T, f *state.File)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.db")
	synctest.Test(t, func(t *testing.T) {
		f := open(t, path)
		defer f.Close()
		test(t, f)
	})
}

const day = 24 * time.Hour

var ours = netip.MustParseAddr("192.0.2.7")

// unsettled is an accepted address whose catch-all question is open, and is asked again after a wait.
func unsettled(wait time.Duration) verify.Result {
	return verify.Result{
		Verdict: verdict.Risky, Score: 90, Reason: verdict.CatchAllUnknown, Detail: "accepted",
		Flags:      []verify.Flag{verdict.FlagRole},
		Suggestion: "b@c.lab", Provider: "google", MX: "mx.one.lab", Source: ours,
		Reply:     &verify.Reply{Code: 250, Enhanced: "2.1.5", Text: "fine", Command: "RCPT TO"},
		CheckedAt: time.Now().UTC(), RetryAt: time.Now().Add(wait).UTC(),
	}
}

func greylisted() verify.Result {
	return verify.Result{
		Verdict: verdict.Unknown, Reason: verdict.Greylisted, Source: ours,
		CheckedAt: time.Now(), RetryAt: time.Now().Add(15 * time.Minute),
	}
}

func provisional(task verify.Task) verify.Done {
	return verify.Done{Task: task, Result: unsettled(0), Provisional: true}
}

func record(t *testing.T, run *state.Run, done ...verify.Done) {
	t.Helper()
	if err := run.Record(t.Context(), done, nil); err != nil {
		t.Fatal(err)
	}
}

// lease takes all the work of a run that has one domain.
func lease(t *testing.T, run *state.Run) (verify.Domain, []verify.Task) {
	t.Helper()
	domains, err := run.Domains(t.Context(), 10)
	if err != nil || len(domains) != 1 {
		t.Fatalf("domains %v, %v; want one", domains, err)
	}
	tasks, err := run.Lease(t.Context(), domains[0].Name, 100)
	if err != nil {
		t.Fatal(err)
	}
	return domains[0], tasks
}

func finish(t *testing.T, run *state.Run) {
	t.Helper()
	if err := run.Finish(t.Context(), state.Summary{}); err != nil {
		t.Fatal(err)
	}
}

// reasons are the reasons in the history of an address.
func reasons(t *testing.T, f *state.File, address string) (all []verify.Reason) {
	t.Helper()
	a, err := syntax.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := f.History(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		all = append(all, c.Reason)
	}
	return all
}

func locals(tasks []verify.Task) (all []string) {
	for _, task := range tasks {
		all = append(all, task.Address.Local)
	}
	return all
}

func TestARunThatWasBrokenOffHandsOutWhatWasHeardAndNothingThatWasSettled(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy state.Policy
	}{
		{"as a rule", state.Policy{}},
		{"asking again about everything", state.Policy{Fresh: true}},
		{"nothing older than a day", state.Policy{MaxAge: 24 * time.Hour}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				list := []string{"gone@one.lab", "heard@one.lab", "lost@one.lab"}
				run := begin(t, f, test.policy, list...)
				_, tasks := lease(t, run)
				want := unsettled(0)
				want.Normalized = "heard@one.lab"
				want.Judge()
				gone := verify.Result{Verdict: verdict.Invalid, Reason: verdict.MailboxUnknown, CheckedAt: time.Now()}
				record(t, run, verify.Done{Task: tasks[0], Result: gone}, provisional(tasks[1]))

				time.Sleep(time.Minute)
				run = begin(t, f, test.policy, list...)
				if p, err := run.Plan(t.Context()); err != nil || p.New != 1 || p.Due != 1 || p.Reused != 1 {
					t.Errorf("plan %+v, %v; want one new, one due and one reused", p, err)
				}
				_, tasks = lease(t, run)
				if got := locals(tasks); !slices.Equal(got, []string{"heard", "lost"}) {
					t.Fatalf("handed out %v, want what was heard and what was lost", got)
				}
				if tasks[0].Heard == nil || tasks[1].Heard != nil {
					t.Fatalf("heard %v and %v, want the first alone", tasks[0].Heard, tasks[1].Heard)
				}
				if diff := cmp.Diff(want, *tasks[0].Heard, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("what was heard differs:\n%s", diff)
				}
			})
		})
	}
}

func TestAProvisionalResultStaysInTheWorkOfItsRun(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		record(t, run, provisional(tasks[0]))
		if p, err := run.Plan(t.Context()); err != nil || p.Pending() != 1 {
			t.Errorf("plan %+v, %v; want one pending", p, err)
		}
		if r := results(t, run)[0].Result; r == nil || r.Reason != verdict.CatchAllUnknown || !r.RetryAt.Equal(time.Now()) {
			t.Errorf("result %+v, want catch_all_unknown to be asked again now", r)
		}
		record(t, run, verify.Done{Task: tasks[0], Result: accepted(tasks[0])})
		if p, err := run.Plan(t.Context()); err != nil || p.Pending() != 0 {
			t.Errorf("plan %+v, %v; want nothing pending once settled", p, err)
		}
		time.Sleep(40 * 24 * time.Hour)
		if _, tasks := lease(t, begin(t, f, state.Policy{}, "a@one.lab")); tasks[0].Heard != nil {
			t.Errorf("%+v is still heard after it was settled", tasks[0].Heard)
		}
	})
}

func TestAProvisionalResultIsHeardWhateverItsReason(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		done := provisional(tasks[0])
		done.Result.Reason = verdict.Disposable
		record(t, run, done)
		if _, tasks := lease(t, begin(t, f, state.Policy{}, "a@one.lab")); len(tasks) != 1 || tasks[0].Heard == nil {
			t.Errorf("tasks %+v, want one that was heard", tasks)
		}
	})
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
		{
			"another result than before",
			[]verify.Result{settled},
			&catchAll,
			[]verify.Reason{verdict.Accepted, verdict.CatchAll},
		},
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

func TestAQuestionThatMetATemporaryAnswerIsAskedAgainWithWhatWasHeard(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		record(t, run, provisional(tasks[0]), verify.Done{Task: tasks[0], Result: unsettled(15 * time.Minute)})
		facts := verify.Facts{Name: "one.lab", CatchAll: catchall.Unanswered, CheckedAt: time.Now()}
		if err := run.Record(t.Context(), nil, []verify.Facts{facts}); err != nil {
			t.Fatal(err)
		}
		if got := reasons(t, f, "a@one.lab"); !slices.Equal(got, []verify.Reason{verdict.CatchAllUnknown}) {
			t.Errorf("history %v, want the settled result", got)
		}
		if p, err := run.Plan(t.Context()); err != nil || p.Pending() != 0 {
			t.Errorf("plan %+v, %v; want nothing pending", p, err)
		}
		finish(t, run)

		time.Sleep(10 * time.Minute)
		if p, err := begin(t, f, state.Policy{}, "a@one.lab").Plan(t.Context()); err != nil || p.Pending() != 0 {
			t.Errorf("plan %+v, %v; want nothing before its time", p, err)
		}
		time.Sleep(10 * time.Minute)
		retries, err := f.BeginRetries(t.Context(), state.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		domain, tasks := lease(t, retries)
		if domain.CatchAll != catchall.Open {
			t.Errorf("catch-all is %q, want the question asked again", domain.CatchAll)
		}
		if len(tasks) != 1 || tasks[0].Heard == nil || tasks[0].Memory.Tries != 1 || tasks[0].Source != ours {
			t.Errorf("tasks %+v, want one that was heard, tried once from %v", tasks, ours)
		}
	})
}

func TestAnotherTemporaryAnswerIsNotTakenForAnAcceptance(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		record(t, run, provisional(tasks[0]), verify.Done{Task: tasks[0], Result: greylisted()})
		time.Sleep(time.Hour)
		if _, tasks := lease(t, begin(t, f, state.Policy{}, "a@one.lab")); len(tasks) != 1 || tasks[0].Heard != nil {
			t.Errorf("tasks %+v, want one that was not heard", tasks)
		}
	})
}

func TestAnAnswerThatWasHeardTooLongAgoIsAskedForAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		wait   time.Duration
		policy state.Policy
		heard  bool
	}{
		{"a day later", 24 * time.Hour, state.Policy{}, true},
		{"later than a shelf life", 31 * 24 * time.Hour, state.Policy{}, false},
		{"asking again about everything", time.Hour, state.Policy{Fresh: true}, false},
		{"within the greatest age", time.Hour, state.Policy{MaxAge: 24 * time.Hour}, true},
		{"beyond the greatest age", 25 * time.Hour, state.Policy{MaxAge: 24 * time.Hour}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				run := begin(t, f, state.Policy{}, "a@one.lab")
				_, tasks := lease(t, run)
				record(t, run, provisional(tasks[0]))
				finish(t, run)
				time.Sleep(test.wait)
				_, tasks = lease(t, begin(t, f, test.policy, "a@one.lab"))
				if len(tasks) != 1 || (tasks[0].Heard != nil) != test.heard {
					t.Errorf("tasks %+v, want one, heard %v", tasks, test.heard)
				}
			})
		})
	}
}

func TestTriesGrowByOneANightAndTheFirstIsRemembered(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		first := time.Now()
		for night := range 5 {
			run := begin(t, f, state.Policy{}, "a@one.lab")
			_, tasks := lease(t, run)
			if len(tasks) != 1 {
				t.Fatalf("night %d: %d tasks, want one", night, len(tasks))
			}
			task := tasks[0]
			if task.Memory.Tries != night {
				t.Errorf("night %d: %d tries", night, task.Memory.Tries)
			}
			if night == 0 && (!task.Memory.Since.IsZero() || task.Source.IsValid()) {
				t.Errorf("a new address comes with %v and %v", task.Memory.Since, task.Source)
			}
			if night > 0 && (!task.Memory.Since.Equal(first) || task.Source != ours) {
				t.Errorf("night %d: since %v from %q, want %v from %v", night, task.Memory.Since, task.Source, first, ours)
			}
			record(t, run, verify.Done{Task: task, Result: greylisted()})
			finish(t, run)
			time.Sleep(24 * time.Hour)
		}
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		record(t, run, verify.Done{Task: tasks[0], Result: accepted(tasks[0])})
		finish(t, run)
		time.Sleep(40 * 24 * time.Hour)
		_, tasks = lease(t, begin(t, f, state.Policy{}, "a@one.lab"))
		if task := tasks[0]; task.Memory.Tries != 0 || !task.Memory.Since.IsZero() || task.Source.IsValid() {
			t.Errorf("after an answer: %+v, want no tries", task)
		}
	})
}

func TestAProvisionalResultChangesNeitherTriesNorTheFirstOfThem(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		first := time.Now()
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		record(t, run, verify.Done{Task: tasks[0], Result: greylisted()})
		for range 3 { // each is broken off
			time.Sleep(24 * time.Hour)
			run = begin(t, f, state.Policy{}, "a@one.lab")
			_, tasks = lease(t, run)
			if task := tasks[0]; task.Memory.Tries != 1 || !task.Memory.Since.Equal(first) || task.Source != ours {
				t.Errorf("%+v, want one try, the first at %v, from %v", task, first, ours)
			}
			record(t, run, provisional(tasks[0]))
		}
	})
}

func TestTheCatchAllFactIsHandedOutWhileItIsFresh(t *testing.T) {
	for _, test := range []struct {
		name   string
		facts  []catchall.Answer
		wait   time.Duration
		policy state.Policy
		want   catchall.Answer
	}{
		{"a yes", []catchall.Answer{catchall.Yes}, time.Hour, state.Policy{}, catchall.Yes},
		{"a no", []catchall.Answer{catchall.No}, time.Hour, state.Policy{}, catchall.No},
		{"no answer", []catchall.Answer{catchall.Unanswered}, time.Hour, state.Policy{}, catchall.Open},
		{"a look without it", []catchall.Answer{catchall.Yes, catchall.Open}, time.Hour, state.Policy{}, catchall.Yes},
		{"older than its shelf life", []catchall.Answer{catchall.Yes}, 31 * 24 * time.Hour, state.Policy{}, catchall.Open},
		{"all asked again", []catchall.Answer{catchall.Yes}, time.Hour, state.Policy{Fresh: true}, catchall.Open},
		{"too old", []catchall.Answer{catchall.Yes}, 25 * time.Hour, state.Policy{MaxAge: day}, catchall.Open},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				run := begin(t, f, state.Policy{}, "a@one.lab")
				work(t, run, accepted)
				for _, answer := range test.facts {
					facts := []verify.Facts{{Name: "one.lab", CatchAll: answer, CheckedAt: time.Now()}}
					if err := run.Record(t.Context(), nil, facts); err != nil {
						t.Fatal(err)
					}
				}
				finish(t, run)
				time.Sleep(test.wait)
				run = begin(t, f, test.policy, "new@one.lab")
				if domain, _ := lease(t, run); domain.CatchAll != test.want {
					t.Errorf("catch-all is %q, want %q", domain.CatchAll, test.want)
				}
				if err := run.Again(t.Context()); err != nil {
					t.Fatal(err)
				}
				if domain, _ := lease(t, run); domain.CatchAll != test.want {
					t.Errorf("in the next pass catch-all is %q, want %q", domain.CatchAll, test.want)
				}
			})
		})
	}
}

func TestAFreshRunUsesWhatItLearnedItself(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{Fresh: true}, "a@one.lab", "b@one.lab")
		_, tasks := lease(t, run)
		time.Sleep(time.Minute)
		facts := []verify.Facts{{Name: "one.lab", CatchAll: catchall.Yes, CheckedAt: time.Now()}}
		if err := run.Record(t.Context(), []verify.Done{provisional(tasks[0])}, facts); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		domain, tasks := lease(t, begin(t, f, state.Policy{Fresh: true}, "a@one.lab", "b@one.lab"))
		if domain.CatchAll != catchall.Yes || len(tasks) != 2 || tasks[0].Heard == nil {
			t.Errorf("%+v with %+v, want what this run learned before it was broken off", domain, tasks)
		}
	})
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
		if err := f.Prune(t.Context(), state.Retention{Changes: time.Hour}); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{"a@one.lab", "b@one.lab"} {
			if got := reasons(t, f, address); !slices.Equal(got, []verify.Reason{verdict.Accepted}) {
				t.Errorf("%s: history %v, want the newest change", address, got)
			}
		}
	})
}

func TestAStoredAddressIsHandedOutAsItWasParsed(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		for _, text := range []string{"a+b@one.lab", `"a b"@one.lab`, "jürgen@bücher.lab"} {
			want, err := syntax.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			_, tasks := lease(t, begin(t, f, state.Policy{}, text))
			if diff := cmp.Diff(want, tasks[0].Address); diff != "" {
				t.Errorf("%s:\n%s", text, diff)
			}
		}
	})
}

func TestRecordKeepsNothingWhenItsContextHasEnded(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		run := begin(t, f, state.Policy{}, "a@one.lab")
		_, tasks := lease(t, run)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := run.Record(ctx, []verify.Done{provisional(tasks[0])}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		if r := results(t, run)[0].Result; r != nil {
			t.Errorf("result %+v, want none", r)
		}
	})
}

func TestAFileRemembersAcrossVersionsWhatWasHeard(t *testing.T) {
	dump, err := os.ReadFile("testdata/version2.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.db")
	withSQL(t, path, string(dump))
	// Its time has come, and the file's times are not those of the future.
	withSQL(t, path, "UPDATE results SET checked_at = unixepoch() - 60, retry_at = CASE WHEN retry_at > 0 THEN 1 "+
		"ELSE 0 END")
	f := open(t, path)
	defer f.Close()
	_, tasks := lease(t, begin(t, f, state.Policy{}, "ann@x.lab", "open@x.lab"))
	if len(tasks) != 1 || tasks[0].Heard == nil || tasks[0].Heard.MX != "mx.x.lab" {
		t.Errorf("tasks %+v, want open@x.lab as it was heard", tasks)
	}
}
