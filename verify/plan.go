package verify

import (
	"cmp"
	"container/heap"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"presend/verify/catchall"
	"presend/verify/smtpprobe"
)

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
	outside    bool // a test can tell whether port 25 is closed here
}

// plan is the state of the engine: domains on their way, destinations, sessions, troubles of hosts, runs. It is pure:
// it is told events, one at a time, and returns orders. It does no I/O, reads no clock and never waits.
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
		p.addRun(&runState{
			id: ev.run, flow: &flow{id: int64(ev.run)}, patience: ev.patience, shares: map[*share]struct{}{},
			spent: map[account]struct{}{},
		})
		p.remember(ev.spent)
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
	case tested:
		if ev.asked != "" {
			p.testedGreeting(ev)
		} else {
			p.tested(ev)
		}
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
		p.say(describeOrder{ev.run, p.ahead(ev.run)})
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
	p.decide(d)
	p.settle(d)
	for _, s := range d.shares { // what a run takes back, and was kept just now
		p.dropDoubts(s)
		s.held = slices.DeleteFunc(s.held, func(h held) bool {
			if h.task.run.stopping {
				h.task.run.left--
			}
			return h.task.run.stopping
		})
	}
	p.place(d)
	p.tellMissing(d)
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

// release forgets a destination of which nothing is known that a later domain would need.
func (p *plan) release(d *destination) {
	if d.idle() && d.plain() && d.index < 0 {
		delete(p.destinations, d.name)
	}
}

func (p *plan) sortedSessions() []*session {
	list := make([]*session, 0, len(p.sessions))
	for _, s := range p.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	return list
}

func (p *plan) sortedRuns() []*runState {
	list := make([]*runState, 0, len(p.runs))
	for _, r := range p.runs {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *runState) int { return cmp.Compare(a.id, b.id) })
	return list
}

func (p *plan) sortedDestinations() []*destination {
	list := make([]*destination, 0, len(p.destinations))
	for _, d := range p.destinations {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *destination) int { return strings.Compare(a.name, b.name) })
	return list
}

// alarm is a time at which something is looked at again.
type alarm struct {
	at      time.Time
	dest    *destination
	session *session
	do      func() // where it is neither of both
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
		case a.do != nil:
			a.do()
		case a.session != nil:
			p.sessionDue(a.session)
		case a.dest.alarm.Equal(a.at):
			a.dest.alarm = time.Time{}
			p.update(a.dest)
		}
	}
	if since := p.now.Sub(p.sweptAt); since < sweepEvery &&
		(since < sweepAtMost || max(len(p.destinations), len(p.troubles)) < 2*knownMost) {
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
