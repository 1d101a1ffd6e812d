package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
)

func TestADatabaseOfAnotherProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contacts.db")
	withSQL(t, path, "CREATE TABLE contacts (name TEXT); INSERT INTO contacts VALUES ('ann')")
	for name, opened := range map[string]func() (*state.File, error){
		"for runs":      func() (*state.File, error) { return state.Open(t.Context(), path) },
		"next to a run": func() (*state.File, error) { return state.OpenShared(t.Context(), path) },
	} {
		if _, err := opened(); !errors.Is(err, state.ErrNotState) {
			t.Errorf("%s: error %v, want ErrNotState", name, err)
		}
	}
	if got := query(t, path, "SELECT name FROM sqlite_schema"); len(got) != 1 {
		t.Errorf("it has the tables %v now", got)
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, empty).Close(); err != nil {
		t.Error(err)
	}
}

func TestADamagedFileIsToldByItsCheck(t *testing.T) {
	for _, part := range []struct {
		name string
		at   func(size int64) int64
	}{
		{"in the middle", func(size int64) int64 { return size / 2 }},
		{"at the third page", func(int64) int64 { return 2 * 4096 }},
		{"at the end", func(size int64) int64 { return size - 4096 }},
	} {
		path := filepath.Join(t.TempDir(), "s.db")
		f := open(t, path)
		work(t, begin(t, f, state.Policy{}, "ann@one.lab", "bob@one.lab", "cy@two.lab"), accepted)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte(strings.Repeat("\xff", 4096)), part.at(info.Size())); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		f, err = state.Open(t.Context(), path)
		if err == nil {
			err = errors.Join(f.Check(t.Context()), f.Close())
		}
		if !errors.Is(err, state.ErrNotState) {
			t.Errorf("damage %s: %v, want ErrNotState", part.name, err)
		}
	}
}

func TestShortCommandsWorkNextToARun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	run := begin(t, f, state.Policy{}, "ann@one.lab", "bob@one.lab")
	other, err := state.OpenShared(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Begin(t.Context(), "list", state.Policy{}); !errors.Is(err, state.ErrShared) {
		t.Errorf("a run next to a run: %v, want ErrShared", err)
	}
	if n, err := other.Suppress(t.Context(),
		entries(state.Suppressed{Name: "bob@one.lab", Reason: "unsubscribe"})); n != 1 || err != nil {
		t.Errorf("%d added, %v", n, err)
	}
	work(t, run, accepted)
	if _, err := run.Resuppress(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := results(t, run)
	if got[0].Suppressed != nil || got[1].Suppressed == nil || got[1].Suppressed.Origin != state.Person {
		t.Errorf("rows %+v; want bob suppressed, and not ann", got)
	}
	if _, err := other.Forget(t.Context(), "ann@one.lab", false); !errors.Is(err, state.ErrUnderWay) {
		t.Errorf("forgetting next to a run: %v, want ErrUnderWay", err)
	}
	locked := &state.LockedError{}
	if _, err := state.Open(t.Context(), path); !errors.As(err, &locked) {
		t.Errorf("a second process for runs: %v, want a LockedError", err)
	}
}

func TestAFileOfAnOlderVersionIsBroughtUpToDateNextToNobody(t *testing.T) {
	path := restored(t, "version3.sql")
	f, err := state.OpenShared(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := open(t, path).Close(); err != nil { // the lock is free
		t.Error(err)
	}
}

func TestTheTrendHasEachListAndMonthOnceAndKeepsItsFigures(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		night := func(list string, rows, invalid int) {
			t.Helper()
			run := start(t, f, list, "ann@one.lab")
			work(t, run, accepted)
			err := run.Finish(t.Context(), state.Summary{Rows: rows, Changes: &state.Changes{NewlyInvalid: invalid}})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Prune(t.Context(), state.Retention{Changes: 60 * day}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(day / 2)
		}
		for range 150 { // 2000-01-01 to 2000-05-29
			night("crm", 1000, 2)
			night("vips", 10, 0)
		}
		months, err := f.Trend(t.Context())
		if err != nil || len(months) != 10 {
			t.Fatalf("%d months, %v; want five of each list: %+v", len(months), err, months)
		}
		for i, want := range []struct {
			list, month string
			invalid     int
		}{
			{"crm", "2000-01", 62},
			{"crm", "2000-02", 58},
			{"crm", "2000-03", 62},
			{"crm", "2000-04", 60},
			{"crm", "2000-05", 58},
			{"vips", "2000-01", 0},
		} {
			m := months[i]
			if m.List != want.list || m.Month != want.month || m.NewlyInvalid != want.invalid ||
				m.Rows != map[string]int{"crm": 1000, "vips": 10}[m.List] {
				t.Errorf("%+v, want %+v", m, want)
			}
		}
		n := 0
		for range f.Runs(t.Context()) {
			n++
		}
		if n > 2*(61+4) {
			t.Errorf("%d runs are kept", n)
		}
	})
}

func TestWhatIsKeptForEverIsKept(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		for i := range 3 {
			run := start(t, f, "crm", "ann@one.lab")
			work(t, run, func(task verify.Task) verify.Result {
				r := accepted(task)
				if i == 1 {
					r.Reason, r.Verdict = verify.MailboxUnknown, verify.Invalid
				}
				return r
			})
			finish(t, run)
			time.Sleep(400 * day)
		}
		if err := f.Prune(t.Context(), state.Retention{}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for range f.Runs(t.Context()) {
			n++
		}
		if got := reasons(t, f, "ann@one.lab"); n != 3 || len(got) != 3 {
			t.Errorf("%d runs and the history %v, want three of each", n, got)
		}
	})
}

func TestAnAddressLeavesWithTheLastListThatHasIt(t *testing.T) {
	inTime(t, func(t *testing.T, f *state.File) {
		night := func(list string, addresses ...string) {
			t.Helper()
			run := start(t, f, list, addresses...)
			work(t, run, accepted)
			finish(t, run)
			if err := f.Prune(t.Context(), state.Retention{Left: 30 * day}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(day)
		}
		known := func(when string, want int) {
			t.Helper()
			if got := len(reasons(t, f, "ann@one.lab")); got != want {
				t.Errorf("%s: %d changes, want %d", when, got, want)
			}
		}
		night("crm", "ann@one.lab", "bob@one.lab")
		night("vips", "ann@one.lab", "bob@one.lab")
		for range 40 {
			night("crm", "bob@one.lab")
			night("vips", "ann@one.lab", "bob@one.lab")
		}
		known("in one list", 1)
		for range 10 {
			night("vips", "bob@one.lab")
			night("crm", "bob@one.lab")
		}
		night("crm", "ann@one.lab", "bob@one.lab")
		for range 15 {
			night("crm", "ann@one.lab", "bob@one.lab")
		}
		known("back in a list", 1)
		for range 20 {
			night("crm", "bob@one.lab")
		}
		known("in no list for 20 days", 1)
		for range 15 {
			night("crm", "bob@one.lab")
		}
		known("in no list for more than 30 days", 0)
		time.Sleep(31 * day)
		night("vips", "cy@one.lab")
		if got := len(reasons(t, f, "bob@one.lab")); got != 0 {
			t.Error("an address of a list that was not run for longer is still known")
		}
	})
}

func TestWhatIsForgottenIsNotInTheLogOfTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	f := open(t, path)
	defer f.Close()
	other, err := state.OpenShared(t.Context(), path) // so that the log stays
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	run := begin(t, f, state.Policy{}, "annabella@one.lab", "bob@one.lab")
	work(t, run, accepted)
	if err := run.Finish(t.Context(), state.Summary{}); err != nil {
		t.Fatal(err)
	}
	if done, err := f.Forget(t.Context(), "Annabella@one.lab", false); err != nil || done.Addresses != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, ending := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + ending)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "annabella") {
			t.Errorf("the address is in %s", path+ending)
		}
	}
}
