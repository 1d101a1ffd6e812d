package mx

import (
	"context"
	"errors"
	"testing"
	"time"
)

// windowTest is a window with questions under way.
type windowTest struct {
	*window
	t *testing.T
}

func (w windowTest) enterAll(n int) {
	w.t.Helper()
	for range n {
		if _, err := w.enter(w.t.Context(), false); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w windowTest) want(size, flying int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(w.size) != size || w.flying != flying {
		w.t.Errorf("a window of %v with %d under way, want %d with %d", w.size, w.flying, size, flying)
	}
}

func TestAWindowGrowsAsTCPsDoes(t *testing.T) {
	simulate(t, "slowly, fast, halved, and slowly", func(t *testing.T) {
		w := windowTest{newWindow(), t}
		begun := time.Now()
		w.enterAll(firstWindow / 2)
		w.leave(begun, answered)
		w.want(firstWindow, firstWindow/2-1) // it is not full, so nothing is learned
		w.enterAll(firstWindow/2 + 1)
		w.leave(begun, answered)
		w.want(firstWindow+1, firstWindow-1) // by one with each answer
		w.enterAll(2)
		time.Sleep(time.Millisecond)
		for range 3 {
			if !w.leave(begun, refused) {
				t.Error("REFUSED is not taken for too much")
			}
		}
		w.want((firstWindow+1)/2, firstWindow-2) // halved, but once for all that were under way
		for range firstWindow - 2 {
			w.leave(begun, nothing)
		}
		before := time.Now()
		w.enterAll((firstWindow + 1) / 2)
		if waited := time.Since(before); waited != firstPause {
			t.Errorf("the next question waited %s, want %s", waited, firstPause)
		}
		w.leave(time.Now(), answered)
		w.want((firstWindow+1)/2, (firstWindow+1)/2-1) // by one with each windowful
	})
}

func TestPausesGetLongerUntilThereIsAnAnswer(t *testing.T) {
	simulate(t, "refused again and again", func(t *testing.T) {
		w := windowTest{newWindow(), t}
		for _, want := range []time.Duration{0, 50, 100, 200, 400, 800, 1000, 1000} {
			before := time.Now()
			w.enterAll(1)
			if waited := time.Since(before); waited != want*time.Millisecond {
				t.Errorf("waited %s, want %s", waited, want*time.Millisecond)
			}
			w.leave(time.Now(), refused)
		}
		w.want(1, 0)
	})
}

func TestSERVFAILIsTooMuchOnlyInBursts(t *testing.T) {
	simulate(t, "some and then a burst", func(t *testing.T) {
		w := windowTest{newWindow(), t}
		ask := func(o outcome) bool {
			w.enterAll(1)
			return w.leave(time.Now(), o)
		}
		for i := range 100 {
			o := answered
			if i%3 == 0 {
				o = servfail
			}
			if ask(o) {
				t.Fatal("a third of SERVFAILs is taken for too much")
			}
		}
		w.want(firstWindow, 0)
		first := -1
		for i := range burst {
			if ask(servfail) && first < 0 {
				first = i
			}
		}
		if first < 0 {
			t.Error("a burst is not taken for too much")
		}
		w.want(burstFloor, 0)
		time.Sleep(burstTime)
		if ask(servfail) {
			t.Error("SERVFAIL and nothing else for seconds is taken for too much")
		}
	})
}

func TestOneWhoLeavesAWindowMakesNoRoom(t *testing.T) {
	simulate(t, "cancelled", func(t *testing.T) {
		w := windowTest{newWindow(), t}
		w.enterAll(firstWindow)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.enter(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline's", err)
		}
		w.want(firstWindow, firstWindow)
		w.leave(time.Now(), nothing)
		w.enterAll(1)
		w.want(firstWindow, firstWindow)
	})
}

func TestThoseWhoWaitAreLetGoWhenTheResolverIsDown(t *testing.T) {
	simulate(t, "in a pause", func(t *testing.T) {
		w := windowTest{newWindow(), t}
		w.enterAll(1)
		w.leave(time.Now(), refused)
		time.AfterFunc(firstPause/2, w.expel)
		begun := time.Now()
		w.enterAll(1)
		if waited := time.Since(begun); waited != firstPause/2 {
			t.Errorf("waited %s, want %s", waited, firstPause/2)
		}
	})
}
