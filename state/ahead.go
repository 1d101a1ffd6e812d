package state

import (
	"context"
	"database/sql"
	"fmt"

	"presend/verify"
)

// Ahead yields the domains that are left to ask about, with the provider that is remembered of each; empty: none is.
// It takes nothing from the run.
func (r *Run) Ahead(ctx context.Context, each func(d verify.Domain, provider string)) error {
	err := eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
		var d verify.Domain
		var provider string
		err := rows.Scan(&d.Name, &provider, &d.Pending)
		if err == nil {
			each(d, provider)
		}
		return err
	}, `SELECT d.name, d.provider, -b.pending FROM batches b JOIN domains d ON d.id = b.domain WHERE b.run = $1`, r.id)
	if err != nil {
		return fmt.Errorf("state: counting the work by domain: %w", err)
	}
	return nil
}
