// Package state remembers, in one SQLite file, what a run has to do and what is known: the rows of a list and their
// addresses, results, domains, retries.
//
// The file is the spine of a run, not a log of it. Rows go in with [Run.Add]; the engine takes its work from the run,
// which is a verify.Queue, and gives its results back in batches; [Run.Results] returns them in the order of the
// rows. So memory is bounded whatever the list's size, and a run that was killed goes on with the same command:
//
//	file, err := state.Open(ctx, "crm.db")
//	run, err := file.Begin(ctx, "contacts.csv", state.Policy{})
//	err = run.Add(ctx, rows)
//	err = verifier.Run(ctx, run, nil)
//	for id, result := range run.Results(ctx) { ... }
//
// One process at a time holds a file; a second one gets a *LockedError that says who does. The schema has a version
// and is brought up to date when the file is opened.
package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"presend/verify"

	_ "modernc.org/sqlite" // the driver, in pure Go
)

// The files are the steps of the schema: N.sql makes version N out of the one before. A file that was released is never
// changed; a new version is a new file, with a file of that version in testdata.
//
//go:embed schema/*.sql
var steps embed.FS

// version is the newest one.
const version = 3

// Errors on opening a file.
var (
	// ErrNewer: the file was written by a newer version of this program.
	ErrNewer = errors.New("written by a newer version of this program")
	// ErrNotState: the file is no state file, or is damaged.
	ErrNotState = errors.New("not a state file, or a damaged one")
)

// File is an open state file. Safe for concurrent use. Close it.
type File struct {
	path string
	db   *sql.DB
	lock *lock

	prepared statements

	mu       sync.Mutex       // guards the beginning of runs
	underWay map[string]int64 // runs by their list
}

// Open opens a state file and creates it if need be.
func Open(ctx context.Context, path string) (*File, error) {
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	// WAL with synchronous FULL: what was committed survives a crash of the machine, not only of the process.
	query := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(OFF)", "cache_size(-32000)", "temp_store(FILE)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", fileURI(path)+"?"+query.Encode())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), lock.release())
	}
	db.SetMaxOpenConns(8) // each has a page cache of its own
	f := &File{path: path, db: db, lock: lock, underWay: map[string]int64{}}
	if err := f.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), f.Close())
	}
	if err := f.prepared.prepare(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), f.Close())
	}
	return f, nil
}

// uriEscaper escapes what has a meaning in the path of a URI as SQLite reads it.
var uriEscaper = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// fileURI returns the URI under which SQLite opens a path.
func fileURI(path string) string {
	if strings.HasPrefix(path, "/") { // two slashes at its start would be taken for the name of a machine
		return "file://" + uriEscaper.Replace(path)
	}
	return "file:" + uriEscaper.Replace(path)
}

// OpenExisting opens a state file that must be there already. The error is an os.ErrNotExist where it is not.
func OpenExisting(ctx context.Context, path string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	return Open(ctx, path)
}

// migrate brings the schema up to date.
func (f *File) migrate(ctx context.Context) error {
	var have int
	if err := f.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		if strings.Contains(err.Error(), "not a database") || strings.Contains(err.Error(), "malformed") {
			return fmt.Errorf("%w: %w", ErrNotState, err)
		}
		return err
	}
	if have > version {
		return fmt.Errorf("%w: its schema is %d, this program knows %d", ErrNewer, have, version)
	}
	if have == version {
		return nil
	}
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	for v := have + 1; v <= version; v++ {
		step, err := steps.ReadFile(fmt.Sprintf("schema/%d.sql", v))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(step)); err != nil {
			return fmt.Errorf("bringing the schema to version %d: %w", v, err)
		}
		if v == 3 {
			if err := computeDueAt(ctx, tx); err != nil {
				return fmt.Errorf("bringing the schema to version %d: %w", v, err)
			}
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}

// computeDueAt fills in when results are older than their shelf life, which version 2 computed at every run.
func computeDueAt(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.address, s.reason, s.checked_at, a.local || '@' || d.name FROM results s
		JOIN addresses a ON a.id = s.address JOIN domains d ON d.id = a.domain`)
	if err != nil {
		return err
	}
	defer rows.Close()
	set, err := tx.PrepareContext(ctx, "UPDATE results SET due_at = $1 WHERE address = $2")
	if err != nil {
		return err
	}
	defer set.Close()
	due := map[int64]int64{}
	for rows.Next() {
		var id, at int64
		var x verify.Result
		var address string
		if err := rows.Scan(&id, &x.Reason, &at, &address); err != nil {
			return err
		}
		x.CheckedAt = fromUnix(at)
		due[id] = toUnix(dueAt(x, 1, address))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for id, at := range due {
		if _, err := set.ExecContext(ctx, at, id); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file and lets others have it.
func (f *File) Close() error {
	return errors.Join(f.prepared.close(), f.db.Close(), f.lock.release())
}

// Path returns the file's path.
func (f *File) Path() string { return f.path }
