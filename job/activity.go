package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"presend/lists"
)

// activity finds out which contacts show no activity.
type activity struct {
	column int // -1: the list says nothing about it
	after  time.Duration
	now    time.Time
	dates  dateReader
}

// activityNames are what columns of the last activity are called, letters only, in lower case.
var activityNames = []string{
	"lastactivity", "lastactivitydate", "lastactive", "lastopen", "lastopened", "lastopendate", "lastopenedat",
	"lastclick", "lastclicked", "lastengaged", "lastengagement", "lastengagementdate", "lastemailopendate",
	"lastmarketingemailopendate", "lastseen", "lastseenat", "lastlogin", "lastinteraction",
}

// activityColumn finds the column of the last activity by name; of several the first.
func activityColumn(reader *lists.Reader, o Options) (activity, error) {
	a := activity{column: -1, after: o.Unengaged, now: time.Now()}
	if o.Unengaged == 0 {
		return a, nil
	}
	for i, name := range reader.Columns() {
		if o.ActivityColumn != "" {
			if strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(o.ActivityColumn)) {
				a.column = i
				return a, nil
			}
			continue
		}
		folded := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(name))
		for _, known := range activityNames {
			if folded == known {
				a.column = i
				return a, nil
			}
		}
	}
	if o.ActivityColumn == "" {
		return a, nil
	}
	if n, err := strconv.Atoi(o.ActivityColumn); err == nil && n >= 1 {
		a.column = n - 1
		return a, nil
	}
	return a, &OptionsError{fmt.Sprintf("there is no column %q of a last activity; the columns are %s",
		o.ActivityColumn, strings.Join(reader.Columns(), ", "))}
}

// limit is the day before which a last activity is too long ago.
func (a activity) limit() time.Time { return a.now.Add(-a.after) }

// unengaged reports whether a contact's last activity is too long ago. A cell that is empty or no date says nothing.
func (a *activity) unengaged(row lists.Row) bool {
	if a.column < 0 {
		return false
	}
	cell, _ := row.Field(a.column)
	at, ok := a.dates.read(strings.TrimSpace(cell))
	return ok && at.Before(a.limit())
}

// dateLayouts are how exports write dates. Where day and month cannot be told apart, as in 03/04/2025, the later
// reading counts.
var dateLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04", time.DateOnly, "2006/01/02", "02.01.2006", "2.1.2006", "02.01.2006 15:04", "Jan 2, 2006",
	"2 Jan 2006", "January 2, 2006", time.RFC1123, time.RFC1123Z,
}

// dateReader reads the dates of a column. They are mostly written alike, so the layout that fitted last is tried first;
// no text fits two layouts with different dates.
type dateReader struct{ layout string }

func (r *dateReader) read(cell string) (time.Time, bool) {
	if len(cell) < 8 {
		return time.Time{}, false
	}
	if r.layout != "" {
		if at, err := time.Parse(r.layout, cell); err == nil {
			return at, true
		}
	}
	for _, layout := range dateLayouts {
		if at, err := time.Parse(layout, cell); err == nil {
			r.layout = layout
			return at, true
		}
	}
	if seconds, err := strconv.ParseInt(cell, 10, 64); err == nil { // Unix time in seconds or milliseconds
		if seconds > 1e11 {
			seconds /= 1000
		}
		return time.Unix(seconds, 0), seconds > 1e8
	}
	date, _, _ := strings.Cut(cell, " ")
	american, errAmerican := time.Parse("1/2/2006", date)
	european, errEuropean := time.Parse("2/1/2006", date)
	switch {
	case errAmerican == nil && errEuropean == nil:
		return later(american, european), true // the reading that holds less against the contact
	case errAmerican == nil:
		return american, true
	}
	return european, errEuropean == nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
