package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"presend/verify/syntax"
)

const (
	addBatch    = 10000     // how many entries are added in one transaction
	mostColumns = 1<<16 - 1 // so that row and column fit in one number, by which duplicates are found
)

// Add takes the addresses of the list. No two of them have the same row and column. When Add returns, the work of the
// run is laid out. It must not be called twice.
func (r *Run) Add(ctx context.Context, entries iter.Seq2[Entry, error]) error {
	list, err := r.file.suppressionList(ctx)
	if err != nil {
		return err
	}
	domains := map[string]int64{}
	batch := make([]Entry, 0, addBatch)
	// Entries are gathered first, so that nobody waits for a transaction while they come in slowly.
	for entry, err := range entries {
		if err != nil {
			return fmt.Errorf("state: adding rows: %w", err)
		}
		if batch = append(batch, entry); len(batch) < addBatch {
			continue
		}
		if err := r.addBatch(ctx, batch, domains, list); err != nil {
			return err
		}
		batch = batch[:0]
		if len(domains) > 1<<16 {
			clear(domains) // a cache, and bounded
		}
	}
	if err := r.addBatch(ctx, batch, domains, list); err != nil {
		return err
	}
	return r.plan(ctx)
}

func (r *Run) addBatch(
	ctx context.Context, batch []Entry, domains map[string]int64, list suppressionList,
) error {
	return r.file.write(ctx, "adding rows", func(tx *sql.Tx) error {
		s := r.file.prepared.in(ctx, tx)
		for _, entry := range batch {
			if entry.Row < 1 || entry.Column < 0 || entry.Column > mostColumns {
				return fmt.Errorf("row %d, column %d: there is no such place in a list", entry.Row, entry.Column)
			}
			var id, suppressed int64
			if a := entry.Address; a != nil {
				var err error
				if suppressed, err = list.forbids(ctx, s.forbids, *a); err != nil {
					return err
				}
				if id, err = findOrAddAddress(ctx, s, domains, *a); err != nil {
					return err
				}
			}
			if _, err := s.addRow.ExecContext(ctx, r.id, entry.Row, entry.Column, id, suppressed); err != nil {
				return fmt.Errorf("row %d: %w", entry.Row, err)
			}
		}
		return nil
	})
}

// findOrAddAddress returns the id of an address. Domains are ids that were found before.
func findOrAddAddress(
	ctx context.Context, s statements, domains map[string]int64, a syntax.Address,
) (id int64, err error) {
	domain, known := domains[a.Domain]
	if !known {
		if domain, err = findOrAdd(ctx, s.findDomain, s.addDomain, a.Domain); err != nil {
			return 0, err
		}
		domains[a.Domain] = domain
	}
	return findOrAdd(ctx, s.findAddress, s.addAddress, domain, a.Local)
}

func findOrAdd(ctx context.Context, find, insert *sql.Stmt, key ...any) (id int64, err error) {
	err = find.QueryRowContext(ctx, key...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = insert.QueryRowContext(ctx, key...).Scan(&id)
	}
	return id, err
}
