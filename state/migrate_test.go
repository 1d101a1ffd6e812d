package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/state"
	"presend/verify/catchall"
	"presend/verify/verdict"
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

func TestNothingOfAnOlderFileIsLost(t *testing.T) {
	before, after := restored(t, "version2-broken-off.sql"), restored(t, "version2-broken-off.sql")
	if err := open(t, after).Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ was, is string }{
		{"SELECT 2, n, 0, address, suppressed FROM rows", "SELECT run, n, col, address, suppressed FROM rows ORDER BY n"},
		{
			"SELECT 2, domain, folded, address, why FROM work ORDER BY 2, 3, 4",
			"SELECT run, domain, folded, address, why FROM work ORDER BY 2, 3, 4",
		},
		{
			"SELECT *, tries, CASE WHEN tries > 0 THEN checked_at ELSE 0 END, 1, 0, '' FROM results",
			`SELECT address, verdict, score, reason, detail, flags, suggestion, provider, mx, code, enhanced, text, command,
			checked_at, retry_at, tries, since, source, heard, counted, last_try, times, tried_at, tried_reason FROM results`,
		},
		{"SELECT * FROM addresses", "SELECT id, domain, local FROM addresses ORDER BY id"},
		{"SELECT * FROM domains", "SELECT * FROM domains"},
		{
			"SELECT *, CASE WHEN input = 'clients.csv' THEN 'clients' ELSE 'list' END FROM runs",
			"SELECT id, input, started, finished, summary, list FROM runs",
		},
		{"SELECT * FROM history", "SELECT * FROM history"},
		{
			"SELECT *, 'person', '', 0 FROM suppression",
			"SELECT id, name, reason, source, at, origin, enhanced, due_at FROM suppression",
		},
		{
			"SELECT id FROM addresses WHERE id NOT IN (SELECT address FROM rows)",
			"SELECT id FROM addresses WHERE left_at > 0",
		},
		{"SELECT * FROM meta", "SELECT * FROM meta"},
	} {
		if diff := cmp.Diff(query(t, before, tt.was), query(t, after, tt.is)); diff != "" {
			t.Errorf("%s (-was +is):\n%s", tt.is, diff)
		}
	}
	checked := time.Unix(946684800, 0)
	var want []string
	for _, known := range []struct {
		address string
		reason  verdict.Reason
	}{
		{"ann@one.lab", verdict.Accepted},
		{"full@one.lab", verdict.MailboxFull},
		{"unknown@one.lab", verdict.MailboxUnknown},
		{"blocked@two.lab", verdict.SenderBlocked},
		{"nowhere@three.lab", verdict.NoSuchDomain},
	} {
		due := verdict.Memory{Reason: known.reason, At: checked, Times: 1}.DueAt(known.address)
		want = append(want, fmt.Sprint(due.Unix()))
	}
	if diff := cmp.Diff(want,
		query(t, after, "SELECT due_at FROM results WHERE address <= 5 ORDER BY address")); diff != "" {
		t.Errorf("when results are older than their shelf life (-want +got):\n%s", diff)
	}
}

func TestARunThatVersion2BrokeOffGoesOn(t *testing.T) {
	path := restored(t, "version2-broken-off.sql")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(949190400, 0).Add(time.Minute))) // a minute after it was broken off
		f := open(t, path)
		defer f.Close()
		run := begin(t, f, state.Policy{},
			"ann@one.lab", "not an address", "grey@one.lab", "left@one.lab", "heard@four.lab", "Heard@four.lab",
			"bea@one.lab", "ann@one.lab", "blocked@two.lab", "cy@one.lab", "nowhere@three.lab", "x@gone.lab")
		// New are heard and cy; Heard is asked again; ann, blocked and nowhere are older than their shelf lives.
		if p, err := run.Plan(t.Context()); err != nil ||
			p != (state.Plan{Rows: 12, New: 2, Due: 1, Stale: 3, Reused: 2, Suppressed: 2}) {
			t.Errorf("plan %+v, %v", p, err)
		}
		domains, err := run.Domains(t.Context(), 9)
		if err != nil || len(domains) != 4 || domains[0].Name != "one.lab" || domains[0].CatchAll != catchall.Open {
			t.Errorf("domains %+v, %v; want one.lab first, of which nothing fresh is known", domains, err)
		}
		tasks, err := run.Lease(t.Context(), "four.lab", 9)
		if err != nil || len(tasks) != 2 || tasks[0].Heard != nil || tasks[1].Heard == nil {
			t.Errorf("tasks %+v, %v; want one new and one that was heard", tasks, err)
		}
		var got []string
		for _, r := range results(t, run) {
			switch {
			case r.Suppressed != nil:
				got = append(got, r.Address+" "+r.Suppressed.Reason)
			case r.Result == nil:
				got = append(got, r.Address)
			default:
				got = append(got, r.Address+" "+string(r.Result.Reason))
			}
		}
		want := []string{
			"ann@one.lab accepted", "", "grey@one.lab greylisted", "left@one.lab unsubscribe", "heard@four.lab",
			"Heard@four.lab catch_all_unknown", "bea@one.lab accepted", "ann@one.lab accepted", "blocked@two.lab sender_blocked",
			"cy@one.lab", "nowhere@three.lab no_such_domain", "x@gone.lab manual",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		finish(t, run)
		n := 0
		for past, err := range f.Runs(t.Context()) {
			if n++; err != nil || past.Finished.IsZero() {
				t.Errorf("%+v, %v; want it finished", past, err)
			}
		}
		if n != 2 {
			t.Errorf("%d runs, want the two that the file held", n)
		}
	})
}

func TestAnOlderFileMayBeLarge(t *testing.T) {
	path := restored(t, "version2-broken-off.sql")
	withSQL(t, path, `WITH RECURSIVE many (n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM many WHERE n < 10500)
		INSERT INTO addresses SELECT n, 1, 'someone.' || n FROM many;
		INSERT INTO results SELECT id, 'deliverable', 98, 'accepted', '', '', '', '', '', 0, '', '', '',
			946684800, 0, 0, 0, '', 0
		FROM addresses WHERE id >= 100`)
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	got := query(t, path, "SELECT count(*), count(CASE WHEN due_at > checked_at THEN 1 END) FROM results")
	if want := []string{"10409 10409"}; !slices.Equal(got, want) {
		t.Errorf("%q results and those with a shelf life, want %q", got, want)
	}
}
