package state

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// noteLeaving notes which addresses are in no list any more, now that the run finishes, and which came back.
func (r *Run) noteLeaving(ctx context.Context, tx *sql.Tx, now int64) error {
	in, err := listedIn(ctx, tx, "run = $1", r.id)
	if err != nil {
		return err
	}
	left := in // of no list: they leave at once
	if r.source.Name != "" {
		if left, err = nil, r.noteReturning(ctx, tx, in); err != nil {
			return err
		}
		if r.last != nil {
			before, err := listedIn(ctx, tx, "run = $1", r.last.ID)
			if err != nil {
				return err
			}
			left = before.without(in)
		}
	}
	if left.size() == 0 {
		return nil
	}
	elsewhere, err := listedIn(ctx, tx, "run IN (SELECT id FROM runs WHERE list NOT IN ('', $1))", r.source.Name)
	if err != nil {
		return err
	}
	return setLeaving(ctx, tx, slices.Collect(left.without(elsewhere).each), now)
}

// noteReturning notes that addresses are in a list again.
func (r *Run) noteReturning(ctx context.Context, tx *sql.Tx, in set) error {
	ids, err := column[int64](ctx, tx, "SELECT id FROM addresses WHERE left_at > 0")
	if err != nil {
		return err
	}
	return setLeaving(ctx, tx, slices.DeleteFunc(ids, func(id int64) bool { return !in.has(id) }), 0)
}

func setLeaving(ctx context.Context, tx *sql.Tx, ids []int64, at int64) error {
	for part := range slices.Chunk(ids, perStatement) {
		if err := execIDs(ctx, tx, fmt.Sprintf("UPDATE addresses SET left_at = %d WHERE id IN", at), part); err != nil {
			return err
		}
	}
	return nil
}

// execIDs runs a statement that ends in IN for some ids.
func execIDs(ctx context.Context, tx *sql.Tx, statement string, ids []int64) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	_, err := tx.ExecContext(ctx, statement+" (SELECT column1 FROM ("+values(len(ids), 1)+"))", args...)
	return err
}

// remove removes all that is known of addresses.
func remove(ctx context.Context, tx *sql.Tx, ids []int64) error {
	for part := range slices.Chunk(ids, perStatement) {
		for _, statement := range []string{
			"DELETE FROM results WHERE address IN", "DELETE FROM history WHERE address IN",
			"DELETE FROM work WHERE address IN",
			"UPDATE rows SET address = 0, suppressed = 0, ask = 0 WHERE address IN",
			"DELETE FROM addresses WHERE id IN",
		} {
			if err := execIDs(ctx, tx, statement, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// Retention says for how long what is known is kept.
type Retention struct {
	Changes time.Duration // changes of verdicts, and runs; 0: for ever
	Left    time.Duration // what is known of addresses that are in no list any more; 0: for ever
}

// Prune deletes what is older than the Retention allows: changes, but for the newest of each address; runs, but for the
// newest of each list and of each month, which takes over what the others counted; and addresses that are in no list,
// with their history. It compacts the file when much of it is unused and no run is open.
func (f *File) Prune(ctx context.Context, keep Retention) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.write(ctx, "pruning", func(tx *sql.Tx) error {
		if keep.Left > 0 {
			if err := f.forgetLeft(ctx, tx, time.Now().Add(-keep.Left).Unix()); err != nil {
				return err
			}
		}
		if keep.Changes == 0 {
			return nil
		}
		limit := time.Now().Add(-keep.Changes)
		if _, err := tx.ExecContext(ctx, `DELETE FROM history WHERE at < $1 AND
			EXISTS (SELECT 1 FROM history n WHERE n.address = history.address AND n.at > history.at)`,
			limit.Unix()); err != nil {
			return err
		}
		return f.pruneRuns(ctx, tx, limit)
	})
	if err != nil || len(f.open) > 0 {
		return err
	}
	return f.compact(ctx)
}

// forgetLeft removes addresses that left their last list before a time. A list that was not run since is no list.
func (f *File) forgetLeft(ctx context.Context, tx *sql.Tx, limit int64) error {
	ids, err := column[int64](ctx, tx, `SELECT id FROM runs WHERE list <> ''
		AND EXISTS (SELECT 1 FROM rows WHERE run = runs.id)
		AND (SELECT max(started) FROM runs n WHERE n.list = runs.list) < $1`, limit)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, open := f.open[id]; open {
			continue
		}
		left, err := listedIn(ctx, tx, "run = $1", id)
		if err != nil {
			return err
		}
		if err := removeRows(ctx, tx, id); err != nil {
			return err
		}
		elsewhere, err := listedIn(ctx, tx, "run IN (SELECT id FROM runs WHERE list <> '')")
		if err != nil {
			return err
		}
		if err := setLeaving(ctx, tx, slices.Collect(left.without(elsewhere).each), limit-1); err != nil {
			return err
		}
	}
	gone, err := column[int64](ctx, tx, "SELECT id FROM addresses WHERE left_at > 0 AND left_at < $1", limit)
	if err != nil {
		return err
	}
	return remove(ctx, tx, gone)
}

// pruneRuns forgets runs that began before a time.
func (f *File) pruneRuns(ctx context.Context, tx *sql.Tx, limit time.Time) error {
	old, err := oldRuns(ctx, tx, limit)
	if err != nil {
		return err
	}
	kept := map[[2]string]*PastRun{} // the newest of each list and month
	for i := range slices.Backward(old) {
		run := &old[i]
		if _, open := f.open[run.ID]; open {
			continue
		}
		key := [2]string{run.List, run.Finished.Format("2006-01")}
		if keeper := kept[key]; keeper != nil {
			keeper.Summary.Changes = keeper.Summary.Changes.plus(run.Summary.Changes)
		} else if run.List != "" && !run.Finished.IsZero() {
			kept[key] = run
			continue
		}
		if err := removeRows(ctx, tx, run.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE id = $1", run.ID); err != nil {
			return err
		}
	}
	for _, run := range kept {
		text, err := json.Marshal(run.Summary)
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE runs SET summary = $1 WHERE id = $2", string(text), run.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plus returns the sum of what two runs counted; what is new and what is gone is that of the later one.
func (c *Changes) plus(earlier *Changes) *Changes {
	if c == nil || earlier == nil {
		if c == nil {
			return earlier
		}
		return c
	}
	sum := *c
	sum.NewlyInvalid += earlier.NewlyInvalid
	sum.NewlyDeliverable += earlier.NewlyDeliverable
	sum.New += earlier.New
	sum.Gone += earlier.Gone
	sum.Suppressed += earlier.Suppressed
	return &sum
}

// oldRuns returns the runs that began before a time, but for the newest of all, the oldest first.
func oldRuns(ctx context.Context, tx *sql.Tx, limit time.Time) (old []PastRun, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		run, err := scanRun(rows)
		old = append(old, run)
		return err
	}, "SELECT "+runColumns+
		" FROM runs WHERE started < $1 AND id < (SELECT max(id) FROM runs) ORDER BY id", limit.Unix())
	return old, err
}

// Forgotten counts what Forget erased.
type Forgotten struct{ Addresses, Entries int }

// Forget erases all that is known of an address, in every spelling, or of a whole domain, @example.com: results,
// history, work and entries of the suppression list; and compacts the file, so that it holds none of it. With remember,
// it puts a hash of the name on the suppression list, which is salted. No run may be open.
func (f *File) Forget(ctx context.Context, name string, remember bool) (done Forgotten, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lock == nil || len(f.open) > 0 {
		return done, fmt.Errorf("state: %s: %w", f.path, ErrUnderWay)
	}
	plain, err := suppressionName(name)
	if err != nil {
		return done, err
	}
	salts, err := f.salts(ctx)
	if err != nil {
		return done, err
	}
	err = f.write(ctx, "forgetting "+name, func(tx *sql.Tx) error {
		if done, err = f.forget(ctx, tx, plain, salts); err != nil || !remember {
			return err
		}
		return f.rememberHash(ctx, tx, plain, salts)
	})
	if err != nil {
		return done, err
	}
	return done, f.vacuum(ctx)
}

// forget erases what is known under a name of the suppression list.
func (f *File) forget(ctx context.Context, tx *sql.Tx, plain string, salts salts) (done Forgotten, err error) {
	at := strings.LastIndexByte(plain, '@')
	local, domain := plain[:at], plain[at+1:]
	query := "SELECT a.id FROM addresses a JOIN domains d ON d.id = a.domain WHERE d.name = $1"
	args := []any{domain}
	if local != "" {
		query, args = query+" AND lower(a.local) = $2", append(args, local)
	}
	ids, err := column[int64](ctx, tx, query, args...)
	if err != nil {
		return done, err
	}
	done.Addresses = len(ids)
	if err := remove(ctx, tx, ids); err != nil {
		return done, err
	}
	entries := "DELETE FROM suppression WHERE name IN ($1, $2, $3)"
	args = salts.names(plain)
	if local == "" {
		entries += " OR substr(name, -length($1)) = $1"
		if _, err := tx.ExecContext(ctx, "DELETE FROM domains WHERE name = $1", domain); err != nil {
			return done, err
		}
	}
	removed, err := tx.ExecContext(ctx, entries, args...)
	if err != nil {
		return done, err
	}
	n, err := removed.RowsAffected()
	done.Entries = int(n)
	return done, err
}

// rememberHash puts the hash of a name on the list.
func (f *File) rememberHash(ctx context.Context, tx *sql.Tx, plain string, salts salts) error {
	if salts.forgotten == "" {
		salts.forgotten = salt(rand.Text())
		_, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ($1, $2)",
			forgottenSalt, string(salts.forgotten))
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO suppression (name, reason, source, at, origin) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO NOTHING`, salts.forgotten.name(plain), Forgot, "manual", time.Now().Unix(), string(Person))
	return err
}
