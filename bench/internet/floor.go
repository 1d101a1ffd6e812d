package main

import (
	"math"
	"time"

	"presend/internal/lab"
	"presend/verify/smtpprobe"
)

// floor is the least time in which the list can be done within the caps.
type floor struct {
	Busiest time.Duration // the destination that takes longest, with as many sessions as it allows
	Total   time.Duration // the time of all sessions, over the session budget
	Fewest  int           // sessions, at the least
}

func (f floor) least() time.Duration { return max(f.Busiest, f.Total) }

// floorOf computes the floor from the same declaration that the world was made of.
//
// A session costs two round trips for the connection and the banner, one for EHLO, one for QUIT. A transaction is one
// flight, so one round trip, of as many recipients as both caps allow; without PIPELINING it is a round trip for every
// command. A transaction is for one domain, whose catch-all question is one recipient more. A session ends at the table's
// limit on recipients, and when refusals begin to cost a second each or come to the most that the table allows. A host
// that is dead costs nothing; a tarpit costs the patience with a banner, and a greylisting host what any other does.
func floorOf(in *internet, pace *smtpprobe.Pace, budget int, patience time.Duration) floor {
	var f floor
	var total time.Duration
	for i, p := range in.places {
		limits := pace.For("default")
		if i == 0 {
			limits = pace.For("google")
		}
		work, sessions := p.cost(limits, patience)
		ends := 4 * p.host.Latency
		f.Fewest += sessions
		total += work + time.Duration(sessions)*ends
		parallel := smallest(limits.Sessions, p.host.Sessions)
		f.Busiest = max(f.Busiest, work/time.Duration(parallel)+time.Duration(ceil(sessions, parallel))*ends)
	}
	f.Total = total / time.Duration(budget)
	return f
}

// cost returns the time of a host's transactions, one after the other, and in how many sessions at the least.
func (p *place) cost(limits smtpprobe.Limits, patience time.Duration) (work time.Duration, sessions int) {
	trip := p.host.Latency
	recipients, refused, flights, commands := 0, 0, 0, 0
	for _, d := range p.domains {
		asked := d.addresses + 1 // the catch-all question
		if p.host.Greylist > 0 {
			refused += asked
		} else {
			refused += d.unknown + 1
		}
		recipients += asked
		transactions := ceil(asked, smallest(limits.Recipients, p.host.Rcpts))
		flights += transactions
		commands += asked + 2*transactions
	}
	switch {
	case recipients == 0, p.host.Mood == lab.Dead:
		return 0, 0
	case p.host.Mood == lab.Tarpit:
		return patience, 0
	case p.host.Mood == lab.BlocksAfter && recipients > p.host.After: // then we leave it alone
		share := float64(p.host.After) / float64(recipients)
		recipients, flights, commands = p.host.After, int(math.Ceil(share*float64(flights))), int(math.Ceil(share*float64(commands)))
	}
	refusals := 2*limits.Errors + 1
	if p.host.Errors > 0 {
		refusals = min(refusals, p.host.Errors/2) // from there on each costs a second, more than a new session
	}
	sessions = max(ceil(recipients, limits.PerSession), ceil(refused, refusals))
	if p.host.NoPipelining {
		return time.Duration(commands) * trip, sessions
	}
	return time.Duration(flights) * trip, sessions
}

func ceil(a, b int) int { return (a + b - 1) / b }

// smallest of two caps, of which 0 is none.
func smallest(a, b int) int {
	if b == 0 {
		return a
	}
	return min(a, b)
}
