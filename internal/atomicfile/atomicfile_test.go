package atomicfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func create(t *testing.T, path, content string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Abort(); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	return f
}

// files returns the names and contents of a folder's files. Random parts of names are left out.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		name := entry.Name()
		if start, ok := strings.CutSuffix(name, partial); ok {
			name = start[:len(start)-8] + "*" + partial
		}
		all[name] = string(content)
	}
	return all
}

func TestAFileAppearsWhenItIsWhole(t *testing.T) {
	old, fresh := map[string]string{"out.csv": "old"}, map[string]string{"out.csv": "new"}
	both := map[string]string{"out.csv": "old", ".out.csv.*.partial": "new"}
	for _, tt := range []struct {
		name string
		end  func(*File) error
		want map[string]string
	}{
		{"before its end", func(*File) error { return nil }, both},
		{"after Finish", (*File).Finish, both},
		{"after Commit", (*File).Commit, fresh},
		{"after Finish and Commit", func(f *File) error { return errors.Join(f.Finish(), f.Commit()) }, fresh},
		{"after Commit and Abort", func(f *File) error { return errors.Join(f.Commit(), f.Abort()) }, fresh},
		{"after Abort", (*File).Abort, old},
		{"after Finish and Abort", func(f *File) error { return errors.Join(f.Finish(), f.Abort()) }, old},
		{"after Abort twice", func(f *File) error { return errors.Join(f.Abort(), f.Abort()) }, old},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "out.csv")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(create(t, path, "new")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, files(t, folder)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("mode %v, %v: want that of the file before", info.Mode(), err)
			}
		})
	}
}

func TestAFileThatWasThrownAwayCannotBeCommitted(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "out.csv"), "x")
	if err := errors.Join(f.Finish(), f.Abort()); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v, want that it is closed", err)
	}
}

// Windows renames no open file.
func TestAFileIsClosedBeforeItIsRenamed(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "out.csv"), "x")
	t.Cleanup(func() { rename = os.Rename })
	renamed := false
	rename = func(from, to string) error {
		renamed = true
		if _, err := f.file.Stat(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("the file is still open: %v", err)
		}
		return os.Rename(from, to)
	}
	if err := f.Commit(); err != nil || !renamed {
		t.Errorf("%v, renamed: %v", err, renamed)
	}
}

func TestARenameThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "out.csv")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := create(t, path, "new")
	t.Cleanup(func() { rename = os.Rename })
	rename = func(string, string) error { return fs.ErrPermission }
	if err := f.Commit(); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want the reason and the file's name", err)
	}
	if diff := cmp.Diff(map[string]string{"out.csv": "old"}, files(t, folder)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestANameThatEndsInGZIsCompressed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.csv.gz")
	if err := create(t, path, "email\n").Commit(); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(unpacked); err != nil || string(content) != "email\n" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestLinksAreFollowed(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "out.csv"), filepath.Join(folder, "link")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("LEFT OUT: links cannot be made here: ", err)
	}
	if err := create(t, link, "x").Commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v", err)
	}
	if content, err := os.ReadFile(target); err != nil || string(content) != "x" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestDevicesAreWrittenToAndNeverReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("LEFT OUT: the null device of Windows has no file")
	}
	device := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, device); err != nil {
		t.Fatal(err)
	}
	null, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(*File) error{(*File).Commit, (*File).Abort} {
		if err := end(create(t, device, "x")); err != nil {
			t.Error(err)
		}
	}
	if now, err := os.Stat(os.DevNull); err != nil || !os.SameFile(null, now) {
		t.Errorf("the device was replaced: %v", err)
	}
}

func TestAFolderIsNotAFile(t *testing.T) {
	if _, err := Create(t.TempDir()); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("%v, want that it is a folder", err)
	}
}

func TestTheNextFileRemovesWhatAKilledProcessLeftAndNothingElse(t *testing.T) {
	for _, name := range []string{"out.csv", "out [1].csv", "out *.csv", "crm #1 100%.csv"} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.ContainsAny(name, "*") {
				t.Skip("Windows has no such names")
			}
			folder := t.TempDir()
			path := filepath.Join(folder, name)
			left := filepath.Join(folder, "."+name+".ABCDEFGH.partial")
			others := []string{
				filepath.Join(folder, ".other.csv.ABCDEFGH.partial"),
				filepath.Join(folder, "."+name+".gz.ABCDEFGH.partial"),
				filepath.Join(folder, "."+name+".partial"),
			}
			for _, path := range append(others, left) {
				if err := os.WriteFile(path, []byte("left"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			alive := create(t, path, "alive")
			second := create(t, path, "second")
			if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what a killed process left is still there: %v", err)
			}
			for _, path := range others {
				if _, err := os.Stat(path); err != nil {
					t.Errorf("another file's leftover was removed: %v", err)
				}
			}
			for _, f := range []*File{alive, second} {
				if err := f.Commit(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAFinishedFileIsNotSweptBeforeItIsRenamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("LEFT OUT: nothing holds a finished file on Windows")
	}
	path := filepath.Join(t.TempDir(), "out.csv")
	f := create(t, path, "first")
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	create(t, path, "second")
	if err := f.Commit(); err != nil {
		t.Error(err)
	}
}
