package state_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"presend/internal/lab"
	"presend/state"
	"presend/verify"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
)

// The mail hosts of the example are in this process, as those of the examples of package verify.
func Example() {
	ctx := context.Background()
	internet, err := lab.Start(ctx, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab", lab.InMemory())
	if err != nil {
		panic(err)
	}
	defer internet.Close()
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Dial: internet.Dial})
	if err != nil {
		panic(err)
	}
	verifier, err := verify.New(verify.Config{Resolver: internet.Resolver(), Prober: verify.SMTP(prober)})
	if err != nil {
		panic(err)
	}
	directory, err := os.MkdirTemp("", "state-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)

	file, err := state.Open(ctx, filepath.Join(directory, "crm.db"))
	if err != nil {
		panic(err)
	}
	defer file.Close()
	run, err := file.Begin(ctx, "contacts.csv", state.Policy{Probing: true})
	if err != nil {
		panic(err)
	}
	cells := []string{"ann@corp.lab", "bob@corp.lab", "no address", "ann@corp.lab"}
	err = run.Add(ctx, func(yield func(state.Entry, error) bool) {
		for i, cell := range cells {
			entry := state.Entry{Row: int64(i + 1)}
			if address, err := syntax.Parse(cell); err == nil {
				entry.Address = &address
			}
			if !yield(entry, nil) {
				return
			}
		}
	})
	if err != nil {
		panic(err)
	}
	if err := verifier.Run(ctx, run, verify.RunOptions{}); err != nil {
		panic(err)
	}
	for row, err := range run.Results(ctx) {
		switch {
		case err != nil:
			panic(err)
		case row.Result == nil: // there is nothing to ask about
			fmt.Println(row.Row)
		default:
			fmt.Println(row.Row, row.Address, row.Result.Reason, row.Duplicate)
		}
	}
	if err := run.Finish(ctx, state.Summary{Rows: len(cells)}); err != nil {
		panic(err)
	}

	// The next night, everything is known.
	run, err = file.Begin(ctx, "contacts.csv", state.Policy{Probing: true})
	if err != nil {
		panic(err)
	}
	defer run.Close()
	ann, err := syntax.Parse("ann@corp.lab")
	if err != nil {
		panic(err)
	}
	err = run.Add(ctx, func(yield func(state.Entry, error) bool) { yield(state.Entry{Row: 1, Address: &ann}, nil) })
	if err != nil {
		panic(err)
	}
	plan, err := run.Plan(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d to ask about, %d known\n", plan.Pending(), plan.Reused)
	if err := verifier.Wait(ctx); err != nil { // until the servers were told QUIT
		panic(err)
	}
	// Output:
	// 1 ann@corp.lab accepted false
	// 2 bob@corp.lab mailbox_unknown false
	// 3
	// 4 ann@corp.lab accepted true
	// 0 to ask about, 1 known
}
