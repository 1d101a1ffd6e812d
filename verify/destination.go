package verify

import (
	"container/list"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"presend/verify/smtpprobe"
)

const (
	circuitLimit = 3         // refusals of us in a row, without an honest answer between them, that open a circuit
	circuitFor   = time.Hour // after which one session tries again
	learnedFor   = 24 * time.Hour
	maxPause     = time.Minute // the longest backoff
	quietFlights = 10          // flights without a sign of strain after which one more session is allowed
	slowOpening  = 2 * time.Second
	sourceFor    = time.Hour // how long one of our addresses that cannot be used is left out
	sourceLimit  = 3         // destinations that fail from one of our addresses and from no other, until it is left out
	rateWindow   = 5 * time.Second
)

// destination is what counts us on the other side: a provider, the registrable domain of a mail host, or its address.
type destination struct {
	name string
	budget
	table     smtpprobe.Limits // what the pace table says
	learnedAt time.Time        // when the first limit was learned; zero: none
	lanes     []lane           // one for each of our addresses
	domains   list.List        // *domain, that wait or are under way, in the order of their arrival
	servers   []*server        // its addresses at which domains wait
	served    map[int64]int    // recipients by flow, of those that are there
	present   map[int64]int    // shares by flow
	checks    int              // places of single checks in the queues
	usedAt    time.Time        // when a session was opened last
	alarm     time.Time        // when it is looked at again; zero: not planned
	index     int              // in the heap; -1: outside
}

// lane is a destination as one of our addresses sees it: receivers count by client address.
type lane struct {
	sessions int // open, opening or being left
	ceiling  int // sessions allowed now; adapts between 1 and the cap of the table
	met      bool
	limiter  *rate.Limiter // nil: no limit
	strain   strain

	paused time.Time // nothing is asked before
	pauses int       // in a row
	quiet  int       // flights since the last sign of strain

	asked int       // recipients today
	today time.Time // the day that they are counted for

	heard     bool        // a recipient was answered
	screening bool        // it put off the first visit, and is visited again
	gone      []time.Time // until when sessions that timed out count as open on the other side

	refusals  int       // of us, in a row
	circuit   *evidence // open: what the addresses get that are not asked
	circuitAt time.Time // when it opened, or was tried last
	trial     bool      // a session is trying whether it may close
	waiting   int       // places in the queues
}

func newDestination(name string, limits smtpprobe.Limits, sources int) *destination {
	d := &destination{
		name:    name,
		table:   limits,
		lanes:   make([]lane, sources),
		served:  map[int64]int{},
		present: map[int64]int{},
		index:   -1,
	}
	d.limits = limits
	for i := range d.lanes {
		l := &d.lanes[i]
		l.ceiling = limits.Sessions
		l.limiter = tableLimiter(limits)
	}
	d.ceiling = limits.Sessions * sources
	return d
}

// forget drops the limits that were learned a day ago, so that they are tried again.
func (d *destination) forget(now time.Time) {
	if d.learnedAt.IsZero() || now.Sub(d.learnedAt) < learnedFor {
		return
	}
	d.learnedAt, d.limits = time.Time{}, d.table
	d.slowsOnErrors, d.toleratesErrors, d.small = false, false, false
	d.mails, d.rcptDomains, d.tarpit = 0, 0, false
	for i := range d.lanes {
		if l := &d.lanes[i]; l.strain.learned {
			l.limiter, l.strain = tableLimiter(d.table), strain{}
		}
	}
}

// learned notes that the destination's limits differ from the table's.
func (d *destination) learned(now time.Time) {
	if d.learnedAt.IsZero() {
		d.learnedAt = now
	}
}

// shrink lowers the recipients a transaction, as the server asked.
func (d *destination) shrink(now time.Time, recipients int) {
	d.limits.Recipients = max(1, min(d.limits.Recipients, recipients))
	d.learned(now)
}

// idle reports whether nothing waits or is under way, so that the destination may be forgotten.
func (d *destination) idle() bool {
	inUse := func(l lane) bool { return l.sessions > 0 } // budget.sessions leaves out those that are slow to open
	return d.domains.Len() == 0 && !slices.ContainsFunc(d.lanes, inUse)
}

// plain reports whether nothing was learned that a later domain would need.
func (d *destination) plain() bool {
	for i := range d.lanes {
		l := &d.lanes[i]
		if l.circuit != nil || l.refusals > 0 || l.pauses > 0 || l.ceiling != d.table.Sessions || l.limiter != nil ||
			l.heard || d.table.Day > 0 && l.asked > 0 {
			return false
		}
	}
	return d.learnedAt.IsZero() && !d.slowsOnErrors && !d.toleratesErrors
}

// pause keeps a lane from being used for a while that doubles each time, and halves its sessions; once for all that was
// under way. It reports how long.
func (l *lane) pause(now time.Time) (time.Duration, bool) {
	if now.Before(l.paused) {
		return 0, false
	}
	l.ceiling = max(1, l.ceiling/2)
	l.quiet = 0
	wait := min(time.Second<<min(l.pauses, 10), maxPause)
	l.pauses++
	l.paused = now.Add(wait)
	return wait, true
}

// answered counts a flight that met an honest answer and no sign of strain.
func (l *lane) answered(now time.Time, table smtpprobe.Limits) {
	l.refusals, l.pauses, l.circuit, l.trial = 0, 0, nil, false
	l.quiet++
	if l.quiet%quietFlights != 0 {
		return
	}
	if l.ceiling < table.Sessions && !l.slow() {
		l.ceiling++
	}
	l.raise(now, table)
}

// refused counts a flight, or an attempt to open a session, in which the server refused us. It reports whether that
// opened the circuit.
func (l *lane) refused(now time.Time, name string, e evidence) bool {
	l.refusals++
	if l.circuit != nil {
		l.circuitAt, l.trial = now, false
		return false
	}
	if l.refusals < circuitLimit {
		return false
	}
	l.circuit = &evidence{
		reason: e.reason,
		detail: notAsked + fmt.Sprintf("%s refused us %d times in a row, at last: %s", name, l.refusals, e.detail),
	}
	l.circuitAt = now
	return true
}

// closed reports whether the circuit lets work through: it is closed, or one session may try it again.
func (l *lane) closed(now time.Time) bool {
	return l.circuit == nil || l.trial || now.Sub(l.circuitAt) >= circuitFor
}

// destinationHeap orders destinations by the time that they still need, longest first, but single checks before all.
type destinationHeap []*destination

func (h destinationHeap) Len() int { return len(h) }

func (h destinationHeap) Less(i, j int) bool {
	if a, b := h[i].checks > 0, h[j].checks > 0; a != b {
		return a
	}
	return h[i].left() > h[j].left()
}

func (h destinationHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *destinationHeap) Push(x any) {
	d := x.(*destination)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop implements heap.Interface.
func (h *destinationHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	d.index = -1
	return d
}

// join counts a share of a flow at a destination. A flow that was not there begins at the smallest count of the runs
// that are, since from zero it would stop them.
func (d *destination) join(f *flow) {
	if d.present[f.id]++; d.present[f.id] > 1 {
		return
	}
	least, none := 0, true
	for id, n := range d.served {
		if id != checkFlowID && (none || n < least) {
			least, none = n, false
		}
	}
	d.served[f.id] = least
}

// leave takes a share of a flow out again.
func (d *destination) leave(f *flow) {
	if d.present[f.id]--; d.present[f.id] == 0 {
		delete(d.present, f.id)
		delete(d.served, f.id)
	}
}
