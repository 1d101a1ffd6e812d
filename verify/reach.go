package verify

import (
	"container/heap"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

const (
	doubtFirst   = 3               // destinations without an answer, and none with one, that make a way doubtful
	doubtLater   = 5               // destinations in a row without an answer that do so, after others answered
	doubtFor     = 2 * time.Second // how long what is under way may still answer before a way is tested
	shutFor      = 5 * time.Minute // how long a way that is of no use is left alone
	trialEvery   = 5 * time.Second // how often one connection finds out whether the network is back
	answerFor    = 5 * time.Minute // how long an answer of before a run began is good for it
	backAfter    = time.Second     // a test that took so long may have begun before the network was back
	goodMost     = 3               // hosts that answered are remembered for such a connection
	doubtfulMost = 20_000          // results of a run that wait for what is known of a way
)

// way is how we reach mail hosts: from one of our addresses, over one family.
type way struct {
	source int
	v6     bool
}

// anyWay means all of them: of a failure that is no connection's, it matters whether anything answered at all.
var anyWay = way{source: anySource}

type wayState int

const (
	openWay    wayState = iota // for all that is known
	doubtedWay                 // nothing is opened until more is known
	testedWay                  // a test is under way
	awayWay                    // nothing answers any more; a connection now and then finds out whether it does again
	shutWay                    // of no use; what waits for it has its result
)

// reach is what is known of a way: whether anything answers there. One destination that does not is down; where none
// does, it is us.
type reach struct {
	state     wayState
	until     time.Time       // shut: when it is tried again
	since     time.Time       // away: since when
	trouble   *Trouble        // shut: what is said of it
	silent    map[string]bool // destinations that gave no answer since anything did
	lost      bool            // one of them answered before
	forbidden bool            // a rule of the proxy forbade a connection
	last      string          // how the last connection failed
	limit     int             // how many silent destinations make it doubtful; 0: the first limit
	answers   [2]heardFrom    // the newest, and the newest of another destination
	good      []smtpprobe.Target
	alike     alike
}

// heardFrom is when a destination answered last.
type heardFrom struct {
	dest string
	at   time.Time
}

// answered reports whether anything answered since a time.
func (r *reach) answered(since time.Time) bool {
	return !r.answers[0].at.IsZero() && !r.answers[0].at.Before(since)
}

// othersAnswered reports whether a destination other than dest answered since a time.
func (r *reach) othersAnswered(dest string, since time.Time) bool {
	a := r.answers[0]
	if a.dest == dest {
		a = r.answers[1]
	}
	return !a.at.IsZero() && !a.at.Before(since)
}

// note keeps that a destination answered.
func (r *reach) note(dest string, now time.Time) {
	if r.answers[0].dest != dest {
		r.answers[1] = r.answers[0]
	}
	r.answers[0] = heardFrom{dest, now}
	clear(r.silent)
	r.lost = false
}

// remember keeps a host that answered, so that a connection there can tell whether the network is back.
func (r *reach) remember(t smtpprobe.Target) {
	same := func(o smtpprobe.Target) bool { return o.Host == t.Host }
	r.good = append(slices.DeleteFunc(r.good, same), t)
	if len(r.good) > goodMost {
		r.good = slices.Delete(r.good, 0, 1)
	}
}

// wayTo returns the way to an address from a source.
func wayTo(n int, addr netip.Addr) way { return way{n, !addr.Unmap().Is4()} }

// family returns the name of the family of addresses.
func (w way) family() string {
	if w.v6 {
		return "IPv6"
	}
	return "IPv4"
}

// family returns what a source knows of the family of addresses that a way goes over.
func (p *plan) family(w way) *family {
	if w.v6 {
		return &p.sources[w.source].families[1]
	}
	return &p.sources[w.source].families[0]
}

// reachOf returns what is known of a way.
func (p *plan) reachOf(w way) *reach {
	r := &p.family(w).reach
	if r.state == shutWay && !p.now.Before(r.until) { // a new chance
		*r = reach{}
	}
	return r
}

// wayName says which way it is, where several are in use.
func (p *plan) wayName(w way) string {
	switch src := p.sources[w.source].addr; {
	case len(p.sources) > 1:
		return "from " + p.sourceName(w.source) + " over " + w.family()
	case p.rules.ipv4 && p.rules.ipv6 && !src.IsValid():
		return "over " + w.family()
	}
	return ""
}

// eachWay calls a function with every way.
func (p *plan) eachWay(use func(way, *reach)) {
	for n := range p.sources {
		for _, w := range []way{{n, false}, {n, true}} {
			use(w, p.reachOf(w))
		}
	}
}

// holds reports whether nothing is to be opened to an address now, until more is known of the way.
func (p *plan) holds(n int, addr netip.Addr) bool {
	s := p.reachOf(wayTo(n, addr)).state
	return s == doubtedWay || s == testedWay || s == awayWay
}

// answer notes that a mail host said something to a new connection, whatever it was. What is said in a session of
// before tells less: it may have been on its way when the network went down.
func (p *plan) answer(n int, addr netip.Addr, dest, host string) {
	w := wayTo(n, addr)
	r := p.reachOf(w)
	before := r.state
	if before == shutWay && r.trouble.Kind == PortIntercepted { // that is the other server
		return
	}
	r.note(dest, p.now)
	r.limit = 0
	r.remember(smtpprobe.Target{Host: host, Addrs: []netip.Addr{addr}, AtOnce: 1, Source: p.sources[n].addr})
	if before != openWay && before != testedWay {
		p.reopen(w)
	}
	p.settleDoubts()
}

// silence notes that a destination could not be connected to, and that nothing was said.
func (p *plan) silence(n int, addr netip.Addr, dest *destination, e evidence) {
	w := wayTo(n, addr)
	r := p.reachOf(w)
	if r.state == shutWay {
		return
	}
	if r.silent == nil {
		r.silent = map[string]bool{}
	}
	r.silent[dest.name] = true
	r.lost = r.lost || dest.lanes[n].met
	r.last = e.detail
	if len(r.silent) >= r.doubtAt() {
		p.doubt(w)
	}
}

// doubtAt returns how many silent destinations make the way doubtful.
func (r *reach) doubtAt() int {
	switch {
	case r.limit > 0:
		return r.limit
	case len(r.good) > 0:
		return doubtLater
	}
	return doubtFirst
}

// testable reports whether there is a way to find out whether it is us.
func (p *plan) testable(r *reach) bool { return p.rules.outside || len(r.good) > 1 }

// doubt holds a way until it is known whether anything answers there.
func (p *plan) doubt(w way) {
	r := p.reachOf(w)
	if r.state != openWay || !p.testable(r) {
		return
	}
	r.state = doubtedWay
	p.at(p.now.Add(doubtFor), func() {
		if r.state == doubtedWay {
			p.test(w)
		}
	})
	p.updateAll()
}

// test lets a connection find out whether anything answers on a way.
func (p *plan) test(w way) {
	r := p.reachOf(w)
	if r.state != awayWay {
		r.state = testedWay
	}
	p.say(testOrder{way: w, source: p.sources[w.source].addr, targets: slices.Clone(r.good)})
}

// tested takes what a test found.
func (p *plan) tested(ev tested) {
	w := ev.way
	r := p.reachOf(w)
	switch {
	case r.state != testedWay && r.state != awayWay:
		return // something answered meanwhile
	case ev.err == nil, ev.gaveUp, r.state == testedWay && len(r.silent) == 0:
		if ev.err == nil { // it is the hosts that are down, unless the network is back
			p.handBack(w, func(f finding) bool {
				slow := f.evidence.reason == verdict.Timeout && !r.lost && ev.took < backAfter
				return len(r.good) > 0 && !f.task.doubted && !slow
			})
			r.limit = 2 * r.doubtAt()
			r.note("", p.now)
		}
		p.reopen(w)
	case len(r.good) == 0:
		p.shut(w, &Trouble{Kind: PortClosed, Where: p.wayName(w), Detail: fmt.Sprintf(
			"no connection to %d unrelated mail hosts had an answer, nor had those to large providers; the last: %s",
			len(r.silent), r.last)})
	case r.state == testedWay:
		p.goAway(w)
	default:
		p.stayAway(w)
	}
	p.settleDoubts()
}

// goAway begins to wait for a network on which nothing answers any more. What failed lately is to be asked again.
func (p *plan) goAway(w way) {
	r := p.reachOf(w)
	r.state, r.since = awayWay, p.now
	p.log(slog.LevelWarn, "nothing answers any more", "way", p.wayName(w), "last", r.last)
	p.forgetSilence(w)
	p.handBack(w, func(finding) bool { return true })
	p.stayAway(w)
}

// stayAway waits on, or gives the network up when no run has the patience to wait.
func (p *plan) stayAway(w way) {
	r := p.reachOf(w)
	left := r.since.Add(p.patience()).Sub(p.now)
	if left <= 0 {
		p.shut(w, &Trouble{Kind: NetworkDown, Where: p.wayName(w), Detail: fmt.Sprintf(
			"nothing answers since %s, not even mail hosts that did before; the last: %s",
			clock(r.since), r.last)})
		return
	}
	p.at(p.now.Add(min(trialEvery, left)), func() {
		if r.state == awayWay {
			p.test(w)
		}
	})
	p.updateAll()
}

// patience returns how long the most patient run waits for the network.
func (p *plan) patience() (longest time.Duration) {
	for _, r := range p.runs {
		longest = max(longest, r.patience)
	}
	return longest
}

// reopen lets a way be used again.
func (p *plan) reopen(w way) {
	r := p.reachOf(w)
	if r.state == awayWay {
		p.log(slog.LevelWarn, "the network is back", "way", p.wayName(w), "after", p.now.Sub(r.since).Round(time.Second))
	}
	r.state, r.trouble = openWay, nil
	clear(r.silent)
	r.lost = false
	p.updateAll()
}

// shut gives a way up. What waits for it alone has its result at once, and what hangs is given up.
func (p *plan) shut(w way, t *Trouble) {
	r := p.reachOf(w)
	*r = reach{state: shutWay, until: p.now.Add(shutFor), trouble: t}
	p.log(slog.LevelWarn, t.String())
	p.forgetSilence(w)
	for _, s := range p.sortedSessions() {
		opening := s.state == openingSession && !slices.ContainsFunc(s.tried, func(a netip.Addr) bool {
			return wayTo(s.source, a) != w
		})
		if opening || s.state == flyingSession && wayTo(s.source, s.addr) == w {
			p.say(cancelOrder{s.id})
		}
	}
	p.settleDoubts()
	p.updateAll()
}

// forgetSilence forgets which addresses could not be connected to on a way, since that was not their doing.
func (p *plan) forgetSilence(w way) {
	for r, t := range p.troubles {
		if t.evidence.via != nil && wayTo(r.source, r.addr) == w {
			delete(p.troubles, r)
		}
	}
}

// updateAll looks again at all that waits.
func (p *plan) updateAll() {
	for _, d := range p.sortedDestinations() {
		p.touchAll(d)
		p.update(d)
	}
}

// at lets something happen at a time.
func (p *plan) at(when time.Time, do func()) { heap.Push(&p.alarms, alarm{at: when, do: do}) }

// shutEvidence returns the trouble of the first way to one of these addresses that was given up; nil if none was.
func (p *plan) shutEvidence(addrs []netip.Addr) *evidence {
	for n := range p.sources {
		for _, addr := range addrs {
			if src := p.sources[n].addr; src.IsValid() && src.Unmap().Is4() != addr.Unmap().Is4() {
				continue
			}
			if r := p.reachOf(wayTo(n, addr)); r.state == shutWay {
				e := r.trouble.evidence()
				return &e
			}
		}
	}
	return nil
}

// proxyFailed weighs a failure of the proxy. Before anything answered, it is of no use; afterwards it may come back. A
// rule may be about the one host.
func (p *plan) proxyFailed(n int, addr netip.Addr, dest *destination, f failure) {
	w := wayTo(n, addr)
	r := p.reachOf(w)
	switch {
	case r.state == shutWay, r.state == awayWay:
	case f.fault == proxyRule:
		e := f.evidence
		e.via, e.ours = &w, true
		p.keepTrouble(route{n, addr}, e)
		if p.silence(n, addr, dest, e); len(r.good) == 0 {
			r.forbidden = true
			p.forbid(w, doubtFirst)
		}
	case len(r.good) > 0:
		p.silence(n, addr, dest, f.evidence)
		p.doubt(w)
	default:
		p.shut(w, &Trouble{Kind: ProxyBroken, Detail: f.evidence.detail})
	}
}

// forbid gives up a way on which the proxy forbade so many connections and nothing answered.
func (p *plan) forbid(w way, least int) bool {
	r := p.reachOf(w)
	if !r.forbidden || len(r.good) > 0 || len(r.silent) < least {
		return false
	}
	p.shut(w, &Trouble{Kind: ProxyBroken, Detail: r.last})
	return true
}
