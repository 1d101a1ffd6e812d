package verify

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"presend/verify/mx"
	"presend/verify/reply"
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
	flight *flight
	until  time.Time // parked: when it gives up waiting
	due    time.Time // parked: when it looks again
	woken  bool      // about to look again
}

func (s *session) lane() *lane { return &s.dest.lanes[s.source] }

// usable reports whether a source may open sessions at a destination, now or after a pause.
func (p *plan) usable(d *destination, n int) bool {
	return !p.now.Before(p.sources[n].outUntil) && d.lanes[n].closed(p.now)
}

// inUse reports whether a source can reach an address by its family.
func (p *plan) inUse(n int, addr netip.Addr) bool {
	src, v4 := &p.sources[n], addr.Unmap().Is4()
	if src.addr.IsValid() && src.addr.Unmap().Is4() != v4 {
		return false
	}
	if v4 && !p.rules.ipv4 || !v4 && !p.rules.ipv6 {
		return false
	}
	return !p.now.Before(src.family(addr).outUntil)
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
	t, troubled := p.troubles[r]
	return !troubled || !p.now.Before(t.until)
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
			weight := s.askable(n)
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
	srv := p.servers[addr]
	if srv == nil {
		srv = newServer(addr, len(p.sources))
		p.servers[addr] = srv
	}
	q := srv.queueFor(d.dest, n, s.flow, true)
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
	if len(srv.queues) == 0 && len(srv.parked) == 0 && !slices.ContainsFunc(srv.sessions, func(n int) bool { return n > 0 }) {
		delete(p.servers, srv.addr)
	}
}

// begun reports whether something of the domain was asked.
func (d *domain) begun() bool {
	if d.asking || d.alone {
		return true
	}
	return slices.ContainsFunc(d.shares, func(s *share) bool { return s.out > 0 || len(s.held) > 0 })
}

// recount corrects what the destination counts of a domain.
func (p *plan) recount(d *domain) {
	waits, questions := 0, 0
	if p.domains[d.name] == d {
		held := 0
		for _, s := range d.shares {
			waits += s.waiting()
			held += len(s.held)
		}
		if d.wantsQuestion() && waits+held > 0 {
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
		return slices.ContainsFunc(d.shares, func(s *share) bool { return s.waiting() > 0 || s.asksOnly() })
	}
	for _, s := range d.shares {
		p.sortPicky(d, s, can)
	}
	if len(d.barred) > 0 && d.wantsQuestion() {
		for n := range can {
			can[n] = can[n] && d.mayAsk(n)
		}
		if !slices.Contains(can, true) { // the sources that may have failed since
			d.inquiry.Close()
			p.settle(d)
		}
	}
	return false
}

// sortPicky ends the tasks that no source may ask any more, and frees those that may be asked like any other: a task that
// is bound to a source which can be used no longer may be asked from any.
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
	return d.exhausted(p)
}

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

// laneFor returns the source from which a destination gets its next session: one for which a single check waits, else the
// one with fewest sessions there, then with fewest in all; -1 if none may open one now.
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
		if wait := p.rateWait(d, n, 1); wait > 0 {
			p.remind(d, p.now.Add(wait))
			continue
		}
		srv := p.serverFor(d, n)
		if srv == nil {
			continue
		}
		check := d.checks > 0 && srv.choose(d, n).flow == p.checks
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
		if w == 0 || s.sessions[n] >= d.table.Sessions {
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

// openAt opens a session at a server, for the domain there that comes first. Caps are reserved for every connection that
// may be under way at a time.
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

// candidates returns the host of a domain with an address, and its addresses in the order in which to try them: this one,
// and one of the other family, or another one, for the case that it does not answer.
func (p *plan) candidates(d *domain, n int, addr netip.Addr) (string, []netip.Addr) {
	at := slices.IndexFunc(d.answer.Hosts, func(h mx.Host) bool {
		return !d.notServed[h.Name] && slices.Contains(h.Addrs, addr)
	})
	h := d.answer.Hosts[at]
	other := netip.Addr{}
	for _, a := range h.Addrs {
		if a == addr || !p.alive(d, n, a) || p.serverSessions(a, n) >= d.dest.table.Sessions {
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

func (p *plan) serverSessions(addr netip.Addr, n int) int {
	if s := p.servers[addr]; s != nil {
		return s.sessions[n]
	}
	return 0
}

// reserve counts sessions at a server from a source.
func (p *plan) reserve(addr netip.Addr, n, count int) {
	srv := p.servers[addr]
	if srv == nil {
		srv = newServer(addr, len(p.sources))
		p.servers[addr] = srv
	}
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
	l.met, src.connected = true, true
	*src.family(s.addr) = family{worked: true}
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
			p.noRouteTo(s.source, f.addr, f.evidence)
		case f.said != nil:
			p.refusedBeforeRCPT(s, dom, f.addr, *f.said)
		default:
			p.troubles[route{s.source, f.addr}] = trouble{f.evidence, p.now.Add(troubleFor)}
			p.touchServer(f.addr, s.source)
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

// refusedBeforeRCPT weighs a refusal of the connection, of EHLO or of MAIL.
func (p *plan) refusedBeforeRCPT(s *session, d *domain, addr netip.Addr, x said) {
	l := s.lane()
	switch {
	case x.meaning.Reason.AboutSender():
		p.hostDown(d, s.source, s.host, x.evidence)
		p.refusesUs(s, x.evidence)
	case x.meaning.Reason == reply.RateLimited:
		if l.sessions > 0 || l.pauses < lostLimit {
			p.pause(s, x.evidence.detail) // too many sessions, or too fast: later, with fewer
			return
		}
		p.greetedBadly(s, d, addr, x.evidence)
	case x.meaning.Reason == reply.DomainNotServed:
		d.refusedBy(addr, s.host)
	default:
		p.greetedBadly(s, d, addr, x.evidence)
	}
	p.touch(d)
}

// greetedBadly notes that a host refuses sessions. No domain was named yet, so that it does so for all.
func (p *plan) greetedBadly(s *session, d *domain, addr netip.Addr, e evidence) {
	p.hostDown(d, s.source, s.host, e)
	p.troubles[route{s.source, addr}] = trouble{e, p.now.Add(troubleFor)}
	p.touchServer(addr, s.source)
}

// hostDown notes that a host is of no use for a domain, from a source: the host has spoken, and its other addresses are
// the same machine or say the same.
func (p *plan) hostDown(d *domain, n int, host string, e evidence) {
	for _, h := range d.answer.Hosts {
		if h.Name != host {
			continue
		}
		for _, addr := range h.Addrs {
			d.down[route{n, addr}] = e
		}
	}
}

// refusesUs counts a refusal of us; when they come in a row, the circuit opens.
func (p *plan) refusesUs(s *session, e evidence) {
	d, l := s.dest, s.lane()
	p.sources[s.source].refusing[d.name] = true
	p.maybeLeaveOut(s.source, "receivers refuse it, the last: "+e.detail)
	tried := l.circuit != nil
	if !l.refused(p.now, d.name, e) && !tried {
		return
	}
	if !tried {
		p.log(slog.LevelDebug, "circuit opened", "destination", d.name, "source", p.sourceName(s.source), "reason", e.detail)
	}
	p.touchAll(d)
}

// pause lets a destination rest, as the server asked.
func (p *plan) pause(s *session, why string) {
	if wait, begins := s.lane().pause(p.now); begins {
		p.log(slog.LevelDebug, "pause", "destination", s.dest.name, "source", p.sourceName(s.source), "for", wait, "reason", why)
		p.wakeAt(s.dest)
	}
	p.update(s.dest)
}

func (p *plan) sourceName(n int) string {
	if a := p.sources[n].addr; a.IsValid() {
		return a.String()
	}
	return "the system's choice"
}

// sourceFailed counts a destination that could not be connected to from a source.
func (p *plan) sourceFailed(n int, dest string) {
	src := &p.sources[n]
	if !src.connected {
		src.failing[dest] = true
		p.maybeLeaveOut(n, "nothing can be connected to from it")
	}
}

// maybeLeaveOut leaves a source out for which several destinations fail in a row, if another one works.
func (p *plan) maybeLeaveOut(n int, why string) {
	src := &p.sources[n]
	closed, refused := len(src.failing) >= sourceLimit, len(src.refusing) >= sourceLimit
	if !closed && !refused {
		return
	}
	for i := range p.sources {
		o := &p.sources[i]
		works := o.answered || o.connected && !refused
		if i != n && works && len(o.refusing) < sourceLimit && !p.now.Before(o.outUntil) {
			p.leaveOut(n, why)
			return
		}
	}
}

// leaveOut uses a source no more for a while, for a shorter one where it is the last.
func (p *plan) leaveOut(n int, why string) {
	src := &p.sources[n]
	if p.now.Before(src.outUntil) {
		return
	}
	wait := familyFor // where it is the last: what waits needs a result, and what comes a chance
	for i := range p.sources {
		if i != n && !p.now.Before(p.sources[i].outUntil) {
			wait = sourceFor
		}
	}
	src.outUntil, src.connected, src.answered = p.now.Add(wait), false, false
	clear(src.failing)
	clear(src.refusing)
	p.log(slog.LevelWarn, "a source address is left out", "source", p.sourceName(n), "for", wait, "reason", why)
	for _, d := range p.sortedDestinations() {
		p.touchAll(d)
		p.update(d)
	}
}

// noRouteTo notes that a source has no route to an address. A router on the way may say so of one network, and then it is
// the host that cannot be reached; where several attempts in a row find no route, the family is left out.
func (p *plan) noRouteTo(n int, addr netip.Addr, e evidence) {
	f, name := p.sources[n].family(addr), "IPv6"
	if addr.Unmap().Is4() {
		name = "IPv4"
	}
	f.noRoute++
	if !f.worked { // it may be us
		e = evidence{reason: reply.NotProbed, detail: "this machine has no route to its mail host: " + e.detail}
	}
	if f.noRoute < noRouteLimit {
		p.troubles[route{n, addr}] = trouble{e, p.now.Add(troubleFor)}
		p.touchServer(addr, n)
		return
	}
	f.outUntil, f.worked = p.now.Add(familyFor), false
	p.log(slog.LevelDebug, "a family is left out", "source", p.sourceName(n), "family", name, "for", familyFor, "reason", e.detail)
	for _, d := range p.sortedDestinations() {
		p.touchAll(d)
	}
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
		p.quit(s, "the destination refuses us")
		return
	case l.sessions > l.ceiling:
		p.quit(s, "the destination allows fewer sessions now")
		return
	case s.load.served > 0 && d.spent(s.load):
		p.quit(s, "a new session serves better")
		return
	case s.load.served > 0 && p.neededElsewhere(s):
		p.quit(s, "a single check needs its slot")
		return
	}
	srv := p.servers[s.addr]
	if p.queueFor(s, srv) != nil {
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
	return max(1, n)
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
