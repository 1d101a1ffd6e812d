package job_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"presend/internal/lab"
	"presend/job"
	"presend/lists"
	"presend/report"
	"presend/verify"
	"presend/verify/smtpprobe"
)

// quiet is an Observer for a caller that shows nothing.
type quiet struct{}

func (quiet) Done(verify.Result)      {}
func (quiet) Waiting(verify.Ahead)    {}
func (quiet) Pass(int)                {}
func (quiet) PassEnded()              {}
func (quiet) WaitingUntil(time.Time)  {}
func (quiet) Opened(lists.Understood) {}
func (quiet) Note(string)             {}

func (quiet) Estimated(*report.Estimate) {}

// The mail hosts of the example are in this process; a program on the internet uses an mx.Resolver and a prober without
// Dial, as the example of package verify shows.
func Example() {
	internet, err := lab.Start(context.Background(),
		"host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab", lab.InMemory())
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
	directory, err := os.MkdirTemp("", "job-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	list := filepath.Join(directory, "contacts.csv")
	if err := os.WriteFile(list, []byte("name,email\nAnn,ann@corp.lab\nBob,bob@corp.lab\n"), 0o600); err != nil {
		panic(err)
	}

	var out strings.Builder
	summary, err := job.Run(context.Background(), verifier, job.Options{
		Input: list, Output: "-", Stdout: &out, Format: job.CSV, State: filepath.Join(directory, "crm.db"), Probing: true,
	}, quiet{}, nil)
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(out.String()) {
		fmt.Println(strings.Join(strings.SplitN(line, ",", 6)[:5], ","))
	}
	fmt.Print(summary.Answer(time.Now()))
	if err := verifier.Wait(context.Background()); err != nil { // until the servers were told QUIT
		panic(err)
	}
	// Output:
	// name,email,verify_verdict,verify_score,verify_reason
	// Ann,ann@corp.lab,deliverable,99,accepted
	// Bob,bob@corp.lab,invalid,1,mailbox_unknown
	// 2 rows: send to 1; leave out 1.
}
