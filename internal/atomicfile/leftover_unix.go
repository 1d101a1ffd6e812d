//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"github.com/gofrs/flock"
)

// sweep removes the unfinished files of a name that killed processes left behind. A process that still runs holds a
// lock on its file.
func sweep(name string) error {
	for _, path := range unfinished(name) {
		lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
		if free, err := lock.TryLock(); err != nil || !free {
			continue // another process is writing it, has removed it, or owns it
		}
		err := os.Remove(path)
		if err = errors.Join(err, lock.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hold locks an unfinished file until unlock is called or the process ends. The lock has a descriptor of its own, so it
// lasts until the rename, when the one for writing is closed.
func hold(path string) (unlock func(), err error) {
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryLock()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !free {
		return nil, errors.New("another process began to write it at the same moment; try again")
	}
	// Any other error says that this file system has no locks. Then nobody can sweep, and the file needs none.
	return func() { _ = lock.Close() }, nil // nothing was written through it
}
