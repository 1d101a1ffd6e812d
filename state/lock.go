package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// LockedError says that another process, or another File of this one, holds the file.
type LockedError struct{ Path, Holder string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is in use by %s; wait for it to end, or give another --state", e.Path, e.Holder)
}

// lock is a lock on a state file that ends with the process, however it ends. It is taken on a file of its own next to
// the state file, which is never removed: that would race with the next process.
type lock struct {
	held *flock.Flock
	name *os.File // the same file, for the name of the process that holds it
}

// acquire takes the lock of a state file and writes into it which process holds it.
func acquire(path string) (*lock, error) {
	held := flock.New(path+".lock", flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(0o600))
	free, err := held.TryLock()
	if err != nil {
		var problem *fs.PathError
		if errors.As(err, &problem) {
			return nil, fmt.Errorf("state file %s: cannot write next to it: %w", path, problem.Err)
		}
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), held.Close())
	}
	if !free {
		return nil, errors.Join(&LockedError{Path: path, Holder: holder(path + ".lock")}, held.Close())
	}
	l := &lock{held: held}
	if l.name, err = os.OpenFile(path+".lock", os.O_RDWR, 0); err == nil {
		err = l.write(self())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), l.release())
	}
	return l, nil
}

// lockEvery is how often a lock that another process holds is tried again.
const lockEvery = 100 * time.Millisecond

// acquireWithin takes the lock of a state file as soon as it is free. The error is a *LockedError if it is not within
// some time.
func acquireWithin(ctx context.Context, path string, wait time.Duration) (*lock, error) {
	deadline := time.Now().Add(wait)
	for {
		l, err := acquire(path)
		var locked *LockedError
		if !errors.As(err, &locked) || !time.Now().Before(deadline) {
			return l, err
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// self names this process.
func self() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return fmt.Sprintf("process %d on %s since %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
}

// nameSize is how many bytes a name takes, with spaces after it.
const nameSize = 400

// write puts the name of the process on the second line of the file: on Windows the first byte is what is locked, and
// nobody else reads or writes it. The size of the file never changes, since Windows may refuse that, too.
func (l *lock) write(name string) error {
	line := fmt.Sprintf("\n%-*.*s\n", nameSize, nameSize, name)
	_, err := l.name.WriteAt([]byte(line), 1)
	return err
}

// holder reads the name of the process that holds a lock.
func holder(path string) string {
	content, err := os.ReadFile(path)
	if err != nil { // Windows, where the first byte is locked
		content = readFrom(path, 1)
	}
	lines := strings.Split(strings.Trim(string(content), " \x00\n"), "\n")
	if last := strings.Trim(lines[len(lines)-1], " \x00"); last != "" {
		return last
	}
	return "another process"
}

// readFrom reads what follows an offset of a lock file; nothing where it cannot be read.
func readFrom(path string, offset int64) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close() // read only
	content := make([]byte, nameSize+2)
	n, _ := file.ReadAt(content, offset) // the name may be shorter, or not yet written
	return content[:n]
}

// release blanks the name and frees the lock. A nil lock is free.
func (l *lock) release() error {
	if l == nil {
		return nil
	}
	var err error
	if l.name != nil {
		err = errors.Join(l.write(""), l.name.Close())
	}
	return errors.Join(err, l.held.Close())
}
