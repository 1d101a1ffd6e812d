package verify

import (
	"cmp"
	"container/heap"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
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
	begin struct{ run runID }
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
		pipelines bool
		smtputf8  bool
		tls       bool
		tlsFailed bool
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
	refillOrder struct {
		run    runID
		domain string
		most   int
		more   int // how many the Queue holds
	}
	resultsOrder struct {
		run   runID
		done  []finding
		facts []Facts
		last  bool // the run is over
	}
	releaseOrder struct {
		run    runID
		weight int
	}
	describeOrder struct {
		run  runID
		text string
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

const (
	outboxMost  = 10_000 // results that wait to be recorded; beyond, a run gets no flights
	refillMost  = 500    // tasks that the feeder gets at a time
	factsMost   = 100_000
	factFor     = 7 * 24 * time.Hour // how long the answer to a catch-all question is believed
	troubleFor  = 5 * time.Minute
	knownMost   = 20_000 // destinations, and addresses with troubles, that are remembered
	sweepEvery  = 5 * time.Minute
	sweepAtMost = 10 * time.Second
	parkMost    = 5 * time.Second // how long a session may wait for work
	familyFor   = 5 * time.Minute // how long a family that could not be reached is left out
	checkFlowID = 0

	noRouteLimit = 3 // attempts in a row that found no route, after which a family is left out
)

// rules are what a plan keeps to. They do not change.
type rules struct {
	pace       *smtpprobe.Pace
	addrs      []netip.Addr // ours; one at least, and the zero Addr is the system's choice
	slots      int          // sessions at a time, over all destinations
	ipv4, ipv6 bool         // families in use
	sender     string
}

// plan is the state of the engine: domains on their way, destinations, sessions, troubles of hosts, runs. It is pure: it
// is told events, one at a time, and returns orders. It does no I/O, reads no clock and never waits.
type plan struct {
	rules  rules
	now    time.Time
	orders []order

	runs         map[runID]*runState
	checks       *flow
	domains      map[string]*domain
	destinations map[string]*destination
	servers      map[netip.Addr]*server
	sources      []source
	sessions     map[sessionID]*session
	troubles     map[route]trouble
	ended        map[route]int            // sessions in a row that ended at their first recipient
	plain        map[netip.Addr]time.Time // TLS fails there; believed until then
	facts        factCache

	ready   destinationHeap // those that can use one more session now
	alarms  alarmHeap
	freed   []*server
	slots   int // sessions that count towards rules.slots
	lastID  sessionID
	sweptAt time.Time

	dirtyDomains []*domain
	dirtyRuns    []*runState
	parked       []*session // wait for work, the first longest
	wakeParked   []*session // to be given their next flight
	scratch      []netip.Addr
}

// runState is a run, or a single check.
type runState struct {
	id         runID
	flow       *flow
	check      bool
	left       int  // tasks that are neither finished nor dropped
	fed        bool // all domains were found
	stopping   bool
	gone       bool // stopping, and what is in flight is not awaited
	shares     map[*share]struct{}
	outbox     []finding
	facts      []Facts
	collecting bool
	feeding    bool
	refills    []*share
	dirty      bool
}

// source is one of our addresses.
type source struct {
	addr      netip.Addr
	sessions  int
	opened    int
	connected bool            // a session was had
	answered  bool            // something was answered that was no refusal of us
	failing   map[string]bool // destinations that could not be connected to, in a row
	refusing  map[string]bool // destinations that refused us, in a row
	outUntil  time.Time
	families  [2]family // IPv4, IPv6
}

// family is what a source knows of a family of addresses.
type family struct {
	outUntil time.Time // it is not used until then
	noRoute  int       // attempts that found no route, since the last session over it
	worked   bool      // a session was had over it, since it was out
}

// family returns what a source knows of the family of an address.
func (s *source) family(addr netip.Addr) *family {
	if addr.Unmap().Is4() {
		return &s.families[0]
	}
	return &s.families[1]
}

func newPlan(r rules) *plan {
	p := &plan{
		rules: r, runs: map[runID]*runState{}, checks: &flow{id: checkFlowID}, domains: map[string]*domain{},
		destinations: map[string]*destination{}, servers: map[netip.Addr]*server{}, sessions: map[sessionID]*session{},
		troubles: map[route]trouble{}, ended: map[route]int{}, plain: map[netip.Addr]time.Time{},
	}
	for _, addr := range r.addrs {
		p.sources = append(p.sources, source{addr: addr, failing: map[string]bool{}, refusing: map[string]bool{}})
	}
	return p
}

// handle takes an event and returns what is to be done.
func (p *plan) handle(now time.Time, ev event) []order {
	p.now, p.orders = now, nil
	switch ev := ev.(type) {
	case begin:
		p.addRun(&runState{id: ev.run, flow: &flow{id: int64(ev.run)}, shares: map[*share]struct{}{}})
	case found:
		p.found(ev)
	case tasks:
		p.refilled(ev)
	case fed:
		if r := p.runs[ev.run]; r != nil {
			r.fed = true
			p.touchRun(r)
		}
	case opened:
		p.opened(ev)
	case failed:
		p.failed(ev)
	case heard:
		p.heard(ev)
	case closed:
		p.closed(ev)
	case collect:
		if r := p.runs[ev.run]; r != nil {
			r.collecting = true
			p.touchRun(r)
		}
	case stop:
		p.end(ev.run, false)
	case gone:
		p.end(ev.run, true)
	case describe:
		p.say(describeOrder{ev.run, p.waitingFor()})
	}
	p.expire()
	for again := true; again; {
		for p.reviewed() {
		}
		p.flushRuns() // may let a run have flights again
		p.open()
		again = len(p.dirtyDomains)+len(p.wakeParked)+len(p.dirtyRuns) > 0
	}
	return p.orders
}

// wake returns when the plan wants a tick; zero for never.
func (p *plan) wake() time.Time {
	if len(p.alarms) == 0 {
		return time.Time{}
	}
	return p.alarms[0].at
}

// idle reports whether nothing is under way.
func (p *plan) idle() bool { return len(p.runs) == 0 && len(p.sessions) == 0 }

func (p *plan) say(o order) { p.orders = append(p.orders, o) }

func (p *plan) log(level slog.Level, text string, args ...any) { p.say(sayOrder{level, text, args}) }

// touch notes that a domain changed; it is reviewed before handle returns.
func (p *plan) touch(d *domain) {
	if !d.dirty {
		d.dirty = true
		p.dirtyDomains = append(p.dirtyDomains, d)
	}
}

func (p *plan) touchRun(r *runState) {
	if !r.dirty {
		r.dirty = true
		p.dirtyRuns = append(p.dirtyRuns, r)
	}
}

// touchAll notes that something changed for all domains of a destination.
func (p *plan) touchAll(d *destination) {
	for e := d.domains.Front(); e != nil; e = e.Next() {
		p.touch(e.Value.(*domain))
	}
}

// reviewed looks again at what changed, and reports whether there was anything.
func (p *plan) reviewed() bool {
	if len(p.dirtyDomains) == 0 && len(p.wakeParked) == 0 {
		return false
	}
	domains := p.dirtyDomains
	p.dirtyDomains = nil
	for _, d := range domains {
		d.dirty = false
		p.review(d)
	}
	parked := p.wakeParked
	p.wakeParked = nil
	for _, s := range parked {
		s.woken = false
		if s.state == parkedSession {
			p.next(s)
		}
	}
	return true
}

// review settles what can be settled of a domain, and puts it where it waits.
func (p *plan) review(d *domain) {
	if p.domains[d.name] != d {
		return
	}
	p.settle(d)
	for _, s := range d.shares { // what a run takes back, and was kept just now
		s.held = slices.DeleteFunc(s.held, func(h held) bool {
			if h.task.run.stopping {
				h.task.run.left--
			}
			return h.task.run.stopping
		})
	}
	p.place(d)
	d.shares = slices.DeleteFunc(d.shares, func(s *share) bool {
		if !s.done() {
			return false
		}
		p.shareDone(s)
		d.dest.leave(s.flow)
		return true
	})
	if len(d.shares) == 0 && !d.asking {
		p.domainDone(d)
	}
}

// found takes a domain in, or adds to one that is on its way.
func (p *plan) found(ev found) {
	r := p.runs[ev.run]
	if ev.check {
		r = &runState{id: ev.run, flow: p.checks, check: true, fed: true, collecting: true, shares: map[*share]struct{}{}}
		p.addRun(r)
	}
	if r == nil || r.stopping {
		if ev.weight > 0 {
			p.say(releaseOrder{ev.run, ev.weight})
		}
		return
	}
	d := p.domains[ev.domain]
	if d == nil {
		fact := ev.fact
		if fact == catchall.Open {
			fact = p.facts.get(ev.domain, p.now)
		}
		d = &domain{name: ev.domain, inquiry: catchall.Known(ev.domain, p.rules.sender, fact), notServed: map[string]bool{}}
		d.down, d.lost = map[route]evidence{}, map[route]int{}
		p.domains[d.name] = d
	}
	p.locate(d, ev.answer)
	s := d.share(r.flow)
	if s == nil {
		s = &share{domain: d, flow: r.flow}
		d.shares = append(d.shares, s)
		d.dest.join(r.flow)
	}
	if !r.check {
		s.run = r
		s.weight += ev.weight
		s.pending += ev.more
		r.left += ev.more
	}
	r.shares[s] = struct{}{}
	p.add(s, r, ev.tasks)
}

// addRun takes a run in. A run that was the only one need no longer wait for the sessions to end.
func (p *plan) addRun(r *runState) {
	if len(p.runs) == 1 {
		for _, other := range p.runs {
			p.touchRun(other)
		}
	}
	p.runs[r.id] = r
}

// locate gives a domain its mail hosts and its destination. The fate of hosts that were met before is kept by address.
func (p *plan) locate(d *domain, answer mx.Answer) {
	d.answer = answer
	dest := p.destinations[answer.Destination]
	if dest == nil {
		dest = newDestination(answer.Destination, p.rules.pace.For(answer.Destination), len(p.sources))
		p.destinations[dest.name] = dest
	}
	if d.dest == dest {
		return
	}
	if d.dest != nil {
		p.moveAway(d, dest)
	}
	d.dest, d.inDest = dest, dest.domains.PushBack(d)
}

// moveAway takes a domain out of its destination, since its mail goes to another one now.
func (p *plan) moveAway(d *domain, to *destination) {
	from := d.dest
	p.unplace(d)
	from.budget.waiting -= d.waits
	from.budget.questions -= d.questions
	d.waits, d.questions = 0, 0
	from.domains.Remove(d.inDest)
	for _, s := range d.shares {
		from.leave(s.flow)
		to.join(s.flow)
	}
	p.update(from)
	p.release(from)
}

// join counts a share of a flow at a destination. A flow that was not there begins at the smallest count of the runs that
// are, since from zero it would stop them.
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

// add takes tasks into a share.
func (p *plan) add(s *share, r *runState, list []Task) {
	d := s.domain
	r.left += len(list)
	fresh := slices.ContainsFunc(list, func(x Task) bool { return x.Heard == nil })
	for _, x := range list {
		t := &task{Task: x, run: r, source: anySource, kept: x.Heard != nil || r.check}
		if n := slices.Index(p.rules.addrs, x.Source); n >= 0 && x.Source.IsValid() {
			t.source = n
		}
		open := d.inquiry.Answer() == catchall.Open && !d.answer.Provider.AcceptsAll
		// One that was heard is asked again beside the question, unless others are asked there or it needs no question.
		control := s.control || fresh && t.source == anySource
		if x.Heard != nil && !d.answer.Provider.AcceptsAll && (control || !open) {
			s.held = append(s.held, held{t, heardEvidence(x.Heard)})
			continue
		}
		if x.Heard != nil {
			s.control = true
		}
		s.put(t)
	}
	p.touch(d)
}

// heardEvidence is what was heard of an address in an earlier run.
func heardEvidence(r *Result) evidence {
	return evidence{reason: r.Reason, detail: r.Detail, host: r.MX, reply: r.Reply, source: r.Source}
}

// refill lets the feeder get more tasks of a share; one request a run is under way.
func (p *plan) refill(s *share) {
	if s.pending == 0 || s.refilling || s.run == nil || s.run.stopping {
		return
	}
	s.refilling = true
	s.run.refills = append(s.run.refills, s)
	p.feed(s.run)
}

func (p *plan) feed(r *runState) {
	for !r.feeding && !r.flow.blocked && len(r.refills) > 0 {
		s := r.refills[0]
		r.refills = r.refills[1:]
		r.feeding = true
		s.asked = s.pending
		p.say(refillOrder{r.id, s.domain.name, min(s.pending, refillMost), s.pending})
	}
}

func (p *plan) refilled(ev tasks) {
	r := p.runs[ev.run]
	if r == nil {
		return
	}
	r.feeding = false
	if d := p.domains[ev.domain]; d != nil && !r.stopping {
		if s := d.share(r.flow); s != nil && s.refilling {
			s.refilling = false
			r.left += ev.more - s.asked // others may have been found since it was asked for
			s.pending += ev.more - s.asked
			p.add(s, r, ev.tasks)
		}
	}
	p.feed(r)
	p.touchRun(r)
}

// finish gives a task its result.
func (p *plan) finish(d *domain, t *task, e evidence) {
	p.report(d, t, e, false)
	t.run.left--
}

func (p *plan) report(d *domain, t *task, e evidence, provisional bool) {
	e.answer = d.answer
	if e.at.IsZero() || t.Heard != nil {
		e.at = p.now
	}
	t.run.outbox = append(t.run.outbox, finding{t.Task, e, provisional})
	if len(t.run.outbox) >= outboxMost {
		t.run.flow.blocked = !t.run.check
	}
	p.touchRun(t.run)
}

// settle gives accepted addresses their result, if the catch-all question has its answer. Else they are reported all the
// same, so that they are not lost, and will be settled.
func (p *plan) settle(d *domain) {
	answer := d.inquiry.Answer()
	for _, s := range d.shares {
		if answer != catchall.Open {
			for _, h := range s.held {
				e := h.evidence
				e.reason, e.detail, e.catchAll = acceptance(answer)
				e.open = answer == catchall.Unanswered && d.askLater()
				p.finish(d, h.task, e)
			}
			s.held = nil
			continue
		}
		for i := range s.held {
			if h := &s.held[i]; !h.task.kept {
				h.task.kept = true
				e := h.evidence
				e.reason, e.detail, e.catchAll = acceptance(catchall.Unanswered)
				e.open = true
				p.report(d, h.task, e, true)
			}
		}
	}
}

// conclude gives all that waits at a domain its result, since nothing of it can be asked any more.
func (p *plan) conclude(d *domain, e evidence) {
	for _, s := range d.shares {
		waiting := slices.Concat(s.ready, s.picky)
		s.ready, s.picky = nil, nil
		for _, t := range waiting {
			switch {
			case t.Heard != nil: // it was accepted before
				s.held = append(s.held, held{t, heardEvidence(t.Heard)})
			case t.refusal != nil:
				p.finish(d, t, *t.refusal)
			default:
				p.finish(d, t, e)
			}
		}
		p.refill(s)
	}
	if !d.asking && d.inquiry.Answer() == catchall.Open {
		d.inquiry.Close()
		d.prevented = !e.reason.AboutSender()
	}
	p.settle(d)
}

// shareDone tells a run what was learned of a domain, and gives back its room for work.
func (p *plan) shareDone(s *share) {
	r := s.run
	if r == nil {
		return
	}
	delete(r.shares, s)
	if s.weight > 0 {
		p.say(releaseOrder{r.id, s.weight})
	}
	d := s.domain
	f := Facts{Name: d.name, Provider: d.answer.Provider.Name, CatchAll: d.inquiry.Answer(), CheckedAt: p.now}
	if f.CatchAll == catchall.Unanswered && d.askLater() {
		f.CatchAll = catchall.Open
	}
	if len(d.answer.Hosts) > 0 {
		f.MX = d.answer.Hosts[0].Name
	}
	r.facts = append(r.facts, f)
	p.touchRun(r)
}

func (p *plan) domainDone(d *domain) {
	p.unplace(d)
	p.recount(d)
	if a := d.inquiry.Answer(); a == catchall.Yes || a == catchall.No {
		p.facts.put(d.name, a, p.now)
	}
	delete(p.domains, d.name)
	d.dest.domains.Remove(d.inDest)
	p.update(d.dest)
	p.release(d.dest)
}

// release forgets a destination of which nothing is known that a later domain would need.
func (p *plan) release(d *destination) {
	if d.idle() && d.plain() && d.index < 0 {
		delete(p.destinations, d.name)
	}
}

// end takes a run back: what waits is dropped, and what is in flight ends after the next answer, or now.
func (p *plan) end(id runID, now bool) {
	r := p.runs[id]
	if r == nil {
		return
	}
	again := r.stopping
	r.stopping, r.gone = true, r.gone || now
	if !again {
		shares := make([]*share, 0, len(r.shares))
		for s := range r.shares {
			shares = append(shares, s)
		}
		slices.SortFunc(shares, func(a, b *share) int { return strings.Compare(a.domain.name, b.domain.name) })
		for _, s := range shares {
			p.drop(s, r)
		}
		r.refills = nil
	}
	for _, s := range p.sortedSessions() {
		switch {
		case s.state == openingSession && !p.wanted(s.dest):
			p.say(cancelOrder{s.id})
		case s.flight == nil:
		case now && s.flight.onlyOf(isGone):
			p.say(cancelOrder{s.id})
		case s.flight.onlyOf(stopping):
			p.say(endOrder{s.id})
		}
	}
	for _, s := range p.parked {
		p.wakeUp(s)
	}
	if r.check {
		delete(p.runs, id)
		p.say(resultsOrder{run: id, last: true})
	}
	p.touchRun(r)
}

func stopping(r *runState) bool { return r.stopping }

func isGone(r *runState) bool { return r.gone }

// wanted reports whether anything waits at a destination.
func (p *plan) wanted(d *destination) bool {
	for _, s := range d.servers {
		for _, q := range s.of[d] {
			if q.domains.Len() > 0 {
				return true
			}
		}
	}
	return false
}

func (p *plan) sortedSessions() []*session {
	list := make([]*session, 0, len(p.sessions))
	for _, s := range p.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	return list
}

// drop takes back what a run waits for at a domain.
func (p *plan) drop(s *share, r *runState) {
	d := s.domain
	p.settle(d) // what was accepted is kept before it is let go
	mine := func(t *task) bool {
		if t.run == r {
			r.left--
		}
		return t.run == r
	}
	s.ready = slices.DeleteFunc(s.ready, mine)
	s.picky = slices.DeleteFunc(s.picky, mine)
	s.held = slices.DeleteFunc(s.held, func(h held) bool { return mine(h.task) })
	if !r.check {
		r.left -= s.pending
		s.pending, s.refilling = 0, false
	}
	p.touch(d)
	p.place(d) // at once, so that wanted sees it
}

// flushRuns gives recorders what there is, and ends runs that are over.
func (p *plan) flushRuns() {
	runs := p.dirtyRuns
	p.dirtyRuns = nil
	for _, r := range runs {
		r.dirty = false
		p.flush(r)
	}
}

// flush gives the recorder of a run its results, if it waits for some. The last run is over only when its sessions have
// been left.
func (p *plan) flush(r *runState) {
	if !r.collecting || p.runs[r.id] != r {
		return
	}
	over := r.fed && r.left == 0 && !r.feeding && (r.check || len(p.runs) > 1 || len(p.sessions) == 0)
	if len(r.outbox)+len(r.facts) == 0 && !over {
		return
	}
	r.collecting = false
	p.say(resultsOrder{r.id, r.outbox, r.facts, over})
	r.outbox, r.facts = nil, nil
	if over {
		delete(p.runs, r.id)
	}
	if r.flow.blocked {
		r.flow.blocked = false
		p.feed(r)
		for _, d := range p.sortedDestinations() {
			p.update(d)
		}
		for _, s := range p.parked {
			p.wakeUp(s)
		}
	}
}

func (p *plan) sortedDestinations() []*destination {
	list := make([]*destination, 0, len(p.destinations))
	for _, d := range p.destinations {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *destination) int { return strings.Compare(a.name, b.name) })
	return list
}

// waitingFor says in words what holds work up most.
func (p *plan) waitingFor() string {
	var slowest *destination
	for _, d := range p.destinations {
		if d.waiting > 0 && (slowest == nil || d.waiting > slowest.waiting || d.waiting == slowest.waiting && d.name < slowest.name) {
			slowest = d
		}
	}
	if slowest == nil {
		return ""
	}
	words := fmt.Sprintf("%s (%d to ask, %d sessions", slowest.name, slowest.waiting, slowest.budget.sessions)
	for i := range slowest.lanes {
		if wait := slowest.lanes[i].paused.Sub(p.now); wait > 0 {
			return words + fmt.Sprintf(", it asked for a pause of %s)", wait.Round(time.Second))
		}
	}
	return words + ")"
}

// alarm is a time at which something is looked at again.
type alarm struct {
	at      time.Time
	dest    *destination
	session *session
}

type alarmHeap []alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *alarmHeap) Push(x any) { *h = append(*h, x.(alarm)) }

// Pop implements heap.Interface.
func (h *alarmHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*h = old[:len(old)-1]
	return a
}

// remind lets a destination be looked at again.
func (p *plan) remind(d *destination, at time.Time) {
	if d.alarm.IsZero() || at.Before(d.alarm) || !d.alarm.After(p.now) {
		d.alarm = at
		heap.Push(&p.alarms, alarm{at: at, dest: d})
	}
}

// expire looks at what is due, and forgets what is no longer to be known.
func (p *plan) expire() {
	for len(p.alarms) > 0 && !p.alarms[0].at.After(p.now) {
		a := heap.Pop(&p.alarms).(alarm)
		switch {
		case a.session != nil:
			p.sessionDue(a.session)
		case a.dest.alarm.Equal(a.at):
			a.dest.alarm = time.Time{}
			p.update(a.dest)
		}
	}
	if since := p.now.Sub(p.sweptAt); since < sweepEvery && (since < sweepAtMost || max(len(p.destinations), len(p.troubles)) < 2*knownMost) {
		return
	}
	p.sweptAt = p.now
	for r, t := range p.troubles {
		if !p.now.Before(t.until) || len(p.troubles) > knownMost {
			delete(p.troubles, r)
		}
	}
	if len(p.ended) > knownMost {
		clear(p.ended)
	}
	for addr, until := range p.plain {
		if !p.now.Before(until) || len(p.plain) > knownMost {
			delete(p.plain, addr)
		}
	}
	for name, d := range p.destinations {
		d.forget(p.now)
		if d.idle() && d.index < 0 && (p.now.Sub(d.usedAt) > learnedFor || len(p.destinations) > knownMost) {
			delete(p.destinations, name)
		}
	}
}

// factCache keeps answers to catch-all questions, in two generations so that it is bounded.
type factCache struct{ young, old map[string]fact }

type fact struct {
	answer catchall.Answer
	at     time.Time
}

func (c *factCache) put(name string, a catchall.Answer, now time.Time) {
	if c.young == nil || len(c.young) >= factsMost/2 {
		c.old, c.young = c.young, map[string]fact{}
	}
	c.young[name] = fact{a, now}
}

func (c *factCache) get(name string, now time.Time) catchall.Answer {
	f, ok := c.young[name]
	if !ok {
		f, ok = c.old[name]
	}
	if !ok || now.Sub(f.at) >= factFor {
		return catchall.Open
	}
	return f.answer
}

// noRoute says why no family of a host's addresses is in use.
func (p *plan) noRoute(h mx.Host) string {
	if !slices.ContainsFunc(p.sources, func(s source) bool { return !p.now.Before(s.outUntil) }) {
		return "no source address of this machine can be used now"
	}
	have := "IPv4"
	for _, a := range h.Addrs {
		if !a.Unmap().Is4() {
			have = "IPv6"
		}
	}
	if len(h.Addrs) == 0 {
		return "its mail host " + h.Name + " has no address"
	}
	return fmt.Sprintf("its mail host %s has %s addresses only, and this machine does not use %s now", h.Name, have, have)
}
