// Package atomicfile writes files that appear whole or not at all.
//
// A [File] is written under another name in the same folder. [File.Commit] makes it durable and renames it, so a reader
// finds the old file or the new one, and never a part of one. Several files can appear together as far as a file system
// allows that: [File.Finish] does everything that fails on a full disk, and Commit then only renames.
//
// A process that is killed leaves its unfinished file behind, under a name that begins with a dot and ends in
// ".partial". The next [Create] of the same name removes it.
package atomicfile

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

// File is a file that appears under its name when it is whole. The caller must Commit or Abort it. A file whose name
// ends in .gz is compressed.
//
// Links are followed. A file that is not regular, such as a pipe or /dev/null, is written to directly.
type File struct {
	path     string // as the caller gave it
	name     string // of the file, with links followed
	file     *os.File
	temp     bool         // file has another name until Commit
	gzip     *gzip.Writer // nil if not compressed
	finished bool
	ended    bool   // Commit or Abort was called
	unlock   func() // lets other processes remove the unfinished file
}

// Create begins a file. An existing file of that name stays until Commit.
func Create(path string) (*File, error) {
	f := &File{path: path, unlock: func() {}}
	if err := f.create(); err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	if strings.HasSuffix(path, ".gz") {
		f.gzip = gzip.NewWriter(f.file)
	}
	return f, nil
}

func (f *File) create() error {
	name, err := filepath.EvalSymlinks(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		name, err = f.path, nil
	}
	if err != nil {
		return err
	}
	f.name = name
	mode := fs.FileMode(0o600) // lists are nobody else's
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
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8]+partial)
	if f.file, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
		return err
	}
	if f.unlock, err = hold(temp); err != nil {
		return errors.Join(err, f.file.Close())
	}
	return nil
}

// partial ends the names of unfinished files.
const partial = ".partial"

// unfinished returns the unfinished files of a name, from this process and from others.
func unfinished(name string) (paths []string) {
	folder, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return nil // a folder may be writable but not readable
	}
	for _, entry := range folder {
		random, ours := strings.CutPrefix(entry.Name(), "."+filepath.Base(name)+".")
		random, unfinished := strings.CutSuffix(random, partial)
		if ours && unfinished && len(random) == 8 && !strings.Contains(random, ".") {
			paths = append(paths, filepath.Join(filepath.Dir(name), entry.Name()))
		}
	}
	return paths
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	if f.gzip != nil {
		return f.gzip.Write(p)
	}
	return f.file.Write(p)
}

// Finish ends the content and makes it durable. The file appears under its name only at Commit.
func (f *File) Finish() error {
	if err := f.finish(); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", f.path, err), f.Abort())
	}
	return nil
}

func (f *File) finish() error {
	if f.finished {
		return nil
	}
	if f.gzip != nil {
		if err := f.gzip.Close(); err != nil {
			return err
		}
	}
	if f.temp {
		if old, err := os.Stat(f.name); err == nil {
			if err := f.file.Chmod(old.Mode().Perm()); err != nil {
				return err
			}
		}
		if err := f.file.Sync(); err != nil {
			return err
		}
	}
	f.finished = true
	return f.file.Close() // before the rename: Windows does not rename an open file
}

// Tests replace rename.
var rename = os.Rename

// Commit finishes the file and gives it its name, with the permissions of the file that it replaces, or those of a new
// file.
func (f *File) Commit() error {
	if f.ended {
		return fmt.Errorf("cannot write %s: %w", f.path, fs.ErrClosed)
	}
	if err := f.Finish(); err != nil {
		return err
	}
	if !f.temp {
		f.ended = true
		return nil
	}
	if err := rename(f.file.Name(), f.name); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", f.path, err), f.Abort())
	}
	f.ended = true
	f.unlock()
	if err := syncFolder(filepath.Dir(f.name)); err != nil {
		return fmt.Errorf("cannot write %s: %w", f.path, err)
	}
	return nil
}

// syncFolder makes a new name durable, where the system can do so.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return nil // a folder may be writable but not readable
	}
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

// Abort removes what was written. After Commit it does nothing.
func (f *File) Abort() error {
	if f.ended {
		return nil
	}
	f.ended = true
	defer f.unlock()
	if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	if !f.temp {
		return nil
	}
	return os.Remove(f.file.Name())
}
