// Command nightly measures a second night: a list whose addresses are all known, so that nothing is probed and what
// takes the time is reading, looking up and writing.
//
//	go run ./bench/nightly -rows 1000000 -domains 200000
//
// It prints rows a second and the peak memory of verify list, as the system accounted for it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"presend/lists"
	"presend/state"
	"presend/verify"
	"presend/verify/reply"
	"presend/verify/score"
	"presend/verify/syntax"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the list")
	domains := flag.Int("domains", 200_000, "domains that they spread over")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if err := measure(*rows, *domains, *asJSON); err != nil {
		log.Fatal("nightly: ", err)
	}
}

// figures are what a run came to.
type figures struct {
	Rows       int     `json:"rows"`
	Domains    int     `json:"domains"`
	Seconds    float64 `json:"seconds"`
	RowsPerSec float64 `json:"rows_per_second"`
	PeakMiB    float64 `json:"peak_mib"`
	StateMiB   float64 `json:"state_mib"`
}

func measure(rows, domains int, asJSON bool) (err error) {
	directory, err := os.MkdirTemp("", "nightly-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	list, db, binary := filepath.Join(directory, "list.csv"), filepath.Join(directory, "crm.db"), filepath.Join(directory, "verify")
	if err := writeList(list, rows, domains); err != nil {
		return err
	}
	if err := fill(context.Background(), list, db); err != nil {
		return fmt.Errorf("filling the state: %w", err)
	}
	if out, err := exec.Command("go", "build", "-o", binary, "./cmd/verify").CombinedOutput(); err != nil {
		return fmt.Errorf("building verify (run this from the repository's root): %w: %s", err, out)
	}
	run := exec.Command(binary, "list", list, "--state", db, "-o", filepath.Join(directory, "out.csv"), "--dns", "127.0.0.1:1")
	run.Stderr = os.Stderr
	begun := time.Now()
	if err := run.Run(); err != nil {
		return fmt.Errorf("verify list: %w", err)
	}
	f := figures{Rows: rows, Domains: domains, Seconds: time.Since(begun).Seconds()}
	f.RowsPerSec = float64(rows) / f.Seconds
	if usage, ok := run.ProcessState.SysUsage().(*syscall.Rusage); ok {
		f.PeakMiB = float64(usage.Maxrss) / 1024
	}
	if info, err := os.Stat(db); err == nil {
		f.StateMiB = float64(info.Size()) / (1 << 20)
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(f)
	}
	_, err = fmt.Printf("%d rows, %d domains: %.1f s, %.0f rows a second, %.0f MiB at the peak, state file %.0f MiB\n", f.Rows, f.Domains, f.Seconds, f.RowsPerSec, f.PeakMiB, f.StateMiB)
	return err
}

// writeList writes a list in no particular order of domains.
func writeList(path string, rows, domains int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	fmt.Fprintln(w, "id,first name,last name,email,company,last activity") // errors stick to the writer
	for i := range rows {
		fmt.Fprintf(w, "%d,First%d,Last%d,first%d.last@company%d.com,Company %d,2026-01-02\n", i, i%5000, i%7000, i, i*7919%domains, i*7919%domains)
	}
	return errors.Join(w.Flush(), file.Close())
}

// fill gives every address of the list a result, as a first night would have.
func fill(ctx context.Context, list, db string) (err error) {
	reader, err := lists.Open(list, lists.Options{})
	if err != nil {
		return err
	}
	defer reader.Close() // read only
	file, err := state.Open(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	run, err := file.Begin(ctx, list, state.Policy{})
	if err != nil {
		return err
	}
	err = run.Add(ctx, func(yield func(*syntax.Address, error) bool) {
		for row, err := range reader.Rows() {
			address, parseErr := syntax.Parse(row.Address)
			if !yield(&address, errors.Join(err, parseErr)) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	var done []verify.Done
	for {
		domains, err := run.Domains(ctx, 1000)
		if err != nil {
			return err
		}
		for _, domain := range domains {
			tasks, err := run.Lease(ctx, domain.Name, domain.Pending)
			if err != nil {
				return err
			}
			for _, task := range tasks {
				done = append(done, verify.Done{Task: task, Result: verify.Result{
					Verdict: score.Deliverable, Score: 98, Reason: reply.Accepted, Detail: "the mail host accepts mail for it, and refuses an address that cannot exist",
					MX: "mx." + domain.Name, Reply: &verify.Reply{Code: 250, Enhanced: "2.1.5", Text: "Ok", Command: "RCPT"}, CheckedAt: time.Now(),
				}})
			}
		}
		if len(done) >= 20_000 || len(domains) == 0 {
			if err := run.Record(ctx, done, nil); err != nil {
				return err
			}
			done = done[:0]
		}
		if len(domains) == 0 {
			return run.Finish(ctx, state.Summary{})
		}
	}
}
