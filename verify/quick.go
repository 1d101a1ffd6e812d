package verify

import (
	"context"
	"sync"

	"presend/verify/verdict"
)

// QuickSample is how many addresses of a provider that accepts any address a quick run asks about: enough to tell that
// it answers this machine at all. At Yahoo's pace they take ten seconds.
const QuickSample = firstTasks

// leftOut is the detail of an address that a quick run left out.
const leftOut = "left out by --quick"

// LeftOut reports whether an address was not asked about because RunOptions.Quick left it out. Its score is that of an
// address that the provider accepted, since that says nothing either.
func (r *Result) LeftOut() bool { return r.Reason == NotProbed && r.Detail == leftOut }

// samples counts what a quick run asks about, by provider.
type samples struct {
	mu    sync.Mutex
	taken map[string]int
}

// take returns how many of n addresses of a provider belong to its sample.
func (s *samples) take(provider string, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	n = min(n, QuickSample-s.taken[provider])
	s.taken[provider] += n
	return n
}

// sample asks about some addresses of a domain, and leaves out the rest.
func (r *run) sample(ctx context.Context, d Domain, cost int, e evidence) error {
	if n := r.samples.take(e.answer.Provider.Name, d.Pending); n > 0 {
		list, err := r.lease(ctx, d.Name, n, e.answer)
		if err != nil {
			return err
		}
		r.tell(found{
			run: r.id, domain: d.Name, answer: e.answer, fact: d.CatchAll, tasks: list.tasks, weight: cost,
		})
	} else {
		r.room.Release(int64(cost))
	}
	e.reason, e.detail = verdict.NotProbed, leftOut
	return r.conclude(ctx, d.Name, e)
}
