package verify

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"presend/verify/reply"
	"presend/verify/verdict"
)

// saidTransaction is what was answered to one, in the order of its recipients. Where refused is set, MAIL was refused.
type saidTransaction struct {
	answers []saidAnswer
	refused *said
}

// saidAnswer is the answer to one recipient.
type saidAnswer struct {
	said
	took time.Duration // from the command, or in a flight from the answer before
}

// broken is why a session ended in a flight.
type broken struct {
	kind     brokenKind
	said     *said         // the 421; nil: none was said
	command  reply.Command // whose reply the 421 took the place of; empty: it came unasked
	evidence evidence
}

type brokenKind int

const (
	brokenByUs     brokenKind = iota // the flight was cancelled, or our address is gone
	brokenClosed                     // by a 421, or without a word
	brokenTimeout                    // no answer came
	brokenProtocol                   // replies do not fit the commands: none of the flight is believed
)

// met is what a flight met, beyond what it learned of addresses. It counts once, however many transactions met the
// same.
type met struct {
	answered bool
	refusal  *evidence // the server refused us
	hourly   *evidence // the server has an hourly limit, and it is used up
	strain   string    // the server asks for a slower pace, in these words
	heard    int       // recipients answered, questions not counted
	refused  int       // of them refused
	passed   int       // recipients answered, questions too, other than by a request for a slower pace
}

// heard takes the answers to a flight.
func (p *plan) heard(ev heard) {
	s := p.sessions[ev.session]
	f, b := s.flight, ev.broken
	s.flight = nil
	if b != nil && b.kind == brokenProtocol {
		ev.transactions = nil
	}
	if p.screened(s, f, ev) {
		p.visitAgain(s, f)
		return
	}
	if b != nil && b.said != nil && b.said.meaning.Rule == hourlyLimit {
		b.evidence.retryAt = p.now.Add(circuitFor + time.Minute)
	}
	var m met
	before := s.load.refused
	at, blamed := f.blame(ev, s.load.served)
	for i, t := range f.transactions {
		t.land()
		var x saidTransaction
		if i < len(ev.transactions) {
			x = ev.transactions[i]
		}
		if t.test {
			p.hearTest(s, t, x, &m)
			p.touch(t.domain)
			continue
		}
		p.hear(s, t, x, &m)
		if unheard := t.groups[min(len(x.answers), len(t.groups)):]; i == at && blamed == len(x.answers) &&
			len(unheard) > 0 {
			p.endedBy(s, t, unheard[0], b, &m)
			p.requeue(t, unheard[1:])
		} else {
			p.requeue(t, unheard)
		}
		p.touch(t.domain)
	}
	s.dest.count(m.heard, m.refused)
	p.learnSessionLimits(s, ev)
	if b != nil {
		p.broke(s, f, b, at, blamed, &m)
	}
	p.learnErrorLimit(s, ev, before)
	s.lane().strain.count(p.now, f.begun, m.passed, m.strain == "")
	p.react(s, m)
	if m.heard > 0 {
		l := s.lane()
		l.heard, l.met, l.screening = true, true, false
	}
	if b != nil {
		if b.kind == brokenTimeout && s.dest.tarpit {
			s.lane().gone = append(s.lane().gone, p.now.Add(ghostFor))
		}
		p.quit(s, b.evidence.detail)
		return
	}
	p.rest(s)
}

// blame returns whose turn it was when the session ended: a transaction, and in it a recipient, which after the last
// real one is the question; -1 where it was nobody's.
func (f *flight) blame(ev heard, served int) (transaction, recipient int) {
	b := ev.broken
	if b != nil && b.said.errorLimit() && (served > 0 || len(ev.transactions) > 0 && len(ev.transactions[0].answers) > 0) {
		return -1, -1 // it is about those before
	}
	if b == nil || b.kind == brokenByUs || b.kind == brokenProtocol || b.said != nil && b.command != reply.RCPT {
		return -1, -1
	}
	i := max(0, len(ev.transactions)-1)
	if f.transactions[i].test {
		return -1, -1
	}
	n := 0
	if i < len(ev.transactions) {
		n = len(ev.transactions[i].answers)
	}
	if t := f.transactions[i]; n > len(t.groups) || n == len(t.groups) && t.question == "" {
		return -1, -1
	}
	return i, n
}

// requeue puts tasks back that were not answered, unless their run takes them back.
func (p *plan) requeue(t *transaction, groups [][]*task) {
	for _, g := range groups {
		for _, x := range g {
			p.again(t, x)
		}
	}
}

func (p *plan) again(t *transaction, x *task) {
	if x.run.stopping {
		x.run.left--
		return
	}
	t.share.put(x)
}

// position is where a recipient was in its transaction.
type position struct{ index, accepted int } // recipients before it, and of them accepted

// hear weighs what the server said to a transaction.
func (p *plan) hear(s *session, t *transaction, x saidTransaction, m *met) {
	d, r := t.domain, route{s.source, s.addr}
	if x.refused != nil {
		p.mailRefused(s, t, x.refused.beforeRCPT(), m)
	}
	accepted := 0
	for i, a := range x.answers {
		s.load.served++
		if !a.ok() {
			s.load.refused++
		}
		if !a.limit() {
			m.passed++
		}
		at := position{i, accepted}
		if a.ok() {
			accepted++
		}
		if i == len(t.groups) {
			p.hearQuestion(s, d, a.said, at, m)
			continue
		}
		m.heard++
		if !a.ok() {
			m.refused++
		}
		for _, task := range t.groups[i] {
			p.hearRecipient(s, t, task, a.said, at, m)
		}
	}
	if len(x.answers) > 0 {
		delete(d.lost, r)
		delete(p.ended, r)
	}
}

// hearQuestion takes the answer to the impossible address. One about too many recipients or too fast a pace is none: it
// is met by asking less at a time, or later.
func (p *plan) hearQuestion(s *session, d *domain, a said, at position, m *met) {
	most, tooMany := a.tooManyRecipients(at.index, at.accepted)
	switch {
	case tooMany:
		s.dest.shrink(p.now, most)
	case a.meaning.Reason.AboutSender() && p.anotherMayAsk(s, d):
	case !a.limit():
		d.answered(a)
	default:
		m.slower(a)
		d.control.failed++
		d.inquiry.Lost()
	}
}

// anotherMayAsk notes that the question was refused because of the source of a session, and reports whether another
// source can ask it. Where all were refused, that is the answer of the host.
func (p *plan) anotherMayAsk(s *session, d *domain) bool {
	d.barred = append(d.barred, s.source)
	for n := range p.sources {
		if d.mayAsk(n) && p.usable(d.dest, n) && len(p.reach(p.scratch[:0], d, n)) > 0 {
			return true
		}
	}
	d.barred = nil
	return false
}

// hearRecipient decides what the answer to a real recipient means for it.
func (p *plan) hearRecipient(s *session, t *transaction, x *task, a said, at position, m *met) {
	d, e := t.domain, a.evidence
	most, tooMany := a.tooManyRecipients(at.index, at.accepted)
	switch {
	case a.meaning.Reason == verdict.Accepted && d.answer.Provider.AcceptsAll:
		e.reason = verdict.AcceptsAllProvider
		e.detail = d.answer.Provider.Name + " accepts every recipient at this step, so the address cannot be confirmed"
		m.answered = true
		p.finish(d, x, e)
	case a.meaning.Reason == verdict.Accepted:
		m.answered = true
		d.exists = true
		d.control.sample(x)
		t.share.held = append(t.share.held, held{x, e})
	case tooMany: // a limit on the transaction, which the next one keeps; not on the pace
		s.dest.shrink(p.now, most)
		p.again(t, x)
	case (a.meaning.AgainstAddress() || a.unread()) && x.recipient() != x.Address.String():
		// The server may know the domain by its A-labels only: nothing is said of the address, still less of the domain.
		x.aLabels = true
		p.again(t, x)
	case a.evidence.reason == verdict.DomainNotServed:
		d.refusedBy(s.addr, s.host)
		p.again(t, x)
	case a.limit() && x.again < againLimit:
		x.again++
		m.slower(a)
		p.again(t, x)
	case a.meaning.Reason.AboutSender():
		m.refusal = &e
		x.refusal = &e
		x.bar(s.source)
		p.again(t, x)
	case x.Heard != nil && !a.meaning.AgainstAddress():
		t.share.held = append(t.share.held, held{x, heardEvidence(x.Heard)}) // no answer; the one of before stays
	case a.unread():
		t.share.doubts = append(t.share.doubts, doubt{x, e, a.words(x.recipient())})
	default:
		d.inquiry.Real(a.meaning)
		m.answered = m.answered || a.meaning.Subject == reply.SubjectMailbox
		p.refuse(t, x, e, at.index)
	}
}

// mailRefused weighs a refusal of MAIL.
func (p *plan) mailRefused(s *session, t *transaction, a said, m *met) {
	d, host := t.domain, t.domain.hostAt(s.addr, s.host)
	switch {
	case a.meaning.Reason.AboutSender():
		m.refusal = &a.evidence
		p.hostDown(d, s.source, host, a.evidence)
	case a.meaning.Reason == verdict.RateLimited:
		m.slower(a)
		p.lose(d, route{s.source, s.addr}, a.evidence)
	case a.meaning.Reason == verdict.DomainNotServed:
		d.refusedBy(s.addr, host)
	default:
		p.hostDown(d, s.source, host, a.evidence)
	}
}

// endedBy takes a recipient at whose turn the session ended. A 421 is the answer to its own recipient, but it may be a
// chance: it is asked again by itself, where the answer can be nobody else's, and then it is believed.
func (p *plan) endedBy(s *session, t *transaction, group []*task, b *broken, m *met) {
	for _, x := range group {
		x.refusal = &b.evidence
		switch {
		case x.run.stopping:
			x.run.left--
		case b.said != nil && b.said.meaning.Reason.AboutSender():
			m.refusal = &b.evidence
			x.bar(s.source)
			t.share.put(x)
		case b.said != nil && b.said.limit() && x.again < againLimit:
			x.again++
			t.share.put(x)
		case s.load.served > 0: // it may be that no session lasts longer
			x.ended = max(x.ended, 1)
			t.share.put(x)
		case x.ended < endedLimit:
			x.ended++
			t.share.put(x)
		case x.Heard != nil:
			t.share.held = append(t.share.held, held{x, heardEvidence(x.Heard)})
		case b.said == nil && s.load.served == 0 && p.lastLoss(t.domain, route{s.source, s.addr}):
			t.share.put(x) // the host is given up with this session, and another one is to be asked
		default:
			p.finish(t.domain, x, b.evidence)
		}
	}
}

// lastLoss reports whether an address is down with one more session lost, while another one can be tried.
func (p *plan) lastLoss(d *domain, r route) bool {
	return d.lost[r]+1 >= lostLimit && p.elsewhere(d, r)
}

// elsewhere reports whether a domain can be asked about by another route.
func (p *plan) elsewhere(d *domain, r route) bool {
	for n := range p.sources {
		if !p.usable(d.dest, n) {
			continue
		}
		for _, h := range d.answer.Hosts {
			for _, addr := range h.Addrs {
				if (route{n, addr}) != r && !d.notServed[h.Name] && p.alive(d, n, addr) {
					return true
				}
			}
		}
	}
	return false
}

// broke weighs the end of a session in a flight for the hosts and the question.
func (p *plan) broke(s *session, f *flight, b *broken, at, blamed int, m *met) {
	if b.said != nil && b.said.limit() && b.command != "" && !s.endedByLimit(b) {
		m.slower(*b.said)
	}
	if at >= 0 && blamed == len(f.transactions[at].groups) { // the question, which costs nobody but itself
		t := f.transactions[at]
		if b.said != nil && t.alone {
			t.domain.answered(*b.said)
		} else {
			t.domain.control.failed++
			t.domain.inquiry.Lost()
		}
		t.domain.alone = true
		m.strain = ""
		return
	}
	if f.transactions[0].test {
		m.strain = "" // as with the question
		return
	}
	if b.kind == brokenByUs || s.load.served > 0 && b.kind != brokenProtocol {
		return // a session that broke after answers is opened again
	}
	d, r := f.transactions[max(0, at)].domain, route{s.source, s.addr}
	e := b.evidence
	if e.reply != nil && e.reply.Command == string(reply.RCPT) {
		e = evidence{reason: e.reason, detail: e.detail} // the reply was given to one recipient
	}
	switch {
	case b.kind == brokenTimeout && f.large && !s.dest.small:
		s.dest.small = true // large packets may not get through (RFC 4821): the same again in small flights
		s.dest.learned(p.now)
		return
	case b.said != nil && b.said.meaning.Reason.AboutSender():
		m.refusal = &b.evidence
	case at >= 0 && b.kind == brokenClosed && (b.said != nil || !p.elsewhere(d, r)):
		// It may be the answer to that recipient only, so others are asked first.
		f.transactions[at].share.rotate()
		p.endedAt(r, e)
		return
	}
	if b.evidence.reply != nil && e.reply == nil {
		e.detail = notAsked + e.detail
	}
	p.lose(d, r, e)
}

// lose counts a session that ended without an answer. Several in a row, and the address is down for the domain.
func (p *plan) lose(d *domain, r route, e evidence) {
	if d.lost[r]++; d.lost[r] >= lostLimit {
		d.down[r] = e
		delete(d.lost, r)
	}
}

// endedAt counts a session that ended at its first recipient. Many in a row, whoever the recipients are, and the
// address is left alone for a while.
func (p *plan) endedAt(r route, e evidence) {
	if p.ended[r]++; p.ended[r] < endedMost {
		return
	}
	delete(p.ended, r)
	e.detail = fmt.Sprintf("it ended %d sessions in a row without an answer, at last: %s", endedMost, e.detail)
	p.keepTrouble(r, e)
}

// learnErrorLimit lets the destination learn from the time that refusals took.
func (p *plan) learnErrorLimit(s *session, ev heard, before int) {
	d := s.dest
	slow, tolerates := d.slowsOnErrors, d.toleratesErrors
	switch {
	case ev.broken != nil && ev.broken.kind == brokenByUs:
	case ev.broken != nil:
		d.learn(s.trip, before, s.load.refused-before, hungUp)
	case s.pipelines:
		d.learn(s.trip, before, s.load.refused-before, ev.took)
	default:
		for _, t := range ev.transactions {
			for _, a := range t.answers {
				if !a.ok() {
					d.learn(s.trip, before, 1, a.took)
					before++
				}
			}
		}
	}
	if slow != d.slowsOnErrors || tolerates != d.toleratesErrors {
		d.learned(p.now)
	}
}

// react adapts the pace and the circuit of a destination to what a flight met.
func (p *plan) react(s *session, m met) {
	switch {
	case m.refusal != nil:
		p.refusesUs(s, *m.refusal)
	case m.hourly != nil:
		p.nextHour(s, m.hourly.detail)
	case m.strain != "":
		if p.now.Before(s.lane().paused) { // the same as another session met
			s.lane().heardMore(p.now, s.dest.table)
			return
		}
		if p.strained(s) {
			p.nextHour(s, m.strain)
			return
		}
		p.pause(s, m.strain)
	case m.answered:
		s.lane().answered(p.now, s.dest.table)
		src := &p.sources[s.source]
		src.answered = true
		clear(src.refusing)
	}
}

// refusedBy notes that a mail host does not carry mail for a domain. It does so under none of the names that its
// address has.
func (d *domain) refusedBy(addr netip.Addr, name string) {
	d.notServed[name] = true
	for _, h := range d.answer.Hosts {
		if slices.Contains(h.Addrs, addr) {
			d.notServed[h.Name] = true
		}
	}
}

// hostAt returns the name that a domain's MX gives an address; name where it gives none any more.
func (d *domain) hostAt(addr netip.Addr, name string) string {
	for _, h := range d.answer.Hosts {
		if slices.Contains(h.Addrs, addr) {
			return h.Name
		}
	}
	return name
}

// refusedBeforeRCPT weighs a refusal of the connection, of EHLO or of MAIL.
func (p *plan) refusedBeforeRCPT(s *session, d *domain, addr netip.Addr, x said) {
	l := s.lane()
	switch {
	case x.meaning.Reason.AboutSender():
		p.hostDown(d, s.source, s.host, x.evidence)
		p.refusesUs(s, x.evidence)
	case x.meaning.Reason == verdict.RateLimited:
		if l.sessions > 0 || l.pauses < lostLimit {
			p.pause(s, x.evidence.detail) // too many sessions, or too fast: later, with fewer
			return
		}
		p.greetedBadly(s, d, addr, x.evidence)
	case x.meaning.Reason == verdict.DomainNotServed:
		d.refusedBy(addr, s.host)
	default:
		p.greetedBadly(s, d, addr, x.evidence)
	}
	p.touch(d)
}

// greetedBadly notes that a host refuses sessions. No domain was named yet, so that it does so for all.
func (p *plan) greetedBadly(s *session, d *domain, addr netip.Addr, e evidence) {
	p.hostDown(d, s.source, s.host, e)
	p.keepTrouble(route{s.source, addr}, e)
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
		p.log(
			slog.LevelDebug,
			"circuit opened",
			"destination",
			d.name,
			"source",
			p.sourceName(s.source),
			"reason",
			e.detail,
		)
	}
	p.touchAll(d)
}

// pause lets a destination rest, as the server asked.
func (p *plan) pause(s *session, why string) {
	if wait, begins := s.lane().pause(p.now); begins {
		p.log(
			slog.LevelDebug,
			"pause",
			"destination",
			s.dest.name,
			"source",
			p.sourceName(s.source),
			"for",
			wait,
			"reason",
			why,
		)
		p.wakeAt(s.dest)
	}
	p.update(s.dest)
}
