package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"presend/state"
	"presend/verify/syntax"
)

// table is what the commands on the past print: as text with columns, as JSON lines, or as CSV.
type table struct {
	names []string
	rows  [][]any
	below *table // printed below, as text only; nil: none
}

func (a *app) printTable(t table, format string) error {
	switch format {
	case "text":
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(t.names, "\t"))
		for _, row := range t.rows {
			fmt.Fprintln(w, strings.Join(t.cells(row), "\t"))
		}
		if err := w.Flush(); err != nil || t.below == nil {
			return err
		}
		fmt.Fprintln(a.stdout)
		return a.printTable(*t.below, format)
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
func pastCommand(a *app, c *cobra.Command,
	read func(c *cobra.Command, file *state.File, args []string) (table, error),
) *cobra.Command {
	var path, format string
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		file, err := openState(c, path, state.OpenExistingShared)
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
	if c.Name() == "list" {
		listFlag(c, &path)
	} else {
		stateFlag(c, &path)
	}
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
