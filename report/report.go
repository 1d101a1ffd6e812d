// Package report turns the results of a list into what people act on: how many rows to send to, to leave out, to fix or
// to ask again, and how many of them would bounce.
//
// A [Counter] takes the rows one by one and gives [Figures], which are plain values with JSON names. [Figures.Text] is
// one way to show them.
package report

import (
	"slices"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

// Row holds the parts of a row that the figures are made of.
type Row struct {
	Verdict verify.Verdict // empty: the row holds no address
	Reason  verify.Reason
	Flags   []verify.Flag
	Action  verify.Action
	Score   float64 // not rounded
	Fresh   float64 // the score that the address would have if it had been asked just now
	RetryAt time.Time
	LeftOut bool // by --quick
}

// Figures are the counts of a list, made from the rows that were added to a Counter. The JSON names are a contract.
type Figures struct {
	Rows       int `json:"rows"`       // that hold an address
	NoAddress  int `json:"no_address"` // rows without one, which count nowhere else
	Duplicates int `json:"duplicates"`
	Unengaged  int `json:"unengaged"`
	LeftOut    int `json:"left_out"`    // by --quick
	OverBudget int `json:"over_budget"` // not asked: the day's budget at a provider was used up

	// UnengagedDays is after how many days without any activity a contact counts as Unengaged; 0: not known. The
	// Counter leaves it alone.
	UnengagedDays int `json:"unengaged_days,omitempty"`

	Verdicts  map[verify.Verdict]int                   `json:"verdicts"`
	Reasons   map[verify.Verdict]map[verify.Reason]int `json:"reasons"`
	Actions   map[verify.Action]int                    `json:"actions"`
	Retries   int                                      `json:"retries"` // rows with a temporary answer
	NextRetry time.Time                                `json:"next_retry,omitzero"`
	Forecasts []Forecast                               `json:"forecasts"` // one for each Cut, in their order
}

// Counter counts rows. The zero Counter is ready. It is not safe for concurrent use.
type Counter struct {
	figures Figures
	sums    [len(cuts)]sum // by cut
}

// Add counts a row.
func (c *Counter) Add(r Row) {
	f := &c.figures
	if f.Verdicts == nil {
		f.Verdicts, f.Actions = map[verify.Verdict]int{}, map[verify.Action]int{}
		f.Reasons = map[verify.Verdict]map[verify.Reason]int{}
	}
	if r.Verdict == "" {
		f.NoAddress++
		return
	}
	f.Rows++
	f.Verdicts[r.Verdict]++
	if f.Reasons[r.Verdict] == nil {
		f.Reasons[r.Verdict] = map[verify.Reason]int{}
	}
	f.Reasons[r.Verdict][r.Reason]++
	f.Actions[r.Action]++
	if r.Reason == verdict.NotProbed && r.Action == verdict.RetryLater {
		f.OverBudget++
	}
	if slices.Contains(r.Flags, verdict.FlagDuplicate) {
		f.Duplicates++
	}
	if slices.Contains(r.Flags, verdict.FlagUnengaged) {
		f.Unengaged++
	}
	if r.LeftOut {
		f.LeftOut++
	}
	if !r.RetryAt.IsZero() {
		f.Retries++
		if f.NextRetry.IsZero() || r.RetryAt.Before(f.NextRetry) {
			f.NextRetry = r.RetryAt
		}
	}
	for i, cut := range cuts {
		if cut.holds(r.Verdict) {
			c.sums[i].add(r)
		}
	}
}

// Figures returns what was counted so far. Its maps are the Counter's own: they change with the next Add.
func (c *Counter) Figures() Figures {
	f := c.figures
	f.Forecasts = nil
	for i, cut := range cuts {
		f.Forecasts = append(f.Forecasts, c.sums[i].forecast(cut))
	}
	return f
}

// Forecast returns the forecast of a part of the list.
func (f Figures) Forecast(cut Cut) Forecast {
	for _, forecast := range f.Forecasts {
		if forecast.Cut == cut {
			return forecast
		}
	}
	return Forecast{Cut: cut}
}
