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

func Example() {
	verifier, stop := startVerifier()
	defer stop()
	directory, err := os.MkdirTemp("", "state-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)

	ctx := context.Background()
	file, err := state.Open(ctx, filepath.Join(directory, "crm.db"))
	if err != nil {
		panic(err)
	}
	defer file.Close()
	run, err := file.Begin(ctx, "contacts.csv", state.Policy{})
	if err != nil {
		panic(err)
	}
	defer run.Close()
	err = run.Add(ctx, func(yield func(state.Entry, error) bool) {
		for i, local := range []string{"ann", "bob"} {
			address := syntax.Stored(local, "corp.lab")
			if !yield(state.Entry{Row: int64(i + 1), Address: &address}, nil) {
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
		if err != nil {
			panic(err)
		}
		fmt.Println(row.Row, row.Result.Normalized, row.Result.Verdict)
	}
	if err := run.Finish(ctx, state.Summary{Rows: 2}); err != nil {
		panic(err)
	}
	// Output:
	// 1 ann@corp.lab deliverable
	// 2 bob@corp.lab invalid
}

// startVerifier returns an engine whose mail host is in this process.
func startVerifier() (*verify.Verifier, func()) {
	internet, err := lab.Start(context.Background(),
		"host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab", lab.InMemory())
	if err != nil {
		panic(err)
	}
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Dial: internet.Dial})
	if err != nil {
		panic(err)
	}
	verifier, err := verify.New(verify.Config{Resolver: internet.Resolver(), Prober: verify.SMTP(prober)})
	if err != nil {
		panic(err)
	}
	return verifier, func() {
		if err := verifier.Wait(context.Background()); err != nil { // until the servers were told QUIT
			panic(err)
		}
		if err := internet.Close(); err != nil {
			panic(err)
		}
	}
}
