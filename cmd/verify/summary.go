package main

import (
	"encoding/json"
	"fmt"
	"time"

	"presend/job"
	"presend/report"
	"presend/verify"
)

// gates returns the first gate that is not met.
func (f listFlags) gates(s job.Summary) error {
	forecast := s.Forecast(report.Cut(f.failOverOf))
	if f.failOver >= 0 && forecast.Low > float64(f.failOver) && forecast.Word == report.CannotBeTold {
		return &exitError{exitGate, fmt.Sprintf(
			"the share of bounces cannot be told, because more than a third of the addresses to be sent to are unknown; "+
				"--fail-over %v is not met", &f.failOver)}
	}
	if f.failOver >= 0 && forecast.Low > float64(f.failOver) {
		return &exitError{exitGate, fmt.Sprintf(
			"%.1f %% (at least %.1f %%) of what would be sent is expected to bounce, more than --fail-over %v allows",
			forecast.Bounces, forecast.Low, &f.failOver)}
	}
	unknown := 100 * float64(s.Verdicts[verify.Unknown]) / float64(max(1, s.Rows))
	if f.failUnknown >= 0 && unknown > float64(f.failUnknown) {
		return &exitError{exitGate, fmt.Sprintf("%.1f %% of the list is unknown, more than --fail-unknown %v allows",
			unknown, &f.failUnknown)}
	}
	return nil
}

// summarise shows what a list came to.
func (a *app) summarise(s job.Summary, o job.Options, industry bool) error {
	if a.flags.logFormat == "json" {
		return json.NewEncoder(a.stderr).Encode(s)
	}
	fmt.Fprintln(a.stderr)
	if err := s.Text(a.stderr, time.Now()); err != nil {
		return err
	}
	if industry {
		if err := s.WriteIndustries(a.stderr); err != nil {
			return err
		}
	}
	if o.State != "" {
		fmt.Fprintf(a.stderr, "\n%s\n", planOf(s))
	}
	if s.Retries > 0 {
		answers := "Temporary answers"
		if s.Retries == 1 {
			answers = "A temporary answer"
		}
		fmt.Fprintf(a.stderr, "%s for %s: run the same command again later, or with --wait 30m.\n",
			answers, report.Rows(s.Retries))
	}
	switch {
	case o.Output == "-":
	case o.State == "":
		fmt.Fprintf(a.stderr, "\nWritten to %s\n", o.Output)
	default:
		fmt.Fprintf(a.stderr, "\nWritten to %s; what is known is kept in %s\n", o.Output, o.State)
	}
	return nil
}

// planOf says how many addresses the run had to ask about, and why.
func planOf(s job.Summary) string {
	p := s.Plan
	words := report.Count(p.Pending()+p.Reused, "address", "addresses")
	sep := ": "
	for _, part := range []struct {
		n     int
		words string
	}{
		{p.New, "new"},
		{p.Stale, "older than their shelf life"},
		{p.Due, "with a temporary answer asked again"},
		{p.Reused, "known"},
		{s.Retried - p.Due, "asked again while waiting"},
	} {
		if part.n > 0 {
			words += fmt.Sprintf("%s%s %s", sep, report.Number(part.n), part.words)
			sep = ", "
		}
	}
	if p.Suppressed > 0 {
		words += fmt.Sprintf("; %s on the suppression list", report.Rows(p.Suppressed))
	}
	return words
}
