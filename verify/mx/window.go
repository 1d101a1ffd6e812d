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
	waiting   []chan struct{} // first in, first out; closed when its owner may ask
	shrunk    time.Time       // what was asked before is no reason to shrink again
	pause     time.Duration   // the last pause; zero after an answer
	resume    time.Time       // when the pause ends
	timer     *time.Timer     // of the pause, while somebody waits
	failed    uint32          // a bit for each of the last replies: SERVFAIL or an answer
}

const (
	firstWindow  = 32
	maxWindow    = 256
	burstFloor   = 8  // bursts of SERVFAIL shrink the window to no less: the domains may deserve them
	burst        = 16 // so many SERVFAILs among the last 32 replies are a burst
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// outcome is what a question came to, as far as a window is concerned.
type outcome int

const (
	noReply outcome = iota // silence, an error or the end of the context
	answered
	servfail
	refused
)

func newWindow() *window { return &window{size: firstWindow, threshold: maxWindow} }

// enter waits until a question may be asked, and reports whether it had to. After a nil error, leave has to follow.
func (w *window) enter(ctx context.Context) (waited bool, err error) {
	w.mu.Lock()
	if len(w.waiting) == 0 && w.hasRoom() {
		w.flying++
		w.mu.Unlock()
		return false, nil
	}
	turn := make(chan struct{})
	w.waiting = append(w.waiting, turn)
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

// leave ends a question that was asked at a time. It reports whether the outcome is one of too many questions.
func (w *window) leave(asked time.Time, o outcome) (congested bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full := w.flying >= int(w.size)
	w.flying--
	switch o {
	case answered:
		w.failed <<= 1
		w.pause = 0
		switch {
		case !full: // not the window set the pace, so nothing is known of a larger one
		case w.size < w.threshold:
			w.size = min(w.size+1, maxWindow)
		default:
			w.size = min(w.size+1/w.size, maxWindow)
		}
	case servfail:
		w.failed = w.failed<<1 | 1
		switch {
		case asked.Before(w.shrunk):
			congested = true
		case bits.OnesCount32(w.failed) >= burst:
			congested = true
			w.shrink(burstFloor)
		}
	case refused:
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
