package mx

import (
	"context"
	"sync"
	"time"
)

type question struct {
	name string
	kind uint16
}

// cache keeps answers for their TTL, at most size of them, and makes one query for all who wait for the same answer.
// It forgets by generations: when the young half is full it becomes the old one, and what is asked for again moves
// over.
type cache struct {
	half       int
	mu         sync.Mutex
	young, old map[question]found
	sure       map[string]bool // names whose NXDOMAIN was confirmed
	flights    map[question]*flight
}

// flight is a question under way.
type flight struct {
	done   chan struct{} // closed when found and err are there
	found  found
	err    error
	cancel context.CancelFunc
	wait   int // how many wait; the last to leave cancels the flight
}

func newCache(size int) *cache {
	return &cache{
		half: max(1, size/2), young: map[question]found{}, sure: map[string]bool{}, flights: map[question]*flight{},
	}
}

// get returns the cached answer, or joins or starts a flight. A waiter whose context ends gets its context's error at
// once, and the flight goes on for the others.
func (c *cache) get(ctx context.Context, q question, ask func(context.Context) (found, error)) (found, error) {
	c.mu.Lock()
	if f, ok := c.lookup(q); ok {
		c.mu.Unlock()
		return f, nil
	}
	fl := c.flights[q]
	if fl == nil {
		flying, cancel := context.WithCancel(context.WithoutCancel(ctx))
		fl = &flight{done: make(chan struct{}), cancel: cancel}
		c.flights[q] = fl
		go func() {
			defer cancel()
			f, err := ask(flying)
			c.mu.Lock()
			if err == nil {
				c.keep(q, f)
			}
			if c.flights[q] == fl {
				delete(c.flights, q)
			}
			c.mu.Unlock()
			fl.found, fl.err = f, err
			close(fl.done)
		}()
	}
	fl.wait++
	c.mu.Unlock()
	select {
	case <-fl.done:
		return fl.found, fl.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	fl.wait--
	last := fl.wait == 0
	if last && c.flights[q] == fl {
		delete(c.flights, q)
	}
	c.mu.Unlock()
	if last {
		fl.cancel()
		<-fl.done // nothing outlives its last waiter
	}
	return found{}, ctx.Err()
}

func (c *cache) lookup(q question) (found, bool) {
	f, ok := c.young[q]
	if !ok {
		if f, ok = c.old[q]; ok {
			c.keep(q, f)
		}
	}
	return f, ok && time.Now().Before(f.expires)
}

func (c *cache) keep(q question, f found) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[question]found, c.half/8)
		clear(c.sure)
	}
	c.young[q] = f
}

// confirmed reports whether a name's NXDOMAIN was confirmed since it was cached.
func (c *cache) confirmed(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sure[name]
}

func (c *cache) confirm(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sure) >= c.half {
		clear(c.sure)
	}
	c.sure[name] = true
}
