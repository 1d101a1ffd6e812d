package verify

import (
	"net/netip"
	"testing"
	"time"

	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

func at(d destination) *destination {
	d.limits = smtpprobe.Limits{Sessions: 4, Recipients: 50, PerSession: 500, Errors: 9}
	return &d
}

func TestRoomFollowsTheShareOfRefusals(t *testing.T) {
	few, many := destination{asked: 1000, refused: 20}, destination{asked: 1000, refused: 500}
	with := func(d destination, change func(*destination)) destination {
		change(&d)
		return d
	}
	patient := func(d *destination) { d.patient = true }
	tests := []struct {
		name string
		dest destination
		load load
		want int
	}{
		{"of what is not known, only as many as are borne if all are refused", destination{}, load{}, 10},
		{"what was refused in the session counts", destination{}, load{served: 5, refused: 4}, 6},
		{"a catch-all question counts as refused", destination{}, load{questions: 3}, 7},
		{"what flies already takes its room", destination{}, load{addresses: 4, questions: 3}, 3},
		{"a flight that is full holds no more", destination{}, load{addresses: 5, questions: 5}, 0},
		{"where few are refused, fewer than would end the session if all were", few, load{}, 19},
		{"and fewer by the questions", few, load{questions: 4}, 15},
		{"where many are, as many as two standard deviations allow", many, load{}, 12},
		{"where all are, as many as are borne", destination{asked: 1000, refused: 1000}, load{}, 10},
		{"a patient server bears twice as many, and losing count costs nothing", with(many, patient), load{}, 38},
		{"no more than a flight may hold", with(few, patient), load{}, flightMost},
		{"no more than a session may hold", with(few, patient), load{served: 490, refused: 5}, 10},
		{"at least one, so that a session goes on", destination{}, load{served: 500, refused: 30}, 1},
		{"one more for the session that tries the server", destination{}, load{tries: true}, 11},
		{"but not once it was seen to slow down", destination{slows: true}, load{tries: true}, 10},
		{"one by one, a part of what waits for each session", destination{stepwise: true, ceiling: 4, waiting: 41}, load{}, 11},
		{"but no scraps", destination{stepwise: true, ceiling: 4, waiting: 5}, load{}, partLeast},
	}
	for _, tt := range tests {
		if got := at(tt.dest).room(tt.load); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAFlightKeepsToTheRateOfItsDestination(t *testing.T) {
	d := at(destination{asked: 1000, refused: 1, patient: true})
	d.limits.Rate = 5
	if got := d.room(load{addresses: 20, questions: 1}); got != 29 {
		t.Errorf("%d more than 21, want no more than the 50 that the limiter lets through at once", got)
	}
}

func TestTheTimeOfRefusalsTellsAServersPatience(t *testing.T) {
	const trip = 50 * time.Millisecond
	tests := []struct {
		name            string
		before, refused int
		took            time.Duration
		slows, patient  bool
	}{
		{"as many refusals as any server bears tell nothing", 4, 6, 3 * time.Second, false, false},
		{"a second over each refusal past the tenth", 8, 5, trip + 3*time.Second, true, false},
		{"no time over them", 8, 5, trip + 100*time.Millisecond, false, true},
		{"one is enough to call it slow", 10, 1, trip + time.Second, true, false},
		{"and to call it patient", 10, 1, trip, false, true},
		{"a server that hangs up is not patient", 8, 5, forever, true, false},
	}
	for _, tt := range tests {
		d := at(destination{})
		d.learn(trip, tt.before, tt.refused, tt.took)
		if d.slows != tt.slows || d.patient != tt.patient {
			t.Errorf("%s: slows %v, patient %v", tt.name, d.slows, d.patient)
		}
		d.learn(trip, 8, 8, trip)
		if tt.slows && d.patient {
			t.Errorf("%s: what was seen to slow down is taken for patient", tt.name)
		}
		d.learn(trip, 8, 8, forever)
		if d.patient {
			t.Errorf("%s: what hung up is taken for patient", tt.name)
		}
	}
}

func TestAServersPatienceIsTriedByOneSessionWhereItPays(t *testing.T) {
	tests := []struct {
		name string
		dest destination
		want bool
	}{
		{"where much waits", destination{waiting: 5000, trip: 20 * time.Millisecond}, true},
		{"not where little does", destination{waiting: 50, trip: 20 * time.Millisecond}, false},
		{"the farther the host, the sooner", destination{waiting: 500, trip: 200 * time.Millisecond}, true},
		{"not where a session tries it", destination{waiting: 5000, trip: 20 * time.Millisecond, tried: true}, false},
		{"not where it is known to be patient", destination{waiting: 5000, trip: 20 * time.Millisecond, patient: true}, false},
		{"nor where it is not", destination{waiting: 5000, trip: 20 * time.Millisecond, slows: true}, false},
	}
	for _, tt := range tests {
		if got := at(tt.dest).tries(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASessionEndsWhenANewOneServesBetter(t *testing.T) {
	busy := destination{asked: 1000, refused: 150, waiting: 400}
	tests := []struct {
		name string
		dest destination
		load load
		want bool
	}{
		{"not while there is room", busy, load{served: 37, refused: 5}, false},
		{"when what is left is not worth the wait", busy, load{served: 49, refused: 8}, true},
		{"not when little waits", destination{asked: 1000, refused: 150, waiting: 6}, load{served: 49, refused: 8}, false},
		{"when the server has borne enough", destination{}, load{served: 20, refused: 10}, true},
		{"when it has held enough", destination{}, load{served: 500}, true},
	}
	for _, tt := range tests {
		if got := at(tt.dest).spent(tt.load); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASessionIsOpenedWhereItSavesMoreThanItCosts(t *testing.T) {
	works := func(n int) []*domainWork { return make([]*domainWork, n) }
	const trip = 50 * time.Millisecond
	tests := []struct {
		name string
		dest destination
		want bool
	}{
		{"the first always", destination{waiting: 1, works: works(1)}, true},
		{"none more to a host not met", destination{waiting: 1000, works: works(1), sessions: 1}, false},
		{"none more for what fits into one", destination{waiting: 30, works: works(2), sessions: 1, trip: trip}, false},
		{"one more for what needs two", destination{waiting: 60, works: works(2), sessions: 1, trip: trip}, true},
		{"one more where each command is a round trip", destination{waiting: 20, works: works(1), sessions: 1, stepwise: true, trip: trip}, true},
		{"no third for what two do as fast", destination{waiting: 60, works: works(2), sessions: 2, trip: trip}, false},
	}
	for _, tt := range tests {
		if got := at(tt.dest).pays(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestTheDestinationThatNeedsLongestComesFirst(t *testing.T) {
	works := func(n int) []*domainWork { return make([]*domainWork, n) }
	stepwise := at(destination{waiting: 200, works: works(20), trip: 200 * time.Millisecond, stepwise: true})
	unmet := at(destination{waiting: 20, works: works(5)})
	small := at(destination{waiting: 20, works: works(5), trip: 70 * time.Millisecond})
	patient := at(destination{waiting: 20, works: works(5), trip: 70 * time.Millisecond, patient: true})
	if !(stepwise.left() > unmet.left() && unmet.left() > small.left() && small.left() > patient.left()) {
		t.Errorf("many commands far away %v, a host not met %v, one met that may be slow %v, one that is patient %v; want longest first",
			stepwise.left(), unmet.left(), small.left(), patient.left())
	}
	met := stepwise.left()
	stepwise.sessions = 4
	if stepwise.left() >= met {
		t.Errorf("with four sessions it still takes %v", stepwise.left())
	}
}

func TestACircuitOpensAtTheThirdFlightInARowThatRefusesUs(t *testing.T) {
	refused, answered := outcome{refusal: &evidence{}}, outcome{answered: true}
	tests := []struct {
		name    string
		flights []outcome
		open    bool
	}{
		{"two are chance", []outcome{refused, refused}, false},
		{"three are not", []outcome{refused, refused, refused}, true},
		{"an answer between them begins the row anew", []outcome{refused, refused, answered, refused, refused}, false},
	}
	for _, tt := range tests {
		s := newScheduler(Config{Now: time.Now}, nil)
		d := at(destination{index: -1, ceiling: 1})
		for _, flight := range tt.flights {
			s.felt(d, &flight)
		}
		if got := d.open != nil; got != tt.open {
			t.Errorf("%s: open %v", tt.name, got)
		}
	}
}

func TestSessionsAreSpreadOverOurAddressesAndTheCapCountsForEach(t *testing.T) {
	sources := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4")}
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	s := newScheduler(Config{Now: time.Now, Sources: sources, Pace: pace}, nil)
	s.add(&domainWork{answer: mx.Answer{Destination: "corp.lab"}, waiting: 10_000})
	d := s.byName["corp.lab"]
	for range d.ceiling {
		d.sources[d.source(sources)]++
	}
	for _, a := range sources {
		if got, most := d.sources[a], pace.For("corp.lab").Sessions; got != most {
			t.Errorf("%d sessions from %s, want %d", got, a, most)
		}
	}
	d.bound[sources[1]] = 1
	d.sources[sources[0]], d.sources[sources[1]] = 0, 0
	if got := d.source(sources); got != sources[1] {
		t.Errorf("the next session comes from %s, want %s, which a greylisted address waits for", got, sources[1])
	}
}
