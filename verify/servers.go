package verify

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

// server is an address of mail hosts, with the domains that wait for a session there.
type server struct {
	addr     netip.Addr
	sessions []int // by source: open, opening or being left
	queues   []*queue
	of       map[*destination][]*queue // the same by destination, since thousands may share an address
	parked   []*session
	freed    bool // a place was given back, and it was not offered to all that wait here
}

// serverAt returns what is known of an address, and begins to know it if nothing is.
func (p *plan) serverAt(addr netip.Addr) *server {
	srv := p.servers[addr]
	if srv == nil {
		srv = &server{addr: addr, sessions: make([]int, len(p.sources)), of: map[*destination][]*queue{}}
		p.servers[addr] = srv
	}
	return srv
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

// queue holds the domains of a destination that wait at a server, for one flow and from one source. What was begun
// comes first, then the order of arrival, in which a Queue puts the largest first.
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

// queueFor returns the queue of a destination, a source and a flow, and makes it if there is none.
func (s *server) queueFor(d *destination, source int, f *flow) *queue {
	for _, q := range s.of[d] {
		if q.source == source && q.flow == f {
			return q
		}
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
// receivers count what is asked there by the address. It is treated by the same limits, and has shown none of its own.
// nil if there is none.
func (s *server) guest(d *destination, source int, now time.Time) *queue {
	if d.lanes[source].limiter != nil {
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

// usable reports whether a source may open sessions at a destination, now or after a pause.
func (p *plan) usable(d *destination, n int) bool {
	return !p.now.Before(p.sources[n].outUntil) && d.lanes[n].closed(p.now) && d.leftToday(n, p.now) > 0
}

// alive reports whether an address is worth trying for a domain from a source.
func (p *plan) alive(d *domain, n int, addr netip.Addr) bool {
	if !p.inUse(n, addr) {
		return false
	}
	r := route{n, addr}
	if _, down := d.down[r]; down {
		return false
	}
	_, troubled := p.troubleAt(r)
	return !troubled
}

// reach appends the addresses of the most preferred hosts that are still worth trying for a domain from a source.
func (p *plan) reach(into []netip.Addr, d *domain, n int) []netip.Addr {
	var preference uint16
	for i := range d.answer.Hosts {
		h := &d.answer.Hosts[i]
		if len(into) > 0 && h.Preference != preference {
			break
		}
		if d.notServed[h.Name] {
			continue
		}
		for _, addr := range h.Addrs {
			if p.alive(d, n, addr) && !slices.Contains(into, addr) {
				into, preference = append(into, addr), h.Preference
			}
		}
	}
	return into
}

// place puts a domain into the queues of all servers and sources that could ask for it now. Where none ever could, all
// that waits has its result.
func (p *plan) place(d *domain) {
	if p.domains[d.name] != d {
		return
	}
	if p.stuck(d) {
		p.unplace(d)
		p.conclude(d, p.stuckEvidence(d))
		p.recount(d)
		p.update(d.dest)
		return
	}
	old := d.places
	d.places = nil
	for n := range p.sources {
		if !p.usable(d.dest, n) {
			continue
		}
		addrs := p.reach(p.scratch[:0], d, n)
		p.scratch = addrs[:0]
		for _, s := range d.shares {
			weight := s.askable(n, d.dest.mayTest(n, p.now))
			if weight == 0 {
				continue
			}
			for _, addr := range addrs {
				p.placeAt(d, s, n, addr, weight, &old)
			}
		}
	}
	for _, x := range old {
		p.remove(d, x)
	}
	p.recount(d)
	p.update(d.dest)
}

// placeAt puts a domain into one queue, or leaves it where it is.
func (p *plan) placeAt(d *domain, s *share, n int, addr netip.Addr, weight int, old *[]place) {
	for i, x := range *old {
		if q := x.queue; q.source == n && q.flow == s.flow && q.server.addr == addr && q.dest == d.dest {
			q.weight += weight - x.weight
			x.weight = weight
			d.places = append(d.places, x)
			*old = slices.Delete(*old, i, i+1)
			p.rouse(q)
			return
		}
	}
	srv := p.serverAt(addr)
	q := srv.queueFor(d.dest, n, s.flow)
	x := place{queue: q, weight: weight}
	if d.begun() {
		x.element = q.domains.PushFront(d)
	} else {
		x.element = q.domains.PushBack(d)
	}
	q.weight += weight
	d.places = append(d.places, x)
	d.dest.lanes[n].waiting++
	if s.flow == p.checks {
		d.dest.checks++
	}
	p.rouse(q)
}

// rouse lets sessions that are parked at a queue's server take from it.
func (p *plan) rouse(q *queue) {
	for _, s := range q.server.parked {
		if s.dest == q.dest && s.source == q.source {
			p.wakeUp(s)
		}
	}
}

// remove takes a domain out of one queue.
func (p *plan) remove(d *domain, x place) {
	q := x.queue
	q.domains.Remove(x.element)
	q.weight -= x.weight
	q.dest.lanes[q.source].waiting--
	if q.flow == p.checks {
		q.dest.checks--
	}
	if q.domains.Len() > 0 {
		return
	}
	q.server.drop(q)
	p.releaseServer(q.server)
}

// unplace takes a domain out of all queues.
func (p *plan) unplace(d *domain) {
	for _, x := range d.places {
		p.remove(d, x)
	}
	d.places = nil
}

// releaseServer forgets a server that nobody needs.
func (p *plan) releaseServer(srv *server) {
	if len(srv.queues) == 0 && len(srv.parked) == 0 &&
		!slices.ContainsFunc(srv.sessions, func(n int) bool { return n > 0 }) {
		delete(p.servers, srv.addr)
	}
}

// begun reports whether something of the domain was asked.
func (d *domain) begun() bool {
	if d.asking || d.alone {
		return true
	}
	return slices.ContainsFunc(d.shares, func(s *share) bool { return s.out > 0 || len(s.held)+len(s.doubts) > 0 })
}

// recount corrects what the destination counts of a domain.
func (p *plan) recount(d *domain) {
	waits, questions := 0, 0
	if p.domains[d.name] == d {
		held, tests := 0, false
		for _, s := range d.shares {
			waits += s.waiting()
			held += len(s.held) + len(s.doubts)
			tests = tests || s.wantsTest()
		}
		if tests || d.wantsQuestion() && waits+held > 0 {
			questions = 1
		}
	}
	d.dest.budget.waiting += waits - d.waits
	d.dest.budget.questions += questions - d.questions
	d.waits, d.questions = waits, questions
}

// stuck reports whether no source could ever ask for what waits at a domain, as things are.
func (p *plan) stuck(d *domain) bool {
	can := make([]bool, 0, 4)
	for n := range p.sources {
		can = append(can, p.usable(d.dest, n) && len(p.reach(p.scratch[:0], d, n)) > 0)
	}
	if !slices.Contains(can, true) {
		return slices.ContainsFunc(d.shares,
			func(s *share) bool { return s.waiting()+len(s.doubts) > 0 || s.asksOnly() || s.wantsTest() })
	}
	for _, s := range d.shares {
		p.sortPicky(d, s, can)
	}
	if len(d.barred) > 0 && d.wantsQuestion() {
		for n := range can {
			can[n] = can[n] && d.mayAsk(n)
		}
		if !slices.Contains(can, true) { // the sources that may have failed since
			d.control.off = true
			p.decide(d)
			d.inquiry.Close()
			p.settle(d)
		}
	}
	return false
}

// sortPicky ends the tasks that no source may ask any more, and frees those that may be asked like any other: a task
// that is bound to a source which can be used no longer may be asked from any.
func (p *plan) sortPicky(d *domain, s *share, can []bool) {
	s.picky = slices.DeleteFunc(s.picky, func(t *task) bool {
		if t.source != anySource && !can[t.source] {
			t.source = anySource
		}
		if !t.picky() {
			s.ready = append(s.ready, t)
			return true
		}
		for n := range can {
			if can[n] && t.allows(n) {
				return false
			}
		}
		switch {
		case t.Heard != nil:
			s.held = append(s.held, held{t, heardEvidence(t.Heard)})
			p.touch(d) // the answer may be known already
		case t.refusal != nil:
			p.finish(d, t, *t.refusal)
		default:
			return false
		}
		return true
	})
}

// stuckEvidence returns what is to be said of what waits at a domain that nobody can ask for.
func (p *plan) stuckEvidence(d *domain) evidence {
	for n := range p.sources {
		if l := &d.dest.lanes[n]; !l.closed(p.now) && len(p.reach(p.scratch[:0], d, n)) > 0 {
			return *l.circuit
		}
	}
	for n := range p.sources {
		if d.dest.leftToday(n, p.now) == 0 && len(p.reach(p.scratch[:0], d, n)) > 0 {
			return d.dest.budgetSpent(p.now)
		}
	}
	return d.exhausted(p)
}

func (p *plan) serverSessions(addr netip.Addr, n int) int {
	if s := p.servers[addr]; s != nil {
		return s.sessions[n]
	}
	return 0
}

// reserve counts sessions at a server from a source.
func (p *plan) reserve(addr netip.Addr, n, count int) {
	srv := p.serverAt(addr)
	srv.sessions[n] += count
	if count > 0 {
		return
	}
	if !srv.freed && len(srv.queues) > 0 {
		srv.freed = true
		p.freed = append(p.freed, srv)
	}
	p.releaseServer(srv)
}

// offer lets a destination that waits for a place at a server have one that was given back. It reports whether there is
// such a destination.
func (p *plan) offer() bool {
	for len(p.freed) > 0 {
		srv := p.freed[0]
		for _, q := range srv.queues {
			if q.dest.index >= 0 || srv.sessions[q.source] >= q.dest.table.Sessions {
				continue
			}
			if p.update(q.dest); q.dest.index >= 0 {
				return true
			}
		}
		srv.freed = false
		p.freed = p.freed[1:]
	}
	return false
}

// touchServer notes that something changed for the domains that wait at a server for a source.
func (p *plan) touchServer(addr netip.Addr, n int) {
	srv := p.servers[addr]
	if srv == nil {
		return
	}
	for _, q := range srv.queues {
		if q.source != n {
			continue
		}
		for e := q.domains.Front(); e != nil; e = e.Next() {
			p.touch(e.Value.(*domain))
		}
	}
}
