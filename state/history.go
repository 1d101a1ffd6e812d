package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"presend/verify"
	"presend/verify/syntax"
)

// Summary is what a run came to, in rows.
type Summary struct {
	Plan     Plan                   `json:"plan"`
	Retried  int                    `json:"retried"` // addresses that were asked again after a temporary answer
	Rows     int                    `json:"rows"`
	Verdicts map[verify.Verdict]int `json:"verdicts"`
	Reasons  map[verify.Reason]int  `json:"reasons"`
	Expected float64                `json:"expected_bounces"` // percent of the list as it is
}

// PastRun is a run of the past.
type PastRun struct {
	ID       int64
	Input    string // empty: only retries
	Started  time.Time
	Finished time.Time // zero: broken off
	Summary  Summary   // of a finished run
}

// Runs returns the runs, the oldest first.
func (f *File) Runs(ctx context.Context) iter.Seq2[PastRun, error] {
	return func(yield func(PastRun, error) bool) {
		rows, err := f.db.QueryContext(ctx, "SELECT id, input, started, finished, summary FROM runs ORDER BY id")
		if err != nil {
			yield(PastRun{}, fmt.Errorf("state: reading runs: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r PastRun
			var started, finished int64
			var summary string
			err := rows.Scan(&r.ID, &r.Input, &started, &finished, &summary)
			if err == nil && summary != "" {
				err = json.Unmarshal([]byte(summary), &r.Summary)
			}
			r.Started, r.Finished = fromUnix(started), fromUnix(finished)
			if !yield(r, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(PastRun{}, fmt.Errorf("state: reading runs: %w", err))
		}
	}
}

// Change is a verdict or reason that an address got.
type Change struct {
	At      time.Time
	Run     int64
	Verdict verify.Verdict
	Reason  verify.Reason
}

// History returns the changes of an address, the oldest first; none where it was never verified.
func (f *File) History(ctx context.Context, a syntax.Address) ([]Change, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT h.at, h.run, h.verdict, h.reason FROM history h
		JOIN addresses a ON a.id = h.address JOIN domains d ON d.id = a.domain
		WHERE d.name = $1 AND a.local = $2 ORDER BY h.at`, a.Domain, a.Local)
	if err != nil {
		return nil, fmt.Errorf("state: reading the history of %s: %w", a, err)
	}
	defer rows.Close()
	var changes []Change
	for rows.Next() {
		var c Change
		var at int64
		if err := rows.Scan(&at, &c.Run, &c.Verdict, &c.Reason); err != nil {
			return nil, fmt.Errorf("state: reading the history of %s: %w", a, err)
		}
		c.At = fromUnix(at)
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

// Month is what the newest finished run over a list found in a month, and what changed in that month in the whole file.
// Months are those of UTC.
type Month struct {
	Month        string // 2006-01
	Rows         int
	Verdicts     map[verify.Verdict]int
	Reasons      map[verify.Reason]int
	NewlyInvalid int     // addresses that had another verdict before and became invalid
	Ageing       float64 // NewlyInvalid in percent of the rows
}

// Trend returns a line for each month that has a finished run over a list, the oldest first.
func (f *File) Trend(ctx context.Context) ([]Month, error) {
	var months []Month
	for run, err := range f.Runs(ctx) {
		if err != nil {
			return nil, err
		}
		if run.Finished.IsZero() || run.Input == "" {
			continue
		}
		m := Month{
			Month: run.Finished.Format("2006-01"), Rows: run.Summary.Rows, Verdicts: run.Summary.Verdicts,
			Reasons: run.Summary.Reasons,
		}
		if n := len(months); n > 0 && months[n-1].Month == m.Month {
			months[n-1] = m
		} else {
			months = append(months, m)
		}
	}
	for i := range months {
		m := &months[i]
		begin, err := time.Parse("2006-01", m.Month)
		if err != nil {
			return nil, fmt.Errorf("state: month %q: %w", m.Month, err)
		}
		err = f.db.QueryRowContext(ctx, `SELECT count(DISTINCT h.address) FROM history h
			WHERE h.at >= $1 AND h.at < $2 AND h.verdict = 'invalid' AND
			(SELECT b.verdict FROM history b WHERE b.address = h.address AND b.at < h.at ORDER BY b.at DESC LIMIT 1)
			IN ('deliverable', 'risky', 'unknown')`,
			begin.Unix(), begin.AddDate(0, 1, 0).Unix()).Scan(&m.NewlyInvalid)
		if err != nil {
			return nil, fmt.Errorf("state: counting what became invalid: %w", err)
		}
		if m.Rows > 0 {
			m.Ageing = 100 * float64(m.NewlyInvalid) / float64(m.Rows)
		}
	}
	return months, nil
}

// Prune forgets changes and runs older than keep, but for the newest change of each address, the newest run and those
// that are open. It compacts the file when much of it is unused and no run is open.
func (f *File) Prune(ctx context.Context, keep time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit := time.Now().Add(-keep).Unix()
	err := f.write(ctx, "pruning", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM history WHERE at < $1 AND
			EXISTS (SELECT 1 FROM history n WHERE n.address = history.address AND n.at > history.at)`, limit); err != nil {
			return err
		}
		old, err := queryIDs(ctx, tx, "SELECT id FROM runs WHERE started < $1 AND id < (SELECT max(id) FROM runs)", limit)
		if err != nil {
			return err
		}
		for _, id := range old {
			if _, open := f.open[id]; open {
				continue
			}
			if err := removeRows(ctx, tx, id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE id = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(f.open) > 0 {
		return err
	}
	return f.compact(ctx)
}
