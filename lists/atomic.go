package lists

import (
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// AtomicFile is a file that appears under its name when it is whole. A name that ends in .gz is compressed. Commit or
// Abort it.
//
// A link is followed to the file it names. What is no regular file, such as a pipe or /dev/null, is written to at once.
type AtomicFile struct {
	path string // that the caller gave
	name string // of the file, links followed
	file *os.File
	temp bool         // file is another one than name
	gzip *gzip.Writer // nil: plain
}

// CreateAtomic begins a file. What stands under its name stays until Commit.
func CreateAtomic(path string) (*AtomicFile, error) {
	f := &AtomicFile{path: path}
	if err := f.create(); err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	if strings.HasSuffix(path, ".gz") {
		f.gzip = gzip.NewWriter(f.file)
	}
	return f, nil
}

func (f *AtomicFile) create() error {
	name, err := filepath.EvalSymlinks(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		name, err = f.path, nil
	}
	if err != nil {
		return err
	}
	f.name = name
	mode := fs.FileMode(0o666) // less the umask
	if old, err := os.Stat(name); err == nil {
		if old.IsDir() {
			return errors.New("it is a folder")
		}
		if !old.Mode().IsRegular() {
			f.file, err = os.OpenFile(name, os.O_WRONLY, 0)
			return err
		}
		mode = old.Mode().Perm()
	}
	f.temp = true
	if err := sweep(name); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8]+".partial")
	if f.file, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
		return err
	}
	return hold(f.file)
}

// Write implements io.Writer.
func (f *AtomicFile) Write(p []byte) (int, error) {
	if f.gzip != nil {
		return f.gzip.Write(p)
	}
	return f.file.Write(p)
}

// Commit makes the file durable and gives it its name, with the permissions of the file it replaces, or those of a
// new file.
func (f *AtomicFile) Commit() error {
	if err := f.commit(); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", f.path, err), f.Abort())
	}
	return nil
}

func (f *AtomicFile) commit() error {
	if f.gzip != nil {
		if err := f.gzip.Close(); err != nil {
			return err
		}
	}
	if !f.temp {
		return f.file.Close()
	}
	if old, err := os.Stat(f.name); err == nil {
		if err := f.file.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.file.Name(), f.name); err != nil {
		return err
	}
	return errors.Join(f.file.Close(), syncFolder(filepath.Dir(f.name)))
}

// syncFolder makes a new name durable, where the system can.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return nil // it may be written to but not read
	}
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

// Abort removes what was written. After Commit it does nothing.
func (f *AtomicFile) Abort() error {
	if err := f.file.Close(); errors.Is(err, os.ErrClosed) || !f.temp {
		return nil
	}
	return os.Remove(f.file.Name())
}
