package verify

import (
	"slices"
	"time"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/verdict"
)

// The control experiment reads refusals that no rule reads. The impossible address of the catch-all question is asked
// at the same host, so the words for it are the words for a mailbox that does not exist, unless the host refuses
// everybody from some point on: after so many refusals, recipients or minutes. Therefore the words count only if two
// sessions say the same. In the first one the impossible address comes last, as always. In the second one, the test, it
// comes first, then what is in doubt, and at last a real address that must be accepted.

const (
	testsMost  = 3 // questions and tests that may tell nothing, until what is in doubt stays so
	testLeast  = 3 // recipients in the smallest test: the impossible address, one in doubt and a real one
	testOthers = 2 // of them not in doubt
)

// doubt is a recipient that was refused for good in words that no rule reads.
type doubt struct {
	task     *task
	evidence evidence
	words    string // masked, so that they can be compared
}

// control is what is known for the control experiment of a domain.
type control struct {
	words    string // in which the impossible address was refused; empty: not in words that no rule reads
	accepted string // a real recipient that was accepted; empty: none
	failed   int    // questions and tests that told nothing
	off      bool   // it can tell nothing: what is in doubt is refused
}

// sample keeps a real recipient that was accepted, for a test.
func (c *control) sample(t *task) {
	if c.accepted == "" && !t.Address.SMTPUTF8 {
		c.accepted = t.recipient()
	}
}

// inDoubt reports whether the question is to be asked to learn the words for an address that does not exist, although
// its own answer may be known.
func (d *domain) inDoubt() bool {
	c := &d.control
	if c.off || c.words != "" || c.accepted == "" || d.answer.Provider.AcceptsAll {
		return false
	}
	for _, s := range d.shares {
		if len(s.doubts) > 0 {
			return true
		}
	}
	return false
}

// wantsTest reports whether a share has something for a test to tell.
func (s *share) wantsTest() bool {
	d := s.domain
	c := &d.control
	if d.asking || c.off || c.words == "" || c.accepted == "" {
		return false
	}
	return len(s.doubts) > 0 || len(s.held) > 0 && d.inquiry.Answer() == catchall.Open
}

// beingRead reports whether the control experiment is under way, or about to be.
func (d *domain) beingRead() bool {
	return d.inDoubt() || slices.ContainsFunc(d.shares, (*share).wantsTest)
}

// decide ends the doubts that the experiment cannot lift.
func (p *plan) decide(d *domain) {
	c := &d.control
	if d.asking {
		return
	}
	doubts, busy := 0, false
	for _, s := range d.shares {
		doubts += len(s.doubts)
		busy = busy || s.waiting() > 0 || s.out > 0 || s.refilling
	}
	if doubts == 0 && c.words == "" {
		return
	}
	if c.failed >= testsMost || d.dest.limits.Recipients < testLeast || d.answer.Provider.AcceptsAll ||
		c.accepted == "" && (!busy || doubts >= heldMost) {
		c.off = true
	}
	if !c.off && c.words != "" && !p.affordsTest(d) { // accepted addresses are asked again with the question tomorrow
		c.off = true
		d.prevented, d.retryAt = true, d.dest.budgetSpent(p.now).retryAt
	}
	for _, s := range d.shares {
		list := s.doubts
		s.doubts = nil
		for _, x := range list {
			if c.off || c.words != "" && x.words != c.words {
				p.finish(d, x.task, x.evidence)
			} else {
				s.doubts = append(s.doubts, x)
			}
		}
	}
	if c.off && c.words != "" {
		c.words = ""
		if d.inquiry.Answer() == catchall.Open {
			d.inquiry.Close()
		}
	}
}

// mayTest reports whether the budget of the day lets a source ask enough for a test.
func (d *destination) mayTest(n int, now time.Time) bool { return d.leftToday(n, now) >= testLeast }

// affordsTest reports whether any source may ask enough today for a test of a domain.
func (p *plan) affordsTest(d *domain) bool {
	for n := range p.sources {
		if d.dest.mayTest(n, p.now) {
			return true
		}
	}
	return false
}

// dropDoubts gives what is in doubt for runs that are stopping the result that it has without a test.
func (p *plan) dropDoubts(s *share) {
	s.doubts = slices.DeleteFunc(s.doubts, func(x doubt) bool {
		if x.task.run.stopping {
			p.finish(s.domain, x.task, x.evidence)
		}
		return x.task.run.stopping
	})
}

// composeTest takes what is in doubt for a test, which goes by itself in a session that has asked nothing.
func (p *plan) composeTest(s *session, dom *domain, sh *share, passes int) *transaction {
	d := s.dest
	t := &transaction{domain: dom, share: sh, test: true, alone: true, last: dom.control.accepted}
	most := min(d.maxRefusals(load{})-testOthers, d.limits.Recipients-testOthers, d.limits.PerSession-testOthers)
	most = max(1, min(most, passes-testOthers)) // passes are enough for one
	n := min(most, len(sh.doubts))
	for _, x := range sh.doubts[:n] {
		t.groups = append(t.groups, []*task{x.task})
	}
	t.doubts, sh.doubts = sh.doubts[:n:n], sh.doubts[n:]
	t.question = dom.inquiry.Recipient()
	dom.asking = true
	sh.out += t.carries()
	p.touch(dom)
	return t
}

// hearTest weighs what was said to a test.
func (p *plan) hearTest(s *session, t *transaction, x saidTransaction, m *met) {
	d, c := t.domain, &t.domain.control
	for _, a := range x.answers {
		s.load.served++
		if !a.ok() {
			s.load.refused++
		}
		if !a.limit() {
			m.passed++
		}
	}
	if x.refused != nil {
		p.mailRefused(s, t, x.refused.beforeRCPT(), m)
	}
	if len(x.answers) < len(t.groups)+testOthers { // the session ended, or MAIL was refused
		c.failed++
		t.share.doubts = append(t.share.doubts, t.doubts...)
		return
	}
	question, last := x.answers[0].said, x.answers[len(x.answers)-1].said
	words := c.words
	confirmed := question.unread() && question.words(t.question) == words && last.ok()
	switch {
	case confirmed:
		m.answered = true
		d.inquiry.Controlled()
	case last.limit():
		c.failed++
		m.strain = last.evidence.detail
	default: // it refuses everybody from some point on, or contradicts itself
		c.off = true
		if !question.unread() {
			c.words = ""
			p.hearQuestion(s, d, question, position{}, m)
		}
	}
	for i, y := range t.doubts {
		p.hearDoubt(s, t, y, i+1, x.answers[i+1].said, confirmed, words, m)
	}
}

// hearDoubt decides what a test tells of a recipient.
func (p *plan) hearDoubt(s *session, t *transaction, x doubt, at int, a said, confirmed bool, words string, m *met) {
	switch {
	case a.ok(), a.meaning.Sure() && a.meaning.AgainstAddress():
		p.hearRecipient(s, t, x.task, a, position{index: at}, m)
	case !confirmed:
		t.share.doubts = append(t.share.doubts, x)
	case a.unread() && a.words(x.task.recipient()) == words:
		e := a.evidence
		e.reason = verdict.MailboxUnknown
		e.detail += ", as to an address that cannot exist, and accepted a real one after both"
		p.finish(t.domain, x.task, e)
	default:
		p.finish(t.domain, x.task, x.evidence)
	}
}

// answered takes the answer to the impossible address.
func (d *domain) answered(a said) {
	c := &d.control
	switch {
	case a.unread() && !c.off:
		c.words = a.words(d.inquiry.Recipient())
		return
	case a.ok(), a.meaning.Sure() && (a.meaning.AgainstAddress() || a.meaning.Reason == verdict.MailboxUnknown):
		c.off, c.words = true, ""
	default:
		c.failed++
	}
	d.inquiry.Answered(a.meaning)
}

// words returns the words of a reply to a recipient, to be compared with those of a reply to another one.
func (s said) words(recipient string) string { return reply.Masked(s.reply, recipient) }
