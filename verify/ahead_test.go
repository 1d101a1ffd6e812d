package verify_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
)

// lookout is an Observer that keeps the last of what it was told, and what a run said while it was being closed.
type lookout struct {
	mu      sync.Mutex
	ahead   []verify.Ahead
	closing string
}

func (l *lookout) Done(verify.Result) {}

func (l *lookout) Waiting(a verify.Ahead) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = append(l.ahead, a)
	if a.Closing && a.Words != "" {
		l.closing = a.Words
	}
}

func TestARunThatIsStoppedEndsSoonAlsoWhereAHostIsSlow(t *testing.T) {
	for name, host := range map[string]string{
		"that takes its time over each reply": "latency=8s",
		"that says nothing more":              "cut-after=1 latency=100ms nopipelining",
		"that does not say goodbye":           "latency=8s mute-quit",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, v := memoryWorld(t, "host mx.slow.lab "+host+"\ndomain slow.lab mx=mx.slow.lab\nmailbox a,b@slow.lab", nil)
				stop := make(chan struct{})
				const after = 26 * time.Second
				time.AfterFunc(after, func() { close(stop) })
				var seen lookout
				begun := time.Now()
				err := v.Run(t.Context(), newNotebook(t, []string{"a@slow.lab", "b@slow.lab"}),
					verify.RunOptions{Stop: stop, Observer: &seen})
				if err != nil {
					t.Fatal(err)
				}
				within(t, "the run", time.Since(begun), after, after+4500*time.Millisecond)
				if seen.closing != "1 session with slow.lab" {
					t.Errorf("it said that it closes %q, want the session with slow.lab", seen.closing)
				}
			})
		})
	}
}

func TestWhatIsAheadComesFromThePaceOfTheSlowestDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := append(numbered("user", "yahoo.com", 400), numbered("user", "quick.lab", 40)...)
		_, v := memoryWorld(t, "host mta5.am0.yahoodns.net latency=50ms\ndomain yahoo.com mx=mta5.am0.yahoodns.net "+
			"acceptsall\n"+
			"host mx.quick.lab\ndomain quick.lab mx=mx.quick.lab", nil)
		var seen lookout
		begun := time.Now()
		if err := v.Run(t.Context(), newNotebook(t, addresses), verify.RunOptions{Observer: &seen}); err != nil {
			t.Fatal(err)
		}
		took := time.Since(begun)
		if len(seen.ahead) < 60 {
			t.Fatalf("it was told %d times in %v", len(seen.ahead), took)
		}
		for i, a := range seen.ahead[2:50] {
			left := took - time.Duration(i+3)*time.Second
			if a.Slowest != "yahoo" || a.Left < left*8/10 || a.Left > left*12/10 || !strings.HasSuffix(a.Words, "5 a second)") {
				t.Errorf("after %d s: %+v, want about %v for yahoo at 5 a second", i+3, a, left)
			}
		}
	})
}
