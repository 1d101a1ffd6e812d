// Package state remembers, in one file, what runs have to do and what is known: the rows of lists and their addresses,
// results, domains, retries, changes, and the suppression list.
//
// The file is the spine of a run, not a log of it. Entries go in with [Run.Add]. The engine takes its work from the
// run, which is a verify.Queue, and gives its results back in batches. [Run.Results] returns them in the order of the
// entries, each with its row, column and address. So memory is bounded whatever the size of the list. The example
// shows the common path. A run that was killed loses at most the batch that was being recorded, and the next run over
// the same list goes on with it.
//
// Several runs over different lists may be under way in one file at the same time. Rows and work belong to a run; they
// stay until the next run over the same list begins, or [File.Prune] forgets the run. What is known is shared: two
// runs that hold the same address may both ask about it, and both show the better answer.
//
// A result keeps its last conclusive verdict: a night on which nothing answers is noted next to it and replaces
// nothing. When a result is to be asked again is decided by package verdict; the file only stores the times.
//
// One process at a time holds a file for runs; a second one gets a [*LockedError] that names the first. What is short
// works next to it: see [OpenShared]. The schema has a
// version and is brought up to date when the file is opened. Nothing outside this package knows that it is SQLite, and
// what only SQLite knows is in sqlite.go; the rest is plain SQL.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of a file.
var (
	// ErrNewer: the file was written by a newer version of this program.
	ErrNewer = errors.New("written by a newer version of this program")
	// ErrNotState: the file is no database, or is damaged.
	ErrNotState = errors.New("not a state file, or a damaged one")
	// ErrShared: the file was opened with OpenShared, and no run can begin in it.
	ErrShared = errors.New("the state file was opened for use next to a run, not for a run")
	// ErrUnderWay: a run over the same list is open.
	ErrUnderWay = errors.New("a run over this list is under way")
)

// File is an open state file. It is safe for concurrent use. Close it after its runs have ended.
type File struct {
	path     string
	db       *sql.DB
	lock     *lock // nil: it is open next to runs of other processes
	prepared statements

	// writing is held by the one transaction that may write at a time. The database would make others wait, too, but
	// only for so long.
	writing chan struct{}

	mu   sync.Mutex       // held before writing, where both are
	open map[int64]string // the runs that are open, and their lists
}

// Close closes the file and lets other processes have it.
func (f *File) Close() error {
	return errors.Join(f.prepared.close(), f.db.Close(), f.lock.release())
}

// Path returns the file's path.
func (f *File) Path() string { return f.path }

// Known returns how many addresses have a result.
func (f *File) Known(ctx context.Context) (n int, err error) {
	if err = f.db.QueryRowContext(ctx, "SELECT count(*) FROM results").Scan(&n); err != nil {
		err = fmt.Errorf("state: counting results: %w", err)
	}
	return n, err
}

// write runs a function in a transaction, which is undone when the function fails. Doing is for its error.
func (f *File) write(ctx context.Context, doing string, do func(*sql.Tx) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("state: %s: %w", doing, err)
		}
	}()
	if err := f.beginWriting(ctx); err != nil {
		return err
	}
	defer f.endWriting()
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// beginWriting waits until nobody writes. It must be followed by endWriting.
func (f *File) beginWriting(ctx context.Context) error {
	select {
	case f.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *File) endWriting() { <-f.writing }

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
