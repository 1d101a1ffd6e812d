package verify

import (
	"cmp"
	"fmt"
	"slices"

	"presend/verify/mx"
	"presend/verify/verdict"
)

// whyNot returns why a mail host cannot be asked from any of our addresses. What is known of the host goes before what
// is about us; but where one of its addresses could not be tried because of us, nothing of it counts against anybody.
func (p *plan) whyNot(d *domain, h mx.Host) evidence {
	if h.Err != nil {
		return evidence{
			reason: verdict.DNSFailure, via: &anyWay,
			detail: notAsked + fmt.Sprintf("the address of its mail host %s is not known: %v", h.Name, h.Err),
		}
	}
	var down, ours *evidence
	var met []evidence
	for n := range p.sources {
		for _, addr := range h.Addrs {
			r := route{n, addr}
			if said, ok := d.down[r]; ok {
				return said
			}
			was, ok := p.troubleAt(r)
			if !ok || p.reachOf(wayTo(n, addr)).state == shutWay {
				continue
			}
			e := &evidence{reason: was.reason, detail: notAsked + was.detail, via: was.via, ours: was.ours}
			if e.reason == verdict.NotProbed {
				ours = cmp.Or(ours, e)
				continue
			}
			if e.via != nil {
				met = append(met, *e)
			}
			if down == nil || e.via == nil { // where something answered, that is surer
				down = e
			}
		}
	}
	shut := p.shutEvidence(h.Addrs)
	if down != nil && (shut == nil || down.via == nil || slices.ContainsFunc(met, p.answeredVia)) {
		down.met = met
		down.blame(!p.allTried(h))
		return *down
	}
	if e := cmp.Or(shut, ours); e != nil {
		return *e
	}
	return evidence{reason: verdict.NotProbed, detail: notAsked + p.noRoute(h), via: &anyWay}
}

// blame notes that a failure may be our own doing, on whichever way it was met.
func (e *evidence) blame(ours bool) {
	e.ours = e.ours || ours
	for i := range e.met {
		e.met[i].ours = e.met[i].ours || ours
	}
}

// answeredVia reports whether anything answers on the way by which a failure was met.
func (p *plan) answeredVia(e evidence) bool {
	return p.reachOf(*e.via).answered(p.now.Add(-answerFor))
}

// allTried reports whether each address of a host could be tried from one of our addresses.
func (p *plan) allTried(h mx.Host) bool {
	for _, addr := range h.Addrs {
		some := false
		for n := range p.sources {
			some = some || !p.now.Before(p.sources[n].outUntil) && p.inUse(n, addr) && !p.noRouteKnown(route{n, addr})
		}
		if !some {
			return false
		}
	}
	return true
}

// noRouteKnown reports whether an attempt to connect found that it is us who have no route.
func (p *plan) noRouteKnown(r route) bool {
	met, ok := p.troubleAt(r)
	return ok && met.ours
}

// unanswered keeps that an address gave no answer to a connection.
func (p *plan) unanswered(s *session, f failure) {
	e, w := f.evidence, wayTo(s.source, f.addr)
	if e.reason != verdict.ProtocolError { // something answered, only no mail server
		e.via = &w
		p.silence(s.source, f.addr, s.dest, e)
	}
	p.keepTrouble(route{s.source, f.addr}, e)
}

// awayWords says that a network is waited for; empty where none is.
func (p *plan) awayWords() (words string) {
	p.eachWay(func(w way, r *reach) {
		if r.state == awayWay && words == "" {
			words = fmt.Sprintf("the network: nothing has answered since %s", clock(r.since))
			if name := p.wayName(w); name != "" {
				words += " (" + name + ")"
			}
		}
	})
	return words
}
