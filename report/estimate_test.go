package report_test

import (
	"strings"
	"testing"
	"time"

	"presend/report"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// domainOf is what a list has at a domain.
type domainOf struct {
	domain    string
	addresses int
}

func TestTheEstimateIsThatOfTheSlowestProvider(t *testing.T) {
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name           string
		list           []domainOf
		sources, quick int
		slowest        string
		takes          time.Duration
		text           []string
		short          string
	}{
		{
			name: "400 addresses at Yahoo take over a minute", list: []domainOf{{"yahoo.com", 400}},
			slowest: "yahoo", takes: 74 * time.Second,
			text: []string{
				"At least 1 min 14 s", "With --quick at least a few seconds: yahoo says yes",
				"With one more --source-ip at least 34 s.",
			},
			short: "This takes at least 1 min 14 s: 400 addresses at yahoo, 5 a second.\n" +
				"With --quick at least a few seconds: yahoo says yes to every address anyway.\n",
		},
		{
			name: "8 % of 100,000 at Yahoo take 27 minutes", slowest: "yahoo", takes: 1594 * time.Second,
			list: []domainOf{{"yahoo.com", 6000}, {"ymail.com", 2000}, {"corp.lab", 92_000}},
			text: []string{"100,000 addresses at 3 domains", "other hosts", "92,000 addresses", "At least 26 min"},
			short: "This takes at least 26 min: 8,000 addresses at yahoo, 5 a second.\nWith --quick at least a few seconds: " +
				"yahoo says yes to every address anyway.\n",
		},
		{
			name: "8 % at T-Online take two hours, and --quick does not help", slowest: "tonline", takes: 7980 * time.Second,
			list: []domainOf{{"t-online.de", 8000}, {"yahoo.de", 400}},
			text: []string{"At least 2 h 13 min", "With one more --source-ip at least 1 h 6 min."},
			short: "This takes at least 2 h 13 min: 8,000 addresses at tonline, 1 a second.\nWith one more --source-ip at " +
				"least 1 h 6 min.\n",
		},
		{
			name: "--quick leaves out all but a sample", list: []domainOf{{"yahoo.com", 400}, {"icloud.com", 203}}, quick: 50,
			slowest: "icloud", takes: 30600 * time.Millisecond, text: []string{"350 left out by --quick", "At least 30 s"},
			short: "This takes at least 30 s: 203 addresses at icloud, 5 a second.\nWith one more --source-ip at least 10 s.\n",
		},
		{
			name: "what today's budget does not allow is left for the next days", list: []domainOf{{"yahoo.com", 25_000}},
			slowest: "yahoo", takes: 1994 * time.Second, text: []string{"15,000 are left for the next days"},
		},
		{
			name: "two source addresses have twice the pace", list: []domainOf{{"t-online.de", 440}}, sources: 2,
			slowest: "tonline", takes: 200 * time.Second, text: []string{"2 a second"},
		},
		{
			name: "a list of companies has no bound", list: []domainOf{{"corp.lab", 5000}, {"gmail.com", 40}},
			slowest: "google", text: []string{"The pace table slows nothing down"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := report.NewEstimate(pace, test.sources, test.quick)
			for _, d := range test.list {
				provider, _ := mx.Guess(d.domain)
				e.Add(provider, d.addresses)
			}
			if load := e.Loads()[0]; load.Provider != test.slowest || load.Takes != test.takes {
				t.Errorf("%+v, want %s with %v", load, test.slowest, test.takes)
			}
			for _, want := range test.text {
				if !strings.Contains(e.Text(), want) {
					t.Errorf("no %q in\n%s", want, e.Text())
				}
			}
			if test.short != "" && e.Short() != test.short {
				t.Errorf("%q, want %q", e.Short(), test.short)
			}
		})
	}
}
