package lists

import (
	"errors"
	"fmt"
	"strings"
)

// ErrChanged is returned when the list's file has another size than when it was opened, or holds something else than
// when it was first read to its end.
var ErrChanged = errors.New("the list was changed while it was read; run the command again")

// AmbiguousColumnError is returned when the column that was asked for is there more than once.
type AmbiguousColumnError struct {
	Wanted     string
	Candidates []string
}

func (e *AmbiguousColumnError) Error() string {
	return fmt.Sprintf("%d columns are named %q: %s; give --column the number of one",
		len(e.Candidates), e.Wanted, strings.Join(e.Candidates, " and "))
}

// NoColumnError is returned when the address column was not found.
type NoColumnError struct {
	Wanted  string // what was asked for; empty: any
	Columns []string
}

func (e *NoColumnError) Error() string {
	if e.Wanted != "" {
		return fmt.Sprintf("there is no column %q; the columns are %s", e.Wanted, listed(e.Columns))
	}
	return fmt.Sprintf("no column seems to hold addresses; the columns are %s; say which one with --column",
		listed(e.Columns))
}

// maxListed is how many columns a message names.
const maxListed = 40

func listed(names []string) string {
	if len(names) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}

// NotAListError is returned for a file that cannot be read as a list of addresses.
type NotAListError struct {
	Seems string // what the file seems to be
	Do    string // what to do about it
}

func (e *NotAListError) Error() string {
	return fmt.Sprintf("this is no list of addresses but seems to be %s; %s", e.Seems, e.Do)
}

// TablesError is returned for a file with several tables that hold different addresses.
type TablesError struct {
	Lines []int64 // of their headers, from 1
}

func (e *TablesError) Error() string {
	lines := make([]string, len(e.Lines))
	for i, line := range e.Lines {
		lines[i] = fmt.Sprint(line)
	}
	return fmt.Sprintf("the file holds %d tables with different addresses, whose headers are in lines %s; "+
		"save each in a file of its own", len(lines), strings.Join(lines, " and "))
}

// isDoubt reports whether an error says that the address column is missing or in doubt.
func isDoubt(err error) bool {
	var none *NoColumnError
	var many *AmbiguousColumnError
	return errors.As(err, &none) || errors.As(err, &many)
}
