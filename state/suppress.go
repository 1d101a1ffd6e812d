package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Suppress puts entries on the list. An entry that is there already keeps its date and gets the newer reason, source
// and code, unless its own origin is stronger: a verdict never replaces what a person asked for. A verdict that is
// found again gets the newer date. It returns how many were not there before.
func (f *File) Suppress(ctx context.Context, entries iter.Seq2[Suppressed, error]) (added int, err error) {
	salts, err := f.salts(ctx)
	if err != nil {
		return 0, err
	}
	// Entries are gathered first, so that nobody waits for a transaction while they come in slowly.
	batch := make([]Suppressed, 0, addBatch)
	put := func() error {
		n, err := f.suppressBatch(ctx, batch, salts.all)
		added, batch = added+n, batch[:0]
		return err
	}
	for entry, err := range entries {
		if err == nil {
			entry, err = completed(entry)
		}
		if err != nil {
			return added, fmt.Errorf("state: suppressing: %w", err)
		}
		if batch = append(batch, entry); len(batch) < addBatch {
			continue
		}
		if err := put(); err != nil {
			return added, err
		}
	}
	return added, put()
}

// completed returns an entry with its name as it is kept, but for hashing, its time and its origin.
func completed(entry Suppressed) (Suppressed, error) {
	if !entry.Hashed() {
		var err error
		if entry.Name, err = suppressionName(entry.Name); err != nil {
			return entry, err
		}
	}
	if entry.At.IsZero() {
		entry.At = time.Now()
	}
	if entry.Origin == "" {
		entry.Origin = OriginOf(entry.Reason)
	}
	return entry, nil
}

func (f *File) suppressBatch(ctx context.Context, batch []Suppressed, salt salt) (added int, err error) {
	err = f.write(ctx, "suppressing", func(tx *sql.Tx) error {
		before, err := countSuppressed(ctx, tx)
		if err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, fmt.Sprintf(`INSERT INTO suppression
			(name, reason, source, at, origin, enhanced, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, source = excluded.source,
			at = CASE WHEN excluded.origin = '%[1]s' AND origin = '%[1]s' THEN max(at, excluded.at) ELSE at END,
			origin = excluded.origin, enhanced = excluded.enhanced, due_at = excluded.due_at
			WHERE CASE origin WHEN '%[1]s' THEN 0 WHEN '%[2]s' THEN 1 ELSE 2 END <= $8`, Verdict, Bounce))
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, entry := range batch {
			name := entry.Name
			if !entry.Hashed() {
				name = salt.name(name)
			}
			_, err := insert.ExecContext(ctx, name, entry.Reason, entry.Source, entry.At.Unix(), string(entry.Origin),
				entry.Enhanced, toUnix(entry.dueAt()), entry.Origin.strength())
			if err != nil {
				return err
			}
		}
		after, err := countSuppressed(ctx, tx)
		added = after - before
		return err
	})
	return added, err
}

func countSuppressed(ctx context.Context, tx *sql.Tx) (n int, err error) {
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM suppression").Scan(&n)
	return n, err
}

// suppressedByID returns an entry; nil where it is not there any more.
func (f *File) suppressedByID(ctx context.Context, id int64) (*Suppressed, error) {
	var s Suppressed
	var at int64
	err := f.db.QueryRowContext(ctx,
		"SELECT name, reason, source, at, origin, enhanced FROM suppression WHERE id = $1", id).
		Scan(&s.Name, &s.Reason, &s.Source, &at, &s.Origin, &s.Enhanced)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: reading the suppression list: %w", err)
	}
	s.At = fromUnix(at)
	return &s, nil
}

// unsuppressByID takes an entry off the list.
func (f *File) unsuppressByID(ctx context.Context, id int64) error {
	return f.write(ctx, "taking an entry off the suppression list", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM suppression WHERE id = $1", id)
		return err
	})
}
