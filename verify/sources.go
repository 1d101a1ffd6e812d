package verify

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"presend/verify/mx"
	"presend/verify/verdict"
)

// source is one of our addresses.
type source struct {
	addr      netip.Addr
	sessions  int
	opened    int
	connected bool            // a session was had
	answered  bool            // something was answered that was no refusal of us
	failing   map[string]bool // destinations that could not be connected to, in a row
	refusing  map[string]bool // destinations that refused us, in a row
	outUntil  time.Time
	families  [2]family // IPv4, IPv6
}

// family is what a source knows of a family of addresses.
type family struct {
	outUntil time.Time // it is not used until then
	noRoute  int       // attempts that found no route, since the last session over it
	worked   bool      // a session was had over it, since it was out
	reach    reach
}

// works notes that a session was had over a family.
func (f *family) works() { f.outUntil, f.noRoute, f.worked = time.Time{}, 0, true }

// noRoute says why no family of a host's addresses is in use.
func (p *plan) noRoute(h mx.Host) string {
	if !slices.ContainsFunc(p.sources, func(s source) bool { return !p.now.Before(s.outUntil) }) {
		return "no source address of this machine can be used now"
	}
	have := "IPv4"
	for _, a := range h.Addrs {
		if !a.Unmap().Is4() {
			have = "IPv6"
		}
	}
	if len(h.Addrs) == 0 {
		return "its mail host " + h.Name + " has no address"
	}
	return fmt.Sprintf(
		"its mail host %s has %s addresses only, and this machine does not use %s now",
		h.Name,
		have,
		have,
	)
}

// inUse reports whether a source can reach an address by its family.
func (p *plan) inUse(n int, addr netip.Addr) bool {
	src, v4 := &p.sources[n], addr.Unmap().Is4()
	if src.addr.IsValid() && src.addr.Unmap().Is4() != v4 {
		return false
	}
	if v4 && !p.rules.ipv4 || !v4 && !p.rules.ipv6 {
		return false
	}
	w := wayTo(n, addr)
	return !p.now.Before(p.family(w).outUntil) && p.reachOf(w).state != shutWay
}

func (p *plan) sourceName(n int) string {
	if a := p.sources[n].addr; a.IsValid() {
		return a.String()
	}
	return "the system's choice"
}

// sourceFailed counts a destination that could not be connected to from a source.
func (p *plan) sourceFailed(n int, dest string) {
	src := &p.sources[n]
	if !src.connected {
		src.failing[dest] = true
		p.maybeLeaveOut(n, "nothing can be connected to from it")
	}
}

// maybeLeaveOut leaves a source out for which several destinations fail in a row, if another one works.
func (p *plan) maybeLeaveOut(n int, why string) {
	src := &p.sources[n]
	closed, refused := len(src.failing) >= sourceLimit, len(src.refusing) >= sourceLimit
	if !closed && !refused {
		return
	}
	for i := range p.sources {
		o := &p.sources[i]
		works := o.answered || o.connected && !refused
		if i != n && works && len(o.refusing) < sourceLimit && !p.now.Before(o.outUntil) {
			p.leaveOut(n, why)
			return
		}
	}
}

// leaveOut uses a source no more for a while, for a shorter one where it is the last.
func (p *plan) leaveOut(n int, why string) {
	src := &p.sources[n]
	if p.now.Before(src.outUntil) {
		return
	}
	wait := familyFor // where it is the last: what waits needs a result, and what comes a chance
	for i := range p.sources {
		if i != n && !p.now.Before(p.sources[i].outUntil) {
			wait = sourceFor
		}
	}
	src.outUntil, src.connected, src.answered = p.now.Add(wait), false, false
	clear(src.failing)
	clear(src.refusing)
	p.log(slog.LevelWarn, "a source address is left out", "source", p.sourceName(n), "for", wait, "reason", why)
	for _, d := range p.sortedDestinations() {
		p.touchAll(d)
		p.update(d)
	}
}

// noRouteTo notes that a source has no route to an address. A router on the way may say so of one network, and then it
// is the host that cannot be reached; where several attempts in a row find no route, the family is left out.
func (p *plan) noRouteTo(n int, addr netip.Addr, dest *destination, e evidence) {
	w := wayTo(n, addr)
	f := p.family(w)
	f.noRoute++
	e.via, e.ours = &w, true // whether it is us alone, or the host's network
	if !f.worked {           // it may be us
		e = evidence{
			reason: verdict.NotProbed, detail: "this machine has no route to its mail host: " + e.detail, via: &anyWay,
			ours: true,
		}
	} else if p.silence(n, addr, dest, e); f.noRoute >= noRouteLimit {
		p.doubt(w)
	}
	if f.noRoute < noRouteLimit || p.holds(n, addr) {
		p.keepTrouble(route{n, addr}, e)
		return
	}
	f.outUntil, f.worked = p.now.Add(familyFor), false
	p.log(
		slog.LevelDebug,
		"a family is left out",
		"source",
		p.sourceName(n),
		"family",
		w.family(),
		"for",
		familyFor,
		"reason",
		e.detail,
	)
	for _, d := range p.sortedDestinations() {
		p.touchAll(d)
	}
}
