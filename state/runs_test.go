package state_test

import (
	"errors"
	"fmt"
	"iter"
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

func TestARunThatWasBrokenOffGoesOnAfterRunsOverOtherListsWereFinished(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		old := begin(t, f, state.Policy{}, "a@one.lab", "b@one.lab", "c@two.lab")
		work(t, old, accepted)
		finish(t, old)
		time.Sleep(day)
		fresh := state.Policy{Fresh: true}
		run := beginOver(t, f, "a.csv", fresh, "a@one.lab", "b@one.lab", "c@two.lab")
		if _, err := run.Domains(t.Context(), 9); err != nil {
			t.Fatal(err)
		}
		tasks, err := run.Lease(t.Context(), "one.lab", 9)
		if err != nil {
			t.Fatal(err)
		}
		record(t, run, verify.Done{Task: tasks[0], Result: accepted(tasks[0])})
		run.Close()

		time.Sleep(time.Hour)
		other := beginOver(t, f, "b.csv", state.Policy{}, "new@one.lab", "a@one.lab")
		if got := work(t, other, accepted); !slices.Equal(got, []string{"new@one.lab"}) {
			t.Errorf("the other list asks about %v", got)
		}
		finish(t, other)
		retries, err := f.BeginRetries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		finish(t, retries)

		time.Sleep(time.Hour)
		run = beginOver(t, f, "a.csv", fresh, "a@one.lab", "b@one.lab", "c@two.lab")
		if got := work(t, run, accepted); !slices.Equal(got, []string{"b@one.lab", "c@two.lab"}) {
			t.Errorf("asked about %v, want what was not asked before the run was broken off", got)
		}
		finish(t, run)
		var inputs []string
		for past, err := range f.Runs(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			inputs = append(inputs, fmt.Sprint(past.Input, " ", !past.Finished.IsZero()))
		}
		if want := []string{"list.csv true", "a.csv true", "b.csv true", " true"}; !slices.Equal(inputs, want) {
			t.Errorf("runs %q, want %q", inputs, want)
		}
	})
}

func TestAListIsNotUnderWayTwice(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	run := begin(t, f, state.Policy{}, "a@one.lab")
	if _, err := f.Begin(t.Context(), "list.csv", state.Policy{}); !errors.Is(err, state.ErrUnderWay) {
		t.Errorf("error %v, want ErrUnderWay", err)
	}
	finish(t, run)
	run.Close() // again
	finish(t, begin(t, f, state.Policy{}, "a@one.lab"))

	// Addresses of no list do not disturb each other.
	one := beginOver(t, f, "", state.Policy{}, "x@two.lab")
	two := beginOver(t, f, "", state.Policy{}, "y@two.lab", "x@two.lab")
	if len(results(t, one)) != 1 || len(results(t, two)) != 2 {
		t.Errorf("%d and %d rows, want 1 and 2", len(results(t, one)), len(results(t, two)))
	}
	if got := work(t, one, accepted); !slices.Equal(got, []string{"x@two.lab"}) {
		t.Errorf("one run asks about %v", got)
	}
	if got := work(t, two, accepted); !slices.Equal(got, []string{"x@two.lab", "y@two.lab"}) {
		t.Errorf("the other asks about %v", got)
	}
}

func TestARowMayHoldSeveralAddresses(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	if _, err := f.Suppress(t.Context(), entries(state.Suppressed{Name: "@no.lab", Reason: "manual"})); err != nil {
		t.Fatal(err)
	}
	cells := []struct {
		row       int64
		column    int
		address   string
		duplicate bool
	}{
		{1, 0, "a@one.lab", false},
		{1, 1, "", false},
		{1, 2, "a@one.lab", true},
		{2, 0, "", false},
		{2, 1, "b@one.lab", false},
		{4, 0, "x@no.lab", false},
		{4, 1, "b@one.lab", true},
		{4, 2, "y@no.lab", false},
		{5, 7, "x@no.lab", true},
	}
	run, err := f.Begin(t.Context(), "list.csv", state.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	err = run.Add(t.Context(), func(yield func(state.Entry, error) bool) {
		for _, i := range []int{4, 0, 1, 2, 3, 8, 5, 6, 7} { // in whatever order
			entry := state.Entry{Row: cells[i].row, Column: cells[i].column}
			if a, err := syntax.Parse(cells[i].address); err == nil {
				entry.Address = &a
			}
			if !yield(entry, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := run.Plan(t.Context()); err != nil || p != (state.Plan{Rows: 4, New: 2, Suppressed: 2}) {
		t.Errorf("plan %+v, %v; want four rows, two of them suppressed, and two addresses", p, err)
	}
	work(t, run, accepted)
	got := results(t, run)
	if len(got) != len(cells) {
		t.Fatalf("%d results, want %d", len(got), len(cells))
	}
	for i, r := range got {
		want := cells[i]
		if r.Row != want.row || r.Column != want.column || r.Address != want.address || r.Duplicate != want.duplicate {
			t.Errorf("%+v, want %+v", r, want)
		}
		if asked := want.address == "a@one.lab" || want.address == "b@one.lab"; (r.Result != nil) != asked {
			t.Errorf("row %d, column %d: result %v", r.Row, r.Column, r.Result)
		}
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
		if err := run.Add(t.Context(), pairs(bad)); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func pairs(entries []state.Entry) iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
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
		{"two answers", settled, gone, false, verdict.MailboxUnknown, []verify.Reason{verdict.Accepted, verdict.MailboxUnknown}},
		{"none, then an answer", unknown, gone, false, verdict.MailboxUnknown, []verify.Reason{verdict.SenderBlocked, verdict.MailboxUnknown}},
		{"none, then a provisional one", unknown, open, true, verdict.CatchAllUnknown, []verify.Reason{verdict.SenderBlocked}},
		{"an open question, then an answer", open, settled, false, verdict.Accepted, []verify.Reason{verdict.CatchAllUnknown, verdict.Accepted}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, func(t *testing.T, f *state.File) {
				one := beginOver(t, f, "one.csv", state.Policy{}, "a@one.lab")
				two := beginOver(t, f, "two.csv", state.Policy{}, "a@one.lab")
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
				// A run that begins later replaces whatever it finds.
				time.Sleep(time.Minute)
				finish(t, one)
				later := beginOver(t, f, "one.csv", state.Policy{Fresh: true}, "a@one.lab")
				_, tasks := lease(t, later)
				blocked := unknown
				blocked.CheckedAt = time.Now()
				record(t, later, verify.Done{Task: tasks[0], Result: blocked})
				if got := results(t, later)[0].Result; got.Reason != verdict.SenderBlocked {
					t.Errorf("later: %+v, want %s", got, verdict.SenderBlocked)
				}
			})
		})
	}
}

const leftovers = `SELECT run, count(*) FROM rows GROUP BY run UNION ALL SELECT run, 1000 + count(*) FROM work GROUP BY run

	UNION ALL SELECT run, 2000 + count(*) FROM batches GROUP BY run ORDER BY 1, 2`

func TestRowsStayUntilTheNextRunOverTheirListBegins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	a := beginOver(t, f, "a.csv", state.Policy{}, "a@one.lab", "b@one.lab")
	b := beginOver(t, f, "b.csv", state.Policy{}, "a@one.lab")
	check := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, query(t, path, leftovers)); diff != "" {
			t.Errorf("%s:\n%s", when, diff)
		}
	}
	check("two lists under way", "1 2", "1 1002", "1 2001", "2 1", "2 1001", "2 2001")
	work(t, a, accepted)
	finish(t, a)
	c := beginOver(t, f, "c.csv", state.Policy{}, "a@one.lab")
	check("another list began", "1 2", "1 2001", "2 1", "2 1001", "2 2001", "3 1")
	a = beginOver(t, f, "a.csv", state.Policy{}, "b@one.lab")
	check("the same list began", "2 1", "2 1001", "2 2001", "3 1", "4 1")
	b.Close()
	b = beginOver(t, f, "b.csv", state.Policy{}, "b@one.lab", "n@one.lab")
	check("a list that was broken off goes on", "2 2", "2 1001", "2 2001", "3 1", "4 1")

	// What was begun over no list is not gone on with.
	one := beginOver(t, f, "", state.Policy{}, "x@two.lab")
	two := beginOver(t, f, "", state.Policy{}, "x@two.lab")
	one.Close()
	three := beginOver(t, f, "", state.Policy{}, "x@two.lab")
	check("one of two over no list is closed", "2 2", "2 1001", "2 2001", "3 1", "4 1", "6 1", "6 1001", "6 2001", "7 1", "7 1001", "7 2001")

	// Forgetting runs leaves those that are open.
	withSQL(t, path, "UPDATE runs SET started = 1")
	for _, run := range []*state.Run{a, c, two, three} {
		run.Close()
	}
	if err := f.Prune(t.Context(), day); err != nil {
		t.Fatal(err)
	}
	check("pruned", "2 2", "2 1001", "2 2001", "7 1", "7 1001", "7 2001")
	if got := work(t, b, accepted); !slices.Equal(got, []string{"n@one.lab"}) {
		t.Errorf("the run that is open has %v to do", got)
	}
}
