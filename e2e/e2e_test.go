//go:build e2e

// Package e2e runs the whole job, a list in and a list out, against mail servers and name servers that nobody here
// wrote, and compares every verdict with truth.csv.
package e2e

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var built = flag.String("binary", "", "test this verify, such as one of an older version, and build none")

var hold = flag.Bool("hold", false, "keep the servers up until interrupted, to ask them by hand")

// require skips the test where the machine lacks what it needs, and fails it under CI, where it must run.
func require(t *testing.T) {
	t.Helper()
	var missing []string
	if runtime.GOOS != "linux" {
		missing = append(missing, "Linux (127.x.y.z are all loopback there)")
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root (port 25, the servers' own users)")
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool+" (Debian)")
		}
	}
	if len(missing) == 0 {
		return
	}
	message := "LEFT OUT: the end-to-end run on real servers; this machine lacks " + strings.Join(missing, ", ")
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// truth is a row of truth.csv.
type truth struct {
	address string
	known   bool      // the mailbox exists: never to be called invalid
	want    [2]answer // in the first run, and when what is temporary has passed
}

// answer is a verdict with its reason.
type answer struct{ verdict, reason string }

func (a answer) String() string { return a.verdict + "/" + a.reason }

func readTruth(t *testing.T) []truth {
	t.Helper()
	var rows []truth
	for _, r := range readCSV(t, "truth.csv") {
		first := answer{r["verdict"], r["reason"]}
		final := answer{cmp.Or(r["final_verdict"], first.verdict), cmp.Or(r["final_reason"], first.reason)}
		rows = append(rows, truth{address: r["address"], known: r["known"] == "yes", want: [2]answer{first, final}})
	}
	if len(rows) < 150 {
		t.Fatalf("truth.csv has %d rows, want at least 150", len(rows))
	}
	return rows
}

// readCSV returns the rows of a file by the names in its first.
func readCSV(t *testing.T, path string) []map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// writeList writes the addresses as a list with a number next to each.
func writeList(t *testing.T, path string, rows []truth) {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	records := [][]string{{"number", "email"}}
	for i, row := range rows {
		records = append(records, []string{strconv.Itoa(i + 1), row.address})
	}
	if err := w.WriteAll(records); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheListOfTheTruthComesOutAsTheTruth(t *testing.T) {
	require(t)
	rows := readTruth(t)
	isolated(t, func(binary string) { compareWithTruth(t, binary, rows) })
}

// compareWithTruth starts the servers, verifies the list twice and compares both outputs.
func compareWithTruth(t *testing.T, binary string, rows []truth) {
	t.Helper()
	directory := t.TempDir()
	r := startRig(t)
	shared := []string{
		"--dns", resolver, "--allow-private", "--no-preflight", "--helo", "probe.lab", "--from",
		"check@probe.lab",
	}
	if *hold {
		waitForInterrupt(t, r, binary, shared)
		return
	}
	list, out := filepath.Join(directory, "list.csv"), filepath.Join(directory, "out.csv")
	writeList(t, list, rows)
	command := append([]string{"list", list, "-o", out, "--state", filepath.Join(directory, "s.db")}, shared...)

	t.Log("the first run")
	run(t, binary, command...)
	compare(t, rows, readCSV(t, out), 0)

	t.Log("the same command again, waiting for what is greylisted")
	run(t, binary, append(command, "--wait", "2m")...)
	compare(t, rows, readCSV(t, out), 1)
}

func waitForInterrupt(t *testing.T, r *rig, binary string, shared []string) {
	t.Helper()
	t.Logf("the servers are up, their logs are in %s; ask them with\n\t%s check ann@postfix.lab %s\ninterrupt to end",
		r.run, binary, strings.Join(shared, " "))
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	defer signal.Stop(interrupted)
	<-interrupted
}

// run runs a command to its end and logs its output.
func run(t *testing.T, command string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput()
	t.Logf("%s %s\n%s", filepath.Base(command), strings.Join(args, " "), out)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(command), err)
	}
}

// compare compares every row of an output with the truth.
func compare(t *testing.T, rows []truth, out []map[string]string, pass int) {
	t.Helper()
	if len(out) != len(rows) {
		t.Fatalf("%d rows went in and %d came out", len(rows), len(out))
	}
	counts := map[string]int{}
	var lost, wrong []string
	for i, row := range rows {
		o := out[i]
		if o["number"] != strconv.Itoa(i+1) || o["email"] != row.address {
			t.Errorf("row %d went in as %q and came out as number %s, %q", i+1, row.address, o["number"], o["email"])
		}
		got := answer{o["verify_verdict"], o["verify_reason"]}
		counts[got.String()]++
		if row.known && got.verdict == "invalid" {
			lost = append(lost, fmt.Sprintf("%q exists and is called %s: %s", row.address, got, o["verify_detail"]))
		}
		if want := row.want[pass]; got != want {
			wrong = append(wrong, fmt.Sprintf("%q: %s, want %s: %s", row.address, got, want, o["verify_detail"]))
		}
	}
	t.Logf("%d addresses:\n%s", len(rows), table(counts))
	if len(lost) > 0 {
		t.Errorf("MAILBOXES THAT EXIST ARE CALLED INVALID, %d of them; each is a lost customer:\n%s",
			len(lost), strings.Join(lost, "\n"))
	}
	if len(wrong) > 0 {
		t.Errorf("%d of %d addresses have another verdict or reason than the truth:\n%s",
			len(wrong), len(rows), strings.Join(wrong, "\n"))
	}
}

// table prints counts by verdict and reason.
func table(counts map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		verdict, reason, _ := strings.Cut(name, "/")
		fmt.Fprintf(&b, "%-12s %-22s %4d\n", verdict, reason, counts[name])
	}
	return b.String()
}
