package verify

import (
	"testing"
	"time"

	"presend/verify/smtpprobe"
)

func at(d destination) *destination {
	d.limits = smtpprobe.Limits{Sessions: 4, Recipients: 50, PerSession: 500, Errors: 9}
	return &d
}

func TestRoomFollowsTheShareOfRefusals(t *testing.T) {
	tests := []struct {
		name            string
		dest            destination
		served, refused int
		want            int
	}{
		{"of what is not known, only as many as are borne if all are refused", destination{}, 0, 0, 10},
		{"what was refused in the session counts", destination{}, 5, 4, 6},
		{"where few are refused, fewer than would end the session if all were", destination{asked: 1000, refused: 20}, 0, 0, 19},
		{"where many are, as many as two standard deviations allow", destination{asked: 1000, refused: 500}, 0, 0, 12},
		{"where few are refused by a patient server, twice of what it bears", destination{asked: 1000, refused: 20, patient: true}, 0, 0, 38},
		{"where all are, as many as are borne", destination{asked: 1000, refused: 1000}, 0, 0, 10},
		{"a patient server bears more", destination{asked: 1000, refused: 500, patient: true}, 0, 0, 27},
		{"a large destination is tried for its patience", destination{asked: 1000, refused: 500, waiting: 5000}, 0, 0, 19},
		{"but not once it was seen to slow down", destination{asked: 1000, refused: 500, waiting: 5000, slows: true}, 0, 0, 12},
		{"no more than a session may hold", destination{asked: 1000, refused: 20}, 490, 5, 10},
		{"at least one, so that a session goes on", destination{}, 500, 30, 1},
	}
	for _, tt := range tests {
		if got := at(tt.dest).room(tt.served, tt.refused); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTheTimeOfATransactionTellsAServersPatience(t *testing.T) {
	const trip = 50 * time.Millisecond
	tests := []struct {
		name            string
		before, refused int
		took            time.Duration
		pipelining      bool
		slows, patient  bool
	}{
		{"as many refusals as any server bears tell nothing", 4, 6, 3 * time.Second, true, false, false},
		{"a second over each refusal past the tenth", 8, 5, trip + 3*time.Second, true, true, false},
		{"no time over them", 8, 5, trip + 100*time.Millisecond, true, false, true},
		{"one is too little to call a server patient", 8, 3, trip, true, false, false},
		{"and enough to call it slow", 8, 3, trip + time.Second, true, true, false},
		{"one command at a time, quickness tells nothing", 8, 5, 7 * trip, false, false, false},
	}
	for _, tt := range tests {
		d := at(destination{})
		d.learn(trip, tt.pipelining, tt.before, tt.refused, tt.took)
		if d.slows != tt.slows || d.patient != tt.patient {
			t.Errorf("%s: slows %v, patient %v", tt.name, d.slows, d.patient)
		}
		d.learn(trip, true, 8, 8, trip)
		if tt.slows && d.patient {
			t.Errorf("%s: what was seen to slow down is taken for patient", tt.name)
		}
	}
}

func TestASessionEndsWhenANewOneServesBetter(t *testing.T) {
	busy := destination{asked: 1000, refused: 150, waiting: 400}
	tests := []struct {
		name            string
		dest            destination
		served, refused int
		want            bool
	}{
		{"not while there is room", busy, 37, 5, false},
		{"when what is left is not worth the wait", busy, 49, 8, true},
		{"not when little waits", destination{asked: 1000, refused: 150, waiting: 6}, 49, 8, false},
		{"when the server has borne enough", destination{}, 20, 10, true},
		{"when it has held enough", destination{}, 500, 0, true},
	}
	for _, tt := range tests {
		if got := at(tt.dest).spent(tt.served, tt.refused); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASessionIsOpenedWhereItSavesMoreThanItCosts(t *testing.T) {
	works := func(n int) []*domainWork { return make([]*domainWork, n) }
	tests := []struct {
		name string
		dest destination
		want bool
	}{
		{"the first always", destination{waiting: 1, works: works(1)}, true},
		{"none more for a few flights", destination{waiting: 100, works: works(2), sessions: 1}, false},
		{"one more for many domains", destination{waiting: 20, works: works(20), sessions: 1}, true},
		{"one more where each command is a round trip", destination{waiting: 20, works: works(1), sessions: 1, stepwise: true}, true},
		{"no third for what two do as fast", destination{waiting: 20, works: works(20), sessions: 2}, false},
	}
	for _, tt := range tests {
		if got := at(tt.dest).pays(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestTheDestinationThatNeedsLongestComesFirst(t *testing.T) {
	far := at(destination{waiting: 100, works: make([]*domainWork, 20), trip: 200 * time.Millisecond})
	near := at(destination{waiting: 1000, works: make([]*domainWork, 1), trip: 10 * time.Millisecond})
	stepwise := at(destination{waiting: 1000, works: make([]*domainWork, 1), trip: 10 * time.Millisecond, stepwise: true})
	if far.left() <= near.left() || stepwise.left() <= far.left() {
		t.Errorf("many domains far away %v, many recipients near %v, one by one %v", far.left(), near.left(), stepwise.left())
	}
	met := near.left()
	near.sessions = 4
	if near.left() >= met {
		t.Errorf("with four sessions it still takes %v", near.left())
	}
}
