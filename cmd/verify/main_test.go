package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"presend/internal/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(commandTests{m}) }

// commandTests are all tests of the package. goleak runs them, and fails them if one leaves a goroutine behind.
type commandTests struct{ *testing.M }

// Run implements goleak.TestingM.
func (c commandTests) Run() int { return withCommand(c.M.Run) }

// withCommand runs tests with the command on the PATH, built as for a user. It has no race detector, which makes each
// of the several hundred processes three times as slow to start: the tests that run the command in this process have
// it.
func withCommand(run func() int) (code int) {
	directory, err := os.MkdirTemp("", "verify-test-")
	if err == nil {
		defer os.RemoveAll(directory)
		err = os.Setenv("PATH", directory+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err == nil { // labs have none of the names that a preflight asks for; its own tests say otherwise
		err = os.Setenv("VERIFY_NO_PREFLIGHT", "true")
	}
	if err == nil {
		build := exec.Command("go", "build", "-buildvcs=false", "-o", directory, ".")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the command:", err)
		return 1
	}
	return run()
}

// startLab starts an internet and returns the flags that lead verify to it.
func startLab(t testing.TB, declaration string) (*lab.Lab, []string) {
	t.Helper()
	l, err := lab.Start(context.WithoutCancel(t.Context()), declaration)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, []string{
		"--dns", l.DNS(), "--smtp-port", strconv.Itoa(l.SMTPPort()), "--allow-private", "--helo",
		"probe.lab", "--from", "check@probe.lab",
	}
}

func TestScripts(t *testing.T) {
	l, _ := startLab(t, lab.Demo)
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "columns": columns},
		Setup: func(env *testscript.Env) error {
			env.Setenv("VERIFY_DNS", l.DNS())
			env.Setenv("VERIFY_SMTP_PORT", strconv.Itoa(l.SMTPPort()))
			env.Setenv("VERIFY_ALLOW_PRIVATE", "true")
			env.Setenv("VERIFY_NO_PREFLIGHT", "true")
			env.Setenv("VERIFY_HELO", "probe.lab")
			return nil
		},
	})
}

// status runs verify and expects an exit status: status N ARGUMENT...
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N ARGUMENT...")
	}
	err := ts.Exec("verify", args[1:]...)
	if err == nil || err.Error() != "exit status "+args[0] {
		ts.Fatalf("verify %v: %v, want exit status %s", args[1:], err, args[0])
	}
}

// columns writes normalized address, verdict and reason of every row of a file into the file columns.
func columns(ts *testscript.TestScript, neg bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	var out strings.Builder
	at := func(name string) int { return slices.Index(rows[0], name) }
	for _, row := range rows[1:] {
		fmt.Fprintf(&out, "%s,%s,%s\n", row[at("verify_normalized")], row[at("verify_verdict")], row[at("verify_reason")])
	}
	ts.Check(os.WriteFile(ts.MkAbs("columns"), []byte(out.String()), 0o644))
}

// timestamps are what differs between two runs that are otherwise equal.
var timestamps = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// bigList declares a world of slow hosts and returns it with a list of all its mailboxes.
func bigList(domains, mailboxes int) (declaration string, list []byte) {
	var d strings.Builder
	var l bytes.Buffer
	l.WriteString("id,email\n")
	fmt.Fprintln(&d, "host mx1.slow.lab latency=20ms nopipelining sessions=4")
	for i := range domains {
		fmt.Fprintf(&d, "domain d%d.lab mx=mx1.slow.lab\n", i)
		for j := range mailboxes {
			address := fmt.Sprintf("m%d@d%d.lab", j, i)
			word := "mailbox"
			if j%5 == 4 {
				word = "unknown"
			}
			fmt.Fprintf(&d, "%s %s\n", word, address)
			fmt.Fprintf(&l, "%d,%s\n", i*mailboxes+j, address)
		}
	}
	return d.String(), l.Bytes()
}

func TestAnInterruptKeepsWhatIsInFlightAndSaysHowToGoOn(t *testing.T) {
	declaration, list := bigList(5, 20)
	directory := t.TempDir()
	in := filepath.Join(directory, "list.csv")
	if err := os.WriteFile(in, list, 0o644); err != nil {
		t.Fatal(err)
	}
	l, flags := startLab(t, declaration)
	args := append([]string{"list", in, "-o", filepath.Join(directory, "out.csv")}, flags...)
	stopped := exec.CommandContext(t.Context(), "verify", args...)
	var said bytes.Buffer
	stopped.Stderr = &said
	if err := stopped.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); l.Count().Rcpts < 30 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if err := stopped.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := stopped.Wait(); err == nil || stopped.ProcessState.ExitCode() != 130 {
		t.Errorf("exit %v, want 130; it said: %s", err, said.String())
	}
	if !strings.Contains(said.String(), "To go on: verify list") {
		t.Errorf("it does not say how to go on: %s", said.String())
	}
	if out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := l.Count().Violations; len(v) > 0 {
		t.Errorf("the servers were treated rudely: %v", v)
	}
	for address, n := range l.AllProbes() {
		if n > 1 && strings.Contains(string(list), ","+address+"\n") {
			t.Errorf("%s was probed %d times", address, n)
		}
	}
	file, err := os.Open(filepath.Join(directory, "out.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if rows, err := csv.NewReader(file).ReadAll(); err != nil || len(rows) != 101 {
		t.Errorf("%d rows, %v; want 101", len(rows), err)
	}
}

// contents returns what the files hold that patterns match, of each at least one.
func contents(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file is like %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(content)
		}
	}
	return all
}
