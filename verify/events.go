package verify

import (
	"log/slog"
	"net/netip"
	"time"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

type (
	runID     int64
	sessionID int64
)

// What happens to the engine. Events come one at a time.
type (
	event any

	// begin says that a run is under way. A check begins with found.
	begin struct {
		run      runID
		patience time.Duration // how long it waits for a network that is down
		spent    []Spent       // what was asked today before, as its Queue remembers it
	}
	// found brings a domain whose mail hosts are worth asking, with the first of its tasks; more are with the Queue.
	found struct {
		run    runID
		check  bool
		domain string
		answer mx.Answer
		fact   catchall.Answer
		tasks  []Task
		more   int
		weight int
	}
	// tasks brings what the feeder was told to get.
	tasks struct {
		run    runID
		domain string
		tasks  []Task
		more   int
	}
	// fed says that all domains of a run were found.
	fed struct{ run runID }

	opened struct {
		session   sessionID
		addr      netip.Addr
		trip      time.Duration
		greeting  string
		pipelines bool
		smtputf8  bool
		tls       bool
		tlsFailed bool
		limits    smtpprobe.ServerLimits
	}
	failed struct {
		session  sessionID
		failures []failure
	}
	// heard brings the answers to a flight, and what broke the session.
	heard struct {
		session      sessionID
		transactions []saidTransaction
		broken       *broken
		took         time.Duration
	}
	closed struct{ session sessionID }
	// tested brings what a test of a way found.
	tested struct {
		way    way
		err    error // nil: something answered
		took   time.Duration
		gaveUp bool // it was broken off

		asked    string   // the greeting that this test is about; empty: it is about whether anything answers
		greeting Greeting // of a large host, in a test about a greeting
	}

	// collect says that the recorder of a run takes what there is.
	collect struct{ run runID }
	// stop ends a run politely: what is in flight is heard. gone ends it now.
	stop struct{ run runID }
	gone struct{ run runID }
	// tick says that the time of wake has come.
	tick struct{}
	// describe asks what a run waits for.
	describe struct{ run runID }
)

// What the engine wants done.
type (
	order any

	openOrder struct {
		session  sessionID
		target   smtpprobe.Target
		provider string
	}
	flyOrder struct {
		session      sessionID
		transactions []flyTransaction
		refused      int // recipients refused in the session so far
		most         int // refused recipients after which to stop, where commands go one by one
	}
	// endOrder ends a flight after its next answer, cancelOrder at once, as it does an attempt to connect.
	endOrder    struct{ session sessionID }
	cancelOrder struct{ session sessionID }
	quitOrder   struct {
		session sessionID
		why     string
	}
	// testOrder asks whether anything answers on a way: hosts that did before or, if there is a test for that, large
	// ones. Or it asks how a large host greets there.
	testOrder struct {
		way     way
		source  netip.Addr
		targets []smtpprobe.Target
		about   string // a greeting
	}
	refillOrder struct {
		run    runID
		domain string
		most   int
		more   int // how many the Queue holds
	}
	resultsOrder struct {
		run      runID
		done     []finding
		facts    []Facts
		troubles []*Trouble
		spent    []Spent
		last     bool // the run is over
	}
	releaseOrder struct {
		run    runID
		weight int
	}
	describeOrder struct {
		run   runID
		ahead Ahead
	}
	sayOrder struct {
		level slog.Level
		text  string
		args  []any
	}
)

// finding is a task with what was found out about it.
type finding struct {
	task        Task
	evidence    evidence
	provisional bool
}
