package tree

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPagesNameOnlyFilesThatExist(t *testing.T) {
	named := regexp.MustCompile("`([a-z0-9_/-]+\\.(?:go|toml|txt|sql|csv))`|\\]\\(([^)#:]+)\\)")
	found := 0
	pages, err := fs.Glob(os.DirFS(root), "docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%v, %v: want the pages of docs", pages, err)
	}
	for _, page := range append(pages, "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "e2e/README.md") {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			path, from := match[1], root // a path in code is from the root of the tree, a link from the page
			if path == "" {
				path, from = match[2], filepath.Join(root, filepath.Dir(page))
			}
			if match[1] != "" && (!strings.Contains(path, "/") || strings.HasPrefix(path, "/")) {
				continue // a file of the reader's, or one of a directory that the sentence names
			}
			found++
			if _, err := os.Stat(filepath.Join(from, path)); err != nil {
				t.Errorf("%s names %s: %v", page, path, err)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d names of files were found, want at least 50", found)
	}
}

func TestEveryModuleInTheProgramHasALicenceAndIsInNOTICE(t *testing.T) {
	notice, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{}
	for _, system := range []string{"linux", "darwin", "windows", "freebsd"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "./cmd/verify")
		list.Dir, list.Env = root, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if path, directory, found := strings.Cut(strings.TrimSpace(line), " "); found {
				modules[path] = directory
			}
		}
	}
	if len(modules) < 20 {
		t.Errorf("%d modules were found, want at least 20", len(modules))
	}
	for path, directory := range modules {
		files, err := os.ReadDir(directory)
		isLicence := func(e fs.DirEntry) bool {
			name := strings.ToUpper(e.Name())
			return strings.HasPrefix(name, "LICEN") || strings.HasPrefix(name, "COPYING")
		}
		if err != nil || !slices.ContainsFunc(files, isLicence) {
			t.Errorf("%s has no licence file: %v", path, err)
		}
		if !regexp.MustCompile(`(?m)(^  |, )` + regexp.QuoteMeta(path) + `( |,|$)`).Match(notice) {
			t.Errorf("%s is in the program and not in NOTICE", path)
		}
	}
}

// above are the packages of the program in the order of their imports: none imports one of its own row or of an earlier
// one.
var above = [][]string{
	{"cmd/verify"},
	{"job", "doctor"},
	{"state", "report", "suppression", "bounce"},
	{"verify", "lists"},
	{"verify/catchall"},
	{"verify/smtpprobe"},
	{"verify/reply", "verify/score"},
	{"verify/verdict"},
	{"verify/syntax", "verify/mx", "lists/reference", "internal/atomicfile"},
}

func TestImportsPointOneWay(t *testing.T) {
	rank := map[string]int{}
	for i, row := range above {
		for _, name := range row {
			rank["presend/"+name] = i
		}
	}
	for i, row := range above {
		for _, name := range row {
			for _, imported := range imports(t, name) {
				// The lab is an internet for the demo.
				if imported == "presend/internal/lab" && name == "cmd/verify" {
					continue
				}
				if at, known := rank[imported]; !known || at <= i {
					t.Errorf("%s imports %s, which is not below it", name, imported)
				}
			}
		}
	}
	for _, name := range packages(t) {
		if _, known := rank[name]; !known {
			t.Errorf("%s is in the program, and its place in the order of the imports is not known", name)
		}
	}
	for _, imported := range imports(t, "lists") {
		t.Errorf("lists imports %s; it is to import nothing of ours", imported)
	}
}

// packages returns the packages of ours that the program is made of, without the lab.
func packages(t *testing.T) (ours []string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/verify")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, "presend/") && path != "presend/internal/lab" {
			ours = append(ours, path)
		}
	}
	return ours
}

// imports returns which packages of ours a package imports, tests aside.
func imports(t *testing.T, name string) (ours []string) {
	t.Helper()
	files := token.NewFileSet()
	goFiles, err := fs.Glob(os.DirFS(filepath.Join(root, name)), "*.go")
	if err != nil || len(goFiles) == 0 {
		t.Fatalf("%s holds no Go files: %v", name, err)
	}
	for _, file := range goFiles {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(files, filepath.Join(root, name, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); strings.HasPrefix(path, "presend/") {
				ours = append(ours, path)
			}
		}
	}
	return ours
}
