package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// OpenExistingWithin is OpenExisting for a short command: it waits up to ten seconds for a process that holds the file.
func OpenExistingWithin(ctx context.Context, path string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	lock, err := acquireWithin(ctx, path, shortWait)
	if err != nil {
		return nil, err
	}
	return open(ctx, path, lock)
}

// Restored tells what Restore changed.
type Restored struct {
	Last    time.Time // when the last run in the copy finished; zero: none did
	Kept    string    // where the file before is; empty: there was none
	Entries int       // entries of its suppression list that the copy did not have, and has now
}

// Restore replaces a state file with a copy that Backup made. The old file is kept under another name. What the file
// has on its suppression list and the copy has not is put into the copy, so that no unsubscribe is lost.
func Restore(ctx context.Context, from, path string) (r Restored, err error) {
	lock, err := acquireWithin(ctx, path, shortWait)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	backup, err := OpenExistingShared(ctx, from)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, backup.Close()) }()
	if err := backup.Check(ctx); err != nil {
		return r, err
	}
	var last int64
	err = backup.db.QueryRowContext(ctx, "SELECT coalesce(max(finished), 0) FROM runs WHERE list <> ''").Scan(&last)
	if err != nil {
		return r, fmt.Errorf("state: reading %s: %w", from, err)
	}
	r.Last = fromUnix(last)
	fresh := path + ".restored"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("state: restoring %s: %w", path, err)
	}
	if err := backup.Backup(ctx, fresh); err != nil {
		return r, err
	}
	if _, err := os.Stat(path); err == nil {
		if r.Entries, err = takeOver(ctx, path, fresh); err != nil {
			return r, errors.Join(err, os.Remove(fresh))
		}
		r.Kept = path + ".before"
		for _, ending := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(path+ending, r.Kept+ending); err != nil && (ending == "" || !errors.Is(err, fs.ErrNotExist)) {
				return r, fmt.Errorf("state: restoring %s: %w", path, err)
			}
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return r, fmt.Errorf("state: restoring %s: %w", path, err)
	}
	return r, nil
}

// takeOver puts the entries of one file's suppression list into another's, with its salts, and returns how many were
// not there before. A file that cannot be read any more has none: it is what the copy is for.
func takeOver(ctx context.Context, from, to string) (added int, err error) {
	old, err := open(ctx, from, nil) // the lock is held already
	if errors.Is(err, ErrNotState) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	fresh, err := open(ctx, to, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	salts, err := old.salts(ctx)
	if err != nil {
		return 0, err
	}
	if err := fresh.adoptSalts(ctx, salts); err != nil {
		return 0, err
	}
	return fresh.Suppress(ctx, old.SuppressionList(ctx))
}

// adoptSalts gives the file the salts of another, if it has none.
func (f *File) adoptSalts(ctx context.Context, from salts) error {
	have, err := f.salts(ctx)
	if err != nil {
		return err
	}
	differ := func(have, from salt) bool { return have != "" && from != "" && have != from }
	if differ(have.all, from.all) || differ(have.forgotten, from.forgotten) {
		return errors.New("the two files hash their suppression lists with different salts")
	}
	if have.forgotten == "" && from.forgotten != "" {
		err = f.write(ctx, "taking over the salt", func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ($1, $2)",
				forgottenSalt, string(from.forgotten))
			return err
		})
	}
	if err == nil && have.all == "" && from.all != "" {
		err = f.hashSuppression(ctx, from.all)
	}
	return err
}
