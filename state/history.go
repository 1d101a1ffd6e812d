package state

import (
	"context"
	"fmt"
	"iter"
	"time"

	"presend/verify"
	"presend/verify/syntax"
)

// Summary holds the figures of a run, counted in rows.
type Summary struct {
	Plan      Plan                   `json:"plan"`
	Retried   int                    `json:"retried"` // addresses that were asked again after a temporary answer
	Rows      int                    `json:"rows"`
	Addresses int                    `json:"addresses,omitempty"` // different ones
	Verdicts  map[verify.Verdict]int `json:"verdicts"`
	Reasons   map[verify.Reason]int  `json:"reasons"`
	Expected  float64                `json:"expected_bounces"`  // percent of the list as it is
	Changes   *Changes               `json:"changes,omitempty"` // since the list's last run; nil: there was none
}

// Changes count what is different from the list's last run, in addresses.
type Changes struct {
	NewlyInvalid     int `json:"newly_invalid"`     // that had another verdict
	NewlyDeliverable int `json:"newly_deliverable"` // that had another verdict
	New              int `json:"new"`               // that the last run did not have
	Gone             int `json:"gone"`              // that only the last run had
	Suppressed       int `json:"suppressed"`        // that are on the suppression list since
}

// PastRun is a run of the past.
type PastRun struct {
	ID       int64
	List     string // the name of its list; empty: only retries, or addresses of no list
	Input    string // the path of its list
	Columns  []string
	Started  time.Time
	Finished time.Time // zero: broken off
	Summary  Summary   // of a finished run
}

// Runs returns the runs, the oldest first.
func (f *File) Runs(ctx context.Context) iter.Seq2[PastRun, error] {
	return func(yield func(PastRun, error) bool) {
		rows, err := f.db.QueryContext(ctx, "SELECT "+runColumns+" FROM runs ORDER BY id")
		if err != nil {
			yield(PastRun{}, fmt.Errorf("state: reading runs: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			if r, err := scanRun(rows); !yield(r, err) {
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
