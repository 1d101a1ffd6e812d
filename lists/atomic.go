package lists

import (
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// AtomicFile is a file that appears under its name when it is whole. A name that ends in .gz is compressed. Commit or
// Abort it.
type AtomicFile struct {
	path string
	temp *os.File
	gzip *gzip.Writer // nil: plain
}

// CreateAtomic begins a file. What stands under its name stays until Commit.
func CreateAtomic(path string) (*AtomicFile, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	f := &AtomicFile{path: path, temp: temp}
	if strings.HasSuffix(path, ".gz") {
		f.gzip = gzip.NewWriter(temp)
	}
	return f, nil
}

// Write implements io.Writer.
func (f *AtomicFile) Write(p []byte) (int, error) {
	if f.gzip != nil {
		return f.gzip.Write(p)
	}
	return f.temp.Write(p)
}

// Commit makes the file durable and gives it its name, with the permissions of the file it replaces, or those of a
// new file.
func (f *AtomicFile) Commit() error {
	var err error
	if f.gzip != nil {
		err = f.gzip.Close()
	}
	mode := os.FileMode(0o644)
	if old, statErr := os.Stat(f.path); statErr == nil {
		mode = old.Mode().Perm()
	}
	err = errors.Join(err, f.temp.Chmod(mode), f.temp.Sync(), f.temp.Close())
	if err == nil {
		err = os.Rename(f.temp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", f.path, err), os.Remove(f.temp.Name()))
	}
	return nil
}

// Abort removes what was written. After Commit it does nothing.
func (f *AtomicFile) Abort() error {
	if err := f.temp.Close(); errors.Is(err, os.ErrClosed) {
		return nil
	}
	return os.Remove(f.temp.Name())
}
