package mx

import (
	"sync"
	"time"
)

// upstream is one resolver that is asked: its sockets, its window, and what is known of it.
type upstream struct {
	*pool
	window *window
	index  int
	mu     sync.Mutex
	health health
	skills skills
	fault  Fault // what the preflight found
}

// health tells how a resolver answers. It is down when it has failed many times in a row and for a while, or refused
// the connection. Then it gets one question a second, or fewer where another resolver answers, until it answers.
type health struct {
	failures  int       // questions in a row
	since     time.Time // when the first of these was asked
	servfails int       // in a row; where another resolver answers, that one is asked
	down      bool
	trial     time.Time // when it may be asked next though it is down, or another one is better
	trials    int
}

const (
	downFailures  = 20
	downAfter     = 3 * time.Second // a resolver that counts queries by the second refuses all of them for less
	trialInterval = time.Second
	rareInterval  = 5 * time.Second // between trials where another resolver answers
	patience      = 8 * time.Second // how long questions wait for a resolver that is down
)

// failed records that a question asked at a time had no answer. A question counts once, however often it is asked: it
// may be about a name that this resolver never answers about. An unreachable resolver is down at once.
func (h *health) failed(asked time.Time, again, unreachable bool) {
	if h.since.IsZero() {
		h.since = asked
		h.trial = time.Now().Add(rareInterval)
	}
	if !again {
		h.failures++
	}
	now := time.Now()
	if !h.down && (unreachable || h.failures >= downFailures && now.Sub(h.since) >= downAfter) {
		h.down, h.trial = true, now.Add(trialInterval)
	}
}

// skills are what a resolver was seen to speak. Until it has answered a query over UDP with EDNS, silence and errors
// may be about these.
type skills struct {
	edns       bool      // it answered over UDP with EDNS
	udp        bool      // it answered over UDP
	ednsFailed bool      // it did not
	udpFailed  bool      // it did not, neither with EDNS nor without
	plainUntil time.Time // it is asked without EDNS
	tcpUntil   time.Time // it is asked over TCP
}

// skillTTL is how long a resolver is asked in a way that was found because the usual way failed.
const skillTTL = 15 * time.Minute

// way is how to ask: over UDP with EDNS, without it, or over TCP.
type way int

const (
	overUDP way = iota
	withoutEDNS
	overTCP
	ways
)

// way returns how to ask a resolver that has left so many tries without an answer.
func (s *skills) way(silent int, now time.Time) way {
	switch {
	case now.Before(s.tcpUntil):
		return overTCP
	case now.Before(s.plainUntil):
		return withoutEDNS
	case s.edns:
		return overUDP
	case s.udp: // whatever is wrong with EDNS, TCP is not needed
		return way(silent) % overTCP
	}
	return way(silent) % ways
}

// learn records that a way got an answer, or that it did not.
func (s *skills) learn(w way, works bool, now time.Time) {
	switch {
	case w == overUDP && works:
		*s = skills{edns: true, udp: true}
	case w == overUDP:
		s.ednsFailed = true
	case w == withoutEDNS && works:
		s.udp, s.udpFailed, s.tcpUntil = true, false, time.Time{}
		if s.ednsFailed && !s.edns {
			s.plainUntil = now.Add(skillTTL)
		}
	case w == withoutEDNS:
		s.udpFailed = true
	case works && s.ednsFailed && s.udpFailed && !s.udp:
		s.tcpUntil = now.Add(skillTTL)
	}
}

// report records what a question came to that was asked at a time, whether it had been asked before, and whether nobody
// could be reached.
func (u *upstream) report(asked time.Time, o outcome, again, unreachable bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch o {
	case answered:
		u.health = health{}
		return
	case servfail: // it is there, though it may know nothing
		u.health = health{servfails: u.health.servfails + 1, trial: time.Now().Add(rareInterval)}
		return
	}
	u.health.failed(asked, again, unreachable)
	if u.health.down { // it may be another one by the time it is back
		u.skills.edns, u.skills.udp = false, false
		u.window.expel()
	}
}

func (u *upstream) learn(w way, works bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.skills.learn(w, works, time.Now())
}

func (u *upstream) hasEDNS() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.skills.edns
}

func (u *upstream) hasUDP() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.skills.udp
}

// way returns how to ask after so many tries without an answer.
func (u *upstream) way(silent int, alwaysTCP bool) way {
	if alwaysTCP {
		return overTCP
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.skills.way(silent, time.Now())
}

func (u *upstream) isUp() bool {
	up, _ := u.state()
	return up
}

// state returns whether the resolver is up, and how many questions in a row had no answer.
func (u *upstream) state() (up bool, failures int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.health.down, u.health.failures + u.health.servfails
}

// claimTrial takes the trial of a resolver that is down or failed lately, if one is due, and returns its number; else
// zero.
func (u *upstream) claimTrial(othersUp bool) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.health.trial.IsZero() || now.Before(u.health.trial) {
		return 0
	}
	interval := trialInterval
	if othersUp {
		interval = rareInterval
	}
	u.health.trial = now.Add(interval)
	u.health.trials++
	return u.health.trials
}

// untilTrial returns how long it is until the next trial of a resolver that is down.
func (u *upstream) untilTrial() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return max(0, time.Until(u.health.trial))
}

// untilGivenUp returns how long questions wait for the resolver, if it is down.
func (u *upstream) untilGivenUp() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Until(u.health.since.Add(patience))
}

// found returns the fault that the preflight found in the resolver.
func (u *upstream) found() Fault {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.fault
}

// find records what the preflight found.
func (u *upstream) find(fault Fault) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fault = fault
}
