//go:build !unix

package state

import "os"

// tryLock has no lock to take that would end with the process; SQLite's own guard the file.
func tryLock(*os.File) error { return nil }
