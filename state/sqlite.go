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
	"syscall"

	"modernc.org/sqlite" // the driver, in pure Go
	sqlite3 "modernc.org/sqlite/lib"
)

// What only SQLite knows is in this file: how a database is opened, checked and compacted, and what its errors mean.

// The files are the steps of the schema: N.sql makes version N out of the one before. A file that was released is never
// changed; a new version is a new file, with a file of that version in testdata.
//
//go:embed schema/*.sql
var steps embed.FS

// version is the newest version of the schema.
const version = 4

// Open opens a state file and creates it if need be. The error is a *LockedError where another process holds the file.
func Open(ctx context.Context, path string) (*File, error) {
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	// WAL with synchronous FULL: what was committed survives a crash of the machine, not only of the process.
	query := url.Values{
		"_pragma": {
			"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(OFF)", "cache_size(-32000)",
			"temp_store(FILE)",
		},
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", fileURI(path)+"?"+query.Encode())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), lock.release())
	}
	db.SetMaxOpenConns(8) // each has a page cache of its own
	f := &File{path: path, db: db, lock: lock, writing: make(chan struct{}, 1), open: map[int64]string{}}
	err = f.migrate(ctx)
	if err == nil {
		err = f.prepared.prepare(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), f.Close())
	}
	return f, nil
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
	return f.write(ctx, "bringing the schema up to date", func(tx *sql.Tx) error {
		for v := have + 1; v <= version; v++ {
			step, err := steps.ReadFile(fmt.Sprintf("schema/%d.sql", v))
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(step)); err != nil {
				return fmt.Errorf("version %d: %w", v, err)
			}
			if v == 3 {
				if err := computeDueAt(ctx, tx); err != nil {
					return fmt.Errorf("version %d: %w", v, err)
				}
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// Check reads the whole file and returns an error if it is damaged: ErrNotState where the check can say what is wrong,
// else the error that ended it.
func (f *File) Check(ctx context.Context) error {
	var verdict string
	if err := f.db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("state: checking the file: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("state file %s: %w: %s", f.path, ErrNotState, verdict)
	}
	return nil
}

// values returns a VALUES list of so many rows and columns of parameters. They have no numbers as elsewhere: SQLite
// takes $1 for a name, and looks for each among all names of the statement.
func values(rows, columns int) string {
	row := ",(?" + strings.Repeat(",?", columns-1) + ")"
	return "VALUES " + strings.Repeat(row, rows)[1:]
}

// slack is of how many of a file's pages one may lie unused before it is compacted.
const slack = 4

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
	if err == nil && unused*slack >= pages {
		_, err = f.db.ExecContext(ctx, "VACUUM")
	}
	if err != nil {
		return fmt.Errorf("state: compacting: %w", err)
	}
	return nil
}

// Advice says in words what to do about an error of this package; empty where the error says it all.
func Advice(err error) string {
	var problem *sqlite.Error
	if errors.Is(err, syscall.ENOSPC) {
		return "the disk is full; make room and run the same command again: what was recorded is safe"
	}
	if !errors.As(err, &problem) {
		return ""
	}
	switch problem.Code() & 0xff { // the rest is detail
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the state file is damaged; move it away and run again to begin anew, or bring back a copy of it"
	case sqlite3.SQLITE_FULL:
		return "the disk is full; make room and run the same command again: what was recorded is safe"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return "the state file cannot be written; see to the permissions of the file and its folder, or give another --state"
	case sqlite3.SQLITE_IOERR:
		return "the disk reports an error; what was recorded before is safe"
	}
	return ""
}
