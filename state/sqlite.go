package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite" // the driver, in pure Go
	sqlite3 "modernc.org/sqlite/lib"
)

// What only SQLite knows is in this file: how a database is opened, checked and compacted, and what its errors mean.

// shortWait is how long a short command waits for one that holds the file.
const shortWait = 10 * time.Second

// Open opens a state file for runs and creates it if need be. The error is a *LockedError where another process holds
// the file.
func Open(ctx context.Context, path string) (*File, error) {
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	return open(ctx, path, lock)
}

// OpenShared opens a state file next to runs that may be under way in another process, and creates it if need be. No
// run can begin in it. What it writes waits for up to ten seconds for the process that writes at the moment.
func OpenShared(ctx context.Context, path string) (*File, error) {
	f, err := connect(path)
	if err != nil {
		return nil, err
	}
	have, err := f.schema(ctx)
	if err == nil && have != version {
		if err := f.db.Close(); err != nil {
			return nil, fmt.Errorf("state file %s: %w", path, err)
		}
		return openSharedAlone(ctx, path)
	}
	if err == nil {
		err = f.prepared.prepare(ctx, f.db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), f.Close())
	}
	return f, nil
}

// openSharedAlone is OpenShared for a file that nobody else may use meanwhile, since its schema changes.
func openSharedAlone(ctx context.Context, path string) (*File, error) {
	lock, err := acquireWithin(ctx, path, shortWait)
	if err != nil {
		return nil, err
	}
	f, err := open(ctx, path, lock)
	if err != nil {
		return nil, err
	}
	f.lock = nil
	if err := lock.release(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open opens a state file whose lock is held; it is freed where the error is not nil.
func open(ctx context.Context, path string, lock *lock) (*File, error) {
	f, err := connect(path)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	f.lock = lock
	have, err := f.schema(ctx)
	if err == nil {
		err = f.migrate(ctx, have)
	}
	if err == nil {
		err = f.prepared.prepare(ctx, f.db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), f.Close())
	}
	return f, nil
}

// connect makes a File of a path, of which nothing is read yet.
func connect(path string) (*File, error) {
	// The database would create the file so that others may read it.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = file.Close()
	} else if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = nil // the database says so in its own way
	}
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", path, err)
	}
	// WAL with synchronous FULL: what was committed survives a crash of the machine, not only of the process.
	query := url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", shortWait.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(OFF)", "cache_size(-32000)", "temp_store(FILE)",
		},
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", fileURI(path)+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", path, err)
	}
	db.SetMaxOpenConns(8) // each has a page cache of its own
	return &File{path: path, db: db, writing: make(chan struct{}, 1), open: map[int64]string{}}, nil
}

// OpenExistingShared is OpenShared for a state file that must be there already. The error is an os.ErrNotExist where it
// is not.
func OpenExistingShared(ctx context.Context, path string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	return OpenShared(ctx, path)
}

// OpenExisting opens a state file that must be there already. The error is an os.ErrNotExist where it is not.
func OpenExisting(ctx context.Context, path string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	return Open(ctx, path)
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

// Check reads the whole file and returns an error, an ErrNotState, if it is damaged.
func (f *File) Check(ctx context.Context) error {
	var found string
	err := f.db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found)
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("state: checking the file: %w", err)
	case err != nil && isDamage(err):
		return fmt.Errorf("state file %s: %w: %w", f.path, ErrNotState, err)
	case err != nil:
		return fmt.Errorf("state: checking the file: %w", err)
	case found != "ok":
		return fmt.Errorf("state file %s: %w: %s", f.path, ErrNotState, found)
	}
	return nil
}

// isDamage reports whether an error says that the file is no database or a damaged one.
func isDamage(err error) bool {
	var problem *sqlite.Error
	if !errors.As(err, &problem) {
		return false
	}
	code := problem.Code() & 0xff // the rest is detail
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// values returns a VALUES list of so many rows and columns of parameters. They have no numbers as elsewhere: SQLite
// takes $1 for a name, and looks for each among all names of the statement.
func values(rows, columns int) string {
	row := ",(?" + strings.Repeat(",?", columns-1) + ")"
	return "VALUES " + strings.Repeat(row, rows)[1:]
}

// unusedPart is of how many of a file's pages one may lie unused before it is compacted.
const unusedPart = 4

// compact gives the file's unused pages back to the system if they are many.
func (f *File) compact(ctx context.Context) error {
	if err := f.beginWriting(ctx); err != nil {
		return fmt.Errorf("state: compacting: %w", err)
	}
	defer f.endWriting()
	var unused, pages int64
	err := f.db.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&unused)
	if err == nil {
		err = f.db.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages)
	}
	if err == nil && unused*unusedPart >= pages {
		_, err = f.db.ExecContext(ctx, "VACUUM")
	}
	if err != nil {
		return fmt.Errorf("state: compacting: %w", err)
	}
	return nil
}

// vacuum rewrites the file without what is unused, and empties its log.
func (f *File) vacuum(ctx context.Context) error {
	if err := f.beginWriting(ctx); err != nil {
		return fmt.Errorf("state: compacting: %w", err)
	}
	defer f.endWriting()
	for _, statement := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := f.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("state: compacting: %w", err)
		}
	}
	return nil
}

// Backup writes a copy of the file, as it is at this moment, to a path where there is none. Runs may be under way.
func (f *File) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("state: backing up: %s: %w", path, fs.ErrExist)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600) // the database would let others read it
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		_, err = f.db.ExecContext(ctx, "VACUUM INTO $1", path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("state: backing up into %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Advice says in words what to do about an error of this package; empty where the error says it all.
func Advice(err error) string {
	var problem *sqlite.Error
	if errors.Is(err, syscall.ENOSPC) {
		return "the disk is full; free some space and run the same command again: everything recorded so far is safe"
	}
	if !errors.As(err, &problem) {
		return ""
	}
	switch problem.Code() & 0xff { // the rest is detail
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the state file is damaged; move it away and run again to start with an empty one, or restore a backup"
	case sqlite3.SQLITE_FULL:
		return "the disk is full; free some space and run the same command again: everything recorded so far is safe"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return "the state file cannot be written; check the permissions of the file and its folder, or give another --state"
	case sqlite3.SQLITE_IOERR:
		return "the disk reports an error; what was recorded before is safe"
	}
	return ""
}
