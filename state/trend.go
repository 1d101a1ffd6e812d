package state

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"presend/verify"
)

// Month is what the newest finished run over a list showed in a month, and what became invalid in the list's runs of
// that month. Months are those of UTC.
type Month struct {
	Month        string // 2006-01
	List         string
	Rows         int
	Verdicts     map[verify.Verdict]int
	Reasons      map[verify.Reason]int
	NewlyInvalid int     // addresses that had another verdict in the run before and became invalid
	Ageing       float64 // NewlyInvalid in percent of the rows
}

// Trend returns a line for each list and each month that has a finished run over it, list by list, the oldest first.
func (f *File) Trend(ctx context.Context) ([]Month, error) {
	var months []*Month
	found := map[[2]string]*Month{}
	for run, err := range f.Runs(ctx) {
		if err != nil {
			return nil, err
		}
		if run.Finished.IsZero() || run.List == "" {
			continue
		}
		key := [2]string{run.List, run.Finished.Format("2006-01")}
		m := found[key]
		if m == nil {
			m = &Month{List: key[0], Month: key[1]}
			found[key], months = m, append(months, m)
		}
		m.Rows, m.Verdicts, m.Reasons = run.Summary.Rows, run.Summary.Verdicts, run.Summary.Reasons
		if run.Summary.Changes != nil {
			m.NewlyInvalid += run.Summary.Changes.NewlyInvalid
		}
	}
	slices.SortFunc(months, func(a, b *Month) int {
		return strings.Compare(a.List+"\x00"+a.Month, b.List+"\x00"+b.Month)
	})
	trend := make([]Month, len(months))
	for i, m := range months {
		if m.Rows > 0 {
			m.Ageing = 100 * float64(m.NewlyInvalid) / float64(m.Rows)
		}
		trend[i] = *m
	}
	return trend, nil
}

// Due is how many addresses of the newest runs of all lists fall due on a day, which is one of UTC.
type Due struct {
	Day       string // 2006-01-02
	Addresses int
}

// DueDays returns what falls due on the days to come, from today on; what is overdue falls due today.
func (f *File) DueDays(ctx context.Context, days int) ([]Due, error) {
	today := time.Now().UTC().Truncate(day)
	due := make([]Due, days)
	for i := range due {
		due[i].Day = today.AddDate(0, 0, i).Format(time.DateOnly)
	}
	err := eachRow(ctx, f.db, func(rows *sql.Rows) error {
		var d, n int
		err := rows.Scan(&d, &n)
		due[max(0, d)].Addresses += n
		return err
	}, `SELECT (at - $1) / 86400 AS d, count(*) FROM (
		SELECT CASE WHEN s.retry_at > 0 THEN s.retry_at ELSE s.due_at END AS at FROM results s
		WHERE s.address IN (`+listed+` AND suppressed = 0)) WHERE at < $2 GROUP BY d`,
		today.Unix(), today.AddDate(0, 0, days).Unix())
	if err != nil {
		return nil, fmt.Errorf("state: counting what falls due: %w", err)
	}
	return due, nil
}
