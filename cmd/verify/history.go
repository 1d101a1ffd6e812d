package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// table is what the commands on the past print: as text with columns, as JSON lines, or as CSV.
type table struct {
	names []string
	rows  [][]any
}

func (a *app) printTable(t table, format string) error {
	switch format {
	case "text":
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(t.names, "\t"))
		for _, row := range t.rows {
			fmt.Fprintln(w, strings.Join(t.cells(row), "\t"))
		}
		return w.Flush()
	case "csv":
		w := csv.NewWriter(a.stdout)
		if err := w.Write(t.names); err != nil {
			return err
		}
		for _, row := range t.rows {
			if err := w.Write(t.cells(row)); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	case "json":
		encoder := json.NewEncoder(a.stdout)
		for _, row := range t.rows {
			object := map[string]any{}
			for i, name := range t.names {
				object[name] = row[i]
			}
			if err := encoder.Encode(object); err != nil {
				return err
			}
		}
		return nil
	}
	return usagef("--format is text, json or csv, not %q", format)
}

func (t table) cells(row []any) []string {
	cells := make([]string, len(row))
	for i, value := range row {
		switch v := value.(type) {
		case float64:
			cells[i] = strconv.FormatFloat(v, 'f', 2, 64)
		case time.Time:
			if !v.IsZero() {
				cells[i] = v.UTC().Format(time.RFC3339)
			}
		default:
			cells[i] = printable(fmt.Sprint(v))
		}
	}
	return cells
}

// pastCommand is a command that reads a state file and prints a table.
func pastCommand(a *app, c *cobra.Command, read func(c *cobra.Command, file *state.File, args []string) (table, error)) *cobra.Command {
	var path, format string
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		file, err := openState(c, path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		t, err := read(c, file, args)
		if err != nil {
			return err
		}
		return a.printTable(t, format)
	}
	stateFlag(c, &path)
	c.Flags().StringVar(&format, "format", "text", "text, json or csv")
	return c
}

func historyCommand(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "history ADDRESS --state FILE",
		Short: "Show every change of an address's verdict",
		Args:  arguments(cobra.ExactArgs(1)),
	}, func(c *cobra.Command, file *state.File, args []string) (table, error) {
		t := table{names: []string{"at", "run", "verdict", "reason"}}
		address, err := syntax.Parse(args[0])
		if err != nil {
			return t, usagef("%s: %v", args[0], err)
		}
		changes, err := file.History(c.Context(), address)
		if err == nil && len(changes) == 0 {
			err = fmt.Errorf("%s was never verified with %s", address, file.Path())
		}
		for _, change := range changes {
			t.rows = append(t.rows, []any{change.At, change.Run, change.Verdict, change.Reason})
		}
		return t, err
	})
}

func runsCommand(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "runs --state FILE",
		Short: "List the runs of the past",
		Args:  arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		t := table{names: []string{"run", "started", "finished", "input", "rows", "new", "due", "stale", "reused", "suppressed", "retried", "deliverable", "risky", "invalid", "unknown", "expected_bounces"}}
		for r, err := range file.Runs(c.Context()) {
			if err != nil {
				return t, err
			}
			s := r.Summary
			row := []any{r.ID, r.Started, r.Finished, r.Input, s.Rows, s.Plan.New, s.Plan.Due, s.Plan.Stale, s.Plan.Reused, s.Plan.Suppressed, s.Retried}
			for _, v := range verdict.Verdicts() {
				row = append(row, s.Verdicts[v])
			}
			t.rows = append(t.rows, append(row, s.Expected))
		}
		return t, nil
	})
}

func trendCommand(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "trend --state FILE",
		Short: "Show month by month how a list ages",
		Long:  "Show month by month how a list ages: its size at the month's last run, the share of each verdict and reason in percent, how many addresses became invalid, and that in percent of the size.",
		Args:  arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		t := table{names: []string{"month", "rows", "deliverable", "risky", "invalid", "unknown", "newly_invalid", "ageing"}}
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
			row := []any{m.Month, m.Rows}
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
