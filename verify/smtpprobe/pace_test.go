package smtpprobe_test

import (
	"os"
	"path/filepath"
	"testing"

	"presend/verify/smtpprobe"
)

// paceFile writes a pace table to a file and returns its path.
func paceFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pace.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func BenchmarkLoadPace(b *testing.B) {
	for name, path := range map[string]string{"embedded": "", "file": paceFile(b, smtpprobe.DefaultPace())} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := smtpprobe.LoadPace(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
