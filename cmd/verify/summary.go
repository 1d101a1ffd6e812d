package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/verdict"
)

// tally counts the rows of a list for its summary.
type tally struct {
	activity   activity
	plan       state.Plan
	retried    int
	rows       int
	duplicates int
	unengaged  int
	verdicts   map[verify.Verdict]*verdictTally
}

type verdictTally struct {
	rows    int
	bounces float64 // expected, if all were sent to
	reasons map[verify.Reason]int
	retries int
}

func newTally(a activity, now time.Time) *tally {
	a.now = now
	return &tally{activity: a, verdicts: map[verify.Verdict]*verdictTally{}}
}

// summary is what the state keeps of a run.
func (t *tally) summary() state.Summary {
	s := state.Summary{Plan: t.plan, Retried: t.retried, Rows: t.rows, Verdicts: map[verify.Verdict]int{}, Reasons: map[verify.Reason]int{}, Expected: t.expectedBounces()}
	for verdict, v := range t.verdicts {
		s.Verdicts[verdict] = v.rows
		for reason, n := range v.reasons {
			s.Reasons[reason] += n
		}
	}
	return s
}

func (t *tally) add(r verify.Result) {
	t.rows++
	v := t.verdicts[r.Verdict]
	if v == nil {
		v = &verdictTally{reasons: map[verify.Reason]int{}}
		t.verdicts[r.Verdict] = v
	}
	v.rows++
	v.bounces += 1 - float64(r.Score)/100
	v.reasons[r.Reason]++
	if !r.RetryAt.IsZero() {
		v.retries++
	}
	if slices.Contains(r.Flags, verdict.FlagDuplicate) {
		t.duplicates++
	}
	if slices.Contains(r.Flags, verdict.FlagUnengaged) {
		t.unengaged++
	}
}

var verdictOrder = []verify.Verdict{verdict.Deliverable, verdict.Risky, verdict.Invalid, verdict.Unknown}

// rate is the expected bounces, in percent, of a list without the verdicts left out.
func (t *tally) rate(without ...verify.Verdict) (percent float64, rows int) {
	bounces := 0.0
	for verdict, v := range t.verdicts {
		if !slices.Contains(without, verdict) {
			rows += v.rows
			bounces += v.bounces
		}
	}
	if rows == 0 {
		return 0, 0
	}
	return 100 * bounces / float64(rows), rows
}

// expectedBounces is the rate of the list as it is, in percent.
func (t *tally) expectedBounces() float64 {
	p, _ := t.rate()
	return p
}

// health puts a bounce rate into words. The borders are those of the contract's forecast.
func health(percent float64) string {
	switch {
	case percent < 2:
		return "healthy"
	case percent <= 5:
		return "needs attention"
	case percent <= 10:
		return "serious: clean it before sending"
	}
	return "stop: do not send"
}

func (t *tally) print(w io.Writer, f listFlags) {
	fmt.Fprintf(w, "\n%s", rowsOf(t.rows))
	if t.duplicates > 0 {
		fmt.Fprintf(w, ", %d of them duplicates of an earlier row", t.duplicates)
	}
	if t.unengaged > 0 {
		fmt.Fprintf(w, ", %d without a sign of life since %s", t.unengaged, t.activity.limit().Format(time.DateOnly))
	}
	fmt.Fprintln(w)
	if p := t.plan; f.state != "" {
		fmt.Fprintf(w, "addresses: %d new, %d due, %d stale, %d reused, %d retried; %s suppressed\n", p.New, p.Due, p.Stale, p.Reused, t.retried, rowsOf(p.Suppressed))
	}
	fmt.Fprintln(w)
	retries := 0
	for _, verdict := range verdictOrder {
		v := t.verdicts[verdict]
		if v == nil {
			continue
		}
		retries += v.retries
		fmt.Fprintf(w, "  %-12s %7d  %5.1f %%\n", verdict, v.rows, 100*float64(v.rows)/float64(t.rows))
		reasons := slices.SortedFunc(maps.Keys(v.reasons), func(a, b verify.Reason) int {
			return cmp.Or(cmp.Compare(v.reasons[b], v.reasons[a]), cmp.Compare(a, b))
		})
		for _, reason := range reasons {
			fmt.Fprintf(w, "    %-22s %5d\n", reason, v.reasons[reason])
		}
	}
	fmt.Fprintln(w, "\nExpected bounces")
	for _, cut := range []struct {
		name    string
		without []verify.Verdict
	}{
		{"the list as it is", nil},
		{"without invalid", []verify.Verdict{verdict.Invalid}},
		{"without invalid and risky", []verify.Verdict{verdict.Invalid, verdict.Risky}},
	} {
		percent, rows := t.rate(cut.without...)
		fmt.Fprintf(w, "  %-27s %7d rows  %5.1f %%  %s\n", cut.name, rows, percent, health(percent))
	}
	fmt.Fprintln(w, "\nWhat to do next")
	if v := t.verdicts[verdict.Invalid]; v != nil {
		fmt.Fprintf(w, "  Take out the invalid: %s would bounce.\n", rowsOf(v.rows))
	}
	if v := t.verdicts[verdict.Risky]; v != nil {
		fmt.Fprintf(w, "  Send to the risky (%s) only if they matter, and in small lots.\n", rowsOf(v.rows))
	}
	if retries > 0 {
		fmt.Fprintf(w, "  Temporary answers for %s: run the same command again later, or with --wait 30m.\n", rowsOf(retries))
	}
	if v := t.verdicts[verdict.Unknown]; v != nil {
		if n := v.reasons["sender_blocked"] + v.reasons["sender_auth"] + v.reasons["policy"]; n > 0 {
			fmt.Fprintf(w, "  Servers refuse this machine, not the address, for %s: mend that first.\n", rowsOf(n))
		}
	}
	switch {
	case f.state == "" && f.output != "-":
		fmt.Fprintf(w, "\nWritten to %s\n", f.output)
	case f.output != "-":
		fmt.Fprintf(w, "\nWritten to %s; what is known is kept in %s\n", f.output, f.state)
	}
}

func rowsOf(n int) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}
