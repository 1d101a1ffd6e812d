package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// The scheduler's books: what sessions report of their batches, their hosts and their destination's mood.

// leased corrects a batch by what the queue really had.
func (s *scheduler) leased(b *batch, got int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := b.fresh - got
	b.work.leased -= missing
	b.fresh = got
	if got > 0 { // the queue held back what belongs together
		b.work.waiting += missing
		b.work.dest.waiting += missing
		s.update(b.work.dest)
	}
}

// met notes how far away a destination is, and whether it pipelines.
func (s *scheduler) met(d *destination, session *smtpprobe.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.trip, d.stepwise = session.RoundTrip(), !session.Pipelining()
	s.update(d)
}

// tried lets a destination learn from what a session with it took.
func (s *scheduler) tried(d *destination, session *smtpprobe.Session, before, refused int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.learn(session.RoundTrip(), before, refused, took)
}

// bears returns how many refusals a session with a destination is held to.
func (s *scheduler) bears(d *destination, l load) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.bears(l)
}

// ended frees what a session held of its destination.
func (s *scheduler) ended(d *destination, l load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.tried = d.tried && !l.tries
}

// shrink lowers the recipients a transaction, as the server asked.
func (s *scheduler) shrink(d *destination, recipients int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.limits.Recipients = max(1, min(d.limits.Recipients, recipients))
}

// settle enters a batch's outcome, and returns the accepted tasks whose result is certain by now, and whether the
// domain is done.
func (s *scheduler) settle(d *destination, out *outcome, session *smtpprobe.Session) (finished []heldTask, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, w := out.batch, out.batch.work
	w.leased -= len(b.tasks) + b.fresh
	for range out.unknowns {
		w.inquiry.Real(reply.Meaning{Reason: reply.MailboxUnknown})
	}
	if b.ask != "" {
		w.leased--
		w.asking = false
		if out.question != nil {
			w.inquiry.Answered(*out.question)
		} else if !out.unreached {
			if w.unheard++; w.unheard >= askLimit {
				w.inquiry.Close()
			}
		}
	}
	if d.asked+out.heard > shareOf { // what comes next is like what came last, not like what came first
		d.asked, d.refused = d.asked/2, d.refused/2
	}
	d.asked += out.heard
	d.refused += out.refused
	w.held = append(w.held, out.accepted...)
	w.requeued = append(w.requeued, out.requeue...)
	d.waiting += len(out.requeue)
	for _, t := range out.requeue {
		if slices.Contains(s.config.Sources, t.Source) {
			d.bound[t.Source]++
		}
	}
	if session != nil {
		s.hostSpoke(w, session.Host(), out)
	}
	if out.close {
		w.inquiry.Close()
	}
	if w.certain() {
		for _, h := range w.held {
			h.e.reason, h.e.detail, h.e.catchAll = acceptance(w.inquiry.Answer(), h.e)
			finished = append(finished, h)
		}
		w.held = nil
	}
	if w.unasked() && !w.counted {
		w.counted = true
		d.waiting++ // a question is work too: it may need a session of its own
	} else if !w.unasked() && w.counted {
		w.counted = false
		d.waiting--
	}
	if w.idle() {
		done = true
		d.works = slices.DeleteFunc(d.works, func(x *domainWork) bool { return x == w })
		s.domains--
		signal(s.space)
	}
	s.update(d)
	signal(s.wake)
	return finished, done
}

// heldMost is how many accepted addresses wait for a refusal that would show that a domain is no catch-all.
const heldMost = 1000

// certain says that the catch-all answer can be given to the accepted addresses. A domain that accepts what cannot exist
// is called catch-all only when none of its real addresses was refused, so that is waited for.
func (w *domainWork) certain() bool {
	switch w.inquiry.Answer() {
	case catchall.Open:
		return false
	case catchall.Yes:
		return w.waiting == 0 && len(w.requeued) == 0 && w.leased == 0 || len(w.held) >= heldMost
	}
	return true
}

// askLimit is how often the catch-all question of a domain may be lost on the way before it is let go.
const askLimit = 5

// acceptance says what a 2xx means, given the catch-all answer.
func acceptance(c catchall.Answer, e evidence) (Reason, string, bool) {
	switch c {
	case catchall.Yes:
		return reply.CatchAll, "accepted, but so was an address that cannot exist", true
	case catchall.No:
		return reply.Accepted, "the mail host accepts mail for it, and refuses an address that cannot exist", false
	default:
		return reply.CatchAllUnknown, "accepted, but the mail host would not say whether it accepts everybody", false
	}
}

// hostSpoke notes what a host with a session let us know about itself and the domain.
func (s *scheduler) hostSpoke(w *domainWork, host string, out *outcome) {
	switch {
	case out.answered || len(out.accepted) > 0 || len(out.done) > 0:
		w.lost = 0
	case out.lost != nil:
		w.lost++
		if w.lost >= lostLimit {
			w.down[host] = *out.lost
			w.lost = 0
		}
	}
	if out.notHere {
		w.refusing[host] = true
	}
	if out.down != nil {
		w.down[host] = *out.down
	}
}

// felt lets a destination adapt to what a flight met, which counts once however many transactions met it.
func (s *scheduler) felt(d *destination, met *outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood(d, met)
	s.update(d)
}

// mood adapts a destination's pace and circuit to an outcome.
func (s *scheduler) mood(d *destination, out *outcome) {
	switch {
	case out.answered && out.refusal == nil && !out.strain:
		d.calm(len(s.config.Sources))
	case out.refusal != nil:
		d.refusals++
		if d.refusals >= circuitLimit && d.open == nil {
			e := *out.refusal
			e.detail = fmt.Sprintf("not asked: %s refused us %d times in a row, at last: %s", d.name, d.refusals, e.detail)
			d.open = &e
		}
	case out.strain:
		s.pause(d)
	}
}

// hostFailed notes that no session could be had with a host. Stop says that the worker should not go on to the next
// host now.
func (s *scheduler) hostFailed(d *destination, w *domainWork, host string, out *outcome) (stop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.strain && (d.sessions > 1 || d.pauses < lostLimit) {
		s.pause(d) // too many sessions, or too fast: later, with fewer
		return true
	}
	if out.lost != nil {
		out.down = out.lost
	}
	if out.notHere {
		w.refusing[host] = true
	}
	if out.down != nil {
		w.down[host] = *out.down
	}
	s.mood(d, &outcome{refusal: out.refusal})
	s.update(d)
	return false
}

// hostTrouble is what a run remembers of a mail host's address.
type hostTrouble struct {
	err   error // of the last connection
	until time.Time
	plain bool // TLS failed
}

func (s *scheduler) dead(addr netip.Addr) (error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trouble := s.troubles[addr]
	return trouble.err, trouble.err != nil && s.config.Now().Before(trouble.until)
}

func (s *scheduler) markDead(addr netip.Addr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trouble := s.troubles[addr]
	trouble.err, trouble.until = err, s.config.Now().Add(deadFor)
	s.troubles[addr] = trouble
}

func (s *scheduler) isPlain(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.troubles[addr].plain
}

func (s *scheduler) markPlain(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trouble := s.troubles[addr]
	trouble.plain = true
	s.troubles[addr] = trouble
}
