package job_test

import (
	"strings"
	"testing"
	"time"

	"presend/job"
	"presend/report"
	"presend/verify"
	"presend/verify/verdict"
)

func TestASummaryBeginsWithWhatIsWrongOnOurSide(t *testing.T) {
	closed := &verify.Trouble{Kind: verify.PortClosed, Detail: "dial tcp 192.0.2.1:25: i/o timeout"}
	for _, test := range []struct {
		name    string
		reasons []verify.Reason
		want    string
	}{
		{
			"nothing was asked",
			[]verify.Reason{verdict.NotProbed, verdict.Syntax},
			"Port 25 is closed from this machine: no mail host was asked.\n" + closed.Advice() +
				"\nThe error was: dial tcp 192.0.2.1:25: i/o timeout.\n\n1 row: this machine could not ask.",
		},
		{
			"some were asked before",
			[]verify.Reason{verdict.NotProbed, verdict.Accepted},
			"Port 25 is closed from this machine.\n" + closed.Advice(),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c report.Counter
			for _, reason := range test.reasons {
				facts := reason.Facts()
				row := report.Row{Verdict: facts.Verdict, Reason: reason, Action: facts.Action}
				if reason == verdict.NotProbed {
					row.Action = verdict.FixSender
				}
				c.Add(row)
			}
			s := job.Summary{
				Figures: c.Figures(), Troubles: []job.Trouble{{Kind: closed.Kind, Text: closed.String(), Advice: closed.Advice()}},
			}
			var b strings.Builder
			if err := s.Text(&b, time.Now()); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(b.String(), test.want) {
				t.Errorf("%s\nwant it to begin with\n%s", b.String(), test.want)
			}
		})
	}
}
