package smtpprobe

import (
	"math"
	"strings"
	"testing"
)

func FuzzPace(f *testing.F) {
	f.Add(defaultPace)
	f.Add("[default]\nsessions=1\nrecipients=1\nsession=1\nerrors=1\n[x]\nrate=0.5\n")
	f.Add("[default]\nsessions=-1\n")
	f.Add("[default]\nsessions=1\nrecipients=1\nsession=1\nerrors=1\nrate=nan\n")
	f.Add("[default]\nsessions=1\nrecipients=1\nsession=1\nerrors=1\n[x]\nrate=inf\n")
	f.Add("default=1")
	f.Fuzz(func(t *testing.T, text string) {
		pace, err := readPace("fuzz.toml", text)
		if err != nil {
			if !strings.Contains(err.Error(), "fuzz.toml") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for name := range pace.rows {
			l := pace.For(name)
			if l.Sessions < 1 || l.Recipients < 1 || l.PerSession < 1 || l.Errors < 1 ||
				!(l.Rate >= 0 && l.Rate <= math.MaxFloat64) {
				t.Errorf("[%s] is taken with %+v", name, l)
			}
		}
		var written strings.Builder
		if err := pace.Write(&written); err != nil {
			t.Fatal(err)
		}
		again, err := readPace("again.toml", written.String())
		if err != nil {
			t.Fatalf("the table in force cannot be read again: %v\n%s", err, written.String())
		}
		for name, row := range pace.rows {
			if again.rows[name] != row {
				t.Errorf("[%s] was %+v and is read again as %+v", name, row, again.rows[name])
			}
		}
	})
}
