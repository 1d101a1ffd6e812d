package state

import (
	"path/filepath"
	"strings"
)

// ListName returns the name by which a list is known where its user gives none: the file's name without its folder, its
// endings and its digits, so that tonight's export of a list has the name of last night's.
func ListName(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	name = strings.TrimSuffix(name, filepath.Ext(name))
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("0123456789 -_.()", r) })
	if len(words) == 0 {
		return "list"
	}
	return strings.Join(words, "-")
}
