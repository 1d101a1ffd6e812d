package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"presend/verify"
	"presend/verify/verdict"
)

// number writes a number as people read it: 8,412.
var number = message.NewPrinter(language.English)

// Rows returns a number of rows in words: "1 row", "8,412 rows".
func Rows(n int) string { return Count(n, "row", "rows") }

// Count returns a number with the word for it: "1 address", "8,412 addresses".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number.Sprintf("%d %s", n, many)
}

// Text writes the figures for a person: first what to do, then the counts, then the forecast. Now tells how to write
// times.
func (f Figures) Text(w io.Writer, now time.Time) error {
	var b strings.Builder
	b.WriteString(f.Answer(now))
	f.asides(&b)
	f.counts(&b)
	f.forecasts(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// Answer returns the figures in a few sentences, each kind on a line: what to fix first, then how many rows to send to
// and what to do with the others.
func (f Figures) Answer(now time.Time) string {
	var parts []string
	add := func(n int, words string) {
		if n > 0 {
			parts = append(parts, number.Sprintf(words, n))
		}
	}
	add(f.Actions[verdict.Send], "send to %d")
	add(f.Actions[verdict.SendWithCare], "send with care to %d")
	add(f.Actions[verdict.DoNotSend], "leave out %d")
	if n := f.Actions[verdict.RetryLater]; n > 0 {
		words := number.Sprintf("%d cannot be told yet", n)
		if !f.NextRetry.IsZero() {
			words += ", next try " + moment(f.NextRetry, now)
		}
		parts = append(parts, words)
	}
	var b strings.Builder
	refused := f.refused()
	if refused > 0 {
		fmt.Fprintf(&b, "%s: the receiving servers refuse this machine, not the address. Fix that first, then run again.\n",
			Rows(refused))
	}
	if n := f.Actions[verdict.FixSender] - refused; n > 0 {
		fmt.Fprintf(&b, "%s: this machine could not ask. Fix that first, then run again.\n", Rows(n))
	}
	if len(parts) > 0 {
		fmt.Fprintf(&b, "%s: %s.\n", Rows(f.Rows), strings.Join(parts, "; "))
	} else if f.Rows == 0 {
		b.WriteString("No row holds an address.\n")
	}
	return b.String()
}

// refused returns how many rows met a server that refuses this machine.
func (f Figures) refused() (n int) {
	for _, reasons := range f.Reasons {
		for reason, rows := range reasons {
			if reason.AboutSender() {
				n += rows
			}
		}
	}
	return min(n, f.Actions[verdict.FixSender])
}

// moment writes a time: of today without its date.
func moment(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("Mon 2 Jan 15:04")
}

// asides writes what is counted apart from the verdicts.
func (f Figures) asides(b *strings.Builder) {
	if f.NoAddress > 0 {
		fmt.Fprintf(b, "%s without an address: left as they are, counted nowhere.\n", Rows(f.NoAddress))
	}
	if f.Duplicates > 0 {
		fmt.Fprintf(b, "%s with the address of an earlier row.\n", Rows(f.Duplicates))
	}
	if f.OverBudget > 0 {
		fmt.Fprintf(b, "%s not asked, since today's budget at their provider is used up: run again tomorrow.\n", Rows(f.OverBudget))
	}
	if f.Unengaged > 0 {
		fmt.Fprintf(b, "%s without a sign of life for a long time: they hurt more than they bring.\n", Count(f.Unengaged, "contact", "contacts"))
	}
}

func (f Figures) counts(b *strings.Builder) {
	if f.Rows == 0 {
		return
	}
	b.WriteByte('\n')
	for _, v := range verdict.Verdicts() {
		if f.Verdicts[v] == 0 {
			continue
		}
		number.Fprintf(b, "  %-43s %9d  %5.1f %%\n", v, f.Verdicts[v], 100*float64(f.Verdicts[v])/float64(f.Rows))
		reasons := f.Reasons[v]
		for _, r := range slices.SortedFunc(maps.Keys(reasons), func(x, y verify.Reason) int {
			return cmp.Or(cmp.Compare(reasons[y], reasons[x]), cmp.Compare(x, y))
		}) {
			number.Fprintf(b, "    %-41s %9d  %s\n", r.Facts().Label, reasons[r], r)
		}
	}
}

// names are the parts of the list in words.
var names = map[Cut]string{
	All: "the list as it is", Sendable: "without invalid", Deliverable: "deliverable only",
}

func (f Figures) forecasts(b *strings.Builder) {
	if f.Rows == 0 {
		return
	}
	b.WriteString("\nExpected bounces\n")
	for _, c := range f.Forecasts {
		if c.Rows == 0 {
			fmt.Fprintf(b, "  %-18s %14s  %s\n", names[c.Cut], Rows(0), c.Word)
			continue
		}
		fmt.Fprintf(b, "  %-18s %14s  %5.1f %%  (%.1f to %.1f)  %s\n", names[c.Cut], Rows(c.Rows), c.Bounces, c.Low, c.High, c.Word)
	}
	if sendable := f.Forecast(Sendable); sendable.Age >= 0.1 {
		fmt.Fprintf(b, "  %.1f of the %.1f %% without invalid is age: --max-age 7d asks again about what is older than a week.\n",
			sendable.Age, sendable.Bounces)
	}
}
