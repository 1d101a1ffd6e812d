package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"presend/verify/syntax"
	"presend/verify/verdict"
)

// Entry is an address of a list, and where it is.
type Entry struct {
	Row     int64           // from 1
	Column  int             // which of the row's addresses, from 0 to 65535
	Address *syntax.Address // nil: the cell holds none that could be asked about
}

const (
	addBatch    = 20000     // how many entries are added in one transaction
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
	return r.layOut(ctx)
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
				if id, err = findOrInsertAddress(ctx, s, domains, *a); err != nil {
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

// findOrInsertAddress returns the id of an address. Domains are ids that were found before.
func findOrInsertAddress(
	ctx context.Context, s statements, domains map[string]int64, a syntax.Address,
) (id int64, err error) {
	domain, known := domains[a.Domain]
	if !known {
		if domain, err = findOrInsert(ctx, s.findDomain, s.addDomain, a.Domain); err != nil {
			return 0, err
		}
		domains[a.Domain] = domain
	}
	return findOrInsert(ctx, s.findAddress, s.addAddress, domain, a.Local)
}

func findOrInsert(ctx context.Context, find, insert *sql.Stmt, key ...any) (id int64, err error) {
	err = find.QueryRowContext(ctx, key...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = insert.QueryRowContext(ctx, key...).Scan(&id)
	}
	return id, err
}

// layOut lays out the work of the run: the addresses that have no result or one that is not good enough, in batches by
// domain. Work that an earlier pass left undone stays.
func (r *Run) layOut(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.file.suppressionList(ctx)
	if err != nil {
		return err
	}
	return r.file.write(ctx, "laying out the work", func(tx *sql.Tx) error {
		s := r.file.prepared.in(ctx, tx)
		if r.all {
			if _, err := s.layOutRetries.ExecContext(ctx, r.id, r.now); err != nil {
				return err
			}
			// Who was suppressed meanwhile is left alone.
			if err := list.strike(ctx, tx, s, r.id); err != nil {
				return err
			}
		} else {
			before, unprobed, oldest := r.limits()
			if _, err := s.layOut.ExecContext(ctx, r.id, r.now, before, unprobed, oldest); err != nil {
				return err
			}
		}
		if _, err := s.clearBatches.ExecContext(ctx, r.id); err != nil {
			return err
		}
		_, err := s.fillBatches.ExecContext(ctx, r.id)
		return err
	})
}

// limits returns what the policy says of results: those found before a time are not used; those with the reason unprobed
// are not used; those found before oldest are not used either, unless they are waiting for their retry.
func (r *Run) limits() (before int64, unprobed verdict.Reason, oldest int64) {
	before, oldest = math.MinInt64, math.MinInt64
	if r.policy.Fresh {
		before = r.begun
	}
	if r.policy.Probing {
		unprobed = verdict.NotProbed
	}
	if r.policy.MaxAge > 0 {
		oldest = r.begun - int64(r.policy.MaxAge.Seconds())
	}
	return before, unprobed, oldest
}

// Plan says what a run has to do.
type Plan struct {
	Rows       int `json:"rows"`
	New        int `json:"new"`        // addresses never verified before
	Due        int `json:"due"`        // temporary answers that are ready to retry
	Stale      int `json:"stale"`      // results older than their shelf life
	Reused     int `json:"reused"`     // results that are good enough
	Suppressed int `json:"suppressed"` // rows with an address on the suppression list
}

// Pending is how many addresses are to be verified.
func (p Plan) Pending() int { return p.New + p.Due + p.Stale }

// Plan returns what the run has to do: what was laid out and is not yet done.
func (r *Run) Plan(ctx context.Context) (p Plan, err error) {
	var addresses int
	err = r.file.db.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM (SELECT DISTINCT n FROM rows WHERE run = $1) AS a),
		(SELECT count(*) FROM (SELECT DISTINCT n FROM rows WHERE run = $1 AND suppressed > 0) AS b),
		(SELECT count(DISTINCT address) FROM rows WHERE run = $1 AND address > 0 AND suppressed = 0)`, r.id).
		Scan(&p.Rows, &p.Suppressed, &addresses)
	if err == nil {
		err = r.file.db.QueryRowContext(ctx, `SELECT count(CASE WHEN why = 0 THEN 1 END),
			count(CASE WHEN why = 1 THEN 1 END), count(CASE WHEN why = 2 THEN 1 END) FROM work WHERE run = $1`, r.id).Scan(&p.New, &p.Due, &p.Stale)
	}
	if err != nil {
		return p, fmt.Errorf("state: counting the work: %w", err)
	}
	p.Reused = max(0, addresses-p.Pending())
	return p, nil
}

// NextRetry returns when the first of the run's temporary answers is ready to retry; zero for none.
func (r *Run) NextRetry(ctx context.Context) (time.Time, error) {
	query, args := `SELECT min(s.retry_at) FROM rows JOIN results s ON s.address = rows.address
		WHERE rows.run = $1 AND rows.suppressed = 0 AND s.retry_at > 0`, []any{r.id}
	if r.all {
		query, args = "SELECT min(retry_at) FROM results WHERE retry_at > 0", nil
	}
	var at sql.NullInt64
	if err := r.file.db.QueryRowContext(ctx, query, args...).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("state: looking for retries: %w", err)
	}
	return fromUnix(at.Int64), nil
}
