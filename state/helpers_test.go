package state_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
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

// rows are the entries of a list with one address a row; none where it does not parse.
func rows(addresses ...string) iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for i, text := range addresses {
			entry := state.Entry{Row: int64(i + 1)}
			if a, err := syntax.Parse(text); err == nil {
				entry.Address = &a
			}
			if !yield(entry, nil) {
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
	return verify.Result{Verdict: verdict.Deliverable, Score: 98, Reason: verdict.Accepted, CheckedAt: time.Now(), Flags: []verify.Flag{verdict.FlagRole}}
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

func entries(all ...state.Suppressed) iter.Seq2[state.Suppressed, error] {
	return func(yield func(state.Suppressed, error) bool) {
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
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
		Verdict: verdict.Risky, Score: 90, Reason: verdict.CatchAllUnknown, Detail: "accepted", Flags: []verify.Flag{verdict.FlagRole},
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

// beginOver begins a run over a list of a name, with one address a row.
func beginOver(t testing.TB, f *state.File, input string, p state.Policy, addresses ...string) *state.Run {
	t.Helper()
	run, err := f.Begin(t.Context(), input, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Add(t.Context(), rows(addresses...)); err != nil {
		t.Fatal(err)
	}
	return run
}

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
