package mx

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// window limits how many questions are under way at one resolver. It learns what the resolver tolerates as TCP learns
// what a path carries: it grows with each answer, by one up to the threshold and then by one for each windowful, and
// is halved when the resolver says that it is too much. After that nothing is asked for a moment.
type window struct {
	mu        sync.Mutex
	size      float64
	threshold float64
	flying    int
	waiting   []chan struct{} // each is closed when its owner may ask
	shrunk    time.Time       // what was asked before is no reason to shrink again
	pause     time.Duration   // the last pause; zero after an answer
	resume    time.Time       // when the pause ends
	timer     *time.Timer     // of the pause, while somebody waits
	failed    uint32          // a bit for each of the last replies: SERVFAIL or an answer
	bursting  bool            // shrunk because of SERVFAILs, and no answer came since
	good      time.Time       // when the last answer came
}

const (
	firstWindow  = 32
	maxWindow    = 256
	burstFloor   = 8               // SERVFAILs shrink the window to no less: they may be about the domains
	burst        = 16              // so many SERVFAILs among the last 32 replies are a burst
	burstTime    = 3 * time.Second // after so long without an answer, SERVFAIL is all that a resolver says
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// outcome is what a question came to, as far as a window is concerned.
type outcome int

const (
	nothing outcome = iota // it was not asked, or not to the end
	silent                 // no reply in time, or an error
	answered
	servfail
	refused
	late // no reply in time over TCP, where nothing is lost, so it has too many connections; or this machine has
)

func newWindow() *window { return &window{size: firstWindow, threshold: maxWindow} }

// enter waits until a question may be asked, and reports whether it had to. After a nil error, leave has to follow. A
// question that was asked in vain comes before the others: a try in another way tells most, and it has waited longer.
func (w *window) enter(ctx context.Context, again bool) (waited bool, err error) {
	w.mu.Lock()
	if len(w.waiting) == 0 && w.hasRoom() {
		w.flying++
		w.mu.Unlock()
		return false, nil
	}
	turn := make(chan struct{})
	if again {
		w.waiting = slices.Insert(w.waiting, 0, turn)
	} else {
		w.waiting = append(w.waiting, turn)
	}
	w.admit()
	w.mu.Unlock()
	select {
	case <-turn:
		return true, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.waiting, turn); i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
		if len(w.waiting) == 0 {
			w.stopTimer()
		}
	} else { // its turn came at the same moment
		w.flying--
		w.admit()
	}
	return true, ctx.Err()
}

// expel lets all in who wait. They see that the resolver is down, and leave.
func (w *window) expel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, turn := range w.waiting {
		w.flying++
		close(turn)
	}
	w.waiting = nil
	w.stopTimer()
}

// leave ends a question that was asked at a time. It reports whether the outcome is one of too many questions.
func (w *window) leave(asked time.Time, o outcome) (congested bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full := w.flying >= int(w.size)
	w.flying--
	switch o {
	case answered:
		w.failed, w.bursting, w.pause, w.good = w.failed<<1, false, 0, time.Now()
		switch {
		case !full: // not the window set the pace, so nothing is known of a larger one
		case w.size < w.threshold:
			w.size = min(w.size+1, maxWindow)
		default:
			w.size = min(w.size+1/w.size, maxWindow)
		}
	case servfail:
		w.failed = w.failed<<1 | 1
		if w.good.IsZero() {
			w.good = asked
		}
		switch {
		case time.Since(w.good) >= burstTime: // it is not about how much is asked
			w.bursting = false
		case asked.Before(w.shrunk):
			congested = true
		case w.bursting, bits.OnesCount32(w.failed) >= burst:
			congested, w.bursting = true, true
			w.shrink(burstFloor)
		}
	case refused, late:
		congested = true
		if !asked.Before(w.shrunk) {
			w.shrink(1)
		}
	}
	w.admit()
	return congested
}

func (w *window) shrink(floor float64) {
	now := time.Now()
	w.size = min(w.size, max(w.size/2, floor))
	w.threshold, w.shrunk, w.failed = w.size, now, 0
	w.pause = min(max(2*w.pause, firstPause), longestPause)
	w.resume = now.Add(w.pause)
}

func (w *window) hasRoom() bool { return w.flying < int(w.size) && !time.Now().Before(w.resume) }

// admit lets in who waits, as far as there is room.
func (w *window) admit() {
	for len(w.waiting) > 0 && w.hasRoom() {
		w.flying++
		close(w.waiting[0])
		w.waiting = w.waiting[1:]
	}
	if pause := time.Until(w.resume); len(w.waiting) > 0 && pause > 0 && w.timer == nil {
		w.timer = time.AfterFunc(pause, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.timer = nil
			w.admit()
		})
	}
	if len(w.waiting) == 0 {
		w.stopTimer()
	}
}

func (w *window) stopTimer() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}
