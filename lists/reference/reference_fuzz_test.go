package reference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzUserFile(f *testing.F) {
	f.Add("# ours\ndisposable burner.example\n-disposable partner.example # a comment\nrole Kontakt\n")
	f.Add("free B\u00fccher.example\ntrap old-brand.example.\n")
	f.Add("-role info\nrole\n")
	f.Add("disposable .\nfree a..b\n")
	f.Add("disposable gmail.com\n")
	file := filepath.Join(f.TempDir(), "ours.txt")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(Options{UserFiles: []string{file}})
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		// The last rule about a name holds, whatever the embedded data say.
		for name, in := range d.disposable.user {
			if d.Disposable(name) != in {
				t.Errorf("the file says of disposable %q: %t, and the data the opposite", name, in)
			}
		}
		for name, in := range d.free.user {
			if d.Free(name) != in {
				t.Errorf("the file says of free %q: %t, and the data the opposite", name, in)
			}
		}
		for name, in := range d.traps.user {
			if got, _ := d.traps.below(name); got != in {
				t.Errorf("the file says of trap %q: %t, and the data the opposite", name, in)
			}
		}
		for name := range d.roles.user {
			if base, _, _ := strings.Cut(name, "+"); base == name && d.Role(name) != d.roles.user[name] {
				t.Errorf("the file says of role %q: %t, and the data the opposite", name, d.roles.user[name])
			}
		}
	})
}
