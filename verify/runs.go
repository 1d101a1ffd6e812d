package verify

import (
	"slices"
	"strings"
	"time"

	"presend/verify/catchall"
	"presend/verify/mx"
)

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
	spent      map[account]struct{} // budgets that were used since its recorder was told
	outbox     []finding
	facts      []Facts
	collecting bool
	feeding    bool
	refills    []*share
	dirty      bool
	begun      time.Time
	patience   time.Duration // how long it waits for a network that is down
	troubles   []*Trouble    // that are to be told though no result may hold them
	doubtful   []finding     // failures that may be ours, until more is known
}

// found takes a domain in, or adds to one that is on its way.
func (p *plan) found(ev found) {
	r := p.runs[ev.run]
	if ev.check {
		r = &runState{
			id:         ev.run,
			flow:       p.checks,
			check:      true,
			fed:        true,
			collecting: true,
			shares:     map[*share]struct{}{},
		}
		p.addRun(r)
	}
	if r == nil || r.stopping {
		if ev.weight > 0 {
			p.say(releaseOrder{ev.run, ev.weight})
		}
		return
	}
	p.admit(r, ev)
}

// admit takes in a domain of a run, with tasks.
func (p *plan) admit(r *runState, ev found) {
	d := p.domains[ev.domain]
	if d == nil {
		fact := ev.fact
		if fact == catchall.Open {
			fact = p.facts.get(ev.domain, p.now)
		}
		d = &domain{
			name:      ev.domain,
			inquiry:   catchall.Known(ev.domain, p.rules.sender, runOf(ev.tasks, p.now), fact),
			notServed: map[string]bool{},
		}
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
	r.begun = p.now
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
		// One that was heard is asked again with the question, unless others are asked there or it needs no question.
		control := s.control || fresh && t.source == anySource
		if x.Heard != nil && !d.answer.Provider.AcceptsAll && (control || !open) {
			d.control.sample(t)
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
	for !r.feeding && !r.flow.blocked && !r.full() && len(r.refills) > 0 {
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
	if e.via != nil && p.doubts(t.run, &e) {
		t.run.doubtful = append(t.run.doubtful, finding{t.Task, e, provisional})
		p.touchRun(t.run)
		return
	}
	t.run.outbox = append(t.run.outbox, finding{t.Task, e, provisional})
	if len(t.run.outbox) >= outboxMost {
		t.run.flow.blocked = !t.run.check
	}
	p.touchRun(t.run)
}

// settle gives accepted addresses their result, if the catch-all question has its answer. Else they are reported all
// the same, so that they are not lost, and will be settled.
func (p *plan) settle(d *domain) {
	answer := d.inquiry.Answer()
	if d.asking || d.inquiry.Remembered() && d.beingRead() {
		answer = catchall.Open // of a refused real address, or from before: what is out may overrule it
	}
	for _, s := range d.shares {
		if answer != catchall.Open {
			for _, h := range s.held {
				e := h.evidence
				e.reason, e.detail, e.catchAll = acceptance(answer)
				if e.open = answer == catchall.Unanswered && d.askLater(); e.open {
					e.retryAt = d.retryAt
				}
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
			case t.refusal != nil && (t.refusal.reply != nil || !e.mayBeOurs()):
				p.finish(d, t, *t.refusal)
			default:
				p.finish(d, t, e)
			}
		}
		p.refill(s)
	}
	d.control.off = true
	p.decide(d)
	if !d.asking && d.inquiry.Answer() == catchall.Open {
		d.inquiry.Close()
		d.prevented, d.retryAt = !e.reason.AboutSender(), e.retryAt
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
	if d.inquiry.Remembered() { // a fact keeps the time of its question
		f.CatchAll = catchall.Open
	}
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
		r.refills, r.doubtful = nil, nil
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
	p.dropDoubts(s)
	p.tellMissing(d)
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
	done := r.fed && r.left == 0 && !r.feeding
	if waits := len(r.doubtful) > 0 && (done || r.full()) && p.waitsForTest(r); waits {
		done = false
	}
	tested := r.check || r.stopping || !p.testsGreeting()
	over := done && tested && len(r.doubtful) == 0 && (r.check || len(p.runs) > 1 || len(p.sessions) == 0)
	if len(r.outbox)+len(r.facts)+len(r.troubles) == 0 && !over {
		return
	}
	r.collecting = false
	p.say(resultsOrder{run: r.id, done: r.outbox, facts: r.facts, troubles: r.troubles, spent: p.accounts(r), last: over})
	r.outbox, r.facts, r.troubles = nil, nil, nil
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
