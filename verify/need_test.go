package verify

import (
	"testing"
	"time"

	"golang.org/x/time/rate"

	"presend/verify/smtpprobe"
)

func TestWhatADestinationNeedsIsItsPauseAndItsPace(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	limits := smtpprobe.Limits{Sessions: 2, Recipients: 10, PerSession: 100, Errors: 9, Rate: 5}
	paused := func(d time.Duration, lanes ...int) func(*destination) {
		return func(to *destination) {
			for _, i := range lanes {
				to.lanes[i].paused = now.Add(d)
			}
		}
	}
	for _, test := range []struct {
		name    string
		lanes   int
		waiting int
		change  func(*destination)
		want    time.Duration
	}{
		{"nothing is known of a host without a rate", 1, 100, func(d *destination) { d.lanes[0].limiter = nil }, 0},
		{"a rate, after what may go at once", 1, 110, nil, 20 * time.Second},
		{"two of our addresses have two rates", 2, 120, nil, 10 * time.Second},
		{"a pause comes first", 1, 110, paused(30*time.Second, 0), 50 * time.Second},
		{"a pause of one address holds up no other one", 2, 120, paused(30*time.Second, 0), 10 * time.Second},
		{"a pause of all of them does", 2, 120, paused(30*time.Second, 0, 1), 40 * time.Second},
		{"the budget of the day ends it", 1, 1000, func(d *destination) { d.table.Day = 60 }, 10 * time.Second},
		{
			"round trips, where the rate allows more", 1, 100,
			func(d *destination) {
				d.lanes[0].limiter = rate.NewLimiter(rate.Limit(1000), 10)
				d.trip, d.sessions, d.stepwise = 100*time.Millisecond, 1, true
			},
			10 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlan(rules{})
			p.now = now
			d := newDestination("yahoo", limits, test.lanes)
			d.waiting = test.waiting
			if test.change != nil {
				test.change(d)
			}
			if got := p.need(d); got < test.want || got > test.want+2*time.Second {
				t.Errorf("%v, want about %v", got, test.want)
			}
		})
	}
}
