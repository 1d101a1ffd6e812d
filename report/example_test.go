package report_test

import (
	"fmt"
	"time"

	"presend/report"
	"presend/verify/verdict"
)

func Example() {
	var counter report.Counter
	for range 3 {
		counter.Add(report.Row{Verdict: verdict.Deliverable, Reason: verdict.Accepted, Action: verdict.Send, Score: 99})
	}
	counter.Add(report.Row{Verdict: verdict.Invalid, Reason: verdict.MailboxUnknown, Action: verdict.DoNotSend, Score: 1})
	figures := counter.Figures()

	fmt.Print(figures.Answer(time.Now()))
	f := figures.Forecast(report.Sendable)
	fmt.Printf("%d rows, %.1f %%: %s\n", f.Rows, f.Bounces, f.Word)
	// Output:
	// 4 rows: send to 3; leave out 1.
	// 3 rows, 1.0 %: healthy
}
