package state_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/state"
	"presend/verify/catchall"
)

// restored returns the path of a file that holds a dump of testdata.
func restored(t *testing.T, dump string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", dump))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.db")
	withSQL(t, path, string(text))
	return path
}

func TestAnOlderFileHoldsTheSameAsOneThatWasWrittenToday(t *testing.T) {
	old, today := restored(t, "version2-broken-off.sql"), restored(t, "version3-broken-off.sql")
	if err := open(t, old).Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"SELECT * FROM results ORDER BY address", "SELECT * FROM addresses ORDER BY id", "SELECT * FROM domains ORDER BY id",
		"SELECT * FROM runs ORDER BY id", "SELECT * FROM history ORDER BY address, at", "SELECT * FROM suppression ORDER BY id",
		"SELECT * FROM meta ORDER BY name", "SELECT * FROM rows WHERE run = 2 ORDER BY n", // 1 was not the newest
		"SELECT run, domain, folded, address, why FROM work ORDER BY run, domain, folded, address",
		"SELECT type, name FROM sqlite_schema ORDER BY type, name", "PRAGMA user_version",
	} {
		if diff := cmp.Diff(query(t, today, text), query(t, old, text)); diff != "" {
			t.Errorf("%s (-today +old):\n%s", text, diff)
		}
	}
	// What was done before it was broken off is not in the work any more.
	got := query(t, old, `SELECT b.run, b.domain, b.pending, count(*) FROM batches b JOIN work w USING (run, domain)
		GROUP BY b.run, b.domain, b.pending ORDER BY b.domain`)
	want := []string{"2 1 1 1", "2 2 1 1", "2 4 2 2"}
	if !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
}

func TestARunThatWasBrokenOffGoesOnInWhateverVersion(t *testing.T) {
	for _, dump := range []string{"version2-broken-off.sql", "version3-broken-off.sql"} {
		t.Run(dump, func(t *testing.T) {
			path := restored(t, dump)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(949190400, 0).Add(time.Minute))) // a minute after it was broken off
				f := open(t, path)
				defer f.Close()
				run := begin(t, f, state.Policy{}, "ann@one.lab", "not an address", "grey@one.lab", "left@one.lab", "heard@four.lab",
					"Heard@four.lab", "bea@one.lab", "ann@one.lab", "blocked@two.lab", "cy@one.lab", "nowhere@three.lab", "x@gone.lab")
				if p, err := run.Plan(t.Context()); err != nil ||
					p != (state.Plan{Rows: 12, New: 2, Due: 1, Stale: 1, Reused: 4, Suppressed: 2}) {
					t.Errorf("plan %+v, %v", p, err)
				}
				domains, err := run.Domains(t.Context(), 9)
				if err != nil || len(domains) != 3 || domains[0].Name != "four.lab" || domains[1].CatchAll != catchall.No {
					t.Errorf("domains %+v, %v; want four.lab first, and one.lab known to be no catch-all", domains, err)
				}
				tasks, err := run.Lease(t.Context(), "four.lab", 9)
				if err != nil || len(tasks) != 2 || tasks[0].Heard != nil || tasks[1].Heard == nil {
					t.Errorf("tasks %+v, %v; want one new and one that was heard", tasks, err)
				}
				var got []string
				for _, r := range results(t, run) {
					switch {
					case r.Suppressed != nil:
						got = append(got, r.Suppressed.Reason)
					case r.Result == nil:
						got = append(got, "")
					default:
						got = append(got, string(r.Result.Reason))
					}
				}
				want := []string{
					"accepted", "", "greylisted", "unsubscribe", "", "catch_all_unknown", "accepted", "accepted",
					"sender_blocked", "", "no_such_domain", "manual",
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("results (-want +got):\n%s", diff)
				}
				finish(t, run)
				for past, err := range f.Runs(t.Context()) {
					if err != nil || past.Finished.IsZero() || past.ID > 2 {
						t.Errorf("%+v, %v; want the two runs that the file held, finished", past, err)
					}
				}
			})
		})
	}
}

func TestResultsOfAnOlderFileKeepTheirShelfLives(t *testing.T) {
	path := restored(t, "version2-broken-off.sql")
	first := time.Unix(946684800, 0)
	synctest.Test(t, func(t *testing.T) {
		f := open(t, path)
		defer f.Close()
		for _, test := range []struct {
			after time.Duration
			stale int
		}{
			{23 * time.Hour, 0},
			{25 * time.Hour, 1}, // a fault of ours
			{31 * day, 3},       // accepted and full
			{91 * day, 4},       // a domain that did not exist
			{3649 * day, 4},
			{3651 * day, 5}, // a mailbox that did not exist
		} {
			time.Sleep(time.Until(first.Add(test.after)))
			run := beginOver(t, f, "clients.csv", state.Policy{},
				"ann@one.lab", "full@one.lab", "unknown@one.lab", "blocked@two.lab", "nowhere@three.lab")
			if p, err := run.Plan(t.Context()); err != nil || p.Stale != test.stale || p.Reused != 5-test.stale {
				t.Errorf("after %v: plan %+v, %v; want %d older than their shelf life", test.after, p, err, test.stale)
			}
			run.Close()
		}
	})
}
