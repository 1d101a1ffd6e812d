package lab

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Counts is how the lab's clients behaved.
type Counts struct {
	Connections  int            // TCP connections accepted
	Sessions     int            // of these, those that got as far as a HELO or EHLO that was accepted
	Commands     int            // SMTP commands
	Rcpts        int            // of these, RCPT
	TooManyRcpts int            // RCPTs answered with 452 4.5.3
	ErrorLimits  int            // sessions ended for too many errors
	DNSQueries   int            // queries that arrived, each retry counted
	PeakSessions map[string]int // by host: most connections at a time

	// Violations are the rules broken, in order: a session cap exceeded, a pipeline that was not announced, a command
	// after 421, a connection closed without QUIT, DATA. Past a thousand they are only counted.
	Violations []string
}

const violationsKept = 1000

type tally struct {
	connections, sessions, commands, rcpts, tooManyRcpts, errorLimits, queries atomic.Int64

	mu         sync.Mutex
	violations []string
	more       int
}

func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.violations) == violationsKept {
		t.more++
		return
	}
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
}

// Count returns the counts so far.
func (l *Lab) Count() Counts {
	t := &l.tally
	c := Counts{
		Connections:  int(t.connections.Load()),
		Sessions:     int(t.sessions.Load()),
		Commands:     int(t.commands.Load()),
		Rcpts:        int(t.rcpts.Load()),
		TooManyRcpts: int(t.tooManyRcpts.Load()),
		ErrorLimits:  int(t.errorLimits.Load()),
		DNSQueries:   int(t.queries.Load()),
		PeakSessions: map[string]int{},
	}
	for name, h := range l.hosts {
		h.mu.Lock()
		if h.peak > 0 {
			c.PeakSessions[name] = h.peak
		}
		h.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Violations = append(c.Violations, t.violations...)
	if t.more > 0 {
		c.Violations = append(c.Violations, fmt.Sprintf("and %d more", t.more))
	}
	return c
}

// Probes returns how many RCPTs were sent for an address, at whichever host.
func (l *Lab) Probes(address string) int {
	local, domain, err := split(address)
	if err != nil {
		return 0
	}
	n := 0
	for _, h := range l.hosts {
		h.mu.Lock()
		n += h.probes[local+"@"+domain]
		h.mu.Unlock()
	}
	return n
}
