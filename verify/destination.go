package verify

import (
	"container/list"
	"fmt"
	"net/netip"
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

	paused time.Time // nothing is asked before
	pauses int       // in a row
	quiet  int       // flights since the last sign of strain

	refusals  int       // of us, in a row
	circuit   *evidence // open: what the addresses get that are not asked
	circuitAt time.Time // when it opened, or was tried last
	trial     bool      // a session is trying whether it may close
	waiting   int       // places in the queues
}

func newDestination(name string, limits smtpprobe.Limits, sources int) *destination {
	d := &destination{name: name, table: limits, lanes: make([]lane, sources), served: map[int64]int{}, present: map[int64]int{}, index: -1}
	d.limits = limits
	for i := range d.lanes {
		l := &d.lanes[i]
		l.ceiling = limits.Sessions
		if limits.Rate > 0 {
			l.limiter = rate.NewLimiter(rate.Limit(limits.Rate), limits.Recipients)
		}
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
		if l.circuit != nil || l.refusals > 0 || l.pauses > 0 || l.ceiling != d.table.Sessions || l.limiter != nil {
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
func (l *lane) answered(most int) {
	l.refusals, l.pauses, l.circuit, l.trial = 0, 0, nil, false
	l.quiet++
	if l.quiet%quietFlights == 0 && l.ceiling < most {
		l.ceiling++
	}
}

// refused counts a flight, or an attempt to open a session, in which the server refused us. It reports whether that opened
// the circuit.
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
		detail: fmt.Sprintf("not asked: %s refused us %d times in a row, at last: %s", name, l.refusals, e.detail),
	}
	l.circuitAt = now
	return true
}

// closed reports whether the circuit lets work through: it is closed, or one session may try it again.
func (l *lane) closed(now time.Time) bool {
	return l.circuit == nil || l.trial || now.Sub(l.circuitAt) >= circuitFor
}

// server is an address of mail hosts, with the domains that wait for a session there.
type server struct {
	addr     netip.Addr
	sessions []int // by source: open, opening or being left
	queues   []*queue
	of       map[*destination][]*queue // the same by destination, since thousands may share an address
	parked   []*session
	freed    bool // a place was given back, and it was not offered to all that wait here
}

func newServer(addr netip.Addr, sources int) *server {
	return &server{addr: addr, sessions: make([]int, sources), of: map[*destination][]*queue{}}
}

// drop removes a queue in which nothing waits.
func (s *server) drop(q *queue) {
	same := func(o *queue) bool { return o == q }
	s.queues = slices.DeleteFunc(s.queues, same)
	if rest := slices.DeleteFunc(s.of[q.dest], same); len(rest) > 0 {
		s.of[q.dest] = rest
		return
	}
	delete(s.of, q.dest)
	q.dest.servers = slices.DeleteFunc(q.dest.servers, func(o *server) bool { return o == s })
}

// queue holds the domains of a destination that wait at a server, for one flow and from one source. What was begun comes
// first, then the order of arrival, in which a Queue puts the largest first.
type queue struct {
	server  *server
	dest    *destination
	source  int
	flow    *flow
	domains list.List // *domain
	weight  int       // recipients and questions that wait here
}

// place is where a domain waits.
type place struct {
	queue   *queue
	element *list.Element
	weight  int
}

// flow is a run as destinations share themselves among runs; all single checks are one.
type flow struct {
	id      int64 // 0: single checks, which come before lists
	blocked bool  // its results wait to be recorded: no flights
}

// queueFor returns the queue of a destination, a source and a flow; nil if there is none and make is false.
func (s *server) queueFor(d *destination, source int, f *flow, create bool) *queue {
	for _, q := range s.of[d] {
		if q.source == source && q.flow == f {
			return q
		}
	}
	if !create {
		return nil
	}
	q := &queue{server: s, dest: d, source: source, flow: f}
	s.queues = append(s.queues, q)
	if len(s.of[d]) == 0 {
		d.servers = append(d.servers, s)
	}
	s.of[d] = append(s.of[d], q)
	return q
}

// choose returns the queue that a session from a source serves next: single checks first, then the flow that was served
// least; nil if nothing waits.
func (s *server) choose(d *destination, source int) *queue {
	var best *queue
	for _, q := range s.of[d] {
		if q.source != source || q.flow.blocked || q.domains.Len() == 0 {
			continue
		}
		if best == nil || best.flow.id != 0 && (q.flow.id == 0 || d.served[q.flow.id] < d.served[best.flow.id]) {
			best = q
		}
	}
	return best
}

// guestsMost is how many queues of other destinations are looked at for one that a session could serve.
const guestsMost = 32

// guest returns a queue of another destination whose domains wait at the server and that a session could serve as well:
// receivers count what is asked there by the address. It is treated by the same limits, and has shown none of its own. nil
// if there is none.
func (s *server) guest(d *destination, source int, now time.Time) *queue {
	if d.table.Rate > 0 {
		return nil
	}
	for _, q := range s.queues[:min(len(s.queues), guestsMost)] {
		l := &q.dest.lanes[source]
		if q.dest != d && q.source == source && !q.flow.blocked && q.domains.Len() > 0 && q.dest.table == d.table &&
			q.dest.learnedAt.IsZero() && l.circuit == nil && !now.Before(l.paused) {
			return q
		}
	}
	return nil
}

// weight returns how much waits at the server for sessions of a destination from a source.
func (s *server) weight(d *destination, source int) (total int) {
	for _, q := range s.of[d] {
		if q.source == source && !q.flow.blocked {
			total += q.weight
		}
	}
	return total
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
