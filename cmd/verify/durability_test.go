package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/state"
)

// known checks a state file and returns how many results it holds.
func known(t *testing.T, path string) int {
	t.Helper()
	file, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := file.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := file.Known(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killings is how many processes are killed, in four series. A process that is killed may be in the middle of a write;
// what becomes of a run that ends anywhere else is tested without processes.
const killings = 40

func TestKilledAtAnyMomentNothingThatWasRecordedIsLost(t *testing.T) {
	declaration, list := bigList(10, 20)
	declaration = strings.Replace(declaration, "latency=20ms", "latency=6ms", 1)
	var recorded atomic.Int64 // when the last process of each series was killed
	t.Run("series", func(t *testing.T) {
		for i := range uint64(4) {
			t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
				t.Parallel()
				recorded.Add(int64(killAgainAndAgain(t, declaration, list, killings/4, rand.New(rand.NewPCG(1, i)))))
			})
		}
	})
	if recorded.Load() == 0 {
		t.Error("every kill came before there was a result: the test shows nothing")
	}
}

// killAgainAndAgain returns how many results there were when the last process was killed.
func killAgainAndAgain(t *testing.T, declaration string, list []byte, kills int, random *rand.Rand) (before int) {
	directory := t.TempDir()
	in, db := filepath.Join(directory, "list.csv"), filepath.Join(directory, "s.db")
	if err := os.WriteFile(in, list, 0o644); err != nil {
		t.Fatal(err)
	}
	_, toLab := startLab(t, declaration)
	verify := func(output string, args ...string) *exec.Cmd {
		args = append(append([]string{"list", in, "-q", "-o", filepath.Join(directory, output)}, args...), toLab...)
		return exec.CommandContext(t.Context(), "verify", args...)
	}
	started := time.Now()
	if out, err := verify("undisturbed.csv").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	undisturbed := time.Since(started) // on this machine, with whatever else it does: the moments are spread over it
	whole := 0
	for i := range kills {
		run := verify("killed.csv", "--state", db, "--fresh") // so that there is always something to do
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(undisturbed) * 6 / 5))) // a random moment, not a wait for anything
		if err := run.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := run.Wait(); err == nil {
			whole++
		}
		if _, err := os.Stat(db); err != nil {
			continue // killed before there was a file
		}
		after := known(t, db)
		if after < before {
			t.Fatalf("kill %d: %d results, after %d before it", i, after, before)
		}
		before = after
	}
	t.Logf("%d kills within %v, %d runs ended before theirs, %d results by then", kills,
		undisturbed.Round(time.Millisecond), whole, before)
	if out, err := verify("killed.csv", "--state", db).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var outputs [2]string
	for i, name := range []string{"undisturbed.csv", "killed.csv"} {
		content, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		outputs[i] = timestamps.ReplaceAllString(string(content), "TIME")
	}
	if diff := cmp.Diff(outputs[0], outputs[1]); diff != "" {
		t.Errorf("the outputs differ (-undisturbed +killed):\n%.2000s", diff)
	}
	if left, err := filepath.Glob(filepath.Join(directory, ".*")); err != nil || len(left) > 0 {
		t.Errorf("what was killed while it wrote an output left %v, %v", left, err)
	}
	return before
}

func TestAStateThatCannotBeUsedIsAClearError(t *testing.T) {
	_, toLab := startLab(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab")
	directory := t.TempDir()
	in := filepath.Join(directory, "list.csv")
	if err := os.WriteFile(in, []byte("email\nann@corp.lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	verify := func(db string) string {
		out, err := exec.CommandContext(t.Context(), "verify",
			append([]string{"list", in, "-q", "-o", filepath.Join(directory, "out.csv"), "--state", db},
				toLab...)...).CombinedOutput()
		if err == nil {
			t.Errorf("%s is used: %s", db, out)
		}
		return string(out)
	}
	newer := filepath.Join(directory, "newer.db")
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (x); PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if said := verify(newer); !strings.Contains(said, "newer version of this program") || !strings.Contains(said, "99") {
		t.Errorf("a file of a newer schema: %s", said)
	}
	held := filepath.Join(directory, "held.db")
	file, err := state.Open(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	if said := verify(held); !strings.Contains(said, fmt.Sprintf("in use by process %d", os.Getpid())) {
		t.Errorf("a file that another process holds: %s", said)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(directory, "damaged.db")
	if out, err := exec.CommandContext(t.Context(), "verify",
		append([]string{"list", in, "-q", "-o", filepath.Join(directory, "out.csv"), "--state", damaged},
			toLab...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(content); i++ {
		content[i] ^= 0x5a
	}
	if err := os.WriteFile(damaged, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if said := verify(damaged); !strings.Contains(said, "damaged") {
		t.Errorf("a damaged file: %s", said)
	}
}
