package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Some networks let a server of their own answer on port 25 in place of every mail host. What it says is about none of
// the addresses. It greets with the same name everywhere.

// Greeting is the name with which a mail host greets, in lower case, empty where it greets with none.
type Greeting struct{ Host, Name string }

// foreign reports whether a host greets with a name that is not of its own domain. Many do, with that of their
// operator.
func (g Greeting) foreign() bool { return g.Name != "" && domainOf(g.Name) != domainOf(g.Host) }

func domainOf(host string) string {
	host = strings.ToLower(host)
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}

const (
	alikeFirst = 3 // unrelated destinations that greet alike before any greeted with another name, so that it is tested
	alikeLater = 8 // such destinations in a row after others greeted with names of their own
)

// alike is a row of destinations that greet with the same foreign name.
type alike struct {
	name    string
	since   time.Time // when the first of them did
	dests   map[string]bool
	nets    map[netip.Prefix]bool
	limit   int // how many are tested; 0: alikeFirst
	testing bool
}

// unrelated returns how many destinations in different networks greeted alike.
func (a *alike) unrelated() int { return min(len(a.dests), len(a.nets)) }

// hear takes a greeting, and reports whether it is time for a test.
func (a *alike) hear(g Greeting, dest string, addr netip.Addr, now time.Time) bool {
	switch {
	case a.testing, g.Name == "":
		return false
	case !g.foreign():
		*a = alike{limit: max(a.limit, alikeLater)}
		return false
	case g.Name != a.name:
		limit := a.limit
		if a.name != "" {
			limit = max(limit, alikeLater)
		}
		*a = alike{name: g.Name, since: now, dests: map[string]bool{}, nets: map[netip.Prefix]bool{}, limit: limit}
	}
	a.dests[dest] = true
	a.nets[network(addr)] = true
	a.testing = a.unrelated() >= max(a.limit, alikeFirst)
	return a.testing
}

// network returns the network of an address that usually has one operator.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// greeted notes how a destination greets, and lets large hosts tell whether it is another server that answers.
func (p *plan) greeted(w way, dest string, addr netip.Addr, g Greeting) {
	if r := p.reachOf(w); p.rules.outside && r.alike.hear(g, dest, addr, p.now) {
		p.say(testOrder{way: w, source: p.sources[w.source].addr, about: g.Name})
	}
}

// testsGreeting reports whether a test of how large hosts greet is under way.
func (p *plan) testsGreeting() (tests bool) {
	p.eachWay(func(_ way, r *reach) { tests = tests || r.alike.testing })
	return tests
}

// testedGreeting takes how a large host greets. If it is as the others do, another server answers for all of them.
func (p *plan) testedGreeting(ev tested) {
	defer func() { // one may wait for this
		for _, run := range p.sortedRuns() {
			p.touchRun(run)
		}
	}()
	r := p.reachOf(ev.way)
	a := r.alike
	if !a.testing || a.name != ev.asked {
		return
	}
	if ev.err != nil || ev.greeting.Name != a.name || !ev.greeting.foreign() {
		r.alike = alike{limit: 2 * max(a.limit, alikeLater)}
		return
	}
	t := &Trouble{Kind: PortIntercepted, Where: p.wayName(ev.way), Since: a.since, Detail: fmt.Sprintf(
		"%d unrelated mail hosts and %s all greet as %s", a.unrelated(), ev.greeting.Host, a.name)}
	for _, run := range p.runs {
		run.troubles = append(run.troubles, t)
	}
	for _, s := range p.sortedSessions() {
		if s.state == parkedSession && wayTo(s.source, s.addr) == ev.way {
			p.quit(s, "another server answers in place of the mail host")
		}
	}
	p.shut(ev.way, t)
}
