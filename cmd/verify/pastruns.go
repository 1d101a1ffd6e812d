package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"presend/report"
	"presend/state"
	"presend/verify"
	"presend/verify/verdict"
)

// dueDays is how many days ahead verify runs looks.
const dueDays = 7

func runsCommand(a *app) *cobra.Command {
	var due bool
	c := pastCommand(a, &cobra.Command{
		Use:   "runs --state FILE",
		Short: "List past runs, and how many addresses are ready to be asked again on the coming days",
		Long: `List past runs. Consecutive runs of verify retry are shown on one line. Below them, as text, is how
many addresses are ready to be asked again on each of the coming days; with --due only this is printed.`,
		Args: arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		days, err := dueTable(c, file)
		if err != nil || due {
			return days, err
		}
		t, err := runsTable(c, file)
		if text, flagErr := c.Flags().GetString("format"); flagErr == nil && text == "text" {
			t.below = &days
		}
		return t, err
	})
	c.Flags().BoolVar(&due, "due", false, "show only how many addresses are ready to be asked again on the coming days")
	return c
}

// dueTable is how many addresses fall due on the days to come.
func dueTable(c *cobra.Command, file *state.File) (table, error) {
	t := table{names: []string{"day", "due"}}
	days, err := file.DueDays(c.Context(), dueDays)
	for _, d := range days {
		t.rows = append(t.rows, []any{d.Day, d.Addresses})
	}
	return t, err
}

func runsTable(c *cobra.Command, file *state.File) (table, error) {
	t := table{names: []string{
		"run", "started", "finished", "list", "input", "rows", "new", "due", "stale", "reused", "suppressed", "retried",
		"deliverable", "risky", "invalid", "unknown", "expected_bounces", "newly_invalid",
	}}
	folded := 0 // runs of verify retry in the last line
	for r, err := range file.Runs(c.Context()) {
		if err != nil {
			return t, err
		}
		s := r.Summary
		if r.List == "" && folded > 0 {
			last := t.rows[len(t.rows)-1]
			folded++
			last[2], last[4], last[11] = r.Finished, fmt.Sprintf("(%d retries)", folded), last[11].(int)+s.Retried
			continue
		}
		input := r.Input
		if folded = 0; r.List == "" {
			folded, input = 1, "(1 retry)"
		}
		row := []any{
			r.ID, r.Started, r.Finished, r.List, input, s.Rows, s.Plan.New, s.Plan.Due, s.Plan.Stale, s.Plan.Reused,
			s.Plan.Suppressed, s.Retried,
		}
		for _, v := range verdict.Verdicts() {
			row = append(row, s.Verdicts[v])
		}
		newly := 0
		if s.Changes != nil {
			newly = s.Changes.NewlyInvalid
		}
		t.rows = append(t.rows, append(row, s.Expected, newly))
	}
	return t, nil
}

func trendCommand(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "trend --state FILE",
		Short: "Show month by month how each list ages",
		Long: `Show month by month how each list ages: its size at the last run of the month, the share of each
verdict and reason in percent, how many addresses became invalid in the runs of that month, and that number in percent
of the size.`,
		Args: arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		t := table{names: []string{
			"list", "month", "rows", "deliverable", "risky", "invalid", "unknown", "newly_invalid", "ageing",
		}}
		months, err := file.Trend(c.Context())
		if err != nil {
			return t, err
		}
		var reasons []verify.Reason
		for _, m := range months {
			for reason := range m.Reasons {
				if !slices.Contains(reasons, reason) {
					reasons = append(reasons, reason)
				}
			}
		}
		slices.Sort(reasons)
		for _, reason := range reasons {
			t.names = append(t.names, string(reason))
		}
		for _, m := range months {
			share := func(n int) float64 { return 100 * float64(n) / float64(max(1, m.Rows)) }
			row := []any{m.List, m.Month, m.Rows}
			for _, v := range verdict.Verdicts() {
				row = append(row, share(m.Verdicts[v]))
			}
			row = append(row, m.NewlyInvalid, m.Ageing)
			for _, reason := range reasons {
				row = append(row, share(m.Reasons[reason]))
			}
			t.rows = append(t.rows, row)
		}
		return t, nil
	})
}

func forgetCommand(a *app) *cobra.Command {
	var path string
	var suppress bool
	c := &cobra.Command{
		Use:   "forget ADDRESS|@DOMAIN... --state FILE",
		Short: "Erase everything that is known about an address or a whole domain",
		Long: `Erase everything that is known about an address, in every spelling, or about a whole domain: results,
history, work and entries of the suppression list. The file is compacted, so that no trace of them is left in it.
Outputs, backups and logs that were written before are not changed. With --suppress-hash a salted hash of each name is
put on the suppression list, so that the address is not asked about again when it returns with a list.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) (err error) {
			file, err := openState(c, path, state.OpenExistingWithin)
			if err != nil {
				return err
			}
			defer func() { err = closing(err, file) }()
			for _, name := range args {
				done, err := file.Forget(c.Context(), name, suppress)
				if err != nil {
					return err
				}
				a.say(fmt.Sprintf("%s: %s and %s of the suppression list erased", printable(strings.TrimSpace(name)),
					report.Count(done.Addresses, "address", "addresses"), report.Count(done.Entries, "entry", "entries")))
			}
			return nil
		},
	}
	stateFlag(c, &path)
	c.Flags().BoolVar(&suppress, "suppress-hash", false, "put a salted hash of each name on the suppression list")
	return c
}
