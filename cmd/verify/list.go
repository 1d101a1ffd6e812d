package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"presend/job"
	"presend/lists"
	"presend/report"
)

// listFlags are those of verify list.
type listFlags struct {
	output         string
	state          string
	patience       time.Duration
	columns        []string
	allColumns     bool
	sheet          string
	explode        bool
	only, drop     []string
	wait           time.Duration
	failOver       share
	failOverOf     string
	failUnknown    share
	summary        string
	split          string
	format         string
	fresh          bool
	quick          bool
	industry       bool
	maxAge         days
	keep           days
	unengaged      days
	activityColumn string
	night          nightFlags
}

// listPatience is how long a list waits for a network that goes down.
const listPatience = 10 * time.Minute

// defaultListFlags are the flags of a user who gives none.
func defaultListFlags() listFlags {
	return listFlags{
		failOver: -1, failOverOf: string(report.Sendable), failUnknown: -1, keep: 400 * day, unengaged: 180 * day,
		patience: listPatience, night: defaultNightFlags(),
	}
}

func listCommand(a *app) *cobra.Command {
	f := defaultListFlags()
	c := &cobra.Command{
		Use:   "list IN.csv",
		Short: "Verify a list and write it again with verdicts",
		Long: `Verify a list and write it again with verdicts: every row and column as it was, in the same order,
followed by the verify_ columns.

What is known about each address is kept in a state file next to the output. If the command is stopped, the same
command continues where it stopped. If it is run again later, it asks only about addresses that are new, ready to
retry, or older than their shelf life. With --no-smtp nothing is kept unless --state names a file. IN.csv may be - for
standard input.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.hintSender(); err != nil {
				return err
			}
			return a.list(c.Context(), args[0], f)
		},
	}
	flags := c.Flags()
	a.flags.registerEngine(flags)
	a.flags.registerVerdict(flags)
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` to write (default IN.verified.csv; - for standard output)")
	flags.StringVar(&f.state, "state", "", "state `FILE` (default the output's name with .state)")
	flags.StringArrayVar(&f.columns, "column", nil,
		"an address column: its `NAME`, or its number from 1 (repeatable; default found out)")
	flags.BoolVar(&f.allColumns, "all-columns", false, "verify every column that holds addresses")
	flags.StringVar(&f.sheet, "sheet", "", "the sheet of a workbook: its `NAME`, or its number from 1 (default the first)")
	flags.BoolVar(&f.explode, "explode", false, "write a row for each address of a cell that holds several")
	flags.StringSliceVar(&f.only, "only", nil, "write only rows of these `VERDICTS`, as deliverable,risky")
	flags.StringSliceVar(&f.drop, "drop", nil, "leave out rows of these `VERDICTS`, as invalid")
	registerPatience(flags, &f.patience)
	flags.DurationVar(&f.wait, "wait", 0, "wait this long for temporary answers that can be asked again")
	flags.Var(&f.failOver, "fail-over",
		"exit 6 if more than this share would bounce, as 2%; the lower end of the interval counts")
	flags.StringVar(&f.failOverOf, "fail-over-of", f.failOverOf,
		"what --fail-over is about: all, sendable (without invalid) or deliverable")
	flags.Var(&f.failUnknown, "fail-unknown", "exit 6 if more than this share of the list is unknown, as 10%")
	flags.BoolVar(&f.industry, "industry", false, "show the averages of some industries below the forecast")
	flags.StringVar(&f.summary, "summary", "", "write the summary as JSON into `FILE` (docs/summary.schema.json)")
	flags.StringVar(&f.split, "split", "",
		"write deliverable.csv, risky.csv, invalid.csv, unknown.csv and suppress.csv into `DIR` too")
	flags.StringVar(&f.format, "format", f.format,
		"csv, jsonl or xlsx (default: as the ending of the output says, or as the list)")
	flags.BoolVar(&f.fresh, "fresh", false, "ask again about everything")
	flags.BoolVar(&f.quick, "quick", false, "ask providers that accept any address about a sample; the rest is not_probed")
	flags.Var(&f.maxAge, "max-age", "ask again about results that are older than this, as 90d")
	flags.Var(&f.keep, "keep", "delete history that is older than this")
	flags.Var(&f.unengaged, "unengaged", "flag contacts whose last activity is longer ago; 0 for none")
	flags.StringVar(&f.activityColumn, "activity-column", "",
		"the column of the last activity: its name, or its number from 1 (default found by name)")
	f.night.register(flags)
	return c
}

func (a *app) list(ctx context.Context, input string, f listFlags) (err error) {
	o, err := a.options(input, f)
	if err != nil {
		return err
	}
	if !slices.Contains(report.Cuts(), report.Cut(f.failOverOf)) {
		return usagef("--fail-over-of is all, sendable or deliverable, not %q", f.failOverOf)
	}
	verifier, resolver, err := a.verifier()
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	o.Preflight, o.Patience = a.preflight(resolver), f.patience
	again, interrupted := a.again(), false
	if o.NeedsState() {
		directory, err := os.MkdirTemp("", "verify-list-")
		if err != nil {
			return fmt.Errorf("a temporary state file: %w", err)
		}
		o.State = filepath.Join(directory, "run.state")
		again += " --state " + shellWord(o.State) + " --list " + shellWord(o.List)
		defer func() {
			if !interrupted {
				err = errors.Join(err, os.RemoveAll(directory))
			}
		}()
	}
	summary, err := job.Run(ctx, verifier, o, newProgress(a), a.stop)
	var trouble *job.TroubleError
	var wrong *job.OptionsError
	var ambiguous *lists.AmbiguousColumnError
	switch {
	case errors.Is(err, job.ErrStopped) && o.State == "":
		return &exitError{code: exitInterrupted}
	case errors.Is(err, job.ErrStopped):
		interrupted = true
		return &exitError{exitInterrupted, fmt.Sprintf("stopped; what is known is kept in %s. To go on: %s", o.State, again)}
	case errors.As(err, &wrong), errors.As(err, &ambiguous):
		return usagef("%v", err)
	case errors.As(err, &trouble): // the outputs are written
	case err != nil:
		return err
	}
	if f.summary != "" {
		if err := writeSummary(f.summary, summary); err != nil {
			return err
		}
	}
	if !a.flags.quiet {
		if err := a.summarise(summary, o, f.industry); err != nil {
			return err
		}
	}
	if trouble != nil {
		return a.troubled(trouble)
	}
	return cmp.Or(f.gates(summary), f.night.gate(summary))
}

// troubled ends a command that could not do its work because of something on our side. What that is was said by the
// summary, unless there was none.
func (a *app) troubled(t *job.TroubleError) error {
	if a.flags.quiet {
		return &exitError{exitFailed, t.Error()}
	}
	return &exitError{code: exitFailed}
}

// again is the command as it was given, to be typed once more.
func (a *app) again() string {
	words := []string{"verify"}
	for _, word := range a.args {
		words = append(words, shellWord(word))
	}
	return strings.Join(words, " ")
}
