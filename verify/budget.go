package verify

import (
	"math"
	"time"

	"presend/verify/smtpprobe"
)

const (
	sessionTrips = 4    // round trips to begin and end a session: the connection, the banner, EHLO, QUIT
	tlsTrips     = 3    // and with TLS: STARTTLS, the handshake, EHLO again
	shareWindow  = 200  // recipients over which the share of refusals is taken
	shareKnown   = 4    // recipients from which on that share is believed
	testWorth    = 0.75 // sessions, times the seconds of a round trip, for which testing the error limit pays
	partLeast    = 4    // recipients that are worth the MAIL and RSET of a transaction of their own, one by one
	flightMost   = 200  // recipients in a flight: the longest addresses just fill a TCP window (RFC 2920 section 3.1)
	smallFlight  = 8    // recipients in a flight to a host where large flights got lost

	usualTrip  = 70 * time.Millisecond // a round trip to a host that was not met yet
	unmetExtra = 3 * time.Second       // what such a host may take beyond that, since it may never answer
	slowExtra  = time.Second           // what a host may take that is not known to answer refusals at once
)

// budget is what is known of a destination as a server, and the arithmetic on it: how many recipients a flight may
// hold, when one more session pays, how long the rest takes. It holds no state of sessions and decides nothing by
// itself.
type budget struct {
	limits smtpprobe.Limits // of the pace table, lowered by what the server said

	waiting   int // recipients that wait, in hand or with a Queue
	questions int // catch-all questions that wait; each will be refused by most servers
	sessions  int // open, or opening
	ceiling   int // sessions allowed now

	trip     time.Duration // a round trip, as the last session measured it; 0: not met yet
	stepwise bool          // no PIPELINING: a round trip for each command
	tls      bool          // sessions are encrypted
	small    bool          // a large flight got lost on the way: keep flights small

	asked   int // recipients answered, lately
	refused int // of them refused

	mails       int  // transactions a session may have, as it said; 0: not known
	rcptDomains int  // domains a session may ask about, as it said; 0: any number
	tarpit      bool // it takes twice as long over each refusal

	slowsOnErrors   bool // it was seen to take its time over refusals beyond its error limit, or to hang up
	toleratesErrors bool // it was seen not to
	testing         bool // a session is finding that out
}

// load is what a session has behind it, and what is in the flight that is being put together.
type load struct {
	served, refused       int  // recipients answered, and of them refused
	recipients, questions int  // in the flight; a question is the impossible address, to be refused
	mails                 int  // transactions
	tests                 bool // this session tests the error limit
}

// share returns the part of the recipients that is refused, a fifth while little is known.
func (b *budget) share() float64 { return (float64(b.refused) + 1) / (float64(b.asked) + 5) }

// count adds recipients that were answered. What comes next is like what came last, not like what came first.
func (b *budget) count(answered, refused int) {
	if b.asked+answered > shareWindow {
		b.asked, b.refused = b.asked/2, b.refused/2
	}
	b.asked += answered
	b.refused += refused
}

// sessionsFor returns in how many sessions what waits can be asked, if a session ends after so many refusals, of which
// each catch-all question is one, and at its cap on recipients.
func (b *budget) sessionsFor(refusals int) float64 {
	waiting, questions := float64(b.waiting), float64(b.questions)
	return max((waiting*b.share()+questions)/float64(refusals), (waiting+questions)/float64(b.limits.PerSession))
}

// sessionCost returns how many round trips it takes to begin and end a session.
func (b *budget) sessionCost() int {
	if b.tls {
		return sessionTrips + tlsTrips
	}
	return sessionTrips
}

// trips returns how many round trips what waits will take in one session after the other: some two flights in each, or
// one trip for each command.
func (b *budget) trips() float64 {
	sessions := math.Ceil(b.sessionsFor(b.maxRefusals(load{})))
	if b.stepwise || b.trip == 0 { // what is not known is taken for slow: better early than last
		return float64(b.waiting+3*b.questions) + float64(b.sessionCost())*sessions
	}
	return float64(b.sessionCost()+2) * sessions
}

// pays reports whether one more session saves more time than it costs: n sessions need trips/n.
func (b *budget) pays() bool {
	return b.sessions == 0 || b.trip > 0 && b.trips() > float64(b.sessionCost()*b.sessions*(b.sessions+1))
}

// left returns how long what waits will take with one more session.
func (b *budget) left() time.Duration {
	trip, extra := b.trip, slowExtra
	switch {
	case b.trip == 0:
		trip, extra = usualTrip, unmetExtra
	case b.toleratesErrors:
		extra = 0
	}
	return time.Duration(b.trips()*float64(trip))/time.Duration(b.sessions+1) + extra
}

// maxRefusals returns after how many refused recipients a session ends. Postfix takes a second over each from the 11th
// on and hangs up at the 20th (smtpd_soft_error_limit, smtpd_hard_error_limit), so a server that was not seen to do
// otherwise is taken for that, but for one session that tests it.
func (b *budget) maxRefusals(l load) int {
	switch {
	case b.toleratesErrors:
		return 2*b.limits.Errors + 1
	case l.tests && !b.slowsOnErrors:
		return b.limits.Errors + 2
	}
	return b.limits.Errors + 1
}

// shouldTest reports whether a session should test the error limit of the server: one at a time, where fewer sessions
// would save more than the second that the test costs.
func (b *budget) shouldTest() bool {
	return !b.testing && !b.slowsOnErrors && !b.toleratesErrors &&
		b.sessionsFor(b.maxRefusals(load{}))*b.trip.Seconds() > testWorth
}

// hungUp is how long refusals took that a server ended the session over.
const hungUp = time.Duration(math.MaxInt64)

// learn notes whether the server takes its time over refusals beyond the error limit: so many, after others in the
// session, took so long. A server that seemed to tolerate them may yet turn out not to.
func (b *budget) learn(trip time.Duration, before, refused int, took time.Duration) {
	excess := min(refused, before+refused-b.limits.Errors-1)
	if excess < 1 || b.slowsOnErrors {
		return
	}
	const slow = 500 * time.Millisecond // Postfix takes a second over each
	b.slowsOnErrors = took-trip > time.Duration(excess)*slow
	b.toleratesErrors = !b.slowsOnErrors
}

// flightSize returns how many more addresses a flight may hold, at least one if it holds none yet. While nothing is
// known of the destination that is as many as may all be refused, and then as many as two standard deviations allow.
// Where the server may hang up it is always fewer than would make it do so, since a list may hold its bad addresses
// together.
func (b *budget) flightSize(l load) int {
	in, least := l.recipients+l.questions, 0
	if l.recipients == 0 && l.questions < 2 {
		least = 1
	}
	most := min(flightMost-in, b.limits.PerSession-l.served-in)
	if b.small {
		most = min(most, smallFlight-in)
	}
	switch {
	case b.stepwise: // its answers are weighed one by one; each session takes its part of what waits
		part := (b.waiting + b.ceiling - 1) / max(1, b.ceiling)
		return max(least, min(max(part, partLeast), most))
	case b.limits.Rate > 0:
		most = min(most, b.limits.Recipients-in) // what the rate lets through at once
	}
	left := max(0, b.maxRefusals(l)-l.refused-l.questions)
	n := left
	if b.asked >= shareKnown {
		share := b.share()
		spread := 2 * math.Sqrt(share*(1-share))
		if b.toleratesErrors {
			spread = 0
		}
		// The n for which share n + spread sqrt(n) = left.
		root := (math.Sqrt(spread*spread+4*share*float64(left)) - spread) / (2 * share)
		n = max(n, int(root*root))
		if !b.toleratesErrors {
			n = min(n, 2*b.limits.Errors+1-l.refused-l.questions)
		}
	}
	return max(least, min(n-l.recipients, most))
}

// spent reports whether a new session would serve better than one with such a load.
func (b *budget) spent(l load) bool {
	next := b.flightSize(l)
	return l.refused >= b.maxRefusals(l) || l.served >= b.limits.PerSession ||
		(b.sessionCost()+1)*next < min(b.waiting+b.questions, b.flightSize(load{}))
}
