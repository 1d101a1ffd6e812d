//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

func TestAFileIsHeldUntilItsEnd(t *testing.T) {
	for name, end := range map[string]func(*File) error{
		"Commit": (*File).Commit, "Abort": (*File).Abort,
		"Finish and Abort": func(f *File) error { return errors.Join(f.Finish(), f.Abort()) },
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t, filepath.Join(t.TempDir(), "out.csv"), "x")
			same := f.file.Name() + ".link" // the same file, also when its name is gone
			if err := os.Link(f.file.Name(), same); err != nil {
				t.Skip("LEFT OUT: links cannot be made here: ", err)
			}
			free := func() bool {
				lock := flock.New(same, flock.SetFlag(os.O_RDONLY))
				got, err := lock.TryLock()
				if err = errors.Join(err, lock.Close()); err != nil {
					t.Fatal(err)
				}
				return got
			}
			if free() {
				t.Error("it is not held while it is written")
			}
			if err := end(f); err != nil {
				t.Fatal(err)
			}
			if !free() {
				t.Error("it is still held")
			}
		})
	}
}

func TestAnUnfinishedFileIsNoMoreReadableThanTheOneThatItReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.csv")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := create(t, path, "x")
	if info, err := os.Stat(f.file.Name()); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want that of the file before", info.Mode(), err)
	}
}
