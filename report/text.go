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

// Number writes a number as people read it: "8,412".
func Number(n int) string { return number.Sprint(n) }

// Rows returns a number of rows in words: "1 row", "8,412 rows".
func Rows(n int) string { return Count(n, "row", "rows") }

// Count returns a number with the word for it: "1 address", "8,412 addresses".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number.Sprintf("%d %s", n, many)
}

// either returns the words for one or for another number.
func either(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
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
		fmt.Fprintf(&b, "%s: the receiving %s this machine, not the address. Fix that first, then run again.\n",
			Rows(refused), either(refused, "server refuses", "servers refuse"))
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
		fmt.Fprintf(b, "%s without an address: written unchanged and not counted.\n", Rows(f.NoAddress))
	}
	if f.Duplicates > 0 {
		fmt.Fprintf(b, "%s with the address of an earlier row.\n", Rows(f.Duplicates))
	}
	if f.OverBudget > 0 {
		fmt.Fprintf(b, "%s not asked, since today's budget at their provider is used up: run again tomorrow.\n",
			Rows(f.OverBudget))
	}
	if f.LeftOut > 0 {
		fmt.Fprintf(b, "%s left out by --quick, since %s any address. A run without it asks.\n",
			Rows(f.LeftOut), either(f.LeftOut, "its provider accepts", "their providers accept"))
	}
	if f.Unengaged > 0 {
		long := "a long time"
		if f.UnengagedDays > 0 {
			long = Count(f.UnengagedDays, "day", "days") + " or more"
		}
		fmt.Fprintf(b, "%s without any activity for %s. Sending to %s does more harm than good.\n",
			Count(f.Unengaged, "contact", "contacts"), long,
			either(f.Unengaged, "it", "them"))
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
	cannot := false
	for _, c := range f.Forecasts {
		if c.Rows == 0 {
			fmt.Fprintf(b, "  %-17s %12s  %s\n", names[c.Cut], Rows(0), c.Word)
			continue
		}
		interval := fmt.Sprintf("(%.1f to %.1f)", c.Low, c.High)
		fmt.Fprintf(b, "  %-17s %12s  %5.1f %%  %-14s  %s\n", names[c.Cut], Rows(c.Rows), c.Bounces, interval, c.Word)
		cannot = cannot || c.Word == CannotBeTold
	}
	if cannot {
		b.WriteString("  Cannot be told: more than a third of the addresses to be sent to are unknown.\n")
	}
	f.age(b)
}

// age writes how much of the forecast is age.
func (f Figures) age(b *strings.Builder) {
	if sendable := f.Forecast(Sendable); sendable.Age >= 0.1 {
		fmt.Fprintf(b, "  Age makes %.1f of the %.1f %% without invalid: --max-age 7d asks again.\n",
			sendable.Age, sendable.Bounces)
	}
}
