package state

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
)

const (
	addBatch    = 10000     // how many entries are added in one transaction
	mostColumns = 1<<16 - 1 // so that row and column fit in one number, by which duplicates are found
)

// FallbackColumn is the first of the columns that hold what an address may mean, and no address of the list. They are
// no rows of the plan.
const FallbackColumn = 1 << 15

// Add takes the addresses of the list. No two of them have the same row and column. When Add returns, the work of the
// run is laid out. It must not be called twice.
func (r *Run) Add(ctx context.Context, entries iter.Seq2[Entry, error]) error {
	var err error
	if r.list, err = r.suppressionList(ctx); err != nil {
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
		if err := r.addBatch(ctx, batch, domains); err != nil {
			return err
		}
		batch = batch[:0]
		if len(domains) > 1<<16 {
			clear(domains) // a cache, and bounded
		}
	}
	if err := r.addBatch(ctx, batch, domains); err != nil {
		return err
	}
	return r.plan(ctx)
}

func (r *Run) addBatch(ctx context.Context, batch []Entry, domains map[string]int64) error {
	return r.file.write(ctx, "adding rows", func(tx *sql.Tx) error {
		s := statements{forbids: tx.StmtContext(ctx, r.file.prepared.forbids)}
		for part := range slices.Chunk(batch, perStatement) {
			suppressed := make([]forbidden, len(part))
			for i, entry := range part {
				if entry.Row < 1 || entry.Column < 0 || entry.Column > mostColumns {
					return fmt.Errorf("row %d, column %d: there is no such place in a list", entry.Row, entry.Column)
				}
				if entry.Address == nil {
					continue
				}
				var err error
				if suppressed[i], err = r.list.forbids(ctx, s, *entry.Address); err != nil {
					return fmt.Errorf("row %d: %w", entry.Row, err)
				}
			}
			if err := r.addRows(ctx, tx, part, suppressed, domains); err != nil {
				return fmt.Errorf("from row %d: %w", part[0].Row, err)
			}
		}
		return nil
	})
}

// addRows adds entries, of which some are suppressed, with their addresses. Domains are ids that were found before.
func (r *Run) addRows(
	ctx context.Context, tx *sql.Tx, entries []Entry, suppressed []forbidden, domains map[string]int64,
) error {
	if err := findDomains(ctx, tx, entries, domains); err != nil {
		return err
	}
	var keys []any
	for _, entry := range entries {
		if a := entry.Address; a != nil {
			keys = append(keys, domains[a.Domain], a.Local)
		}
	}
	addresses, err := addressIDs.ids(ctx, tx, keys)
	if err != nil {
		return err
	}
	rows := make([]any, 0, len(entries)*4)
	for i, entry := range entries {
		var address int64
		if entry.Address != nil {
			address, addresses = addresses[0], addresses[1:]
		}
		rows = append(rows, entry.Row, entry.Column, address, suppressed[i].id)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO rows (run, n, col, address, suppressed)
		SELECT ?, v.column1, v.column2, v.column3, v.column4 FROM (`+values(len(entries), 4)+") AS v",
		append([]any{r.id}, rows...)...)
	for i, entry := range entries {
		if err == nil && suppressed[i].ask > 0 { // seldom
			_, err = tx.ExecContext(ctx, "UPDATE rows SET ask = $1 WHERE run = $2 AND n = $3 AND col = $4",
				suppressed[i].ask, r.id, entry.Row, entry.Column)
		}
	}
	return err
}

// findDomains finds the ids of the entries' domains that are not yet known.
func findDomains(ctx context.Context, tx *sql.Tx, entries []Entry, known map[string]int64) error {
	var names []any
	for _, entry := range entries {
		if a := entry.Address; a != nil && known[a.Domain] == 0 {
			names = append(names, a.Domain)
		}
	}
	ids, err := domainIDs.ids(ctx, tx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		known[name.(string)] = ids[i]
	}
	return nil
}
