package main

import (
	"time"

	"presend/internal/lab"
	"presend/verify/smtpprobe"
)

// floor is the shortest time in which the list can be done within the caps.
type floor struct {
	Busiest time.Duration // the destination that takes longest, with as many sessions as serve it best within its caps
	Total   time.Duration // the time of all sessions, over the session budget
	Fewest  int           // sessions, at the least
}

func (f floor) least() time.Duration { return max(f.Busiest, f.Total) }

// floorOf computes the floor from the declaration that the world was made from.
func floorOf(in *internet, pace *smtpprobe.Pace, budget int, timeout time.Duration) floor {
	var f floor
	var total time.Duration
	for i, p := range in.places {
		if p.host.Fault == lab.Tarpit { // it costs the time that we wait for a banner
			total += timeout
			f.Busiest = max(f.Busiest, timeout)
			continue
		}
		limits := pace.For("default")
		if i == 0 {
			limits = pace.For("google")
		}
		n := p.need(limits)
		f.Fewest += n.sessions
		total += n.in(n.sessions)
		best := n.in(1)
		for sessions := range smallest(limits.Sessions, p.host.Sessions) {
			best = min(best, n.in(sessions+1)/time.Duration(sessions+1))
		}
		f.Busiest = max(f.Busiest, best)
	}
	f.Total = total / time.Duration(budget)
	return f
}

// need is the least that a host must be asked so that everything is known.
type need struct {
	recipients   int // with the catch-all questions
	transactions int
	sessions     int
	trip         time.Duration
	stepwise     bool
}

// in returns the time of all sessions together if there are at least n sessions.
//
// A session costs two round trips for the connection and the banner, one for EHLO, one for QUIT, and with PIPELINING
// one for all of its transactions, in one flight. Without PIPELINING, every command costs a round trip: MAIL, every
// RCPT, and RSET between the transactions of a session.
func (n need) in(sessions int) time.Duration {
	if n.recipients == 0 {
		return 0
	}
	sessions = max(sessions, n.sessions)
	trips := 5 * sessions
	if n.stepwise {
		transactions := max(n.transactions, sessions)
		trips = 4*sessions + n.recipients + transactions + (transactions - sessions)
	}
	return time.Duration(trips) * n.trip
}

// need computes what a host needs. A transaction is for one domain, and holds as many recipients as both caps allow. A
// session ends at the table's limit on recipients, and when refusals begin to cost a second each, which is more than a
// new session, or come to the most that the table allows. A host that is dead needs nothing, a greylisting one refuses
// everything.
func (p *place) need(limits smtpprobe.Limits) need {
	n := need{trip: p.host.Latency, stepwise: p.host.NoPipelining}
	if p.host.Fault == lab.Dead {
		return n
	}
	refusals := 2*limits.Errors + 1
	if p.host.Errors > 0 {
		refusals = min(refusals, p.host.Errors/2)
	}
	refused := 0
	for _, d := range p.domains {
		asked, unknown := d.addresses+1, d.unknown+1 // the catch-all question, refused
		if d.catchAll {
			asked, unknown = d.addresses+2, 0 // or accepted, and asked again with another
		}
		if p.host.Greylist > 0 {
			unknown = asked
		}
		n.recipients += asked
		n.transactions += max(ceil(asked, smallest(limits.Recipients, p.host.Rcpts)), ceil(unknown, refusals))
		refused += unknown
	}
	if p.host.Fault == lab.BlocksAfter && n.recipients > p.host.After { // from then on it is not asked
		n.transactions = n.transactions * p.host.After / n.recipients
		refused = refused * p.host.After / n.recipients
		n.recipients = p.host.After
	}
	n.sessions = max(ceil(n.recipients, limits.PerSession), ceil(refused, refusals))
	return n
}

func ceil(a, b int) int { return (a + b - 1) / b }

// smallest returns the smaller of two caps; 0 means no cap.
func smallest(a, b int) int {
	if b == 0 {
		return a
	}
	return min(a, b)
}
