package smtpprobe_test

import (
	"testing"

	"presend/verify/smtpprobe"
)

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
