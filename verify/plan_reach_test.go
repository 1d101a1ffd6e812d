package verify

import (
	"fmt"
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
		tested  bool
	}{"others answer between them": {1, false}, "nothing answers between them": {0, true}} {
		t.Run(name, func(t *testing.T) {
			w := newSim(t, nil)
			w.visitHosts(1, 2, nil)
			for i := range 2 * doubtLater {
				w.visitHosts(10+i, 1, errDown)
				w.visitHosts(50+i, test.between, nil)
			}
			if tested := len(w.tests) > 0; tested != test.tested {
				t.Errorf("%d tests", len(w.tests))
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
