package report_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"presend/report"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// wrongNumber is a number with the wrong form of a word behind it.
var wrongNumber = regexp.MustCompile(`\b1 (rows|addresses|contacts|domains|days)\b|\b[02] (row|address|contact|` +
	`domain|day)\b`)

// several is a list with n rows of everything that has a sentence of its own.
func several(n int) report.Figures {
	left := rows(n, verdict.NotProbed)
	for i := range left {
		left[i].LeftOut = true
	}
	closed := rows(n, verdict.NotProbed)
	for i := range closed {
		closed[i].Action = verdict.FixSender
	}
	f := figures(
		rows(n, verdict.Accepted, verdict.FlagUnengaged), rows(n, verdict.Accepted, verdict.FlagDuplicate),
		rows(n, verdict.Greylisted), rows(n, verdict.SenderBlocked), rows(n, verdict.NoAddress), left, closed,
	)
	f.UnengagedDays = n
	return f
}

func TestSingularAndPluralAreRightForZeroOneAndTwo(t *testing.T) {
	sentences := map[int][]string{
		0: {"No row holds an address."},
		1: {
			"1 row: the receiving server refuses this machine, not the address.", "1 row: this machine could not ask.",
			"1 row without an address: written unchanged", "1 row left out by --quick, since its provider accepts any address.",
			"1 contact without any activity for 1 day or more. Sending to it does more harm than good.",
			"1 row with the address of an earlier row.", "1 cannot be told yet",
		},
		2: {
			"2 rows: the receiving servers refuse this machine, not the address.", "2 rows: this machine could not ask.",
			"2 rows without an address: written unchanged",
			"2 rows left out by --quick, since their providers accept any address.",
			"2 contacts without any activity for 2 days or more. Sending to them does more harm than good.",
			"2 rows with the address of an earlier row.", "2 cannot be told yet",
		},
	}
	for n := range 3 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var b strings.Builder
			if err := several(n).Text(&b, now); err != nil {
				t.Fatal(err)
			}
			for _, want := range sentences[n] {
				if !strings.Contains(b.String(), want) {
					t.Errorf("no %q in\n%s", want, b.String())
				}
			}
			pace, err := smtpprobe.LoadPace("")
			if err != nil {
				t.Fatal(err)
			}
			e := report.NewEstimate(pace, 1, 1)
			for i := range n {
				e.Add(mx.Provider{Name: "yahoo", AcceptsAll: true}, i+1)
				e.Add(mx.Provider{}, n)
			}
			if wrong := wrongNumber.FindAllString(b.String()+e.Text()+e.Short(), -1); wrong != nil {
				t.Errorf("%q in\n%s\n%s", wrong, b.String(), e.Text())
			}
		})
	}
}

func TestNothingOfTheSummaryIsWiderThanATerminal(t *testing.T) {
	lists := map[string]report.Figures{"everything": several(70_000)}
	for name, f := range worlds {
		lists[name] = f
	}
	for name, f := range lists {
		var b strings.Builder
		if err := f.Text(&b, now); err != nil {
			t.Fatal(err)
		}
		if err := f.WriteIndustries(&b); err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(b.String(), "\n\n") // sentences may wrap
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, "  ") && strings.Contains(line, " %") && len(line) > 81 {
				t.Errorf("%s: %d characters: %s", name, len(line), line)
			}
		}
	}
}

func TestTheIndustriesAreNextToTheList(t *testing.T) {
	var b strings.Builder
	if err := worlds["clean"].WriteIndustries(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"IT and software", "0.9 %", "all industries", "2.5 %", "this list without invalid"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
	b.Reset()
	if err := worlds["blocked"].WriteIndustries(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "this list") {
		t.Errorf("a list of which nothing can be told is compared: %s", b.String())
	}
	last := 0.0
	for _, i := range report.Industries() {
		if i.Name == "" || i.Bounces <= last {
			t.Errorf("%+v after %v", i, last)
		}
		last = i.Bounces
	}
}

func TestWhatIsLeftOutChangesNoForecastOfTheRows(t *testing.T) {
	asked, left := rows(10, verdict.AcceptsAllProvider), rows(10, verdict.AcceptsAllProvider)
	for i := range left {
		left[i].LeftOut, left[i].Verdict, left[i].Reason = true, verify.Unknown, verdict.NotProbed
	}
	all := rows(30, verdict.Accepted)
	one, other := figures(all, asked).Forecast(report.All), figures(all, left).Forecast(report.All)
	if one.Bounces != other.Bounces || one.Low != other.Low {
		t.Errorf("%+v and %+v, want the same bounces", one, other)
	}
}
