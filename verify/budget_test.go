package verify

import (
	"testing"
	"time"

	"presend/verify/smtpprobe"
)

// usual returns a budget with the limits of an ordinary destination.
func usual(b budget) *budget {
	b.limits = smtpprobe.Limits{Sessions: 4, Recipients: 50, PerSession: 500, Errors: 9}
	return &b
}

func TestTheSizeOfAFlightFollowsTheShareOfRefusals(t *testing.T) {
	few, many := budget{asked: 1000, refused: 20}, budget{asked: 1000, refused: 500}
	with := func(b budget, change func(*budget)) budget {
		change(&b)
		return b
	}
	tolerant := func(b *budget) { b.toleratesErrors = true }
	tests := []struct {
		name   string
		budget budget
		load   load
		want   int
	}{
		{"while nothing is known, only as many as may all be refused", budget{}, load{}, 10},
		{"what was refused in the session counts", budget{}, load{served: 5, refused: 4}, 6},
		{"a catch-all question counts as refused", budget{}, load{questions: 3}, 7},
		{"what is in the flight already takes its room", budget{}, load{recipients: 4, questions: 3}, 3},
		{"a flight that is full holds no more", budget{}, load{recipients: 5, questions: 5}, 0},
		{"where few are refused, fewer than would end the session if all were", few, load{}, 19},
		{"and fewer by the questions", few, load{questions: 4}, 15},
		{"where many are, as many as two standard deviations allow", many, load{}, 12},
		{"where all are, as many as may be refused", budget{asked: 1000, refused: 1000}, load{}, 10},
		{"a tolerant server gets twice as many, and the deviations do not count", with(many, tolerant), load{}, 38},
		{"no more than a flight may hold", with(few, tolerant), load{}, flightMost},
		{"no more than a session may hold", with(few, tolerant), load{served: 490, refused: 5}, 10},
		{"at least one, so that a session goes on", budget{}, load{served: 500, refused: 30}, 1},
		{"one more for the session that tests the server", budget{}, load{tests: true}, 11},
		{"but not once it was seen to slow down", budget{slowsOnErrors: true}, load{tests: true}, 10},
		{
			"one by one, a part of what waits for each session",
			budget{stepwise: true, ceiling: 4, waiting: 41},
			load{},
			11,
		},
		{"but never very few", budget{stepwise: true, ceiling: 4, waiting: 5}, load{}, partLeast},
		{"few where large flights get lost", with(few, func(b *budget) { b.small = true }), load{}, smallFlight},
	}
	for _, tt := range tests {
		if got := usual(tt.budget).flightSize(tt.load); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAFlightKeepsToTheRateOfItsDestination(t *testing.T) {
	b := usual(budget{asked: 1000, refused: 1, toleratesErrors: true})
	b.limits.Rate = 5
	if got := b.flightSize(load{recipients: 20, questions: 1}); got != 29 {
		t.Errorf("%d more than 21, want no more than the 50 that the limiter lets through at once", got)
	}
}

func TestTheTimeThatRefusalsTakeTellsTheErrorLimit(t *testing.T) {
	const trip = 50 * time.Millisecond
	tests := []struct {
		name             string
		before, refused  int
		took             time.Duration
		slows, tolerates bool
	}{
		{"as many refusals as any server tolerates tell nothing", 4, 6, 3 * time.Second, false, false},
		{"a second over each refusal past the tenth", 8, 5, trip + 3*time.Second, true, false},
		{"no time over them", 8, 5, trip + 100*time.Millisecond, false, true},
		{"one is enough to call it slow", 10, 1, trip + time.Second, true, false},
		{"and to call it tolerant", 10, 1, trip, false, true},
		{"a server that hangs up is not tolerant", 8, 5, hungUp, true, false},
	}
	for _, tt := range tests {
		b := usual(budget{})
		b.learn(trip, tt.before, tt.refused, tt.took)
		if b.slowsOnErrors != tt.slows || b.toleratesErrors != tt.tolerates {
			t.Errorf("%s: slows %v, tolerates %v", tt.name, b.slowsOnErrors, b.toleratesErrors)
		}
		b.learn(trip, 8, 8, trip)
		if tt.slows && b.toleratesErrors {
			t.Errorf("%s: what was seen to slow down is taken for tolerant", tt.name)
		}
		b.learn(trip, 8, 8, hungUp)
		if b.toleratesErrors {
			t.Errorf("%s: what hung up is taken for tolerant", tt.name)
		}
	}
}

func TestTheErrorLimitIsTestedByOneSessionWhereItPays(t *testing.T) {
	tests := []struct {
		name   string
		budget budget
		want   bool
	}{
		{"where much waits", budget{waiting: 5000, trip: 20 * time.Millisecond}, true},
		{"not where little does", budget{waiting: 50, trip: 20 * time.Millisecond}, false},
		{"the farther the host, the sooner", budget{waiting: 500, trip: 200 * time.Millisecond}, true},
		{"not where a session tests it", budget{waiting: 5000, trip: 20 * time.Millisecond, testing: true}, false},
		{
			"not where the server tolerates errors",
			budget{waiting: 5000, trip: time.Second, toleratesErrors: true},
			false,
		},
		{"nor where it does not", budget{waiting: 5000, trip: time.Second, slowsOnErrors: true}, false},
	}
	for _, tt := range tests {
		if got := usual(tt.budget).shouldTest(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASessionEndsAfterSoManyRefusals(t *testing.T) {
	tests := []struct {
		name   string
		budget budget
		load   load
		want   int
	}{
		{"one more than the error limit", budget{}, load{}, 10},
		{"two more where it tests the limit", budget{}, load{tests: true}, 11},
		{"not where the server was seen to slow down", budget{slowsOnErrors: true}, load{tests: true}, 10},
		{"twice as many where the server tolerates them", budget{toleratesErrors: true}, load{}, 19},
	}
	for _, tt := range tests {
		if got := usual(tt.budget).maxRefusals(tt.load); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestASessionEndsWhenANewOneServesBetter(t *testing.T) {
	busy := budget{asked: 1000, refused: 150, waiting: 400}
	tests := []struct {
		name   string
		budget budget
		load   load
		want   bool
	}{
		{"not while there is room", busy, load{served: 37, refused: 5}, false},
		{"when what is left is not worth the wait", busy, load{served: 49, refused: 8}, true},
		{"not when little waits", budget{asked: 1000, refused: 150, waiting: 6}, load{served: 49, refused: 8}, false},
		{"when the server has refused enough", budget{}, load{served: 20, refused: 10}, true},
		{"when it has held enough", budget{}, load{served: 500}, true},
	}
	for _, tt := range tests {
		if got := usual(tt.budget).spent(tt.load); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASessionIsOpenedWhereItSavesMoreThanItCosts(t *testing.T) {
	const trip = 50 * time.Millisecond
	tests := []struct {
		name   string
		budget budget
		want   bool
	}{
		{"the first always", budget{waiting: 1, questions: 1}, true},
		{"none more to a host not met", budget{waiting: 1000, questions: 1, sessions: 1}, false},
		{"none more for what fits into one", budget{waiting: 30, questions: 2, sessions: 1, trip: trip}, false},
		{"one more for what needs two", budget{waiting: 60, questions: 2, sessions: 1, trip: trip}, true},
		{"one more where each command is a trip", budget{waiting: 20, sessions: 1, stepwise: true, trip: trip}, true},
		{"no third for what two do as fast", budget{waiting: 60, questions: 2, sessions: 2, trip: trip}, false},
	}
	for _, tt := range tests {
		if got := usual(tt.budget).pays(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestTheDestinationThatNeedsLongestIsKnownFromWhatIsLeft(t *testing.T) {
	stepwise := usual(budget{waiting: 200, questions: 20, trip: 200 * time.Millisecond, stepwise: true})
	unmet := usual(budget{waiting: 20, questions: 5})
	small := usual(budget{waiting: 20, questions: 5, trip: 70 * time.Millisecond})
	tolerant := usual(budget{waiting: 20, questions: 5, trip: small.trip, toleratesErrors: true})
	if stepwise.left() <= unmet.left() || unmet.left() <= small.left() || small.left() <= tolerant.left() {
		t.Errorf("many commands %v, a host not met %v, one that may be slow %v, a tolerant one %v; want longest first",
			stepwise.left(), unmet.left(), small.left(), tolerant.left())
	}
	alone := stepwise.left()
	stepwise.sessions = 4
	if stepwise.left() >= alone {
		t.Errorf("with four sessions it still takes %v", stepwise.left())
	}
}

func TestTheShareOfRefusalsFollowsWhatCameLast(t *testing.T) {
	b := usual(budget{})
	if got := b.share(); got != 0.2 {
		t.Errorf("a share of %v while nothing is known, want a fifth", got)
	}
	for range 20 {
		b.count(50, 50)
	}
	for range 20 {
		b.count(50, 0)
	}
	if got := b.share(); got > 0.05 {
		t.Errorf("a share of %v after 1,000 recipients of which none was refused", got)
	}
	if b.asked > shareWindow || b.refused > b.asked {
		t.Errorf("%d of %d refused, want a window of %d", b.refused, b.asked, shareWindow)
	}
}
