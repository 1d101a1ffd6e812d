package state

import (
	"context"
	"fmt"

	"presend/verify"
)

// Ahead yields the domains that are left to ask about, with the provider that is remembered of each; empty: none is.
// It takes nothing from the run.
func (r *Run) Ahead(ctx context.Context, each func(d verify.Domain, provider string)) error {
	rows, err := r.file.db.QueryContext(ctx, `SELECT d.name, d.provider, -b.pending
		FROM batches b JOIN domains d ON d.id = b.domain WHERE b.run = $1`, r.id)
	if err != nil {
		return fmt.Errorf("state: counting the work by domain: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d verify.Domain
		var provider string
		if err := rows.Scan(&d.Name, &provider, &d.Pending); err != nil {
			return fmt.Errorf("state: counting the work by domain: %w", err)
		}
		each(d, provider)
	}
	return rows.Err()
}
