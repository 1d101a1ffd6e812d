package verify

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// sessionState is where a session is in its life.
type sessionState int

const (
	openingSession sessionState = iota
	flyingSession
	parkedSession // waits for work that is expected
	leavingSession
)

// session is an SMTP session as the plan sees it.
type session struct {
	id     sessionID
	dest   *destination
	domain *domain // it was opened for
	host   string
	source int
	tried  []netip.Addr // reserved while it is being opened
	atOnce int          // connections reserved at the destination while it is being opened
	addr   netip.Addr
	state  sessionState
	slow   bool // takes so long to open that it no longer counts against other sources

	trip      time.Duration
	pipelines bool
	smtputf8  bool

	load   load
	names  []string // domains it asked about, where their number is limited
	flight *flight
	until  time.Time // parked: when it gives up waiting
	due    time.Time // parked: when it looks again
	woken  bool      // about to look again
}

func (s *session) lane() *lane { return &s.dest.lanes[s.source] }

// update puts a destination into its place among those that can use one more session.
func (p *plan) update(d *destination) {
	d.ceiling = 0
	for i := range d.lanes {
		d.ceiling += d.lanes[i].ceiling
	}
	wants := p.laneFor(d) >= 0
	switch {
	case wants && d.index < 0:
		heap.Push(&p.ready, d)
	case wants:
		heap.Fix(&p.ready, d.index)
	case d.index >= 0:
		heap.Remove(&p.ready, d.index)
	}
}

// laneFor returns the source from which a destination gets its next session: one for which a single check waits, else
// the one with fewest sessions there, then with fewest in all; -1 if none may open one now.
func (p *plan) laneFor(d *destination) int {
	best, serves := -1, false // serves: a single check waits for it
	if !d.pays() && !p.checkUnserved(d) {
		return best
	}
	for n := range d.lanes {
		l := &d.lanes[n]
		switch {
		case l.waiting == 0, l.sessions >= l.ceiling, l.sessions > 0 && (!l.met || l.circuit != nil), !p.usable(d, n):
			continue
		case p.now.Before(l.paused):
			p.remind(d, l.paused)
			continue
		}
		if ghosts, until := l.ghosts(p.now); ghosts > 0 && l.sessions+ghosts >= l.ceiling {
			p.remind(d, until)
			continue
		}
		srv := p.serverFor(d, n)
		if srv == nil {
			continue
		}
		q := srv.choose(d, n)
		if wait := p.rateWait(d, n, q.least()); wait > 0 {
			p.remind(d, p.now.Add(wait))
			continue
		}
		check := d.checks > 0 && q.flow == p.checks
		if best < 0 || check && !serves || check == serves && p.fewer(d, n, best) {
			best, serves = n, check
		}
	}
	return best
}

// checkUnserved reports whether a single check waits at servers where no session is.
func (p *plan) checkUnserved(d *destination) bool {
	if d.checks == 0 {
		return false
	}
	reached := func(x place) bool { return x.queue.server.sessions[x.queue.source] > 0 }
	return slices.ContainsFunc(d.servers, func(s *server) bool {
		return slices.ContainsFunc(s.of[d], func(q *queue) bool {
			if q.flow != p.checks || s.sessions[q.source] > 0 {
				return false
			}
			for e := q.domains.Front(); e != nil; e = e.Next() {
				if !slices.ContainsFunc(e.Value.(*domain).places, reached) {
					return true
				}
			}
			return false
		})
	})
}

// fewer reports whether source a has fewer sessions than b, at the destination, in all, or ever.
func (p *plan) fewer(d *destination, a, b int) bool {
	if x, y := d.lanes[a].sessions, d.lanes[b].sessions; x != y {
		return x < y
	}
	if x, y := p.sources[a].sessions, p.sources[b].sessions; x != y {
		return x < y
	}
	return p.sources[a].opened < p.sources[b].opened
}

// rateWait returns how long to wait until so many recipients pass the rate of a destination.
func (p *plan) rateWait(d *destination, n, recipients int) time.Duration {
	l := d.lanes[n].limiter
	if l == nil {
		return 0
	}
	missing := min(float64(recipients), float64(l.Burst())) - l.TokensAt(p.now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Millisecond
}

// serverFor returns the server of a destination with most to ask for each session there; nil if none may have one more.
func (p *plan) serverFor(d *destination, n int) *server {
	var best *server
	most := 0
	for _, s := range d.servers {
		w := s.weight(d, n)
		if w == 0 || s.sessions[n] >= d.table.Sessions || p.holds(n, s.addr) {
			continue
		}
		if d.checks > 0 {
			if q := s.choose(d, n); q != nil && q.flow == p.checks {
				w += 1 << 30
			}
		}
		if w /= s.sessions[n] + 1; best == nil || w > most {
			best, most = s, w
		}
	}
	return best
}

// open opens sessions for those that need longest, while there are slots.
func (p *plan) open() {
	for len(p.ready) > 0 || p.offer() {
		d := p.ready[0]
		if p.slots >= p.rules.slots {
			if len(p.parked) == 0 {
				return
			}
			p.quit(p.parked[0], "its slot is needed")
		}
		n := p.laneFor(d)
		if n < 0 {
			p.update(d)
			continue
		}
		p.openAt(d, n, p.serverFor(d, n))
		p.update(d)
	}
}

// openAt opens a session at a server, for the domain there that comes first. Caps are reserved for every connection
// that may be under way at a time.
func (p *plan) openAt(d *destination, n int, srv *server) {
	dom := srv.choose(d, n).domains.Front().Value.(*domain)
	host, addrs := p.candidates(dom, n, srv.addr)
	l := &d.lanes[n]
	s := &session{id: p.lastID + 1, dest: d, domain: dom, host: host, source: n, tried: addrs, atOnce: 1}
	if len(addrs) > 1 && l.ceiling-l.sessions > 1 {
		s.atOnce = 2
	}
	p.lastID++
	p.sessions[s.id] = s
	p.slots++
	d.usedAt = p.now
	d.forget(p.now)
	d.budget.sessions++
	l.sessions += s.atOnce
	l.trial = l.circuit != nil
	for _, addr := range addrs {
		p.reserve(addr, n, 1)
	}
	src := &p.sources[n]
	src.sessions++
	src.opened++
	if len(p.sources) > 1 {
		p.alarmAt(s, p.now.Add(slowOpening))
	}
	target := smtpprobe.Target{Host: host, Addrs: addrs, AtOnce: s.atOnce, Source: src.addr}
	if until, ok := p.plain[addrs[0]]; ok && p.now.Before(until) {
		target.Plain = true
	}
	p.say(openOrder{s.id, target, dom.answer.Provider.Name})
}

// candidates returns the host of a domain with an address, and its addresses in the order in which to try them: this
// one, and one of the other family, or another one, for the case that it does not answer.
func (p *plan) candidates(d *domain, n int, addr netip.Addr) (string, []netip.Addr) {
	at := slices.IndexFunc(d.answer.Hosts, func(h mx.Host) bool {
		return !d.notServed[h.Name] && slices.Contains(h.Addrs, addr)
	})
	h := d.answer.Hosts[at]
	other := netip.Addr{}
	for _, a := range h.Addrs {
		if a == addr || !p.alive(d, n, a) || p.holds(n, a) || p.serverSessions(a, n) >= d.dest.table.Sessions {
			continue
		}
		if !other.IsValid() || a.Unmap().Is4() != addr.Unmap().Is4() && other.Unmap().Is4() == addr.Unmap().Is4() {
			other = a
		}
	}
	if other.IsValid() {
		return h.Name, []netip.Addr{addr, other}
	}
	return h.Name, []netip.Addr{addr}
}

func (p *plan) alarmAt(s *session, at time.Time) { heap.Push(&p.alarms, alarm{at: at, session: s}) }

// sessionDue looks at a session whose time has come.
func (p *plan) sessionDue(s *session) {
	switch {
	case p.sessions[s.id] != s:
	case s.state == openingSession && !s.slow:
		s.slow = true
		s.dest.budget.sessions--
		p.update(s.dest)
	case s.state == parkedSession && !p.now.Before(s.due):
		p.next(s)
	}
}

// opened takes a session that can be used.
func (p *plan) opened(ev opened) {
	s := p.sessions[ev.session]
	d, l, src := s.dest, s.lane(), &p.sources[s.source]
	s.addr, s.trip, s.pipelines, s.smtputf8 = ev.addr, ev.trip, ev.pipelines, ev.smtputf8
	if s.slow {
		s.slow = false
		d.budget.sessions++
	}
	l.sessions -= s.atOnce - 1
	for _, addr := range s.tried {
		if addr != s.addr {
			p.reserve(addr, s.source, -1)
		}
	}
	s.tried = nil
	if l.screening { // the answer to RCPT is awaited
		l.met = l.met && l.sessions > 1
	} else {
		l.met = true
	}
	src.connected = true
	d.keep(p.now, ev.limits)
	p.family(wayTo(s.source, s.addr)).works()
	p.answer(s.source, s.addr, d.name, s.host)
	p.greeted(wayTo(s.source, s.addr), d.name, s.addr, Greeting{Host: s.host, Name: ev.greeting})
	clear(src.failing)
	d.trip, d.stepwise, d.tls = ev.trip, !ev.pipelines, ev.tls
	if ev.tlsFailed {
		p.plain[ev.addr] = p.now.Add(learnedFor)
	}
	p.rest(s)
	p.update(d)
}

// rest ends what a session does.
func (p *plan) rest(s *session) {
	s.state = parkedSession
	p.wakeUp(s)
}

// forgetSession gives back what a session held.
func (p *plan) forgetSession(s *session) {
	d, src := s.dest, &p.sources[s.source]
	if s.state != leavingSession {
		p.slots--
	}
	if !s.slow {
		d.budget.sessions--
	}
	if s.load.tests {
		d.testing = false
	}
	if s.tried != nil {
		d.lanes[s.source].sessions -= s.atOnce
		for _, addr := range s.tried {
			p.reserve(addr, s.source, -1)
		}
	} else {
		d.lanes[s.source].sessions--
		p.reserve(s.addr, s.source, -1)
	}
	if l := s.lane(); l.sessions == 0 {
		l.trial = false
	}
	src.sessions--
	delete(p.sessions, s.id)
	p.update(d)
	p.release(d)
	if len(p.sessions) == 0 { // runs that only waited for this are over
		for _, r := range p.runs {
			p.touchRun(r)
		}
	}
}

// closed takes the end of a session.
func (p *plan) closed(ev closed) { p.forgetSession(p.sessions[ev.session]) }

// failed weighs why there is no session.
func (p *plan) failed(ev failed) {
	s := p.sessions[ev.session]
	d, l, dom := s.dest, s.lane(), s.domain
	p.forgetSession(s)
	l.trial = false
	ours := false
	for _, f := range ev.failures {
		if f.noTLS {
			p.plain[f.addr] = p.now.Add(learnedFor)
		}
		switch {
		case f.fault == callersEnd:
			ours = true
		case f.fault == sourceGone:
			ours = true
			p.leaveOut(s.source, "it is not an address of this machine: "+f.evidence.detail)
		case f.fault == noFamily:
			ours = true
			p.noRouteTo(s.source, f.addr, d, f.evidence)
		case f.fault == proxyFault, f.fault == proxyRule:
			ours = true
			p.proxyFailed(s.source, f.addr, d, f)
		case f.said != nil:
			p.answer(s.source, f.addr, d.name, s.host)
			p.refusedBeforeRCPT(s, dom, f.addr, *f.said)
		case p.reachOf(wayTo(s.source, f.addr)).state == awayWay: // asked again when the network is back
		default:
			p.unanswered(s, f)
		}
		if f.said == nil && f.fault == notOurs {
			p.sourceFailed(s.source, d.name)
		}
	}
	if !ours && l.circuit != nil {
		l.circuitAt = p.now
		p.touchAll(d)
	}
	p.touch(dom)
	p.update(d)
}

// next gives a session its next flight, lets it wait for one, or ends it.
func (p *plan) next(s *session) {
	d, l := s.dest, s.lane()
	p.unpark(s)
	switch {
	case p.now.Before(l.paused):
		p.quit(s, "the destination asked for a pause")
		return
	case !p.usable(d, s.source):
		p.quit(s, "the destination refuses us, or today's budget is used up")
		return
	case l.sessions > l.ceiling:
		p.quit(s, "the destination allows fewer sessions now")
		return
	case s.load.served > 0 && (d.spent(s.load) || d.spentMails(s, 0)):
		p.quit(s, "a new session serves better")
		return
	case s.load.served > 0 && p.neededElsewhere(s):
		p.quit(s, "a single check needs its slot")
		return
	}
	srv := p.servers[s.addr]
	if p.nextQueue(s, srv) != nil {
		if wait := p.rateWait(d, s.source, p.worthwhile(s, srv)); wait > 0 {
			p.park(s, wait)
			return
		}
		if f := p.fill(s); f != nil {
			p.fly(s, f)
			return
		}
	}
	if p.expects(s, srv) {
		p.park(s, parkMost)
		return
	}
	p.quit(s, "nothing more to ask")
}

// worthwhile returns how many recipients a flight at a destination with a rate should have: what passes within some
// seconds, or what there is.
func (p *plan) worthwhile(s *session, srv *server) int {
	l := s.lane().limiter
	if l == nil || srv == nil {
		return 1
	}
	n := min(srv.weight(s.dest, s.source), int(float64(l.Limit())*rateWindow.Seconds()))
	if q := srv.choose(s.dest, s.source); q != nil && q.flow == p.checks {
		n = 1
	}
	return max(n, p.least(s, srv))
}

// expects reports whether work for a session is on its way from a Queue.
func (p *plan) expects(s *session, srv *server) bool {
	for e := s.dest.domains.Front(); e != nil; e = e.Next() {
		d := e.Value.(*domain)
		if !slices.ContainsFunc(d.shares, func(x *share) bool { return x.refilling }) {
			continue
		}
		if slices.Contains(p.reach(p.scratch[:0], d, s.source), s.addr) {
			return true
		}
	}
	return false
}

// neededElsewhere reports whether a single check waits that this session cannot serve and that finds no slot.
func (p *plan) neededElsewhere(s *session) bool {
	if srv := p.servers[s.addr]; srv != nil {
		if q := srv.choose(s.dest, s.source); q != nil && q.flow == p.checks {
			return false
		}
	}
	if s.dest.index < 0 && p.checkUnserved(s.dest) {
		return true // its destination has no session left for it
	}
	return p.slots >= p.rules.slots && len(p.ready) > 0 && p.ready[0].checks > 0
}

// wakeAt lets the sessions that are parked at a destination look again at what there is for them.
func (p *plan) wakeAt(d *destination) {
	for _, s := range p.parked {
		if s.dest == d {
			p.wakeUp(s)
		}
	}
}

// wakeUp lets a session be given its next flight when all that is known was reviewed.
func (p *plan) wakeUp(s *session) {
	if !s.woken {
		s.woken = true
		p.wakeParked = append(p.wakeParked, s)
	}
}

// park lets a session wait.
func (p *plan) park(s *session, wait time.Duration) {
	if s.until.IsZero() {
		s.until = p.now.Add(parkMost)
	}
	at := p.now.Add(wait)
	if !s.until.After(p.now) || at.After(s.until.Add(time.Second)) {
		s.until = time.Time{}
		p.quit(s, "nothing to ask for a while")
		return
	}
	s.state = parkedSession
	p.parked = append(p.parked, s)
	if srv := p.servers[s.addr]; srv != nil {
		srv.parked = append(srv.parked, s)
	}
	if !s.due.Equal(at) {
		s.due = at
		p.alarmAt(s, at)
	}
}

func (p *plan) unpark(s *session) {
	p.parked = slices.DeleteFunc(p.parked, func(o *session) bool { return o == s })
	if srv := p.servers[s.addr]; srv != nil {
		srv.parked = slices.DeleteFunc(srv.parked, func(o *session) bool { return o == s })
	}
}

// quit ends a session politely. Its slot is free at once, its place at the destination when it is closed.
func (p *plan) quit(s *session, why string) {
	p.unpark(s)
	s.state = leavingSession
	p.slots--
	p.say(quitOrder{s.id, why})
}
