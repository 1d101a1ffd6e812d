package verify

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// visitHosts verifies one address at each of some hosts, one host after the other.
func (w *sim) visitHosts(from, count int, dead error) (reasons map[Reason]int) {
	w.t.Helper()
	reasons = map[Reason]int{}
	for i := from; i < from+count; i++ {
		addr, name := fmt.Sprintf("10.0.1.%d", i), fmt.Sprintf("d%d.lab", i)
		w.host(addr).dead = dead
		r := w.verifyAll(answerOf(name, fmt.Sprintf("10 mx.%s %s", name, addr)), "good1@"+name)
		for reason, n := range r.reasons() {
			reasons[reason] += n
		}
	}
	return reasons
}

func TestOnlyDestinationsInARowMakeAWayDoubtful(t *testing.T) {
	for name, test := range map[string]struct {
		between int // hosts that answer after each one that is down
		tests   int
	}{"others answer between them": {1, 0}, "nothing answers between them": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			w := newSim(t, nil)
			w.visitHosts(1, 2, nil)
			for i := range 2 * doubtLater {
				w.visitHosts(10+i, 1, errDown)
				w.visitHosts(50+i, test.between, nil)
			}
			if len(w.tests) != test.tests { // a test that had an answer doubles how many it takes
				t.Errorf("%d tests, want %d", len(w.tests), test.tests)
			}
		})
	}
}

func TestAWayThatWasGivenUpIsTriedAgainAfterAWhile(t *testing.T) {
	w := newSim(t, nil)
	w.plan.now = w.now
	w.plan.shut(way{}, &Trouble{Kind: PortClosed})
	if got := w.visitHosts(1, 1, nil); got[NotProbed] != 1 {
		t.Errorf("while it is given up: %v", got)
	}
	w.now = w.now.Add(shutFor - 20*time.Second)
	if got := w.visitHosts(2, 1, nil); got[NotProbed] != 1 {
		t.Errorf("shortly before the time: %v", got)
	}
	w.now = w.now.Add(30 * time.Second)
	if got := w.visitHosts(3, 1, nil); got[Accepted] != 1 {
		t.Errorf("after the time: %v", got)
	}
}

func TestHostsThatAreDownAreAskedOnceMoreAfterATest(t *testing.T) {
	w := newSim(t, nil)
	w.visitHosts(1, 2, nil)
	r := w.begin(50)
	for i := range 60 {
		addr, name := fmt.Sprintf("10.0.2.%d", i), fmt.Sprintf("x%d.lab", i)
		w.host(addr).dead = errDown
		w.find(r, answerOf(name, fmt.Sprintf("10 mx.%s %s", name, addr)), "good1@"+name)
	}
	w.feed(fed{r.id})
	w.run()
	if got := r.reasons(); got[Unreachable] != 60 {
		t.Errorf("%v", got)
	}
	opens := map[string]int{}
	for _, o := range w.opens {
		opens[o.target.Host]++
	}
	for host, n := range opens {
		if n > 2 {
			t.Errorf("%s was connected to %d times", host, n)
		}
	}
	if len(w.tests) < 2 {
		t.Errorf("%d tests", len(w.tests))
	}
}

func TestAHostThatFailedWhenTheNetworkWentDownIsTheFirstAgain(t *testing.T) {
	w := newSim(t, nil)
	w.visitHosts(1, 2, nil)
	set := func(dead error) {
		for _, h := range w.hosts {
			h.dead = dead
		}
	}
	r := w.begin(50)
	w.plan.runs[r.id].patience = time.Hour
	for i := range doubtLater {
		name := fmt.Sprintf("x%d.lab", i)
		first, second := fmt.Sprintf("10.0.2.%d", i), fmt.Sprintf("10.0.3.%d", i)
		w.host(first)
		w.host(second)
		set(errDown)
		w.find(r, answerOf(name, fmt.Sprintf("10 first.%s %s", name, first), fmt.Sprintf("20 second.%s %s", name, second)),
			"good1@"+name)
	}
	w.later(time.Minute, nil, func() { set(nil) })
	w.feed(fed{r.id})
	w.run()
	if got := r.reasons(); got[Accepted] != doubtLater {
		t.Errorf("%v", got)
	}
	for _, f := range r.results {
		if host := f.evidence.host; !strings.HasPrefix(host, "first.") {
			t.Errorf("%s was asked at %s", f.task.Address, host)
		}
	}
}

func TestTheNetworkIsWaitedForAsLongAsTheMostPatientRunWaits(t *testing.T) {
	for _, order := range [][]time.Duration{{0, time.Hour, time.Minute}, {time.Hour, 0}, {0, time.Hour}} {
		p := newSim(t, nil).plan
		for i, patience := range order {
			p.addRun(&runState{id: runID(i), patience: patience})
		}
		for range 20 { // in any order
			if got := p.patience(); got != time.Hour {
				t.Fatalf("%v: %v", order, got)
			}
		}
	}
}

func TestARunTakesNoMoreInWhenTooMuchOfItIsInDoubt(t *testing.T) {
	r := &runState{doubtful: make([]finding, doubtfulMost-1)}
	if r.full() {
		t.Error("it is full too early")
	}
	r.doubtful = append(r.doubtful, finding{})
	if !r.full() {
		t.Error("it is never full")
	}
}

func TestAnAnswerOfShortlyBeforeARunCountsForIt(t *testing.T) {
	for after, ours := range map[time.Duration]bool{answerFor - 30*time.Second: false, answerFor + time.Second: true} {
		w := newSim(t, nil)
		w.visitHosts(1, 1, nil)
		w.now = w.now.Add(after)
		w.host("10.0.2.1").dead = errDown
		e := w.verifyAll(answerOf("x.lab", "10 mx.x.lab 10.0.2.1"), "good1@x.lab").of(t, "good1@x.lab")
		if e.reason != Unreachable || e.ours != ours {
			t.Errorf("%v after an answer: %s (%s), ours %v", after, e.reason, e.detail, e.ours)
		}
	}
}

func TestOnlyLookUpsInARowLetDNSBeTested(t *testing.T) {
	var l lookups
	for range unresolvedRow - 1 {
		if l.failed(unresolved{}, true) {
			t.Fatal("DNS is tested too early")
		}
	}
	l.took()
	for range unresolvedRow - 1 {
		if l.failed(unresolved{}, true) {
			t.Fatal("an answer between them did not count")
		}
	}
	if !l.failed(unresolved{}, true) {
		t.Error("DNS is not tested")
	}
	if l.failed(unresolved{}, true) {
		t.Error("DNS is tested twice at a time")
	}
}

func TestAServerThatNamesALimitOnDomainsIsAskedAboutSoManyInASession(t *testing.T) {
	s := &session{dest: &destination{budget: budget{rcptDomains: 2}}}
	for _, test := range []struct {
		name   string
		admits bool
	}{{"a.lab", true}, {"b.lab", true}, {"c.lab", false}, {"a.lab", true}} {
		if got := s.admits(&domain{name: test.name}); got != test.admits {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestOnlySoManyDomainsWaitForAnAnswerOfDNS(t *testing.T) {
	var l lookups
	for range unresolvedMost {
		l.failed(unresolved{}, false)
	}
	if list, _ := l.overflow(unresolvedMost); len(list) != 0 {
		t.Errorf("%d are over the bound too early", len(list))
	}
	l.failed(unresolved{}, false)
	if list, answered := l.overflow(unresolvedMost); len(list) != 1 || answered {
		t.Errorf("%d are over the bound, want one; anything was answered: %v", len(list), answered)
	}
}
