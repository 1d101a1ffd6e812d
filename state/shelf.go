package state

import (
	"context"
	"database/sql"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

// dueAt returns when a result is older than its shelf life.
func dueAt(x verify.Result, times int, address string) time.Time {
	return verdict.Memory{Reason: x.Reason, At: x.CheckedAt, Times: times}.DueAt(address)
}

// computeAtOnce is how many results computeDueAt holds in memory.
const computeAtOnce = 10000

// computeDueAt fills in when results are older than their shelf life, which version 2 computed at every run.
func computeDueAt(ctx context.Context, tx *sql.Tx) error {
	set, err := tx.PrepareContext(ctx, "UPDATE results SET due_at = $1 WHERE address = $2")
	if err != nil {
		return err
	}
	defer set.Close()
	for last, more := int64(0), true; more; {
		due, err := dueAfter(ctx, tx, last)
		if err != nil {
			return err
		}
		for id, at := range due {
			if _, err := set.ExecContext(ctx, at, id); err != nil {
				return err
			}
			last = max(last, id)
		}
		more = len(due) == computeAtOnce
	}
	return nil
}

// dueAfter returns when the results of the addresses after one are older than their shelf life.
func dueAfter(ctx context.Context, tx *sql.Tx, address int64) (due map[int64]int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT s.address, s.reason, s.checked_at, a.local || '@' || d.name FROM results s
		JOIN addresses a ON a.id = s.address JOIN domains d ON d.id = a.domain
		WHERE s.address > $1 ORDER BY s.address LIMIT $2`, address, computeAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	due = map[int64]int64{}
	for rows.Next() {
		var id, at int64
		var x verify.Result
		var name string
		if err := rows.Scan(&id, &x.Reason, &at, &name); err != nil {
			return nil, err
		}
		x.CheckedAt = fromUnix(at)
		due[id] = toUnix(dueAt(x, 1, name))
	}
	return due, rows.Err()
}
