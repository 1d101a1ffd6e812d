package main

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"presend/job"
	"presend/verify"
	"presend/verify/verdict"
)

// options turns the flags into a job's options: where the output and the state go by default is decided here.
func (a *app) options(input string, f listFlags) (job.Options, error) {
	rules, err := a.flags.treatRules()
	if err != nil {
		return job.Options{}, err
	}
	only, err := f.verdicts()
	if err != nil {
		return job.Options{}, err
	}
	o := job.Options{
		Input: input, Stdin: a.stdin, Output: f.output, Stdout: a.stdout, Format: job.Format(f.format), Split: f.split,
		State: f.state, Probing: !a.flags.noSMTP, Fresh: f.fresh, MaxAge: time.Duration(f.maxAge),
		Keep: time.Duration(f.keep), Wait: f.wait, Columns: f.columns, AllColumns: f.allColumns, Sheet: f.sheet,
		Explode: f.explode, Unengaged: time.Duration(f.unengaged), ActivityColumn: f.activityColumn, Treat: rules,
		Only: only, Quick: f.quick,
		Others: []job.NamedPath{{For: "--summary", Path: f.summary}, {For: "--pace", Path: a.flags.pace}},
	}
	if f.quick && a.flags.noSMTP {
		return job.Options{}, usagef("--quick is about mail hosts, and --no-smtp asks none")
	}
	if o.Output == "" && input == "-" {
		o.Output = "-"
	} else if o.Output == "" {
		base := strings.TrimSuffix(input, ".gz")
		ending := "." + f.format
		if f.format == "" {
			ending = ".csv"
			if strings.EqualFold(filepath.Ext(base), ".xlsx") {
				ending = ".xlsx"
			}
		}
		o.Output = strings.TrimSuffix(base, filepath.Ext(base)) + ".verified" + ending
	} else if f.format == "" {
		o.Format = formatOf(o.Output)
	}
	if o.NeedsState() && o.Output != "-" { // else it is a temporary one
		o.State = o.Output + ".state"
	}
	f.night.into(&o, f.state != "")
	return o, nil
}

// formatOf is the format that the ending of an output's name asks for; Same where it says nothing.
func formatOf(output string) job.Format {
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(output, ".gz"))) {
	case ".xlsx":
		return job.Workbook
	case ".csv", ".tsv", ".txt":
		return job.CSV
	case ".jsonl", ".ndjson":
		return job.JSONLines
	}
	return job.Same
}

// verdicts returns the verdicts that --only and --drop leave; none: all of them, and rows without an address.
func (f listFlags) verdicts() (left []verify.Verdict, err error) {
	for _, word := range slices.Concat(f.only, f.drop) {
		if !slices.Contains(verdict.Verdicts(), verify.Verdict(word)) {
			return nil, usagef("--only and --drop take %v, not %q", verdict.Verdicts(), word)
		}
	}
	for _, v := range verdict.Verdicts() {
		if (len(f.only) == 0 || slices.Contains(f.only, string(v))) && !slices.Contains(f.drop, string(v)) {
			left = append(left, v)
		}
	}
	switch len(left) {
	case 0:
		return nil, usagef("--only and --drop leave no row")
	case len(verdict.Verdicts()):
		return nil, nil
	}
	return left, nil
}
