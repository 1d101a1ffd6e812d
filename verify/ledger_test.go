package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// ledger is a notebook that remembers what was asked in a day.
type ledger struct {
	*notebook
	kept map[verify.Spent]int // without its number
}

func (l ledger) Spent(_ context.Context, day time.Time) (list []verify.Spent, _ error) {
	for x, n := range l.kept {
		if x.Day.Equal(day) {
			x.Recipients = n
			list = append(list, x)
		}
	}
	return list, nil
}

func (l ledger) Spend(_ context.Context, list []verify.Spent) error {
	for _, x := range list {
		n := x.Recipients
		x.Recipients = 0
		l.kept[x] = max(l.kept[x], n)
	}
	return nil
}

// pace returns a pace table with these rows.
func pace(t testing.TB, rows string) *smtpprobe.Pace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pace.toml")
	if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := smtpprobe.LoadPace(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestABudgetOfADayHoldsForAllProcessesOfTheDay(t *testing.T) {
	table := "[default]\nsessions = 2\nrecipients = 10\nsession = 500\nerrors = 9\nday = 25\n"
	for name, remembers := range map[string]bool{"a queue that keeps it": true, "a queue that does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := pace(t, table)
				good := numbered("good", "corp.lab", 60)
				kept := map[verify.Spent]int{}
				process := func(addresses []string) (l *lab.Lab, results []verify.Result) {
					l, v := scripted(t, "", good, func(lab.Visit) (string, time.Duration) { return "", 0 }, func(c *verify.Config) {
						c.Pace = limits
					})
					var queue verify.Queue
					n := newNotebook(t, addresses)
					if queue = n; remembers {
						queue = ledger{n, kept}
					}
					if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
						t.Fatal(err)
					}
					return l, n.list()
				}
				count := func(l *lab.Lab) int { return l.Count().Rcpts }
				first, _ := process(good[:15])
				second, results := process(good[15:40])
				want := 25
				if !remembers {
					want = 16 + 25
				}
				if got := count(first) + count(second); got != want {
					t.Errorf("%d recipients in a day, want %d", got, want)
				}
				for _, r := range results {
					if r.Reason == "not_probed" && (r.Action != verdict.RetryLater || r.RetryAt.Sub(r.CheckedAt) > 25*time.Hour) {
						t.Errorf("%s: %s, %v", r.Normalized, r.Action, r.RetryAt)
					}
				}
				time.Sleep(24 * time.Hour)
				if third, results := process(good[40:]); count(third) != 21 ||
					slices.ContainsFunc(results, func(r verify.Result) bool { return r.Reason != "accepted" }) {
					t.Errorf("%d recipients the next day: %v", count(third), results)
				}
			})
		})
	}
}
