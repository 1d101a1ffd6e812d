package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"presend/verify/mx"
)

const notServed = "554 5.7.1 Relay access denied"

func twoSources(r *rules) {
	r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
}

func threeSources(r *rules) {
	twoSources(r)
	r.addrs = append(r.addrs, netip.MustParseAddr("192.0.2.3"))
}

func TestADomainIsNotServedOnlyIfEveryTargetSaysSo(t *testing.T) {
	servfail := func(a mx.Answer) mx.Answer {
		a.Hosts[1].Addrs, a.Hosts[1].Err = nil, &mx.TemporaryError{Kind: "servfail"}
		return a
	}
	same := func(a mx.Answer) mx.Answer { return a }
	tests := []struct {
		name    string
		targets []string
		change  func(mx.Answer) mx.Answer
		v4, v6  bool
		want    Reason
	}{
		{"both refuse", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.2"}, same, true, true, "domain_not_served"},
		{"one refuses, the other one has no address", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab"}, same, true, true, "domain_not_served"},
		{"one refuses, the other one is down", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.3"}, same, true, true, "unreachable"},
		{"one refuses, the other one is not resolved", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.2"}, servfail, true, true, "dns_failure"},
		{"one refuses, the other one is of a family not in use", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 2001:db8::1"}, same, true, false, "not_probed"},
		{"none is of a family in use", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.2"}, same, false, true, "not_probed"},
		{"two names of one address refuse", []string{"10 mx1.a.lab 10.0.0.1", "20 mx2.a.lab 10.0.0.1"}, same, true, true, "domain_not_served"},
		{"two names of one preference and address", []string{"10 mx1.a.lab 10.0.0.1", "10 mx2.a.lab 10.0.0.1"}, same, true, true, "domain_not_served"},
	}
	for _, mail := range []bool{false, true} {
		for _, tt := range tests {
			w := newSim(t, func(r *rules) { r.ipv4, r.ipv6 = tt.v4, tt.v6 })
			for _, addr := range []string{"10.0.0.1", "10.0.0.2", "2001:db8::1"} {
				h := w.host(addr)
				if mail {
					h.mail = func(netip.Addr, string) string { return notServed }
				} else {
					h.rcpt = func(*simSession, string) string { return notServed }
				}
			}
			w.host("10.0.0.3").dead = errDown
			r := w.verifyAll(tt.change(answerOf("a.lab", tt.targets...)), addresses(5, "good", "a.lab")...)
			if got := r.reasons(); !mail && got[tt.want] != 5 || len(w.opens) > 6 {
				t.Errorf("%s: %v after %d sessions, want %s", tt.name, got, len(w.opens), tt.want)
			}
		}
	}
}

func TestADeadHostIsDialledOnceInFiveMinutesForAllItsDomains(t *testing.T) {
	for _, banner := range []string{"", "421 4.3.2 Service not available"} {
		w := newSim(t, nil)
		h := w.host("10.0.0.1")
		if h.banner = banner; banner == "" {
			h.dead = errDown
		}
		r := w.begin(1)
		for i := range 200 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(3, "good", domain)...)
		}
		w.feed(fed{1})
		w.run()
		if len(w.opens) > 6 || w.now.Sub(w.start) > 30*time.Second {
			t.Errorf("%q: %d attempts in %v", banner, len(w.opens), w.now.Sub(w.start))
		}
		for _, f := range r.results {
			if f.evidence.reason == "accepted" {
				t.Errorf("%q: %+v", banner, f.evidence)
			}
		}
		n := len(w.opens)
		w.now = w.now.Add(time.Minute)
		second := w.begin(2)
		w.find(second, answerOf("again.lab", "10 mx.big.lab 10.0.0.1"), "good@again.lab")
		w.feed(fed{2})
		w.run()
		if len(w.opens) != n {
			t.Errorf("%q: tried again after a minute", banner)
		}
		w.now = w.now.Add(troubleFor)
		h.dead, h.banner = nil, ""
		third := w.begin(3)
		w.find(third, answerOf("later.lab", "10 mx.big.lab 10.0.0.1"), "good@later.lab")
		w.feed(fed{3})
		w.run()
		if got := third.of(t, "good@later.lab").reason; got != "accepted" {
			t.Errorf("%q: %s five minutes later, want accepted", banner, got)
		}
	}
}

func TestDomainsFallOverToTheNextAddressAndTheNextHost(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").dead = errDown
	w.host("10.0.0.2").dead = errDown
	w.host("10.0.0.3")
	r := w.verifyAll(answerOf("a.lab", "10 mx1.a.lab 10.0.0.1 10.0.0.2", "20 mx2.a.lab 10.0.0.3"), addresses(30, "good", "a.lab")...)
	if got := r.reasons(); got["accepted"] != 30 || len(w.opens) > 4 {
		t.Errorf("%v after %d sessions; want 30 accepted", got, len(w.opens))
	}
}

func TestAGreylistedTaskIsAskedFromItsSourceOnly(t *testing.T) {
	w := newSim(t, threeSources)
	seen := map[netip.Addr]int{}
	w.host("10.0.0.1").rcpt = func(s *simSession, recipient string) string {
		if !invented(recipient) {
			seen[s.target.Source]++
		}
		return ordinary(s, recipient)
	}
	r := w.begin(1)
	var list []Task
	for i, address := range addresses(100, "good", "a.lab") {
		x := simTask(t, int64(i+1000), address)
		x.Source = netip.MustParseAddr("192.0.2.2")
		list = append(list, x)
	}
	w.findTasks(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), list...)
	w.feed(fed{1})
	w.run()
	if len(seen) != 1 || seen[netip.MustParseAddr("192.0.2.2")] != 100 {
		t.Errorf("asked from %v, want 192.0.2.2 only", seen)
	}
}

func TestATaskWhoseSourceIsGoneIsAskedFromAnother(t *testing.T) {
	for _, gone := range []string{"198.51.100.9", "192.0.2.2"} {
		w := newSim(t, twoSources)
		w.host("10.0.0.1")
		r := w.begin(1)
		x := simTask(t, 1000, "good@a.lab")
		x.Source = netip.MustParseAddr(gone)
		w.plan.sources[1].outUntil = w.now.Add(time.Hour)
		w.findTasks(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), x)
		w.feed(fed{1})
		w.run()
		if got := r.of(t, "good@a.lab"); got.reason != "accepted" {
			t.Errorf("%s: %s, want accepted", gone, got.reason)
		}
	}
}

func TestSessionsAreSpreadOverSourcesAcrossDestinations(t *testing.T) {
	w := newSim(t, threeSources)
	r := w.begin(1)
	for i := range 90 {
		domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.2.%d", i+1)
		w.host(addr)
		w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), "good@"+domain)
	}
	w.feed(fed{1})
	w.run()
	count := map[netip.Addr]int{}
	for _, o := range w.opens {
		count[o.target.Source]++
	}
	for _, s := range w.plan.rules.addrs {
		if n := count[s]; n < 28 || n > 32 {
			t.Errorf("sessions by source: %v, want 30 each", count)
		}
	}
}

func TestASourceFromWhichNothingCanBeConnectedToIsLeftOut(t *testing.T) {
	w := newSim(t, threeSources)
	closed := netip.MustParseAddr("192.0.2.2")
	r := w.begin(1)
	for i := range 60 {
		domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.2.%d", i+1)
		w.host(addr).closedTo = closed
		w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), "good@"+domain)
		w.runFor(30 * time.Millisecond)
	}
	w.feed(fed{1})
	w.run()
	if got := r.reasons(); got["accepted"] != 60 {
		t.Errorf("%v; want all accepted from the other sources", got)
	}
	n := 0
	for _, o := range w.opens {
		if o.target.Source == closed {
			n++
		}
	}
	if n > 6 || !w.warned("192.0.2.2") {
		t.Errorf("%d sessions from the source whose port is closed, warned %v", n, w.warned("192.0.2.2"))
	}
}

func TestABlockedSourceIsLeftOutAndItsTasksAreAskedFromOthers(t *testing.T) {
	for _, at := range []string{"RCPT", "banner"} {
		w := newSim(t, threeSources)
		blocked := netip.MustParseAddr("192.0.2.1")
		r := w.begin(1)
		for i := range 30 {
			domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.2.%d", i+1)
			h := w.host(addr)
			if at == "banner" {
				h.blocks = blocked
			}
			h.rcpt = func(s *simSession, recipient string) string {
				if s.target.Source == blocked && !strings.Contains(s.addr.String(), "::") {
					return "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"
				}
				return ordinary(s, recipient)
			}
			for k := range 10 {
				sub := fmt.Sprintf("t%d.%s", k, domain)
				w.find(r, answerOf(sub, "10 mx."+domain+" "+addr), addresses(30, "good", sub)...)
			}
		}
		w.feed(fed{1})
		w.run()
		if got := r.reasons(); got["accepted"] != 9000 {
			t.Errorf("%s: %v; want 9,000 accepted", at, got)
		}
		if !w.warned("192.0.2.1") {
			t.Errorf("%s: nobody was told that the source is left out", at)
		}
	}
}

func TestAnAddressIsSenderBlockedOnlyWhenAllSourcesAreRefused(t *testing.T) {
	w := newSim(t, twoSources)
	w.host("10.0.0.1").rcpt = func(*simSession, string) string { return "554 5.7.1 Client host blocked using zen.spamhaus.org" }
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(60, "good", "a.lab")...)
	if got := r.reasons(); got["sender_blocked"] != 60 {
		t.Errorf("%v; want 60 sender_blocked", got)
	}
	from := map[netip.Addr]bool{}
	for _, o := range w.opens {
		from[o.target.Source] = true
	}
	if len(from) != 2 {
		t.Errorf("asked from %v, want both sources tried", from)
	}
}

func TestASourceThatIsNotOfThisMachineIsLeftOutAtOnce(t *testing.T) {
	for _, change := range []func(*rules){twoSources, func(r *rules) { r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }} {
		w := newSim(t, change)
		r := w.begin(1)
		for i := range 20 {
			domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.2.%d", i+1)
			h := w.host(addr)
			h.closedTo, h.fault = netip.MustParseAddr("192.0.2.1"), sourceGone
			w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), "good@"+domain)
		}
		w.feed(fed{1})
		w.run()
		want := Reason("accepted")
		if len(w.plan.sources) == 1 {
			want = "not_probed"
		}
		if got := r.reasons(); got[want] != 20 || !w.warned("192.0.2.1") {
			t.Errorf("%d sources: %v, want 20 %s", len(w.plan.sources), got, want)
		}
		if len(w.opens) > 60 {
			t.Errorf("%d sessions", len(w.opens))
		}
	}
}

func TestAnOnlySourceThatIsBackIsUsedAgainAfterFiveMinutes(t *testing.T) {
	w := newSim(t, func(r *rules) { r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")} })
	h := w.host("10.0.0.1")
	h.closedTo, h.fault = netip.MustParseAddr("192.0.2.1"), sourceGone
	w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good@a.lab")
	h.closedTo = netip.Addr{}
	w.now = w.now.Add(familyFor + time.Second)
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good@a.lab")
	if got := r.of(t, "good@a.lab").reason; got != "accepted" {
		t.Errorf("%s, want accepted", got)
	}
}

func TestASourceOpensSessionsToItsOwnFamilyOnly(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::99")}
	})
	w.host("10.0.0.1")
	w.host("2001:db8::1")
	w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1 2001:db8::1"), addresses(500, "bad", "a.lab")...)
	for _, o := range w.opens {
		for _, a := range o.target.Addrs {
			if a.Is4() != o.target.Source.Is4() {
				t.Errorf("from %s to %s", o.target.Source, a)
			}
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	w := newSim(t, nil)
	w.checked = false
	p := w.plan
	for i := range 3 * knownMost {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		p.troubles[route{0, addr}] = trouble{until: w.now.Add(troubleFor)}
		p.plain[addr] = w.now.Add(learnedFor)
		name := fmt.Sprintf("d%d.lab", i)
		d := newDestination(name, p.rules.pace.For(name), 1)
		d.slowsOnErrors, d.usedAt = true, w.now
		p.destinations[name] = d
	}
	for i := range 3 * factsMost {
		p.facts.put(fmt.Sprintf("d%d.lab", i), "no", w.now)
	}
	w.now = w.now.Add(sweepAtMost + time.Second)
	w.feed(tick{})
	if n := max(len(p.troubles), len(p.plain), len(p.destinations)); n > knownMost {
		t.Errorf("%d are remembered, want %d at most", n, knownMost)
	}
	if n := len(p.facts.old) + len(p.facts.young); n > factsMost {
		t.Errorf("%d facts are remembered, want %d at most", n, factsMost)
	}
}

func TestOneNetworkWithoutARouteDoesNotEndAFamily(t *testing.T) {
	for _, first := range []bool{true, false} {
		w := newSim(t, nil)
		r := w.begin(1)
		for i := range 40 {
			domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.2.%d", i+1)
			h := w.host(addr)
			if first && i == 0 || !first && i%10 == 9 {
				h.dead, h.fault = errDown, noFamily
			}
			w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), "good@"+domain)
			if !first {
				w.runFor(200 * time.Millisecond)
			}
		}
		w.feed(fed{1})
		w.run()
		want := 36
		if first {
			want = 39
		}
		if got := r.reasons(); got["accepted"] != want {
			t.Errorf("first %v: %v; want %d accepted", first, got, want)
		}
	}
}

func TestAFamilyWithoutARouteIsLeftOutAndHeldAgainstNoAddress(t *testing.T) {
	w := newSim(t, nil)
	r := w.begin(1)
	for i := range 40 {
		domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("2001:db8::%d", i+1)
		h := w.host(addr)
		h.dead, h.fault = errDown, noFamily
		w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), "good@"+domain)
		w.runFor(200 * time.Millisecond)
	}
	w.feed(fed{1})
	w.run()
	if got := r.reasons(); got["not_probed"] != 40 || len(w.opens) > 5 {
		t.Errorf("%v after %d sessions; want 40 not_probed after a few", got, len(w.opens))
	}
}
