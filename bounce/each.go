package bounce

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-mbox"
)

// Source is a message and where it came from.
type Source struct {
	Name    string // the file; in an mbox with the number of the message, such as "inbox#3"
	Message Message
}

// Each yields the messages of a file or directory, in the order of the file names. A file is a message or an mbox. A
// directory is a Maildir or holds messages as files. For a message that cannot be read, Each yields the error and goes
// on with the next one; for an mbox whose messages cannot be told apart any more, with the next file.
func Each(path string) iter.Seq2[Source, error] {
	return func(yield func(Source, error) bool) {
		info, err := os.Stat(path)
		if err != nil {
			yield(Source{Name: path}, err)
			return
		}
		files := []string{path}
		if info.IsDir() {
			if files, err = filesOf(path); err != nil {
				yield(Source{Name: path}, err)
				return
			}
			if len(files) == 0 {
				yield(Source{Name: path}, errors.New("no message in this directory"))
				return
			}
		}
		for _, file := range files {
			for s, err := range open(file) {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

// filesOf returns the messages of a Maildir, or the files of any other directory.
func filesOf(directory string) ([]string, error) {
	places := []string{directory}
	if _, err := os.Stat(filepath.Join(directory, "cur")); err == nil {
		places = []string{filepath.Join(directory, "cur"), filepath.Join(directory, "new")}
	}
	var files []string
	for _, place := range places {
		entries, err := os.ReadDir(place)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(place, e.Name()))
			}
		}
	}
	slices.Sort(files)
	return files, nil
}

func open(path string) iter.Seq2[Source, error] {
	return func(yield func(Source, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Source{Name: path}, err)
			return
		}
		defer f.Close()
		for s, err := range In(path, f) {
			if !yield(s, err) {
				return
			}
		}
	}
}

// In yields the messages of an mbox, or the single message in r. The name becomes that of each [Source].
func In(name string, r io.Reader) iter.Seq2[Source, error] {
	return func(yield func(Source, error) bool) {
		buffered := bufio.NewReader(r)
		if start, _ := buffered.Peek(len("From ")); string(start) != "From " {
			m, err := Read(buffered)
			yield(Source{name, m}, err)
			return
		}
		box := mbox.NewReader(buffered)
		for i := 1; ; i++ {
			one, err := box.NextMessage()
			if err == io.EOF {
				return
			}
			numbered := fmt.Sprintf("%s#%d", name, i)
			if err != nil {
				yield(Source{Name: numbered}, fmt.Errorf("bounce: %w", err))
				return
			}
			m, err := Read(one)
			if !yield(Source{numbered, m}, err) {
				return
			}
		}
	}
}
