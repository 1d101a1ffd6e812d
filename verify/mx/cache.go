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
	sure       map[string]confirmation // domains whose conclusion was confirmed
	flights    map[question]*flight
}

// flight is a question under way.
type flight struct {
	done  chan struct{} // closed when the rest is there
	found found
	err   error
	left  bool // the context of the one who asked has ended: there is no answer
}

func newCache(size int) *cache {
	return &cache{
		half: max(1, size/2), young: map[question]found{}, sure: map[string]confirmation{}, flights: map[question]*flight{},
	}
}

// get returns the cached answer, or asks, or waits for one who asks the same already. If the context of the one who
// asks ends, another one asks again.
func (c *cache) get(ctx context.Context, q question, ask func(context.Context) (found, error)) (found, error) {
	for {
		c.mu.Lock()
		if f, ok := c.lookup(q); ok {
			c.mu.Unlock()
			return f, nil
		}
		fl := c.flights[q]
		if fl == nil {
			fl = &flight{done: make(chan struct{})}
			c.flights[q] = fl
			c.mu.Unlock()
			return c.fly(ctx, q, fl, ask)
		}
		c.mu.Unlock()
		select {
		case <-fl.done:
			if !fl.left {
				return fl.found, fl.err
			}
		case <-ctx.Done():
			return found{}, ctx.Err()
		}
	}
}

// fly asks for all who wait.
func (c *cache) fly(
	ctx context.Context, q question, fl *flight, ask func(context.Context) (found, error),
) (found, error) {
	defer close(fl.done)
	fl.found, fl.err = ask(ctx)
	fl.left = fl.err != nil && ended(ctx) != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, q)
	if fl.err == nil {
		c.keep(q, fl.found)
	}
	return fl.found, fl.err
}

// known returns an answer that is kept.
func (c *cache) known(q question) (found, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookup(q)
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

// confirmed returns what a conclusion about a domain was confirmed to be; nil if it was not, or too long ago.
func (c *cache) confirmed(domain string, conclusion error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.sure[domain]; ok && s.of == conclusion && time.Now().Before(s.expires) {
		return s.is
	}
	return nil
}

func (c *cache) confirm(domain string, s confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sure) >= c.half {
		clear(c.sure)
	}
	c.sure[domain] = s
}
