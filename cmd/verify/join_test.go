package main

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestListsWhoseNamesHoldSpecialCharactersRunAtOnceAndKeepTheirOwnResults(t *testing.T) {
	declaration, list := bigList(10, 20)
	declaration = strings.Replace(declaration, "latency=20ms", "", 1)
	_, toLab := startLab(t, declaration)
	directory := t.TempDir()
	names := []string{"crm #1", "crm #2", "crm?", "crm%201", "crm 1"}
	runs := map[string]*exec.Cmd{}
	said := map[string]*bytes.Buffer{}
	for _, name := range names {
		in := filepath.Join(directory, name+".csv")
		if err := os.WriteFile(in, list, 0o600); err != nil {
			t.Fatal(err)
		}
		run := exec.CommandContext(t.Context(), "verify", append([]string{"list", in, "-q"}, toLab...)...)
		said[name] = &bytes.Buffer{}
		run.Stderr = said[name]
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		runs[name] = run
	}
	for _, name := range names {
		if err := runs[name].Wait(); err != nil {
			t.Errorf("%s: %v: %s", name, err, said[name])
			continue
		}
		if _, err := os.Stat(filepath.Join(directory, name+".verified.csv.state")); err != nil {
			t.Error(err)
		}
		out, err := os.Open(filepath.Join(directory, name+".verified.csv"))
		if err != nil {
			t.Error(err)
			continue
		}
		rows, err := csv.NewReader(out).ReadAll()
		if err = errors.Join(err, out.Close()); err != nil || len(rows) != 201 {
			t.Errorf("%s: %d rows, %v; want a header and 200", name, len(rows), err)
			continue
		}
		for _, row := range rows[1:] {
			if row[2] == "" {
				t.Errorf("%s: %s has no verdict", name, row[1])
				break
			}
		}
	}
}

func TestARowWithoutItsResultIsAnErrorAndNothingIsWritten(t *testing.T) {
	_, toLab := startLab(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab bob@corp.lab "+
		"carl@corp.lab")
	for _, tt := range []struct{ name, change, want string }{
		{
			"a result that was lost", `CREATE TRIGGER change AFTER INSERT ON results WHEN NEW.address =
			(SELECT a.id FROM addresses a WHERE a.local = 'bob') BEGIN DELETE FROM results WHERE address = NEW.address; END`,
			"line 3: there is no result for \"bob@corp.lab\"",
		},
		{
			"a row that is about another address", `CREATE TRIGGER change AFTER INSERT ON results BEGIN UPDATE rows SET address =
			(SELECT a.id FROM addresses a WHERE a.local = 'ann') WHERE n = 2; END`,
			"line 3: the state file has \"ann@corp.lab\" where the list has \"bob@corp.lab\"",
		},
		{
			"rows that the list does not have", `CREATE TRIGGER change AFTER INSERT ON results BEGIN INSERT OR IGNORE INTO rows
			(run, n, col, address, suppressed) SELECT max(run), 99, 0, NEW.address, 0 FROM rows; END`,
			"has more rows than the list",
		},
		{
			"rows that the state file does not have",
			`CREATE TRIGGER change AFTER INSERT ON results BEGIN DELETE FROM rows WHERE n = 3; END`,
			"the list has more rows than the state file",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			directory := t.TempDir()
			in, out, path := filepath.Join(directory, "list.csv"), filepath.Join(directory, "out.csv"),
				filepath.Join(directory, "s.db")
			verify := func(list string) (string, error) {
				if err := os.WriteFile(in, []byte(list), 0o600); err != nil {
					t.Fatal(err)
				}
				args := append([]string{"list", in, "-q", "-o", out, "--split", filepath.Join(directory, "parts"), "--state", path},
					toLab...)
				said, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput()
				return string(said), err
			}
			if said, err := verify("email\nann@corp.lab\n"); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			if err := errors.Join(os.Remove(out), os.RemoveAll(filepath.Join(directory, "parts"))); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = db.ExecContext(t.Context(), tt.change)
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			said, err := verify("email\nann@corp.lab\nbob@corp.lab\ncarl@corp.lab\n")
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said, tt.want) ||
				!strings.Contains(said, "again") {
				t.Errorf("%v: %s; want exit code 1, %q and what to do", err, said, tt.want)
			}
			if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the output was written: %v", err)
			}
			if parts, err := os.ReadDir(filepath.Join(directory, "parts")); err == nil && len(parts) > 0 {
				t.Errorf("parts were written: %v", parts)
			}
		})
	}
}
