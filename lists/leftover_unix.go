//go:build unix

package lists

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// sweep removes what processes that were killed left of a file of this name. A live one holds a lock on its own.
func sweep(name string) error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".*.partial"))
	if err != nil {
		return nil // the name holds a pattern's characters: nothing can be said about it
	}
	for _, path := range left {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			continue // gone meanwhile, or somebody else's
		}
		if hold(file) == nil {
			err = os.Remove(path)
		}
		if err = errors.Join(err, file.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hold locks a file until it is closed.
func hold(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
