package state

import (
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

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
