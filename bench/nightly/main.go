// Command nightly measures a second night. All addresses of the list are known, so nothing is probed and the time goes
// to reading, looking up and writing.
//
//	go run ./bench/nightly -rows 1000000 -domains 200000
//
// It prints rows a second and the peak memory of verify list as the system counts it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"presend/bench/figures"
	"presend/lists"
	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the list")
	domains := flag.Int("domains", 200_000, "domains of the addresses")
	json := flag.String("json", "", "write the figures to a file, too")
	flag.Parse()
	if err := measure(*rows, *domains, *json); err != nil {
		log.Fatal("nightly: ", err)
	}
}

func measure(rows, domains int, json string) (err error) {
	directory, err := os.MkdirTemp("", "nightly-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	list, db := filepath.Join(directory, "list.csv"), filepath.Join(directory, "crm.db")
	if err := writeList(list, rows, domains); err != nil {
		return err
	}
	if err := fill(context.Background(), list, db); err != nil {
		return fmt.Errorf("filling the state: %w", err)
	}
	binary, err := figures.Build(context.Background(), directory)
	if err != nil {
		return err
	}
	run := exec.Command(binary, "list", list, "--state", db, "-o", filepath.Join(directory, "out.csv"),
		"--dns", "127.0.0.1:1", "--no-preflight")
	run.Stderr = os.Stderr
	begun := time.Now()
	if err := run.Run(); err != nil {
		return fmt.Errorf("verify list: %w", err)
	}
	took := time.Since(begun).Seconds()
	table := figures.New("nightly")
	table.Add("rows", float64(rows), "")
	table.Add("domains", float64(domains), "")
	table.Add("time", took, "s")
	table.Add("rows a second", float64(rows)/took, "1/s")
	table.Add("processor time", (run.ProcessState.UserTime() + run.ProcessState.SystemTime()).Seconds(), "s")
	if peak, ok := figures.PeakMemory(run.ProcessState); ok {
		table.Add("peak memory", float64(peak)/(1<<20), "MiB")
	}
	if info, err := os.Stat(db); err == nil {
		table.Add("state file", float64(info.Size())/(1<<20), "MiB")
	}
	return table.Write(os.Stdout, json)
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
		fmt.Fprintf(w, "%d,First%d,Last%d,first%d.last@company%d.com,Company %d,2026-01-02\n",
			i, i%5000, i%7000, i, i*7919%domains, i*7919%domains)
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
	err = run.Add(ctx, func(yield func(state.Entry, error) bool) {
		for row, err := range reader.Rows() {
			address, parseErr := syntax.Parse(row.Address)
			if !yield(state.Entry{Row: row.N, Address: &address}, errors.Join(err, parseErr)) {
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
					Verdict: verdict.Deliverable, Score: 98, Reason: verdict.Accepted, CheckedAt: time.Now(),
					Detail: "the mail host accepts this address and refuses one that cannot exist",
					MX:     "mx." + domain.Name,
					Reply:  &verify.Reply{Code: 250, Enhanced: "2.1.5", Text: "Ok", Command: "RCPT"},
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
