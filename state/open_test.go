package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"presend/state"
)

func TestASecondProcessIsToldWhoHoldsTheFile(t *testing.T) {
	for name, before := range map[string]string{
		"no lock file yet": "",
		"a lock file of an older version that was killed": "process 1234567 on a.host.with.a.name since 2026-01-01T00:00:00Z\n",
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
				if !errors.As(err, &locked) || !strings.HasPrefix(locked.Holder, want) || strings.ContainsAny(locked.Holder, "\n\x00") {
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
				if _, err := f.Suppress(t.Context(), entries(state.Suppressed{Name: "ann@corp.lab", Reason: "manual"})); err != nil {
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
	if err := os.WriteFile(junk, []byte("name,email\nthis is a list and no state file at all, and long enough to be looked at\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(t.Context(), junk); !errors.Is(err, state.ErrNotState) {
		t.Errorf("a CSV: error %v, want ErrNotState", err)
	}
	if _, err := state.Open(context.Background(), filepath.Join(directory, "missing", "s.db")); err == nil {
		t.Error("a folder that is missing: no error")
	}
}

func TestAFileRemembersAcrossVersionsWhatWasHeard(t *testing.T) {
	dump, err := os.ReadFile("testdata/version2.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.db")
	withSQL(t, path, string(dump))
	withSQL(t, path, "UPDATE results SET retry_at = 1 WHERE retry_at > 0") // its time has come
	f := open(t, path)
	defer f.Close()
	_, tasks := lease(t, begin(t, f, state.Policy{}, "ann@x.lab", "open@x.lab"))
	if len(tasks) != 1 || tasks[0].Heard == nil || tasks[0].Heard.MX != "mx.x.lab" {
		t.Errorf("tasks %+v, want open@x.lab as it was heard", tasks)
	}
}
