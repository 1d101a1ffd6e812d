package verify

import (
	"context"
	"iter"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"presend/verify/syntax"
)

// Survey is what DNS says of the domains of a list: enough for a run that asks no mail host, and then a run needs no
// queue, since nothing is lost that could not be had again at once.
type Survey struct {
	verifier *Verifier
	domains  map[string]evidence
}

// Survey looks up each domain once, Config.Lookups at a time. It returns the error of ctx or of domains.
func (v *Verifier) Survey(ctx context.Context, domains iter.Seq2[string, error]) (*Survey, error) {
	s := &Survey{verifier: v, domains: map[string]evidence{}}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	names := make(chan string, v.config.Lookups)
	for range v.config.Lookups {
		group.Go(func() error {
			for name := range names {
				e, _ := v.byName(ctx, name)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				e.answer.Hosts = slices.Clone(e.answer.Hosts[:min(1, len(e.answer.Hosts))]) // all that a result shows
				for i := range e.answer.Hosts {
					e.answer.Hosts[i].Addrs = nil
				}
				mu.Lock()
				s.domains[name] = e
				mu.Unlock()
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(names)
		seen := map[string]bool{}
		for name, err := range domains {
			if err != nil {
				return err
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			select {
			case names <- name:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return s, group.Wait()
}

// Result returns what is known of an address whose domain was looked up.
func (s *Survey) Result(a syntax.Address) Result {
	e := s.domains[a.Domain]
	return s.verifier.unprobed(Task{Address: a}, e)
}
