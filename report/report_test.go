package report_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/report"
	"presend/verify"
	"presend/verify/score"
	"presend/verify/verdict"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 25, 9, 30, 0, 0, time.Local)

// rows returns n rows of a reason, asked just now.
func rows(n int, reason verify.Reason, flags ...verify.Flag) []report.Row {
	return aged(n, 0, reason, flags...)
}

func aged(n int, age time.Duration, reason verify.Reason, flags ...verify.Flag) (all []report.Row) {
	facts := reason.Facts()
	fresh := score.Of(score.Evidence{Reason: reason, Flags: flags}, score.List{})
	row := report.Row{
		Verdict: facts.Verdict, Reason: reason, Flags: flags, Action: facts.Action,
		Score: score.Aged(fresh, reason, age), Fresh: fresh,
	}
	if facts.Action == verdict.RetryLater {
		row.RetryAt = now.Add(5 * time.Hour)
	}
	for range n {
		all = append(all, row)
	}
	return all
}

// budgeted are rows that were not asked since the budget of a day was used up.
func budgeted(n int) []report.Row {
	all := rows(n, verdict.NotProbed)
	for i := range all {
		all[i].Action, all[i].RetryAt = verdict.RetryLater, now.Add(24*time.Hour)
	}
	return all
}

func figures(lists ...[]report.Row) report.Figures {
	var c report.Counter
	for _, list := range lists {
		for _, row := range list {
			c.Add(row)
		}
	}
	return c.Figures()
}

// worlds are lists that users have.
var worlds = map[string]report.Figures{
	"clean": figures(rows(8412, verdict.Accepted)),
	"dirty": figures(
		rows(1200, verdict.Accepted), rows(40, verdict.Accepted, verdict.FlagDuplicate), rows(300, verdict.MailboxUnknown),
		rows(200, verdict.CatchAll, verdict.FlagCatchAll), rows(25, verdict.NoSuchDomain), rows(60, verdict.Greylisted),
		rows(1, verdict.NoAddress), rows(3, verdict.Accepted, verdict.FlagUnengaged),
	),
	"blocked": figures(rows(500, verdict.SenderBlocked), rows(100, verdict.Accepted)),
	"budget":  figures(rows(90, verdict.Accepted), budgeted(30)),
	"old":     figures(aged(1000, 60*24*time.Hour, verdict.Accepted)),
	"empty":   figures(rows(3, verdict.NoAddress)),
	"one":     figures(rows(1, verdict.MailboxUnknown)),
}

func TestWhatPeopleRead(t *testing.T) {
	for name, f := range worlds {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := f.Text(&b, now); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("the text differs (-want +got); go test ./report -update writes it:\n%s", diff)
			}
		})
	}
}

func TestTheWordOfAForecast(t *testing.T) {
	for _, test := range []struct {
		name string
		f    report.Figures
		cut  report.Cut
		want report.Word
	}{
		{"a list where all are accepted is healthy", worlds["clean"], report.All, report.Healthy},
		{
			"a list with 9 % catch-all and the rest accepted is not told to stop",
			figures(rows(91, verdict.Accepted), rows(9, verdict.CatchAll)), report.All, report.Healthy,
		},
		{
			"two percent need attention", figures(rows(980, verdict.Accepted), rows(12, verdict.MailboxUnknown)), report.All,
			report.Attention,
		},
		{
			"over five percent are serious", figures(rows(950, verdict.Accepted), rows(50, verdict.MailboxUnknown)), report.All,
			report.Serious,
		},
		{"over ten percent stop", worlds["dirty"], report.All, report.Stop},
		{"what is left of it without invalid does not", worlds["dirty"], report.Sendable, report.Attention},
		{"a third of unknown rows is too many to tell", worlds["blocked"], report.Sendable, report.CannotBeTold},
		{
			"unknown rows do not matter where only deliverable ones are sent", worlds["blocked"], report.Deliverable,
			report.Healthy,
		},
		{"a list without addresses has nothing to send", worlds["empty"], report.All, report.Nothing},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.f.Forecast(test.cut); got.Word != test.want {
				t.Errorf("%+v, want %q", got, test.want)
			}
		})
	}
}

func TestTheForecastIsTheSumOfTheRisks(t *testing.T) {
	f := figures(rows(50, verdict.Accepted), rows(50, verdict.MailboxUnknown)).Forecast(report.All)
	if f.Rows != 100 || f.Bounces < 49.9 || f.Bounces > 50.1 { // 50 at 1 % and 50 at 99 %
		t.Errorf("%+v, want 50 %% of 100", f)
	}
	if f.Low >= f.Bounces || f.High <= f.Bounces || f.High-f.Low > 5 {
		t.Errorf("%+v, want an interval around it of less than 5 %%", f)
	}
}

func TestWhatComesFromAgeIsSaid(t *testing.T) {
	f := worlds["old"].Forecast(report.All)
	if f.Age < 3.5 || f.Age > 4.5 || f.Bounces-f.Age < 0.99 || f.Bounces-f.Age > 1.01 {
		t.Errorf("%+v, want 1 %% and about 4 %% for 60 days", f)
	}
}

func TestRowsWithoutAnAddressCountNowhereElse(t *testing.T) {
	with := figures(rows(10, verdict.Accepted), rows(25, verdict.NoAddress))
	without := figures(rows(10, verdict.Accepted))
	if with.NoAddress != 25 {
		t.Errorf("%d rows without an address, want 25", with.NoAddress)
	}
	with.NoAddress = 0
	if diff := cmp.Diff(without, with); diff != "" {
		t.Error(diff)
	}
}

func TestTheNextRetryIsTheEarliest(t *testing.T) {
	late := rows(1, verdict.Timeout)
	late[0].RetryAt = now.Add(9 * time.Hour)
	f := figures(late, rows(1, verdict.Greylisted), late)
	if f.Retries != 3 || !f.NextRetry.Equal(now.Add(5*time.Hour)) {
		t.Errorf("%d retries, next %v", f.Retries, f.NextRetry)
	}
}
