package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"presend/job"
	"presend/verify/smtpprobe"
)

// paceFlags are those of verify pace.
type paceFlags struct {
	estimate string
	quick    bool
	columns  []string
	sheet    string
}

func paceCommand(a *app) *cobra.Command {
	var f paceFlags
	c := &cobra.Command{
		Use:   "pace",
		Short: "Print the table of caps and rates by provider, or how long a list takes",
		Long: `Print the table of caps and rates by provider. If --pace names a file, the file is checked and its
table is printed; otherwise the default table is printed with the meaning of its columns, as a start for your own.

With --estimate, print how long it takes at least to ask about a list of which nothing is known, and what would
shorten it. DNS is asked who takes the mail of each domain; no mail host is asked. The run may take longer: mail hosts
without a rate in the table answer as fast as they can, and any mail host may ask the client to slow down.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.estimate != "" {
				return a.estimate(c.Context(), f)
			}
			if a.flags.pace == "" {
				_, err := io.WriteString(a.stdout, smtpprobe.DefaultPace())
				return err
			}
			pace, err := smtpprobe.LoadPace(a.flags.pace)
			if err != nil {
				return err
			}
			return pace.Write(a.stdout)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.estimate, "estimate", "", "tell how long this `LIST` takes; the flags below are about that")
	flags.BoolVar(&f.quick, "quick", false, "with --quick of verify list")
	flags.StringArrayVar(&f.columns, "column", nil,
		"an address column: its `NAME`, or its number from 1 (repeatable; default found out)")
	flags.StringVar(&f.sheet, "sheet", "", "the sheet of a workbook: its `NAME`, or its number from 1 (default the first)")
	engine := pflag.NewFlagSet("", pflag.ContinueOnError)
	a.flags.registerEngine(engine)
	for _, name := range []string{"pace", "dns", "allow-private", "source-ip", "reference"} {
		flags.AddFlag(engine.Lookup(name))
	}
	return c
}

// estimate prints how long a list takes.
func (a *app) estimate(ctx context.Context, f paceFlags) error {
	a.flags.noSMTP = true
	verifier, resolver, err := a.verifier()
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	ctx, cancel := a.untilStopped(ctx)
	defer cancel()
	e, err := job.Estimate(ctx, verifier, job.Options{
		Input: f.estimate, Stdin: a.stdin, Columns: f.columns, Sheet: f.sheet, Quick: f.quick,
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, e.Text())
	return err
}
