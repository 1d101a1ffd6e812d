package verify

import (
	"time"

	"presend/verify/verdict"
)

// missingLeast is how many real addresses have to be refused as not existing, and none accepted, for a domain that
// seems to refuse all: it moved, or its mail hosts have an old list of its mailboxes.
const missingLeast = 3

// refuse gives a recipient that was refused its result. One that is said not to exist waits until it is known whether
// the domain says so of all. A single check does not wait.
func (p *plan) refuse(t *transaction, x *task, e evidence, position int) {
	d := t.domain
	if e.reason != verdict.MailboxUnknown {
		d.exists = d.exists || e.reason == verdict.MailboxFull || e.reason == verdict.MailboxDisabled ||
			e.reason == verdict.RecipientRestricted
		p.finish(d, x, e)
		return
	}
	if position < len(t.groups) && x == t.groups[position][0] {
		d.missing++
	}
	if x.run.check || d.exists {
		p.finish(d, x, e)
		return
	}
	e.at = p.now
	t.share.missing = append(t.share.missing, held{x, e})
}

// tellMissing gives those their result that were said not to exist, once that is all, or another recipient of the
// domain exists.
func (p *plan) tellMissing(d *domain) {
	for _, s := range d.shares {
		over := s.waiting()+s.out+len(s.held)+len(s.doubts) == 0 && !s.refilling
		stopping := s.run != nil && s.run.stopping
		if !over && !d.exists && !stopping && len(s.missing) < heldMost {
			continue
		}
		list := s.missing
		s.missing = nil
		for _, h := range list {
			h.evidence.allGone = !d.exists && d.missing >= missingLeast && !d.inquiry.Accepts()
			p.finish(d, h.task, h.evidence)
		}
	}
}

// runOf names the run in which tasks are asked for the first time. The invented addresses of the catch-all question go
// by it: they are the same in the retries of a run, as greylisting wants them, and others in the next run, since
// servers keep their answers for a while.
func runOf(list []Task, now time.Time) string {
	first := now
	for _, t := range list {
		since := t.Memory.Since
		if since.IsZero() && t.Heard != nil {
			since = t.Heard.CheckedAt
		}
		if !since.IsZero() && since.Before(first) {
			first = since
		}
	}
	return first.UTC().Truncate(time.Hour).Format(time.DateTime)
}
