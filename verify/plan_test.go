package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var errDown = errors.New("connection refused")

func TestEachAddressOfAPlainListHasItsResult(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	list := append(addresses(300, "good", "a.lab"), addresses(40, "bad", "a.lab")...)
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), list...)
	if got := r.reasons(); got["accepted"] != 300 || got["mailbox_unknown"] != 40 {
		t.Errorf("%v; want 300 accepted, 40 unknown", got)
	}
}

func TestTheDestinationThatNeedsLongestGetsTheFirstSlot(t *testing.T) {
	w := newSim(t, func(r *rules) { r.slots = 1 })
	w.host("10.0.0.1")
	w.host("10.0.0.2")
	w.host("10.0.0.9")
	r := w.begin(1)
	// The only slot is taken while the others arrive.
	w.find(r, answerOf("first.lab", "10 mx.first.lab 10.0.0.9"), "good@first.lab")
	w.find(r, answerOf("small.lab", "10 mx.small.lab 10.0.0.1"), addresses(5, "good", "small.lab")...)
	w.find(r, answerOf("large.lab", "10 mx.large.lab 10.0.0.2"), addresses(400, "good", "large.lab")...)
	w.feed(fed{1})
	w.run()
	if got := w.opens[1].target.Host; got != "mx.large.lab" {
		t.Errorf("the second session was at %s, want mx.large.lab, which needs longest", got)
	}
}

func TestTheSameEventsGiveTheSameOrders(t *testing.T) {
	play := func() string {
		w := newSim(t, func(r *rules) {
			r.slots = 7
			r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
		})
		w.checked = false
		a, b := w.begin(1), w.begin(2)
		for i := range 30 {
			addr := fmt.Sprintf("10.0.0.%d", i%9+1)
			h := w.host(addr)
			switch i % 9 {
			case 3:
				h.dead = errDown
			case 4:
				h.banner = "421 4.7.0 too many connections"
			case 5:
				h.rcpt = func(*simSession, string) string { return "554 5.7.1 Client host blocked using zen.spamhaus.org" }
			}
			domain := fmt.Sprintf("d%d.lab", i)
			x := answerOf(domain, fmt.Sprintf("10 mx.h%d.lab %s", i%5, addr), "20 mx2.h0.lab 10.0.0.1")
			for _, r := range []*simRun{a, b} {
				w.find(r, x, append(addresses(i, "good", domain), addresses(i/3+1, "bad", domain)...)...)
			}
		}
		w.check(3, answerOf("d2.lab", "10 mx.h2.lab 10.0.0.3"), "good@d2.lab")
		w.runFor(300 * time.Millisecond)
		w.feed(stop{2})
		b.stopped = true
		w.feed(fed{1})
		w.feed(fed{2})
		w.run()
		return w.script.String()
	}
	first := play()
	for range 19 {
		if again := play(); again != first {
			a, b := strings.Split(first, "\n"), strings.Split(again, "\n")
			for i := range a {
				if i >= len(b) || a[i] != b[i] {
					t.Fatalf("order %d differs: %s and %s", i, a[i], b[min(i, len(b)-1)])
				}
			}
		}
	}
}

func TestNoMoreSessionsAreOpenThanThereAreSlots(t *testing.T) {
	w := newSim(t, func(r *rules) { r.slots = 3 })
	r := w.begin(1)
	for i := range 40 {
		domain, addr := fmt.Sprintf("d%d.lab", i), fmt.Sprintf("10.0.1.%d", i+1)
		w.host(addr)
		w.find(r, answerOf(domain, "10 mx."+domain+" "+addr), addresses(30, "good", domain)...)
	}
	w.feed(fed{1})
	w.run() // the invariants compare the slots after each event
	if w.mostOpen != 3 {
		t.Errorf("%d sessions at a time, want 3", w.mostOpen)
	}
}

func TestADestinationGetsNoMoreSessionsThanItsCap(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	r := w.begin(1)
	for i := range 400 {
		domain := fmt.Sprintf("d%d.lab", i)
		w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(10, "bad", domain)...)
	}
	w.feed(fed{1})
	w.run()
	if h.most != 4 {
		t.Errorf("%d sessions at a time, want 4", h.most)
	}
}

func TestAnAddressWithManyNamesGetsNoMoreSessionsThanTheCap(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	r := w.begin(1)
	for i := range 60 {
		domain := fmt.Sprintf("d%d.lab", i)
		w.find(r, answerOf(domain, "10 mx."+domain+" 10.0.0.1"), addresses(40, "good", domain)...)
	}
	w.feed(fed{1})
	w.run()
	if h.most != 4 {
		t.Errorf("%d sessions at a time at one address, want 4", h.most)
	}
}

func TestBothCandidatesOfARaceCountTowardsTheCapsUntilOneIsConnected(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").dead = errDown
	v6 := w.host("2001:db8::1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1 2001:db8::1"), addresses(400, "bad", "a.lab")...)
	if got := w.opens[0].target; len(got.Addrs) != 2 || got.AtOnce != 2 {
		t.Fatalf("opened %v, %d at once; want both addresses, two at once", got.Addrs, got.AtOnce)
	}
	for _, addr := range w.opens[0].target.Addrs {
		if got := w.plan.serverSessions(addr, 0); got != 1 {
			t.Errorf("%d sessions reserved at %s, want 1", got, addr)
		}
	}
	if got := w.plan.destinations["a.lab"].lanes[0].sessions; got != 2 {
		t.Errorf("%d sessions reserved at the destination, want 2", got)
	}
	w.feed(fed{1})
	w.run()
	if v6.most > 4 {
		t.Errorf("%d sessions at a time, want 4 at most", v6.most)
	}
}

func TestADestinationThatWasNeverMetGetsOneSessionUntilItAnswered(t *testing.T) {
	w := newSim(t, nil)
	r := w.begin(1)
	for i := range 8 {
		w.host(fmt.Sprintf("10.0.0.%d", i+1)).trip = time.Second
		domain := fmt.Sprintf("d%d.lab", i)
		w.find(r, answerOf(domain, fmt.Sprintf("10 mx%d.big.lab 10.0.0.%d", i, i+1)), addresses(50, "bad", domain)...)
	}
	w.runFor(2900 * time.Millisecond)
	if len(w.opens) != 1 {
		t.Errorf("%d sessions before EHLO was answered, want 1", len(w.opens))
	}
	w.feed(fed{1})
	w.run()
}

func TestTwoRunsAtADestinationShareItEqually(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	a, b := w.begin(1), w.begin(2)
	count := func(name string) (n int) {
		for _, f := range w.flights {
			for _, x := range f.recipients {
				if strings.HasSuffix(x, name) && !invented(x) {
					n++
				}
			}
		}
		return n
	}
	w.find(a, answerOf("a.lab", "10 mx.big.lab 10.0.0.1"), addresses(3000, "good", "a.lab")...)
	w.find(b, answerOf("b.lab", "10 mx.big.lab 10.0.0.1"), addresses(3000, "good", "b.lab")...)
	for count("@b.lab") < 1500 && w.step() {
	}
	if x, y := count("@a.lab"), count("@b.lab"); max(x, y)-min(x, y) > flightMost {
		t.Errorf("one run had %d recipients, the other one %d", x, y)
	}
	c := w.begin(3)
	w.find(c, answerOf("c.lab", "10 mx.big.lab 10.0.0.1"), addresses(900, "good", "c.lab")...)
	before := count("@a.lab")
	for count("@c.lab") < 300 && w.step() {
	}
	if got := count("@a.lab") - before; got < 100 {
		t.Errorf("while the newcomer had 300 recipients, an old run had %d", got)
	}
	for id := range runID(3) {
		w.feed(fed{id + 1})
	}
	w.run()
}

func TestANewcomerDoesNotStopTheOthersBecauseOfARunThatIsOver(t *testing.T) {
	w := newSim(t, func(r *rules) { r.slots = 1 })
	w.host("10.0.0.1")
	long := w.begin(1)
	w.find(long, answerOf("a.lab", "10 mx.big.lab 10.0.0.1"), addresses(6000, "good", "a.lab")...)
	short := w.begin(2)
	w.find(short, answerOf("b.lab", "10 mx.big.lab 10.0.0.1"), "good@b.lab")
	w.feed(fed{2})
	w.check(3, answerOf("c.lab", "10 mx.big.lab 10.0.0.1"), "good@c.lab")
	for len(long.results) < 2000 && w.step() {
	}
	newcomer := w.begin(4)
	w.find(newcomer, answerOf("d.lab", "10 mx.big.lab 10.0.0.1"), addresses(2500, "good", "d.lab")...)
	had := len(long.results)
	for len(newcomer.results) < 1000 && w.step() {
	}
	if got := len(long.results) - had; got < 500 {
		t.Errorf("while the newcomer had 1,000 results, the old run had %d", got)
	}
	w.feed(fed{1})
	w.feed(fed{4})
	w.run()
}

func TestASingleCheckIsInTheNextFlightOfItsHost(t *testing.T) {
	for _, rows := range []string{"", "rate = 20.0\n"} {
		w := newSim(t, func(r *rules) {
			r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 50\nsession = 500\nerrors = 9\n"+rows)
		})
		w.host("10.0.0.1").trip = 100 * time.Millisecond
		list := w.begin(1)
		w.find(list, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(5000, "good", "a.lab")...)
		for len(w.flights) < 5 {
			w.step()
		}
		w.runFor(10 * time.Millisecond)
		before, begun := len(w.flights), w.now
		w.check(2, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "goodcheck@a.lab")
		for w.askedFor("goodcheck@a.lab") == 0 && w.now.Sub(begun) < time.Minute {
			w.step()
		}
		if got := len(w.flights) - before; got != 1 {
			t.Errorf("%q: the check was in flight %d after it came, want the first", rows, got)
		}
		// A flight takes 200 ms; where the session ends, it takes a QUIT and a new session; a recipient costs 50 ms.
		if wait := w.now.Sub(begun); wait > 800*time.Millisecond {
			t.Errorf("%q: the check waited %v", rows, wait)
		}
		w.feed(gone{1})
		list.stopped = true
		w.feed(fed{1})
		w.run()
	}
}

func TestASingleCheckOpensOneSessionHoweverManyAddressesItsHostsHave(t *testing.T) {
	w := newSim(t, nil)
	var addrs []string
	for i := range 8 {
		addrs = append(addrs, fmt.Sprintf("10.0.0.%d", i+1))
		w.host(addrs[i])
	}
	x := answerOf("a.lab", "10 mx.a.lab "+strings.Join(addrs, " "))
	w.check(1, x, "good@a.lab")
	w.run()
	w.plan.destinations["a.lab"] = newDestination("a.lab", w.plan.rules.pace.For("a.lab"), 1)
	w.plan.destinations["a.lab"].lanes[0].met = true // as where a list is under way there
	first := len(w.opens)
	w.check(2, x, "good2@a.lab")
	w.run()
	if got := len(w.opens) - first; got != 1 {
		t.Errorf("%d sessions for the second check, want 1", got)
	}
}

func TestARunThatStopsTakesBackOnlyItsOwnTasks(t *testing.T) {
	for _, now := range []bool{false, true} {
		w := newSim(t, nil)
		w.host("10.0.0.1").trip = 200 * time.Millisecond
		a, b := w.begin(1), w.begin(2)
		x := answerOf("a.lab", "10 mx.a.lab 10.0.0.1")
		w.find(a, x, addresses(200, "gooda", "a.lab")...)
		w.find(b, x, addresses(200, "goodb", "a.lab")...)
		w.runFor(1100 * time.Millisecond)
		stopped := w.now
		a.stopped = true
		if now {
			w.feed(gone{1})
		} else {
			w.feed(stop{1})
		}
		heard := map[string]bool{}
		for _, f := range w.flights {
			for _, recipient := range f.recipients {
				heard[recipient] = true
			}
		}
		w.feed(fed{1})
		w.feed(fed{2})
		w.run()
		if got := b.reasons(); got["accepted"] != 200 {
			t.Errorf("now %v: %v; want the other run's 200 addresses accepted", now, got)
		}
		for i := range 200 {
			address := fmt.Sprintf("gooda%d@a.lab", i)
			if w.askedFor(address) > 0 && !heard[address] {
				t.Errorf("now %v: %s was asked about after its run stopped", now, address)
			}
		}
		if n := len(a.results) + len(a.kept); !now && n == 0 {
			t.Errorf("no answer that was heard is in the results of the run that stopped")
		}
		other := func(recipient string) bool { return strings.HasPrefix(recipient, "goodb") }
		for _, f := range w.flights {
			under := f.at.Before(stopped) && f.at.Add(400*time.Millisecond).After(stopped)
			ended := slices.Contains(w.ends, f.session) || slices.Contains(w.cancels, f.session)
			if under && ended && slices.ContainsFunc(f.recipients, other) {
				t.Errorf("now %v: a flight with tasks of the other run was ended", now)
			}
		}
	}
}

func TestAFlightOfAStoppedRunEndsPolitelyAndOfOneThatIsGoneAtOnce(t *testing.T) {
	for _, now := range []bool{false, true} {
		w := newSim(t, nil)
		w.host("10.0.0.1").trip = 200 * time.Millisecond
		r := w.begin(1)
		w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(200, "good", "a.lab")...)
		w.runFor(700 * time.Millisecond)
		r.stopped = true
		var ev event = stop{1}
		if now {
			ev = gone{1}
		}
		w.feed(ev)
		cancelled := 0
		for _, id := range w.cancels {
			if w.open[id].flying {
				cancelled++
			}
		}
		if now && cancelled != 1 || !now && (len(w.ends) != 1 || cancelled != 0) {
			t.Errorf("now %v: %d flights were ended, %d cancelled", now, len(w.ends), cancelled)
		}
		w.feed(fed{1})
		w.run()
		if n := len(r.results) + len(r.kept); now != (n == 0) {
			t.Errorf("now %v: %d answers were kept", now, n)
		}
	}
}

func TestACheckThatIsGivenUpDoesNotCutTheFlightOfARunThatStopsPolitely(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").trip = 200 * time.Millisecond
	w.host("10.0.0.2").trip = time.Second
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(200, "good", "a.lab")...)
	c := w.check(2, answerOf("b.lab", "10 mx.b.lab 10.0.0.2"), "good@b.lab")
	w.runFor(700 * time.Millisecond)
	r.stopped, c.stopped = true, true
	w.feed(stop{1})
	w.feed(gone{2})
	for _, id := range w.cancels {
		if w.open[id].flying {
			t.Error("the flight of the run that stops politely was cancelled")
		}
	}
	w.feed(fed{1})
	w.run()
}

func TestAQuestionThatAnotherRunWaitsForIsNotCutShort(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	h.trip = 200 * time.Millisecond
	lost := false
	h.rcpt = func(_ *simSession, recipient string) string {
		if invented(recipient) && !lost {
			lost = true
			return hangsUp
		}
		return ordinary(nil, recipient)
	}
	a, b := w.begin(1), w.begin(2)
	x := answerOf("a.lab", "10 mx.a.lab 10.0.0.1")
	w.find(a, x, "good1@a.lab")
	w.find(b, x, "good2@a.lab")
	w.feed(fed{1})
	w.feed(fed{2})
	for len(w.flights) == 0 || !invented(w.flights[len(w.flights)-1].recipients[0]) {
		w.step()
	}
	a.stopped = true
	w.feed(gone{1})
	if len(w.cancels)+len(w.ends) > 0 {
		t.Error("the question was cut short, though another run waits for it")
	}
	w.run()
	if got := b.of(t, "good2@a.lab").reason; got != "accepted" {
		t.Errorf("%s, want accepted", got)
	}
}

func TestARunWithUnrecordedResultsGetsNoFlights(t *testing.T) {
	w := newSim(t, nil)
	w.checked = false
	w.host("10.0.0.1")
	slow, other := w.begin(1), w.begin(2)
	slow.byHand = true
	for i := range 8 {
		domain := fmt.Sprintf("d%d.lab", i)
		w.find(slow, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(2000, "good", domain)...)
	}
	w.find(other, answerOf("other.lab", "10 mx.big.lab 10.0.0.1"), addresses(3000, "good", "other.lab")...)
	w.feed(fed{1})
	w.feed(fed{2})
	w.runFor(time.Hour)
	if got := len(w.plan.runs[1].outbox); got < outboxMost || got > outboxMost+4*flightMost {
		t.Errorf("%d results wait to be recorded, want about %d", got, outboxMost)
	}
	if other.last != 1 || len(other.results) != 3000 {
		t.Errorf("the other run has %d results, last %d; want all", len(other.results), other.last)
	}
	slow.byHand = false
	w.checked = true
	w.feed(collect{1})
	w.run()
}

func TestADomainAtADeadHostFillsNoOutboxBeyondItsBound(t *testing.T) {
	w := newSim(t, nil)
	w.checked = false
	w.host("10.0.0.1").dead = errDown
	r := w.begin(1)
	r.byHand = true
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(60_000, "good", "a.lab")...)
	w.feed(fed{1})
	w.runFor(time.Hour)
	if got := len(w.plan.runs[1].outbox); got > outboxMost+refillMost {
		t.Errorf("%d results wait to be recorded, want %d at most", got, outboxMost+refillMost)
	}
	r.byHand = false
	w.feed(collect{1})
	w.run()
	if got := r.reasons(); got["unreachable"] != 60_000 {
		t.Errorf("%v", got)
	}
}

func TestALargeDomainNeverHasManyTasksInHand(t *testing.T) {
	for _, source := range []string{"", "192.0.2.1"} {
		w := newSim(t, func(r *rules) {
			r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
		})
		w.checked = false
		w.host("10.0.0.1")
		r := w.begin(1)
		var list []Task
		for i, address := range addresses(20_000, "good", "a.lab") {
			x := simTask(t, int64(i+1_000_000), address)
			if source != "" {
				x.Source = netip.MustParseAddr(source)
			}
			list = append(list, x)
		}
		w.findTasks(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), list...)
		w.feed(fed{1})
		most := 0
		for w.busy() && w.step() {
			if d := w.plan.domains["a.lab"]; d != nil {
				for _, s := range d.shares {
					most = max(most, len(s.ready)+len(s.picky)+s.out)
				}
			}
		}
		if most > 8*flightMost {
			t.Errorf("source %q: %d tasks in hand, want some hundred", source, most)
		}
		w.checked = true
		w.run()
	}
}

func TestASessionThatExpectsWorkIsParkedAndWokenByIt(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(120, "good", "a.lab")...)
	w.feed(fed{1})
	w.run()
	if len(w.opens) > 3 {
		t.Errorf("%d sessions, want that one waits for what the feeder gets", len(w.opens))
	}
}

func TestTheLastOfALoneRunIsNotHeldUpByChecks(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").trip = 100 * time.Millisecond
	w.host("10.0.0.2").trip = 3 * time.Second
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good@a.lab")
	w.feed(fed{1})
	for len(r.results) == 0 {
		w.step()
	}
	w.runFor(5 * time.Millisecond) // it collects again, and waits for its session to be left
	w.check(2, answerOf("b.lab", "10 mx.b.lab 10.0.0.2"), "good@b.lab")
	w.runFor(2 * time.Second)
	if r.last != 1 {
		t.Error("a run that is done waits for the session of a check")
	}
	w.run()
}

func TestARunThatStopsDoesNotWaitForParkedSessions(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 20\nsession = 500\nerrors = 9\nrate = 1.0\n")
	})
	w.host("10.0.0.1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(49, "good", "a.lab")...)
	for len(w.plan.parked) == 0 {
		w.step()
	}
	r.stopped = true
	begun := w.now
	w.feed(stop{1})
	w.feed(fed{1})
	w.run()
	if took := w.now.Sub(begun); took > time.Second {
		t.Errorf("the end took %v, since a session waited for work that nobody wants any more", took)
	}
}

func TestARunIsNotOverBeforeItsLookUpsHaveEnded(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	r := w.begin(1)
	r.stopped = true
	w.feed(stop{1})
	w.runFor(time.Minute)
	if r.last != 0 {
		t.Error("the run is over while its look-ups may still send what they found to nobody")
	}
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good@a.lab")
	w.feed(fed{1})
	w.run()
	if r.last != 1 || r.weight != 0 {
		t.Errorf("last %d, %d of its room kept", r.last, r.weight)
	}
}

// tenants lets a plan ask about one address in each of n domains, all at hosts that refuse only what cannot exist.
func tenants(t testing.TB, n int, own bool) *sim {
	w := newSim(t, nil)
	w.checked = false
	var addrs []string
	for i := range 40 {
		addrs = append(addrs, fmt.Sprintf("10.0.%d.1", i))
		w.host(addrs[i])
	}
	r := w.begin(1)
	for i := range n {
		domain := fmt.Sprintf("d%d.lab", i)
		x := answerOf(domain, "10 mx.big.lab "+strings.Join(addrs[i%20:i%20+2], " "))
		if own {
			x = answerOf(domain, "10 mx."+domain+" 10.0.0.1")
		}
		w.find(r, x, "good@"+domain)
	}
	w.feed(fed{1})
	w.run()
	return w
}

var tenantsKinds = map[string]bool{
	"one destination at many addresses": false,
	"a destination each at one address": true,
}

func TestASessionServesAnyWaitingDomainOfItsServer(t *testing.T) {
	for name, own := range tenantsKinds {
		const n = 600
		w := tenants(t, n, own)
		// A session ends after ten refused questions, or nineteen once the server was seen to tolerate them.
		if most := n/10 + 20; len(w.opens) > most {
			t.Errorf("%s: %d sessions for %d domains, want at most %d", name, len(w.opens), n, most)
		}
	}
}

func BenchmarkTenants(b *testing.B) {
	for name, own := range tenantsKinds {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				tenants(b, 8500, own)
			}
		})
	}
}

func TestADomainWhoseMailHostsChangeMovesToItsNewDestination(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").trip = 300 * time.Millisecond
	w.host("10.0.0.2")
	a, b := w.begin(1), w.begin(2)
	w.find(a, answerOf("a.lab", "10 mx.old.lab 10.0.0.1"), addresses(200, "gooda", "a.lab")...)
	w.runFor(1500 * time.Millisecond)
	w.find(b, answerOf("a.lab", "10 mx.new.lab 10.0.0.2"), addresses(200, "goodb", "a.lab")...)
	w.feed(fed{1})
	w.feed(fed{2})
	w.run()
	if a.reasons()["accepted"] != 200 || b.reasons()["accepted"] != 200 {
		t.Errorf("%v and %v, want 200 accepted each", a.reasons(), b.reasons())
	}
}

func TestASingleCheckGetsTheNextSlotBeforeListsThatNeedLonger(t *testing.T) {
	w := newSim(t, func(r *rules) { r.slots = 1 })
	for i := range 3 {
		w.host(fmt.Sprintf("10.0.0.%d", i+1))
	}
	r := w.begin(1)
	w.find(r, answerOf("first.lab", "10 mx.first.lab 10.0.0.1"), addresses(40, "good", "first.lab")...)
	w.find(r, answerOf("large.lab", "10 mx.large.lab 10.0.0.2"), addresses(400, "good", "large.lab")...)
	w.check(2, answerOf("check.lab", "10 mx.check.lab 10.0.0.3"), "good@check.lab")
	w.feed(fed{1})
	w.run()
	if got := w.opens[1].target.Host; got != "mx.check.lab" {
		t.Errorf("the second session was at %s, want mx.check.lab", got)
	}
}

func TestADestinationMetFromOneSourceIsStillNewToTheNext(t *testing.T) {
	w := newSim(t, twoSources) // the invariants look at the sessions from each source after each event
	r := w.begin(1)
	for i := range 6 {
		w.host(fmt.Sprintf("10.0.0.%d", i+1)).trip = 300 * time.Millisecond
		domain := fmt.Sprintf("d%d.lab", i)
		w.find(r, answerOf(domain, fmt.Sprintf("10 mx%d.big.lab 10.0.0.%d", i, i+1)), addresses(400, "bad", domain)...)
	}
	w.feed(fed{1})
	w.run()
	if got := w.mostOpen; got < 3 {
		t.Errorf("%d sessions at a time, want more than two when both sources were answered", got)
	}
}

func TestACheckThatIsGivenUpTakesNoOtherCheckAlong(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").trip = 300 * time.Millisecond
	x := answerOf("a.lab", "10 mx.a.lab 10.0.0.1")
	given := w.check(1, x, "good1@a.lab")
	kept := w.check(2, x, "good2@a.lab")
	w.runFor(100 * time.Millisecond)
	given.stopped = true
	w.feed(gone{1})
	w.run()
	if got := kept.of(t, "good2@a.lab").reason; got != "accepted" || w.askedFor("good1@a.lab") != 0 {
		t.Errorf("%s, and the check that was given up was asked %d times", got, w.askedFor("good1@a.lab"))
	}
}

func TestWhatADestinationLearnedIsForgottenAfterADayOfUse(t *testing.T) {
	d := newDestination("a.lab", usual(budget{}).limits, 1)
	d.shrink(simEpoch, 5)
	d.small, d.slowsOnErrors = true, true
	d.forget(simEpoch.Add(learnedFor - time.Second))
	if d.limits.Recipients != 5 || !d.small || !d.slowsOnErrors {
		t.Errorf("forgotten within a day: %+v", d.budget)
	}
	d.shrink(simEpoch.Add(learnedFor-time.Second), 4) // what is learned later does not put it off
	d.forget(simEpoch.Add(learnedFor))
	if d.limits != d.table || d.small || d.slowsOnErrors {
		t.Errorf("still believed after a day: %+v", d.budget)
	}
}
