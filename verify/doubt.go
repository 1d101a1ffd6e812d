package verify

import (
	"slices"
	"time"

	"presend/verify/mx"
)

// A failure to connect may be the destination's fault or ours. Its result waits until something else answered, a test
// told, or the run has nothing else left.

// mayBeOurs reports whether what is said of a host is a failure to connect, or trouble of ours.
func (e evidence) mayBeOurs() bool { return e.via != nil || e.trouble != nil }

// since returns from when on an answer counts as one of a run.
func (p *plan) since(r *runState) time.Time {
	if early := p.now.Add(-answerFor); early.Before(r.begun) {
		return early
	}
	return r.begun
}

// useSurest lets a failure that was met on several ways be the one of which most is known: on a way on which others
// answer, else on one that is not given up.
func (p *plan) useSurest(r *runState, e *evidence) {
	rank := func(x evidence) int {
		switch {
		case p.certain(r, x):
			return 2
		case *x.via != anyWay && p.reachOf(*x.via).state != shutWay:
			return 1
		}
		return 0
	}
	for _, x := range e.met {
		x.answer = e.answer
		if rank(x) > rank(*e) {
			e.reason, e.detail, e.via, e.ours = x.reason, x.detail, x.via, x.ours
		}
	}
}

// certain reports whether a failure to connect is known to be the destination's own: others answered since.
func (p *plan) certain(r *runState, e evidence) bool {
	dest, since := e.answer.Destination, p.since(r)
	if *e.via != anyWay {
		w := p.reachOf(*e.via)
		return w.state == openWay && !w.silent[dest] && w.othersAnswered(dest, since)
	}
	some := false
	p.eachWay(func(_ way, w *reach) { some = some || w.othersAnswered(dest, since) })
	return some
}

// doubts reports whether it is not known yet whether a failure is ours. Where its way was given up, it is: then it puts
// that trouble into the evidence.
func (p *plan) doubts(r *runState, e *evidence) bool {
	p.useSurest(r, e)
	if *e.via != anyWay {
		if w := p.reachOf(*e.via); w.state == shutWay {
			*e = instead(*e, w.trouble)
			return false
		}
	}
	return !p.certain(r, *e)
}

// settleDoubts gives results that waited for what is known of a way, where that is known now.
func (p *plan) settleDoubts() {
	for _, r := range p.sortedRuns() {
		if len(r.doubtful) == 0 {
			continue
		}
		p.touchRun(r)
		r.doubtful = slices.DeleteFunc(r.doubtful, func(f finding) bool {
			if p.doubts(r, &f.evidence) {
				return false
			}
			r.outbox = append(r.outbox, f)
			return true
		})
		p.feed(r)
	}
}

// instead returns the evidence of a trouble in place of that of a failed connection.
func instead(e evidence, t *Trouble) evidence {
	x := t.evidence()
	x.answer, x.at = e.answer, e.at
	return x
}

// handBack lets what failed on a way be asked again: the findings that meet a condition.
func (p *plan) handBack(w way, which func(finding) bool) {
	for _, r := range p.sortedRuns() {
		var back []finding
		r.doubtful = slices.DeleteFunc(r.doubtful, func(f finding) bool {
			mine := *f.evidence.via == w && which(f)
			if mine {
				back = append(back, f)
			}
			return mine
		})
		for _, f := range back {
			p.forgetFailures(w, f.evidence.answer)
			t := f.task
			t.doubted = true
			p.admit(r, found{run: r.id, domain: t.Address.Domain, answer: f.evidence.answer, tasks: []Task{t}})
		}
	}
}

// forgetFailures forgets that the hosts of a domain could not be connected to on a way.
func (p *plan) forgetFailures(w way, answer mx.Answer) {
	for _, h := range answer.Hosts {
		for _, addr := range h.Addrs {
			r := route{w.source, addr}
			if t, ok := p.troubles[r]; ok && t.evidence.via != nil && wayTo(w.source, addr) == w {
				delete(p.troubles, r)
			}
		}
	}
}

// full reports whether so many results of a run wait for what is known of a way that it takes in no more.
func (r *runState) full() bool { return len(r.doubtful) >= doubtfulMost }

// waitsForTest settles what is doubtful when a run has nothing else left, or too much of it. It reports whether the run
// has to wait for a test.
func (p *plan) waitsForTest(r *runState) (waits bool) {
	since := p.since(r)
	for _, f := range r.doubtful {
		if *f.evidence.via == anyWay {
			continue
		}
		w := *f.evidence.via
		switch x := p.reachOf(w); {
		case x.state != openWay:
			return true
		case p.forbid(w, 1):
			return p.waitsForTest(r)
		case !x.answered(since) && p.rules.outside, x.lost && p.testable(x):
			p.test(w)
			return true
		}
	}
	nothing := true
	p.eachWay(func(_ way, x *reach) { nothing = nothing && !x.answered(since) })
	for _, f := range r.doubtful {
		e := &f.evidence
		if *e.via == anyWay || !p.reachOf(*e.via).othersAnswered(e.answer.Destination, since) {
			e.ours = true
		}
		if nothing {
			e.trouble = &Trouble{Kind: NoAnswer, Detail: "the last: " + e.detail}
		}
		if nothing && e.reason == NotProbed {
			f.evidence = instead(*e, e.trouble)
		}
		r.outbox = append(r.outbox, f)
	}
	r.doubtful = nil
	p.feed(r)
	return false
}
