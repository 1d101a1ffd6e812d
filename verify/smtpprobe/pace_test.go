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

func TestATableOfOnesOwnLeavesTheEmbeddedOneAlone(t *testing.T) {
	embedded, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	google := embedded.For("google")
	path := paceFile(t, "[default]\nsessions = 9\nrecipients = 9\nsession = 9\nerrors = 9\n[google]\nsessions = 49\n")
	own, err := smtpprobe.LoadPace(path)
	if err != nil {
		t.Fatal(err)
	}
	want := smtpprobe.Limits{Sessions: 49, Recipients: 9, PerSession: 9, Errors: 9}
	if got := own.For("google"); got != want {
		t.Errorf("one's own table says %+v of google, want %+v", got, want)
	}
	again, err := smtpprobe.LoadPace("")
	if err != nil || again != embedded || again.For("google") != google {
		t.Errorf("the embedded table says %+v of google now, was %+v: %v", again.For("google"), google, err)
	}
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

func TestEveryRowOfThePaceTableIsWithinReason(t *testing.T) {
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"nobody.lab", "google", "microsoft", "outlook", "yahoo", "icloud", "gmx", "tonline", "orange", "comcast",
		"qq", "netease",
	} {
		l := pace.For(name)
		if l.Sessions < 1 || l.Sessions > 50 || l.Recipients < 1 || l.Recipients > 100 || l.PerSession < l.Recipients ||
			l.Errors < 1 || l.Errors > 9 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
