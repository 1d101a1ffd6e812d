package state

import (
	"context"
	"database/sql"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

const day = 24 * time.Hour

// shelf is how long a result of a reason stands before it is due again. What is not listed stands for a month.
var shelf = map[verify.Reason]time.Duration{
	verdict.MailboxUnknown:  3650 * day, // a mailbox that did not exist is not asked about again unless --fresh says so
	verdict.MailboxDisabled: 3650 * day,
	verdict.Suppressed:      3650 * day,
	verdict.GaveUp:          90 * day,
	verdict.NoSuchDomain:    90 * day,
	verdict.SenderBlocked:   day, // about us: worth another look once it may have been fixed
	verdict.SenderAuth:      day,
	verdict.Policy:          day,
	verdict.ProtocolError:   day,
}

const defaultShelf = 30 * day

// shelfLife returns how long a result of a reason is used before the address is asked about again.
func shelfLife(reason verify.Reason) time.Duration {
	if life, listed := shelf[reason]; listed {
		return life
	}
	return defaultShelf
}

// fillDueAt gives results that were recorded before version 3 the time when they are older than their shelf life.
func fillDueAt(ctx context.Context, tx *sql.Tx) error {
	reasons, err := distinctReasons(ctx, tx)
	if err != nil {
		return err
	}
	for _, reason := range reasons {
		_, err := tx.ExecContext(ctx, "UPDATE results SET due_at = checked_at + $1 WHERE reason = $2",
			int64(shelfLife(reason).Seconds()), string(reason))
		if err != nil {
			return err
		}
	}
	return nil
}

func distinctReasons(ctx context.Context, tx *sql.Tx) (reasons []verify.Reason, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT reason FROM results")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var reason verify.Reason
		if err := rows.Scan(&reason); err != nil {
			return nil, err
		}
		reasons = append(reasons, reason)
	}
	return reasons, rows.Err()
}
