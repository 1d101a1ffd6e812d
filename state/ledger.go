package state

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"time"

	"presend/verify"
)

// Spent implements verify.Ledger.
func (r *Run) Spent(ctx context.Context, day time.Time) (list []verify.Spent, err error) {
	err = eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
		x := verify.Spent{Day: day}
		var source string
		err := rows.Scan(&x.Destination, &source, &x.Recipients)
		if err == nil && source != "" {
			x.Source, err = netip.ParseAddr(source)
		}
		list = append(list, x)
		return err
	}, "SELECT destination, source, recipients FROM spent WHERE day = $1", day.Unix())
	if err != nil {
		return nil, fmt.Errorf("state: reading what was asked today: %w", err)
	}
	return list, nil
}

// Spend implements verify.Ledger. Days that are over are forgotten.
func (r *Run) Spend(ctx context.Context, list []verify.Spent) error {
	return r.file.write(ctx, "keeping what was asked", func(tx *sql.Tx) error {
		for _, x := range list {
			source := ""
			if x.Source.IsValid() {
				source = x.Source.String()
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM spent WHERE day < $1", x.Day.Unix()); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO spent (day, destination, source, recipients) VALUES ($1, $2, $3, $4)
				ON CONFLICT (day, destination, source) DO UPDATE SET recipients = excluded.recipients
				WHERE spent.recipients < excluded.recipients`,
				x.Day.Unix(), x.Destination, source, x.Recipients)
			if err != nil {
				return fmt.Errorf("at %s: %w", x.Destination, err)
			}
		}
		return nil
	})
}
