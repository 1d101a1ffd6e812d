package tree

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxLine is how many characters a line of Go source may have. A tab counts as one.
const maxLine = 120

func TestNoLineOfGoSourceIsTooLong(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && path != root):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		files++
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		long, err := longLines(path)
		if err != nil {
			return err
		}
		for _, n := range long {
			t.Errorf("%s:%d has more than %d characters", name, n, maxLine)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("%d files were found, want at least 300", files)
	}
}

// longLines returns the numbers, from 1, of the lines of a file that have more than maxLine characters.
func longLines(path string) (long []int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		if utf8.RuneCount(lines.Bytes()) > maxLine {
			long = append(long, n)
		}
	}
	return long, lines.Err()
}
