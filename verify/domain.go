package verify

import (
	"container/list"
	"errors"
	"net/netip"
	"slices"
	"time"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/verdict"
)

const (
	lostLimit  = 3    // sessions lost in a row, without an answer, after which an address counts as down for a domain
	endedMost  = 20   // sessions in a row that each ended at their first recipient, after which an address is left alone
	endedLimit = 2    // times a recipient is asked again by itself at whose turn a session ended
	againLimit = 2    // times a recipient that met a limit is asked again within a run
	skipMost   = 16   // domains passed over in a queue whose turn is in a fresh session
	heldMost   = 1000 // accepted addresses that wait for the catch-all question before it goes first
)

// anySource marks a task that any of our addresses may ask about.
const anySource = -1

// domain is a domain on its way: what waits, what is out with a session, the catch-all question, the fate of its hosts.
type domain struct {
	name   string
	answer mx.Answer
	dest   *destination
	inDest *list.Element
	shares []*share // one for each flow that wants something of the domain, in the order of arrival
	places []place  // where it waits

	inquiry *catchall.Inquiry
	control control
	missing int  // real recipients that are said not to exist
	exists  bool // a real recipient was accepted, or refused for another reason: not all are said not to exist
	asking  bool // a session carries the question
	alone   bool // the question was lost once: it goes in a session without real recipients

	retryAt   time.Time // when a question that was prevented is asked again; zero: as the timetable says
	prevented bool      // the question was not answered, since no host was left to ask
	barred    []int     // sources from which the question was refused because of us, so that another one asks it

	down      map[route]evidence // addresses that are not worth trying, with what is to be said if all are
	notServed map[string]bool    // hosts, by name, that do not carry mail for the domain
	lost      map[route]int      // sessions lost in a row without an answer

	waits, questions int  // as counted in the destination
	dirty            bool // changed since the last review
}

// route is an address of a mail host as one of our addresses sees it.
type route struct {
	source int
	addr   netip.Addr
}

// share is what one flow wants of a domain.
type share struct {
	domain  *domain
	flow    *flow
	run     *runState // nil: single checks, which have runs of their own
	ready   []*task   // in hand; any source may ask
	picky   []*task   // in hand; only some sources may ask, or each is to be asked alone
	held    []held    // accepted; the catch-all question is open
	doubts  []doubt   // refused in words that no rule reads
	missing []held    // said not to exist; it is not known yet whether the domain says so of all
	pending int       // still with the Queue
	out     int       // with a session, the question included
	weight  int       // of the run's room for work, given back when the share is done
	control bool      // one of the addresses that were heard before is asked again, with the question

	refilling bool // the feeder is getting more
	asked     int  // pending when it was told to
}

// task is a Task on its way.
type task struct {
	Task
	run *runState

	again   int       // how often it met a limit in this run
	ended   int       // how often a session ended at its turn; from the second on, those in which it came first
	aLabels bool      // to be asked with its domain in A-labels, since the server refused the U-labels
	source  int       // the only one that may ask; anySource: all but those in barred
	barred  []int     // sources that the server refused
	refusal *evidence // the last of these refusals, or how a session ended at its turn
	kept    bool      // a provisional result was given
}

// held is a recipient that was accepted.
type held struct {
	task     *task
	evidence evidence
}

// recipient returns the address as RCPT TO carries it.
func (t *task) recipient() string {
	if t.aLabels {
		return t.Address.String()
	}
	return t.Address.Wire()
}

// alone reports whether the task is to be asked in a flight of its own, since its answer ended a session before.
func (t *task) alone() bool { return t.ended > 0 }

// picky reports whether the task cannot be asked by any source together with others.
func (t *task) picky() bool { return t.source != anySource || len(t.barred) > 0 || t.alone() }

// allows reports whether a source may ask.
func (t *task) allows(source int) bool {
	return (t.source == anySource || t.source == source) && !slices.Contains(t.barred, source)
}

// bar notes that the server refused a source, so that only another one may ask.
func (t *task) bar(source int) {
	t.barred = append(t.barred, source)
	if t.source == source {
		t.source = anySource
	}
}

// put adds a task that is to be asked.
func (s *share) put(t *task) {
	if t.picky() {
		s.picky = append(s.picky, t)
	} else {
		s.ready = append(s.ready, t)
	}
}

// rotate lets another part of the list come next, since addresses of one kind are often next to each other.
func (s *share) rotate() {
	n := len(s.ready) * 3 / 8
	s.ready = append(s.ready[n:len(s.ready):len(s.ready)], s.ready[:n]...)
}

// waiting returns how many recipients wait, in hand or with the Queue.
func (s *share) waiting() int { return len(s.ready) + len(s.picky) + s.pending }

// done reports whether the flow wants nothing more.
func (s *share) done() bool {
	return s.waiting() == 0 && s.out == 0 && len(s.held)+len(s.doubts)+len(s.missing) == 0 && !s.refilling
}

// share returns the share of a flow; nil if there is none.
func (d *domain) share(f *flow) *share {
	for _, s := range d.shares {
		if s.flow == f {
			return s
		}
	}
	return nil
}

// wantsQuestion reports whether the catch-all question is to be put and no session carries it.
func (d *domain) wantsQuestion() bool {
	open := d.inquiry.Answer() == catchall.Open && d.control.words == ""
	return (open || d.inDoubt()) && !d.asking && !d.answer.Provider.AcceptsAll
}

// askLater reports whether a question without an answer is worth another try.
func (d *domain) askLater() bool { return d.prevented || d.inquiry.Evaded() }

// mayAsk reports whether a source may put the catch-all question.
func (d *domain) mayAsk(source int) bool { return !slices.Contains(d.barred, source) }

// asksOnly reports whether a share has nothing but the question to ask: addresses that were accepted, or
// refused in words that nobody reads, wait for it.
func (s *share) asksOnly() bool {
	d := s.domain
	if !d.wantsQuestion() {
		return false
	}
	for _, other := range d.shares { // the first that waits asks for all
		if len(other.held)+len(other.doubts) > 0 {
			return other == s
		}
	}
	return false
}

// mustAsk reports whether the question goes before any further address: too many already wait for it.
func (s *share) mustAsk() bool {
	return len(s.held)+len(s.doubts) >= heldMost && (s.domain.wantsQuestion() || s.domain.asking || s.wantsTest())
}

// askable returns how much of the share a session from a source could ask now: recipients, the question and, where its
// budget allows for one, a test.
func (s *share) askable(source int, mayTest bool) int {
	n := 0
	if !s.mustAsk() {
		n = len(s.ready)
		for _, t := range s.picky {
			if t.allows(source) {
				n++
			}
		}
	}
	if n > 0 {
		n += s.pending
	}
	if s.domain.wantsQuestion() && s.domain.mayAsk(source) && (n > 0 || s.asksOnly()) {
		n++
	}
	if n == 0 && mayTest && s.wantsTest() {
		n = min(len(s.doubts), flightMost) + testOthers
	}
	return n
}

// take removes up to most tasks that a source may ask. A task that must be asked alone is given only where alone is
// true, and then by itself.
func (s *share) take(source, most int, alone bool) []*task {
	var taken []*task
	s.picky = slices.DeleteFunc(s.picky, func(t *task) bool {
		if len(taken) >= most || !t.allows(source) || t.alone() {
			return false
		}
		taken = append(taken, t)
		return true
	})
	if n := min(most-len(taken), len(s.ready)); n > 0 {
		taken = append(taken, s.ready[:n]...)
		s.ready = s.ready[n:]
	}
	if len(taken) == 0 && alone {
		at := slices.IndexFunc(s.picky, func(t *task) bool { return t.allows(source) })
		if at >= 0 {
			taken = append(taken, s.picky[at])
			s.picky = slices.Delete(s.picky, at, at+1)
		}
	}
	return taken
}

// exhausted returns what is to be said of a domain when no mail host is left to try: that it is not served only if
// every target of its MX said so or is known not to resolve.
func (d *domain) exhausted(p *plan) evidence {
	var first *evidence
	ours := false
	for _, h := range d.answer.Hosts {
		if d.notServed[h.Name] || errors.Is(h.Err, mx.ErrNoAddress) {
			continue
		}
		e := p.whyNot(d, h)
		if e.reason == verdict.NotProbed { // about us: nothing else is to be concluded
			return e
		}
		if first == nil {
			first = &e
		} else {
			ours = ours || e.ours
		}
	}
	if first != nil {
		first.blame(ours)
		return *first
	}
	return evidence{reason: verdict.DomainNotServed, detail: "none of its mail hosts carries mail for " + d.name}
}

// acceptance returns what a 2xx means, given the answer to the catch-all question.
func acceptance(c catchall.Answer) (reason Reason, detail string, flag bool) {
	switch c {
	case catchall.Yes:
		return verdict.CatchAll, "the domain accepts mail for any address, so this one cannot be confirmed", true
	case catchall.No:
		return verdict.Accepted, "the mail host accepts this address and refuses one that cannot exist", false
	default:
		return verdict.CatchAllUnknown,
			"the mail host accepted the address, but it is not known whether it accepts every address", false
	}
}

// trouble is what is remembered of an address that could not be connected to.
type trouble struct {
	evidence evidence
	until    time.Time
}

// keepTrouble keeps for a while that an address cannot be asked from a source.
func (p *plan) keepTrouble(r route, e evidence) {
	p.troubles[r] = trouble{e, p.now.Add(troubleFor)}
	p.touchServer(r.addr, r.source)
}

// troubleAt returns why an address cannot be asked from a source now, and false if that is not known.
func (p *plan) troubleAt(r route) (evidence, bool) {
	t, ok := p.troubles[r]
	return t.evidence, ok && p.now.Before(t.until)
}
