package job

import (
	"fmt"
	"os"
	"path/filepath"

	"presend/verify"
	"presend/verify/verdict"
)

// NamedPath is the path of a file with what it is for, in words for a message: --summary.
type NamedPath struct{ For, Path string }

// split returns the paths of the lists of --split by their verdict.
func (o Options) split() map[verify.Verdict]string {
	paths := map[verify.Verdict]string{}
	if o.Split != "" {
		for _, v := range verdict.Verdicts() {
			paths[v] = filepath.Join(o.Split, string(v)+"."+string(o.Format))
		}
	}
	return paths
}

// suppress is the path of the suppression list of --split.
func (o Options) suppress() string { return filepath.Join(o.Split, suppressName) }

const suppressName = "suppress.csv"

// checkPaths finds two files of the job that are one.
func (o Options) checkPaths() error {
	files := []NamedPath{
		{"the list", o.Input},
		{"the output", o.Output},
		{"the state", o.State},
		{"--changes", o.Changes},
		{"--suppress", o.Suppress},
	}
	files = append(files, o.Others...)
	if o.Split != "" && o.Format != Same {
		for _, v := range verdict.Verdicts() {
			files = append(files, NamedPath{"--split", o.split()[v]})
		}
		files = append(files, NamedPath{"--split", o.suppress()})
	}
	for i, one := range files {
		for _, other := range files[:i] {
			if one.Path != "" && one.Path != "-" && SameFile(one.Path, other.Path) {
				return &OptionsError{fmt.Sprintf("%s (%s) and %s (%s) would be one file; give one of them another name",
					other.For, other.Path, one.For, one.Path)}
			}
		}
	}
	return nil
}

// SameFile reports whether two paths lead to one file, which need not exist. Pipes and devices such as /dev/null may be
// written to by many.
func SameFile(a, b string) bool {
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	if errOne == nil && errOther == nil {
		return os.SameFile(one, other) && one.Mode().IsRegular()
	}
	return errOne != nil && errOther != nil && resolved(a) == resolved(b)
}

// resolved returns the path of a file that does not exist, with the links to its folder followed.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}
