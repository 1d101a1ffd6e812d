package mx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// client asks resolvers. It chooses among them, and asks again where there is no answer.
type client struct {
	config    Config
	upstreams []*upstream
	rotation  atomic.Uint32
	faults    atomic.Bool // the preflight found a fault in one of them
}

func newClient(config Config, dial dialer) *client {
	c := &client{config: config}
	for i, address := range config.Servers {
		c.upstreams = append(c.upstreams, &upstream{pool: newPool(address, dial), window: newWindow(), index: i})
	}
	return c
}

func (c *client) close() error {
	var err error
	for _, u := range c.upstreams {
		err = errors.Join(err, u.pool.close())
	}
	return err
}

// upstreamSet holds indexes of resolvers; those above 63 are in no set.
type upstreamSet uint64

func setOf(u *upstream) upstreamSet               { return 1 << u.index }
func (s upstreamSet) has(u *upstream) bool        { return s&setOf(u) != 0 }
func (s upstreamSet) overlaps(o upstreamSet) bool { return s&o != 0 }

// How often a question is asked. A question without an answer is asked again at another resolver, where there is one.
// At a loss of a fifth in each direction a try fails in 36 of 100 cases, so nine tries in one of 10,000.
const (
	defaultAttempts = 9
	shortTimeout    = time.Second // of the first tries
	longTimeout     = 2 * time.Second
	shortTries      = 3
	refusedTries    = 6
	servfailTries   = 3                      // that are not about too many questions
	maxChanges      = 3                      // of the resolver, while a question waits for its turn
	againAfter      = 100 * time.Millisecond // until the same resolver is asked again; twice as long each time
)

// query asks until a resolver answers, first those that are not to be avoided. It returns the answer and who gave it.
func (c *client) query(ctx context.Context, q question, avoid upstreamSet) (*dns.Msg, *upstream, error) {
	var last *upstream
	silent, servfails, refusals, total := 0, 0, 0, 0
	for {
		u, w, err := c.turn(ctx, avoid, last, silent)
		if err != nil {
			return nil, nil, err
		}
		reply, congested, err := u.exchange(ctx, q, w, total > 0, c.timeout(silent))
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, errClosed)):
			return nil, nil, err
		case err != nil:
			silent++
		case isAnswer(reply):
			return reply, u, nil
		case reply.Rcode == dns.RcodeRefused:
			refusals++
			err = &TemporaryError{Kind: "refused", Err: fmt.Errorf("by %s", u.address)}
		default:
			if !congested {
				servfails++
			}
			status := dns.RcodeToString[reply.Rcode]
			err = &TemporaryError{Kind: "servfail", Err: fmt.Errorf("%s from %s", status, u.address)}
		}
		total++
		if silent >= c.config.Attempts || refusals >= refusedTries || total >= c.config.Attempts+refusedTries ||
			servfails >= min(servfailTries, c.config.Attempts) {
			return nil, nil, err
		}
		if servfails > 0 && (u == last || len(c.upstreams) == 1) {
			if err := sleep(ctx, againAfter<<(servfails-1)); err != nil {
				return nil, nil, err
			}
		}
		last = u
	}
}

func (c *client) timeout(silent int) time.Duration {
	switch {
	case c.config.Timeout > 0:
		return c.config.Timeout
	case silent < shortTries:
		return shortTimeout
	}
	return longTimeout
}

// turn waits until a question may be asked, and returns of which resolver and how. The resolver's window is entered.
func (c *client) turn(
	ctx context.Context, avoid upstreamSet, last *upstream, silent int,
) (*upstream, way, error) {
	first := 0
	if c.config.Rotate {
		first = int(c.rotation.Add(1))
	}
	for changes := 0; ; changes++ {
		u, trial, err := c.choose(ctx, first, avoid, last)
		if err != nil {
			return nil, 0, err
		}
		waited, err := u.window.enter(ctx, silent > 0)
		switch {
		case err != nil:
			return nil, 0, err
		case trial > 0:
			return u, u.way(trial-1, c.config.TCP), nil
		case !waited, changes < maxChanges && c.best(first, avoid, last) == u, changes >= maxChanges && u.isUp():
			return u, u.way(silent/len(c.upstreams), c.config.TCP), nil
		}
		u.window.leave(time.Now(), nothing) // since it was chosen, it was seen not to answer
	}
}

// choose returns the resolver to ask: one that is up, and if it can be, not the one that was asked last, not one to
// avoid, and one that did not fail lately, in this order. A resolver that is down is asked now and then; trial counts
// these questions from 1. Where all are down, choose waits, but not for long.
func (c *client) choose(
	ctx context.Context, first int, avoid upstreamSet, last *upstream,
) (u *upstream, trial int, err error) {
	for {
		best, fit := c.best(first, avoid, last), c.fit()
		if best != nil && (last != nil || avoid != 0 || len(fit) == 1) {
			return best, 0, nil
		}
		wait := time.Duration(0)
		for _, u := range fit {
			wait = max(wait, u.untilGivenUp())
		}
		if best == nil && last != nil && wait <= 0 {
			return nil, 0, c.gaveUp()
		}
		for _, u := range fit {
			if u == best {
				continue
			}
			if trial := u.claimTrial(best != nil); trial > 0 {
				return u, trial, nil
			}
		}
		switch {
		case best != nil:
			return best, 0, nil
		case wait <= 0:
			return nil, 0, c.gaveUp()
		}
		for _, u := range fit {
			wait = min(wait, u.untilTrial())
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, 0, err
		}
	}
}

func (c *client) gaveUp() error {
	return &TemporaryError{Kind: "network", Err: fmt.Errorf("no resolver answers: %v", c.config.Servers)}
}

// best returns the resolver that is up and comes first, beginning to count at one of them; nil where all are down.
func (c *client) best(first int, avoid upstreamSet, last *upstream) *upstream {
	var best *upstream
	var bestRank rank
	fit := c.fit()
	for i := range fit {
		u := fit[(first+i)%len(fit)]
		up, failures := u.state()
		if r := (rank{u == last, avoid.has(u), failures}); up && (best == nil || r.before(bestRank)) {
			best, bestRank = u, r
		}
	}
	return best
}

// rank orders the resolvers that are up.
type rank struct {
	last, avoid bool
	failures    int
}

func (r rank) before(o rank) bool {
	switch {
	case r.last != o.last:
		return o.last
	case r.avoid != o.avoid:
		return o.avoid
	}
	return r.failures < o.failures
}

// fit returns the resolvers in which the preflight found no fault, all where it found one in each.
func (c *client) fit() []*upstream {
	if !c.faults.Load() {
		return c.upstreams
	}
	var fit []*upstream
	for _, u := range c.upstreams {
		if u.found() == "" {
			fit = append(fit, u)
		}
	}
	if len(fit) == 0 {
		return c.upstreams
	}
	return fit
}

// sleep waits for a time or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
