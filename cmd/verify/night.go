package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"presend/job"
	"presend/state"
)

// nightFlags are those of verify list for a list that comes again every night.
type nightFlags struct {
	list           string
	suppress       string
	shrink         share
	changes        string
	failNewInvalid share
	forgetAfter    days
}

func defaultNightFlags() nightFlags {
	return nightFlags{shrink: -1, failNewInvalid: -1, forgetAfter: 400 * day}
}

func (f *nightFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.list, "list", "",
		"the `NAME` by which the list is known from run to run (default the file's without digits)")
	flags.StringVar(&f.suppress, "suppress", "", "a `FILE` with a suppression list to respect too; see verify suppress")
	flags.Var(&f.shrink, "shrink", "accept a list with at least this share of the last run's rows, as 50% (default 80%)")
	flags.StringVar(&f.changes, "changes", "",
		"write the rows whose verdict has changed since the last run into `FILE`, as CSV")
	flags.Var(&f.failNewInvalid, "fail-new-invalid",
		"exit 6 if more than this share became invalid since the last run, as 1%")
	flags.Var(&f.forgetAfter, "forget-after",
		"forget addresses that have been in no list for longer than this; 0 for never")
}

// into puts the flags into a job's options. A state that is not the user's own gives standard input a name.
func (f nightFlags) into(o *job.Options, ownState bool) {
	o.List, o.Suppress, o.Changes = f.list, f.suppress, f.changes
	o.ForgetAfter = time.Duration(f.forgetAfter)
	if f.shrink >= 0 {
		o.Shrink = max(float64(f.shrink)/100, 1e-9) // 0 is the default of a job
	}
	if o.Input == "-" && !ownState {
		name := "standard input"
		if o.Output != "-" {
			name = state.ListName(o.Output)
		}
		o.List = cmp.Or(f.list, name)
	}
}

// gate returns the gate of nights, if it is not met.
func (f nightFlags) gate(s job.Summary) error {
	if share := s.NewlyInvalid(); f.failNewInvalid >= 0 && share > float64(f.failNewInvalid) {
		return &exitError{exitGate, fmt.Sprintf(
			"%.1f %% of the list became invalid since the last run, more than --fail-new-invalid %v allows",
			share, &f.failNewInvalid)}
	}
	return nil
}
