package verify

import (
	"math"
	"slices"
	"strings"
	"time"

	"presend/verify/syntax"
	"presend/verify/verdict"
)

// flight is what a session asks without being told anything in between: transactions, each of one domain. It may serve
// several runs.
type flight struct {
	transactions []*transaction
	recipients   int // in all of them, questions included
	large        bool
	begun        time.Time
}

// transaction is MAIL and the RCPTs of one domain.
type transaction struct {
	domain   *domain
	share    *share
	groups   [][]*task // by recipient: tasks that are one mailbox share a question
	question string    // the impossible address, asked last; empty: none
	alone    bool      // nothing else may be in the flight

	test   bool    // the second session of the control experiment: the impossible address comes first
	doubts []doubt // of a test, in the order of groups
	last   string  // of a test: the real address that must be accepted
}

// flyTransaction is a transaction as a worker sees it.
type flyTransaction struct {
	recipients []string
	provider   string
	host       string // the name that the domain's MX gives the session's address
}

// carries returns how many tasks a session has with the transaction, the question included.
func (t *transaction) carries() int {
	n := 0
	for _, g := range t.groups {
		n += len(g)
	}
	if t.question != "" {
		n++
	}
	return n
}

// land notes that no session has the transaction any more.
func (t *transaction) land() {
	t.share.out -= t.carries()
	if t.question != "" {
		t.domain.asking = false
	}
}

// recipients returns what is asked, in order.
func (t *transaction) recipients() []string {
	list := make([]string, 0, len(t.groups)+testOthers)
	if t.test {
		list = append(list, t.question)
	}
	for _, g := range t.groups {
		list = append(list, g[0].recipient())
	}
	switch {
	case t.test:
		list = append(list, t.last)
	case t.question != "":
		list = append(list, t.question)
	}
	return list
}

// onlyOf reports whether all tasks of a flight are of runs that meet a condition.
func (f *flight) onlyOf(is func(*runState) bool) bool {
	for _, t := range f.transactions {
		for _, g := range t.groups {
			for _, x := range g {
				if !is(x.run) {
					return false
				}
			}
		}
		if t.question != "" && t.domain.waitedFor(is) {
			return false
		}
	}
	return true
}

// waitedFor reports whether addresses of a run that does not meet a condition wait for the catch-all question.
func (d *domain) waitedFor(is func(*runState) bool) bool {
	return slices.ContainsFunc(d.shares, func(s *share) bool {
		return slices.ContainsFunc(s.held, func(h held) bool { return !is(h.task.run) }) ||
			slices.ContainsFunc(s.doubts, func(x doubt) bool { return !is(x.task.run) })
	})
}

// fill puts a flight together for a session, from the domains that wait at its server; nil if there is nothing to ask.
func (p *plan) fill(s *session) *flight {
	d := s.dest
	if d.shouldTest() && !s.load.tests {
		s.load.tests, d.testing = true, true
	}
	l := s.load
	l.recipients, l.questions = 0, 0
	passes := flightMost
	if lim := s.lane().limiter; lim != nil {
		passes = max(1, int(lim.TokensAt(p.now)))
	}
	passes = min(passes, d.leftToday(s.source, p.now))
	if s.lane().strain.careful {
		passes = min(passes, p.least(s, p.servers[s.addr]))
	}
	f := &flight{}
	for (len(f.transactions) == 0 || s.pipelines) && !d.spentMails(s, len(f.transactions)) {
		srv := p.servers[s.addr]
		if srv == nil {
			break
		}
		q := p.nextQueue(s, srv)
		if q == nil {
			break
		}
		fresh := s.load.served == 0 && len(f.transactions) == 0
		dom := q.front(fresh)
		if !s.admits(dom) {
			break
		}
		t := p.compose(s, dom, q.flow, l, passes-l.recipients-l.questions, len(f.transactions) == 0, fresh)
		if t == nil {
			break
		}
		p.place(dom)
		if len(t.groups) == 0 && t.question == "" {
			continue // all of it had its result without being asked
		}
		f.transactions = append(f.transactions, t)
		l.recipients += len(t.groups)
		if t.question != "" {
			l.questions++
		}
		if t.test {
			l.recipients++ // the last
		}
		if t.alone || passes <= l.recipients+l.questions {
			break
		}
	}
	if len(f.transactions) == 0 {
		return nil
	}
	f.recipients = l.recipients + l.questions
	f.large = f.recipients > smallFlight
	return f
}

// nextQueue returns the queue that a session serves next: one of its destination, else one of another that shares the
// server.
func (p *plan) nextQueue(s *session, srv *server) *queue {
	if q := srv.choose(s.dest, s.source); q != nil {
		return q
	}
	return srv.guest(s.dest, s.source, p.now)
}

// front returns the domain of a queue that comes first. One of which everything is to be asked alone waits for a fresh
// session, unless many do.
func (q *queue) front(fresh bool) *domain {
	e := q.domains.Front()
	for skipped := 0; !fresh && e != nil && skipped < skipMost; skipped++ {
		d := e.Value.(*domain)
		if takes, asks := d.share(q.flow).offers(q.source, false); takes || asks {
			return d
		}
		e = e.Next()
	}
	return q.domains.Front().Value.(*domain)
}

// least returns how many recipients the next flight of a fresh session from a queue holds at least.
func (q *queue) least() int {
	sh := q.front(true).share(q.flow)
	if takes, asks := sh.offers(q.source, true); !takes && !asks && sh.wantsTest() {
		return testLeast
	}
	return 1
}

// least returns how many recipients the next flight of a session at a server holds at least.
func (p *plan) least(s *session, srv *server) int {
	if srv == nil || s.load.served > 0 {
		return 1
	}
	if q := srv.choose(s.dest, s.source); q != nil {
		return q.least()
	}
	return 1
}

// offers reports whether a session from a source could ask real recipients of a share, and the catch-all question. What
// goes alone does so in a fresh session, in which nothing was asked, so that its end can be nobody else's doing.
func (s *share) offers(source int, fresh bool) (takes, asks bool) {
	d := s.domain
	takes = !s.mustAsk() && (len(s.ready) > 0 || s.picks(source, fresh))
	return takes, d.wantsQuestion() && d.mayAsk(source) && (fresh && !takes || !d.alone)
}

// compose takes the next transaction of a domain for a session; nil if no more fits into the flight.
func (p *plan) compose(s *session, dom *domain, fl *flow, l load, passes int, first, fresh bool) *transaction {
	d, sh := s.dest, dom.share(fl)
	t := &transaction{domain: dom, share: sh}
	takes, asks := sh.offers(s.source, fresh)
	if fresh && first && !takes && !asks && sh.wantsTest() {
		if passes < testLeast {
			return nil
		}
		return p.composeTest(s, dom, sh, passes)
	}
	if takes && min(d.limits.Recipients, passes) == 1 {
		asks = false // it goes by itself, when the real recipients have been asked
	}
	if !takes && !asks {
		return nil
	}
	most := 0
	if asks {
		l.questions++
		passes--
	}
	if takes {
		if most = min(d.flightSize(l), max(passes, 1)); most < 1 {
			return nil
		}
		if rest := len(sh.ready) + sh.pending - most; d.stepwise && rest > 0 && rest < partLeast {
			most = max(most, min(most+rest, d.limits.PerSession-l.served-l.questions))
		}
		most = min(most, d.limits.Recipients)
		if asks {
			most = min(most, d.limits.Recipients-1)
		}
	} else if !first && d.flightSize(l) < 1 {
		return nil
	}
	list := sh.take(s.source, most, fresh)
	t.alone = len(list) == 1 && list[0].alone() || !takes && dom.alone
	if t.alone && takes {
		asks = false
	}
	for _, x := range list {
		p.group(s, t, x)
	}
	p.groupSame(t)
	if asks {
		t.question = dom.inquiry.Recipient()
		dom.asking = true
	}
	sh.out += t.carries()
	if len(sh.ready)+len(sh.picky) < flightMost {
		p.refill(sh)
	}
	p.touch(dom)
	return t
}

// picks reports whether there is a picky task that a source may ask now.
func (s *share) picks(source int, fresh bool) bool {
	for _, t := range s.picky {
		if t.allows(source) && (fresh || !t.alone()) {
			return true
		}
	}
	return false
}

// group adds a task to a transaction. Spellings of one mailbox share a recipient. A task that cannot be asked at this
// host has its result here.
func (p *plan) group(s *session, t *transaction, x *task) {
	d := t.domain
	if x.Address.SMTPUTF8 && !s.smtputf8 {
		p.finish(d, x, evidence{
			host: s.host, reason: verdict.SMTPUTF8Unsupported, detail: s.host + " takes no addresses with letters outside ASCII",
		})
		return
	}
	from := len(t.groups) - 1
	if t.share.flow == p.checks {
		from = 0 // many may ask for the same at a time, in any order
	}
	for i := max(0, from); i < len(t.groups); i++ {
		if sameMailbox(t.groups[i][0], x, d.answer.Provider.IgnoresCase) {
			t.groups[i] = append(t.groups[i], x)
			return
		}
	}
	t.groups = append(t.groups, []*task{x})
}

// groupSame adds the tasks that are still in hand and are mailboxes which the transaction asks about anyway. In a list
// they are next to each other; single checks come in any order.
func (p *plan) groupSame(t *transaction) {
	if len(t.groups) == 0 {
		return
	}
	sh, ignoresCase := t.share, t.domain.answer.Provider.IgnoresCase
	if sh.flow != p.checks {
		last := &t.groups[len(t.groups)-1]
		for len(sh.ready) > 0 && sameMailbox((*last)[0], sh.ready[0], ignoresCase) {
			*last = append(*last, sh.ready[0])
			sh.ready = sh.ready[1:]
		}
		return
	}
	sh.ready = slices.DeleteFunc(sh.ready, func(x *task) bool {
		i := slices.IndexFunc(t.groups, func(g []*task) bool { return sameMailbox(g[0], x, ignoresCase) })
		if i >= 0 {
			t.groups[i] = append(t.groups[i], x)
		}
		return i >= 0
	})
}

func sameMailbox(a, b *task, ignoresCase bool) bool {
	if a.aLabels != b.aLabels || a.alone() != b.alone() {
		return false
	}
	same := func(x, y syntax.Address) bool { return x.Local == y.Local }
	if ignoresCase {
		same = func(x, y syntax.Address) bool { return strings.EqualFold(x.Local, y.Local) }
	}
	return same(a.Address, b.Address)
}

// fly orders a flight.
func (p *plan) fly(s *session, f *flight) {
	d := s.dest
	s.flight, s.state, s.until = f, flyingSession, time.Time{}
	f.begun = p.now
	list := make([]flyTransaction, len(f.transactions))
	for i, t := range f.transactions {
		list[i] = flyTransaction{t.recipients(), t.domain.answer.Provider.Name, t.domain.hostAt(s.addr, s.host)}
		d.served[t.share.flow.id] += len(list[i].recipients)
	}
	if lim := s.lane().limiter; lim != nil {
		lim.ReserveN(p.now, min(f.recipients, lim.Burst()))
	}
	most := d.maxRefusals(s.load)
	if f.transactions[0].test {
		most = math.MaxInt // its last recipient is the one that tells
	}
	p.spend(s, f.recipients)
	p.say(flyOrder{s.id, list, s.load.refused, most})
	p.update(d)
}
