// Package tree tests what is true of the tree as a whole: its embedded data, its imports, the files that pages name.
package tree

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// embeddedFiles returns the files that the go:embed lines of the module name, as paths from its root.
func embeddedFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			patterns, embeds := strings.CutPrefix(line, "//go:embed ")
			if !embeds {
				continue
			}
			for _, pattern := range strings.Fields(patterns) {
				found, err := filepath.Glob(filepath.Join(filepath.Dir(path), pattern))
				if err != nil || len(found) == 0 {
					return fmt.Errorf("%s: go:embed %s finds nothing: %v", path, pattern, err)
				}
				files = append(files, found...)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// head returns the keys of the comment that a file begins with. A line "# Key: value" of it has a key.
func head(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys := map[string]string{}
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		comment, is := strings.CutPrefix(scan.Text(), "#")
		if !is {
			break
		}
		key, value, found := strings.Cut(strings.TrimSpace(comment), ":")
		if found && slices.Contains([]string{"Source", "Version", "Date"}, key) {
			keys[key] = strings.TrimSpace(value)
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEachEmbeddedFileSaysItsSourceVersionAndDateAtItsHead(t *testing.T) {
	data := 0
	for _, path := range embeddedFiles(t) {
		if filepath.Ext(path) == ".sql" { // a schema is part of the program
			continue
		}
		data++
		keys := head(t, path)
		for _, key := range []string{"Source", "Version", "Date"} {
			if keys[key] == "" {
				t.Errorf("%s: its first comment has no line %q", path, "# "+key+": ...")
			}
		}
		for date := range strings.SplitSeq(keys["Date"], ", ") {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				t.Errorf("%s: Date: %v", path, err)
			}
		}
	}
	if data < 14 {
		t.Errorf("%d embedded data files were found, want all of them, at least 14", data)
	}
}

func TestEachPackageThatDataAreMadeFromIsInNOTICE(t *testing.T) {
	notice, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	packages := regexp.MustCompile(`https://www\.npmjs\.com/package/([a-z-]+)`)
	made := 0
	for _, path := range embeddedFiles(t) {
		keys := head(t, path)
		versions := strings.Split(keys["Version"], ", ")
		for i, found := range packages.FindAllStringSubmatch(keys["Source"], -1) {
			made++
			if i >= len(versions) {
				t.Fatalf("%s: %d versions for more packages", path, len(versions))
			}
			if want := "\n" + found[1] + " " + versions[i] + "\n"; !strings.Contains(string(notice), want) {
				t.Errorf("%s is made from %s %s, and NOTICE has no line for it", path, found[1], versions[i])
			}
		}
	}
	if made < 4 {
		t.Errorf("%d packages were found, want at least 4", made)
	}
}
