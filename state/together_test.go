package state_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// query returns what a query finds in a file behind the package's back, a line a row.
func query(t testing.TB, path, text string) (lines []string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(values...))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// workThrough takes and records all work of a run, as an engine does, and reads the results after each batch.
func workThrough(ctx context.Context, run *state.Run) error {
	for {
		domains, err := run.Domains(ctx, 3)
		if err != nil || len(domains) == 0 {
			return err
		}
		for _, d := range domains {
			tasks, err := run.Lease(ctx, d.Name, d.Pending)
			if err != nil {
				return err
			}
			var done []verify.Done
			for _, task := range tasks {
				done = append(done, verify.Done{Task: task, Result: unsettled(0), Provisional: true})
			}
			if err := run.Record(ctx, done, nil); err != nil {
				return err
			}
			for i, task := range tasks {
				done[i] = verify.Done{Task: task, Result: accepted(task)}
			}
			if err := run.Record(ctx, done, []verify.Facts{{Name: d.Name, CatchAll: "no", CheckedAt: time.Now()}}); err != nil {
				return err
			}
		}
		for _, err := range run.Results(ctx) {
			if err != nil {
				return err
			}
		}
	}
}

func TestSeveralRunsAreUnderWayAtOnceInOneFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 5 {
		input := fmt.Sprintf("list-%d.csv", i)
		if i == 4 {
			input = "" // addresses of no list
		}
		var list []string
		for k := range 60 {
			list = append(list, fmt.Sprintf("shared.%d@both-%d.lab", k, k%7), fmt.Sprintf("own.%d.%d@one-%d.lab", i, k, i))
		}
		group.Go(func() error {
			run, err := f.Begin(ctx, input, state.Policy{})
			if err != nil {
				return err
			}
			if err := run.Add(ctx, rows(list...)); err != nil {
				return err
			}
			if err := workThrough(ctx, run); err != nil {
				return err
			}
			n := 0
			for r, err := range run.Results(ctx) {
				switch {
				case err != nil:
					return err
				case n >= len(list) || r.Row != int64(n+1) || r.Address != list[n]:
					return fmt.Errorf("%s: row %d is %q at %d", input, n+1, r.Address, r.Row)
				case r.Result == nil || r.Result.Normalized != list[n] || r.Result.Reason != verdict.Accepted || r.Duplicate:
					return fmt.Errorf("%s: %s: %+v, want it accepted", input, r.Address, r)
				}
				n++
			}
			if n != len(list) {
				return fmt.Errorf("%s: %d rows, want %d", input, n, len(list))
			}
			if p, err := run.Plan(ctx); err != nil || p != (state.Plan{Rows: 120, Reused: 120}) {
				return fmt.Errorf("%s: plan %+v, %w; want nothing left to do", input, p, err)
			}
			return run.Finish(ctx, state.Summary{Rows: n})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for past, err := range f.Runs(t.Context()) {
		if err != nil || past.Finished.IsZero() || past.Summary.Rows != 120 {
			t.Errorf("%+v, %v; want a finished run of 120 rows", past, err)
		}
	}
}

func TestAListThatComesInSlowlyKeepsNobodyFromRecording(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	slow, err := f.Begin(t.Context(), "slow.csv", state.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	err = slow.Add(t.Context(), func(yield func(state.Entry, error) bool) {
		ann := syntax.Stored("ann", "one.lab")
		if !yield(state.Entry{Row: 1, Address: &ann}, nil) {
			return
		}
		run := start(t, f, "other.csv", "ann@one.lab") // the whole of another run, before the second row comes
		work(t, run, accepted)
		finish(t, run)
		yield(state.Entry{Row: 2}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := slow.Plan(t.Context()); err != nil || p != (state.Plan{Rows: 2, Reused: 1}) {
		t.Errorf("plan %+v, %v; want what the other run found", p, err)
	}
}

func TestRowsHaveAPlaceAndOneOnly(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	for i, bad := range [][]state.Entry{
		{{Row: 0}}, {{Row: 1, Column: -1}}, {{Row: 1, Column: 1 << 16}}, {{Row: 1}, {Row: 1}},
	} {
		run, err := f.Begin(t.Context(), fmt.Sprint(i), state.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Add(t.Context(), of(slices.Values(bad))); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestTheBetterAnswerOfTwoRunsIsKept(t *testing.T) {
	unknown := verify.Result{Verdict: verdict.Unknown, Reason: verdict.SenderBlocked}
	settled := verify.Result{Verdict: verdict.Deliverable, Reason: verdict.Accepted}
	gone := verify.Result{Verdict: verdict.Invalid, Reason: verdict.MailboxUnknown}
	open := unsettled(time.Hour)
	for _, test := range []struct {
		name          string
		first, second verify.Result
		provisional   bool // the second
		want          verify.Reason
		history       []verify.Reason
	}{
		{"an answer, then none", settled, unknown, false, verdict.Accepted, []verify.Reason{verdict.Accepted}},
		{"an answer, then an open question", settled, open, false, verdict.Accepted, []verify.Reason{verdict.Accepted}},
		{"an answer, then a provisional one", settled, open, true, verdict.Accepted, []verify.Reason{verdict.Accepted}},
		{
			"two answers", settled, gone, false, verdict.MailboxUnknown,
			[]verify.Reason{verdict.Accepted, verdict.MailboxUnknown},
		},
		{
			"none, then an answer", unknown, gone, false, verdict.MailboxUnknown,
			[]verify.Reason{verdict.SenderBlocked, verdict.MailboxUnknown},
		},
		{
			"none, then a provisional one", unknown, open, true, verdict.CatchAllUnknown,
			[]verify.Reason{verdict.SenderBlocked},
		},
		{
			"an open question, then an answer", open, settled, false, verdict.Accepted,
			[]verify.Reason{verdict.CatchAllUnknown, verdict.Accepted},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				one := start(t, f, "one.csv", "a@one.lab")
				two := start(t, f, "two.csv", "a@one.lab")
				_, first := lease(t, one)
				_, second := lease(t, two)
				time.Sleep(time.Minute)
				test.first.CheckedAt = time.Now()
				record(t, one, verify.Done{Task: first[0], Result: test.first})
				time.Sleep(time.Minute)
				test.second.CheckedAt = time.Now()
				record(t, two, verify.Done{Task: second[0], Result: test.second, Provisional: test.provisional})
				for _, run := range []*state.Run{one, two} {
					if got := results(t, run)[0].Result; got == nil || got.Reason != test.want {
						t.Errorf("result %+v, want %s", got, test.want)
					}
				}
				if got := reasons(t, f, "a@one.lab"); !slices.Equal(got, test.history) {
					t.Errorf("history %v, want %v", got, test.history)
				}
				if p, err := two.Plan(t.Context()); err != nil || p.Pending() > 0 != test.provisional {
					t.Errorf("plan %+v, %v; want work left %v", p, err, test.provisional)
				}
			})
		})
	}
}

const leftovers = `SELECT run, count(*) FROM rows GROUP BY run

	UNION ALL SELECT run, 1000 + count(*) FROM work GROUP BY run

	UNION ALL SELECT run, 2000 + count(*) FROM batches GROUP BY run ORDER BY 1, 2`

func TestRowsStayUntilTheNextRunOverTheirListHasFinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	a := start(t, f, "a.csv", "a@one.lab", "b@one.lab")
	b := start(t, f, "b.csv", "a@one.lab")
	check := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, query(t, path, leftovers)); diff != "" {
			t.Errorf("%s:\n%s", when, diff)
		}
	}
	check("two lists under way", "1 2", "1 1002", "1 2001", "2 1", "2 1001", "2 2001")
	work(t, a, accepted)
	finish(t, a)
	c := start(t, f, "c.csv", "a@one.lab")
	check("another list began", "1 2", "1 2001", "2 1", "2 1001", "2 2001", "3 1")
	a = start(t, f, "a.csv", "b@one.lab")
	check("the same list began", "1 2", "2 1", "2 1001", "2 2001", "3 1", "4 1")
	b.Close()
	b = start(t, f, "b.csv", "b@one.lab", "n@one.lab")
	check("a list that was broken off goes on", "1 2", "2 2", "2 1001", "2 2001", "3 1", "4 1")

	// What was begun over no list is not gone on with.
	one := start(t, f, "", "x@two.lab")
	two := start(t, f, "", "x@two.lab")
	one.Close()
	three := start(t, f, "", "x@two.lab")
	check("one of two over no list is closed", "1 2", "2 2", "2 1001", "2 2001", "3 1", "4 1", "6 1", "6 1001", "6 2001",
		"7 1", "7 1001", "7 2001")

	// Forgetting runs leaves those that are open.
	withSQL(t, path, "UPDATE runs SET started = 1")
	for _, run := range []*state.Run{a, c, two, three} {
		run.Close()
	}
	if err := f.Prune(t.Context(), state.Retention{Changes: day}); err != nil {
		t.Fatal(err)
	}
	check("pruned", "1 2", "2 2", "2 1001", "2 2001", "7 1", "7 1001", "7 2001")
	if got := work(t, b, accepted); !slices.Equal(got, []string{"n@one.lab"}) {
		t.Errorf("the run that is open has %v to do", got)
	}
	finish(t, start(t, f, "a.csv", "b@one.lab"))
	check("the same list has finished", "2 2", "2 2001", "7 1", "7 1001", "7 2001", "8 1")
}

func TestWhatWasKnownBeforeIsReplacedAndWhatWasFoundSinceIsNot(t *testing.T) {
	for _, test := range []struct {
		name      string
		age       time.Duration // of the answer that is known
		meanwhile bool          // another run confirms it
		want      verify.Reason
		confirmed bool
	}{
		{"not yet twice its shelf life", 40 * day, false, verdict.Accepted, false},
		{"confirmed by another run meanwhile", 40 * day, true, verdict.Accepted, true},
		{"older than twice its shelf life", 100 * day, false, verdict.Timeout, true},
		{"of a clock that was wrong", -365 * day, false, verdict.Timeout, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				before := start(t, f, "one.csv", "a@one.lab")
				_, tasks := lease(t, before)
				known := accepted(tasks[0])
				known.CheckedAt = known.CheckedAt.Add(-test.age)
				record(t, before, verify.Done{Task: tasks[0], Result: known})
				finish(t, before)
				time.Sleep(2 * time.Hour)

				one, two := start(t, f, "one.csv", "a@one.lab"), start(t, f, "two.csv", "a@one.lab")
				_, first := lease(t, one)
				_, second := lease(t, two)
				time.Sleep(time.Minute)
				if test.meanwhile {
					record(t, one, verify.Done{Task: first[0], Result: accepted(first[0])})
				}
				record(t, two, verify.Done{Task: second[0], Result: verify.Result{
					Verdict: verdict.Unknown, Reason: verdict.Timeout, CheckedAt: time.Now(), RetryAt: time.Now().Add(time.Hour),
				}})
				got := results(t, two)[0].Result
				if got.Reason != test.want || slices.Contains(got.Flags, verdict.FlagUnconfirmed) == test.confirmed {
					t.Errorf("%+v, want %s, confirmed %v", got, test.want, test.confirmed)
				}
			})
		})
	}
}

func TestAFileIsCompactedWhenNoRunIsOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	var list []string
	for i := range 3000 {
		list = append(list, fmt.Sprintf("someone.%d@company.lab", i))
	}
	for range 2 { // the second one removes the rows and the work of the first
		start(t, f, "long.csv", list...).Close()
	}
	withSQL(t, path, "DELETE FROM rows; DELETE FROM work; DELETE FROM addresses")
	run := start(t, f, "short.csv", "a@one.lab")
	unused := func() string {
		t.Helper()
		if err := f.Prune(t.Context(), state.Retention{Changes: day}); err != nil {
			t.Fatal(err)
		}
		return query(t, path, "PRAGMA freelist_count")[0]
	}
	if n := unused(); n == "0" {
		t.Error("the file was compacted while a run was open")
	}
	run.Close()
	if n := unused(); n != "0" {
		t.Errorf("%s pages are unused after the file was compacted", n)
	}
}
