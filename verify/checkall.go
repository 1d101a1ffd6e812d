package verify

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// readAhead is how many addresses CheckAll reads before their results are taken.
const readAhead = 20_000

// CheckAll verifies addresses as they come and yields their results as they become known, in no order, each with its
// address as it was given. At most 20,000 addresses are read ahead of the results.
//
// Breaking off ends the work and waits for what is under way, and for addresses to yield once more or to end. If ctx
// ends, its error comes once, last, without a result; the results that were known by then come before it. Any number of
// CheckAll, Check and Run may be under way at a time.
func (v *Verifier) CheckAll(ctx context.Context, addresses iter.Seq[string]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		working, cancel := context.WithCancel(ctx)
		s := &stream{
			room: semaphore.NewWeighted(readAhead), waiting: map[string][]Task{}, given: map[int64]string{},
			listed: map[string]bool{}, more: make(chan struct{}, 1), results: make(chan Result),
		}
		var group errgroup.Group
		group.Go(func() error {
			defer s.end()
			s.read(working, v, addresses)
			return nil
		})
		group.Go(func() error { return v.Run(working, s, RunOptions{}) })
		failed := make(chan error, 1)
		go func() {
			failed <- group.Wait()
			close(s.results)
		}()
		defer func() {
			cancel()
			for range s.results { // what was under way
			}
		}()
		for r := range s.results {
			s.room.Release(1)
			if !yield(r, nil) {
				return
			}
		}
		if err := <-failed; err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("verify: %w", ctx.Err())
			}
			yield(Result{}, err)
		}
	}
}

// stream is a Queue whose tasks come one at a time and whose results go to a channel.
type stream struct {
	room    *semaphore.Weighted // addresses read whose results were not taken
	results chan Result
	more    chan struct{} // something was added, or the end has come

	mu      sync.Mutex
	last    int64
	order   []string // domains with tasks that Domains did not report
	listed  map[string]bool
	waiting map[string][]Task
	given   map[int64]string // addresses as given, by task
	ended   bool
}

// read takes addresses in until they or ctx end.
func (s *stream) read(ctx context.Context, v *Verifier, addresses iter.Seq[string]) {
	for address := range addresses {
		if s.room.Acquire(ctx, 1) != nil {
			return
		}
		parsed, result, final := v.Examine(address)
		if !final {
			s.add(address, Task{Address: parsed})
			continue
		}
		select {
		case s.results <- result:
		case <-ctx.Done():
			return
		}
	}
}

func (s *stream) add(address string, t Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	t.ID = s.last
	s.given[t.ID] = address
	if !s.listed[t.Address.Domain] {
		s.listed[t.Address.Domain] = true
		s.order = append(s.order, t.Address.Domain)
	}
	s.waiting[t.Address.Domain] = append(s.waiting[t.Address.Domain], t)
	s.signal()
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Domains implements Queue. It waits for addresses to come.
func (s *stream) Domains(ctx context.Context, max int) ([]Domain, error) {
	for {
		s.mu.Lock()
		var list []Domain
		n := min(max, len(s.order))
		for _, name := range s.order[:n] {
			delete(s.listed, name)
			if n := len(s.waiting[name]); n > 0 { // else they were leased with others
				list = append(list, Domain{Name: name, Pending: n})
			}
		}
		s.order = s.order[n:]
		left, ended := len(s.order), s.ended
		s.mu.Unlock()
		switch {
		case len(list) > 0, ended && left == 0:
			return list, nil
		case left > 0:
			continue
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Lease implements Queue.
func (s *stream) Lease(_ context.Context, domain string, max int) ([]Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.waiting[domain]
	n := min(max, len(list))
	if s.waiting[domain] = list[n:]; n == len(list) {
		delete(s.waiting, domain)
	}
	return list[:n:n], nil
}

// Record implements Queue. It waits until the results are taken.
func (s *stream) Record(_ context.Context, done []Done, _ []Facts) error {
	for _, d := range done {
		if d.Provisional {
			continue
		}
		s.mu.Lock()
		d.Result.Address = s.given[d.Task.ID]
		delete(s.given, d.Task.ID)
		s.mu.Unlock()
		s.results <- d.Result
	}
	return nil
}
