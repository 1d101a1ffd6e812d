package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// A receiver that ends a session because of a limit takes a new one at once, so nothing pauses for it.

// endedByLimit reports whether a session was ended by a limit on what one session may ask: its refusals, or its
// transactions.
func (s *session) endedByLimit(b *broken) bool {
	if b.said == nil || s.load.served == 0 {
		return false
	}
	return b.said.errorLimit() || b.command == reply.MAIL && s.load.mails > 0
}

// learnSessionLimits counts the transactions of a session, and learns the limits on a session from how it ended and
// from how long refusals took.
func (p *plan) learnSessionLimits(s *session, ev heard) {
	b, d := ev.broken, s.dest
	done := len(ev.transactions)
	if b != nil && b.said != nil && b.command == reply.MAIL {
		done--
	}
	s.load.mails += max(0, done)
	if b != nil && s.endedByLimit(b) {
		if b.command == reply.MAIL {
			d.limitMails(p.now, s.load.mails)
		}
		if b.said.errorLimit() {
			d.limitErrors(p.now, s.load.refused-1)
		}
	}
	if doubles(ev.transactions) {
		d.tarpit = true
		d.learned(p.now)
		d.limitErrors(p.now, tarpitRefusals)
	}
}

const (
	tarpitRefusals = 2               // in a session, at a host that takes twice as long over each
	tarpitLeast    = 2 * time.Second // what the first of them takes
	ghostFor       = 2 * time.Minute // how long a session that timed out may be open on the other side
)

// doubled reports whether a refusal took about twice as long as the one before, and both took long.
func doubled(last, took time.Duration) bool { return last >= tarpitLeast && took > last*3/2 }

// doubles reports whether a host takes about twice as long over each refusal as over the one before.
func doubles(list []saidTransaction) bool {
	last := time.Duration(0)
	for _, t := range list {
		for _, a := range t.answers {
			if a.ok() {
				continue
			}
			if doubled(last, a.took) {
				return true
			}
			last = a.took
		}
	}
	return false
}

// limitMails notes how many transactions a session may have.
func (d *destination) limitMails(now time.Time, most int) {
	if most = max(1, most); d.mails == 0 || most < d.mails {
		d.mails = most
		d.learned(now)
	}
}

// limitErrors notes after how many refusals a session has to end by itself.
func (d *destination) limitErrors(now time.Time, most int) {
	if errors := max(0, most-1); errors < d.limits.Errors {
		d.limits.Errors = errors
		d.slowsOnErrors, d.toleratesErrors = true, false
		d.learned(now)
	}
}

// spentMails reports whether a session has had all transactions that it may have.
func (d *destination) spentMails(s *session, more int) bool {
	return d.mails > 0 && s.load.mails+more >= d.mails
}

// keep takes the limits that a server named.
func (d *destination) keep(now time.Time, l smtpprobe.ServerLimits) {
	if l.Recipients > 0 && l.Recipients < d.limits.Recipients {
		d.shrink(now, l.Recipients)
	}
	if l.Transactions > 0 {
		d.limitMails(now, l.Transactions)
	}
	if l.Domains > 0 {
		d.rcptDomains = l.Domains
		d.learned(now)
	}
}

// admits reports whether a session may ask about a domain, and notes that it does.
func (s *session) admits(d *domain) bool {
	most := s.dest.rcptDomains
	if most == 0 || slices.Contains(s.names, d.name) {
		return true
	}
	if len(s.names) >= most {
		return false
	}
	s.names = append(s.names, d.name)
	return true
}

// screenedFor is how long after its first visit a host that puts off first visitors is visited again: Postfix's
// postscreen lets the next connection pass.
const screenedFor = 6 * time.Second

// screened reports whether a host puts off everybody at the first visit: each recipient of the session was answered
// with 450 4.3.2, and none was answered otherwise at the destination before. All of them are asked again in one new
// session.
func (p *plan) screened(s *session, f *flight, ev heard) bool {
	l := s.lane()
	if l.screening || l.heard || ev.broken != nil && ev.broken.kind != brokenClosed || f.transactions[0].test {
		return false
	}
	answers := 0
	for _, t := range ev.transactions {
		for _, a := range t.answers {
			if a.reply.Code != 450 || a.reply.Enhanced != (reply.Enhanced{Class: 4, Subject: 3, Detail: 2}) {
				return false
			}
			answers++
		}
	}
	return answers > 0
}

// visitAgain takes back what a host put off at the first visit.
func (p *plan) visitAgain(s *session, f *flight) {
	l := s.lane()
	l.screening = true
	l.met = l.met && l.sessions > 1
	l.paused = p.now.Add(screenedFor)
	for _, t := range f.transactions {
		t.land()
		p.requeue(t, t.groups)
		p.touch(t.domain)
	}
	p.remind(s.dest, l.paused)
	p.quit(s, "the host puts off first visitors")
}

// ghosts returns how many sessions that timed out may still be open at a tarpit, and when the first of them is not.
func (l *lane) ghosts(now time.Time) (n int, first time.Time) {
	l.gone = slices.DeleteFunc(l.gone, func(t time.Time) bool { return !now.Before(t) })
	if len(l.gone) == 0 {
		return 0, time.Time{}
	}
	return len(l.gone), l.gone[0]
}

const (
	wholeDay = 24 * time.Hour
	nextDay  = time.Minute // after midnight, when what was left is asked again
)

// leftToday returns how many recipients the budget of a day lets a source ask at the destination. Days are those of
// UTC.
func (d *destination) leftToday(n int, now time.Time) int {
	if d.table.Day == 0 {
		return math.MaxInt
	}
	l := &d.lanes[n]
	if today := now.UTC().Truncate(wholeDay); !today.Equal(l.today) {
		l.today, l.asked = today, 0
	}
	return max(0, d.table.Day-l.asked)
}

// budgetSpent is what those get that are not asked since the budget of the day is used up.
func (d *destination) budgetSpent(now time.Time) evidence {
	return evidence{
		reason:  verdict.NotProbed,
		detail:  notAsked + fmt.Sprintf("today's budget of %d recipients at %s is used up", d.table.Day, d.name),
		retryAt: now.UTC().Truncate(wholeDay).Add(wholeDay + nextDay),
	}
}

// saysBudget reports whether the detail of a result is that of a budget that is used up. A state file keeps no more of
// it.
func saysBudget(detail string) bool { return strings.HasPrefix(detail, notAsked+"today's budget") }

// slower notes that the server asks for a slower pace.
func (m *met) slower(a said) {
	if a.meaning.Rule == hourlyLimit {
		m.hourly = &a.evidence
		return
	}
	m.strain = a.evidence.detail
}

// nextHour leaves what waits at a destination to the next hour, since it has an hourly limit or lets nothing pass.
func (p *plan) nextHour(s *session, said string) {
	l := s.lane()
	l.circuit = &evidence{
		reason:  verdict.RateLimited,
		detail:  notAsked + fmt.Sprintf("%s has an hourly limit or a similar one; it said: %s", s.dest.name, said),
		retryAt: p.now.Add(circuitFor + time.Minute),
	}
	l.circuitAt, l.trial = p.now, false
	p.touchAll(s.dest)
}
