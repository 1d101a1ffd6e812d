package job

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"presend/lists"
	"presend/state"
	"presend/verify/syntax"
)

// RefusedError is returned for a list that differs too much from its last run. Nothing was asked or written.
type RefusedError struct{ Problem string }

func (e *RefusedError) Error() string { return e.Problem }

// leastShare is the share of the last run's rows, and of its addresses, that a list has at least.
const leastShare = 0.8

// compareMost is how many rows are compared with the last run to find a column that has a new name.
const compareMost = 20_000

// last compares a list with its last run.
type last struct {
	run  *state.PastRun // nil: there was none
	file *state.File
	name string // of the list
}

// column lets the list have the address column of its last run, unless the user names one. A column with a new name is
// taken where most of its addresses were in the last run, which the note says.
func (l last) column(ctx context.Context, o Options, reader *lists.Reader) (note string, err error) {
	if l.run == nil || len(l.run.Columns) != 1 || len(o.Columns) > 0 || o.AllColumns {
		return "", nil
	}
	before := l.run.Columns[0]
	if now := reader.Understood().Columns; len(now) == 1 && now[0] == before {
		return "", nil
	}
	named := func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(before)) }
	if slices.ContainsFunc(reader.Columns(), named) {
		return "", reader.Choose(before)
	}
	if _, err := strconv.Atoi(before); err == nil && len(reader.Columns()) == 0 {
		return "", reader.Choose(before)
	}
	best, in, all, err := l.mostKnown(ctx, reader)
	if err != nil {
		return "", err
	}
	if in*2 <= all || all == 0 {
		return "", &RefusedError{fmt.Sprintf(
			"the last run of the list %q read the column %q, which this file does not have, and the addresses in %q are "+
				"different; name the column with --column, or the list with --list if it is another one",
			l.name, before, reader.Understood().Columns[0])}
	}
	name := strconv.Itoa(best + 1)
	if err := reader.Choose(name); err != nil {
		return "", err
	}
	return fmt.Sprintf("the column %q is taken for %q of the last run: %d of %d addresses in it were in that run",
		reader.Understood().Columns[0], before, in, all), nil
}

// mostKnown returns the column with the largest share of addresses that were in the last run, how many were, and how
// many addresses it has.
func (l last) mostKnown(ctx context.Context, reader *lists.Reader) (column, in, all int, err error) {
	found := map[int][]syntax.Address{}
	names, n := reader.Columns(), 0
	for row, err := range reader.Rows() {
		if err != nil {
			return 0, 0, 0, err
		}
		for i := 0; ; i++ {
			cell, more := row.Field(i)
			if !more {
				break
			}
			if i < len(names) && strings.HasPrefix(names[i], "verify_") {
				continue // of an earlier output
			}
			if address, err := syntax.Parse(cell); err == nil {
				found[i] = append(found[i], address)
			}
		}
		if n++; n == compareMost {
			break
		}
	}
	for i, addresses := range found {
		its, of, err := l.file.Share(ctx, l.run, addresses)
		if err != nil {
			return 0, 0, 0, err
		}
		if all == 0 || its*all > in*of || its*all == in*of && i < column {
			column, in, all = i, its, of
		}
	}
	return column, in, all, nil
}

// size refuses a list that is much smaller than in its last run.
func (l last) size(rows, addresses int, shrink float64) error {
	if rows == 0 {
		return &RefusedError{fmt.Sprintf("the list %q has no rows: is the export whole? Nothing was asked or written",
			l.name)}
	}
	if l.run == nil {
		return nil
	}
	least := leastShare
	if shrink > 0 {
		least = shrink
	}
	for _, count := range []struct {
		now, before int
		words       string
	}{{rows, l.run.Summary.Plan.Rows, "rows"}, {addresses, l.run.Summary.Addresses, "addresses"}} {
		if float64(count.now) < least*float64(count.before) {
			return &RefusedError{fmt.Sprintf(
				"the list %q has %d %s, and had %d in its last run, on %s: is the export whole? Nothing was asked or written. "+
					"--shrink %d%% allows it; another list needs a name of its own (--list)",
				l.name, count.now, count.words, count.before, l.run.Started.Format("2006-01-02"),
				count.now*100/count.before)}
		}
	}
	return nil
}
