package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/verify/mx"
)

const (
	unresolvedMost = 1000 // domains without an answer from DNS that wait until more is known
	unresolvedRow  = 20   // of them in a row, after which DNS itself is tested
	lookAgain      = 32   // look-ups at a time when DNS is back
)

// lookups tells a domain about which DNS gives no answer from DNS that gives none. Such domains wait until another one
// has an answer, DNS was tested, or nothing else is left to look up.
type lookups struct {
	mu       sync.Mutex // guards what follows
	answered bool       // about any domain
	row      int        // look-ups in a row without an answer
	waiting  []unresolved
	testing  chan struct{} // closed when DNS has been tested; nil: nobody tests it
	since    time.Time     // DNS is waited for since then; zero: it is not
	trouble  *Trouble      // DNS was given up
}

// unresolved is a domain about which DNS gave no answer.
type unresolved struct {
	domain   Domain
	cost     int
	evidence evidence
}

// temporary reports whether a look-up failed because DNS gave no answer.
func temporary(err error) bool {
	var failed *mx.TemporaryError
	return errors.As(err, &failed)
}

// silent reports whether a look-up failed because no resolver said anything.
func silent(err error) bool {
	var failed *mx.TemporaryError
	return errors.As(err, &failed) && (failed.Kind == "timeout" || failed.Kind == "network")
}

// silence is the trouble of a run without a test of DNS in which no resolver said anything.
func silence(detail string) *Trouble { return &Trouble{Kind: DNSDown, Detail: detail} }

// words says that DNS is waited for; empty where it is not.
func (l *lookups) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("DNS, which gives no answers since %s", clock(l.since))
}

// ready waits while DNS is tested. It returns what is to be said of a domain that is not looked up any more; nil where
// it is.
func (l *lookups) ready(ctx context.Context) (*Trouble, error) {
	for {
		l.mu.Lock()
		testing, trouble := l.testing, l.trouble
		l.mu.Unlock()
		if testing == nil {
			return trouble, nil
		}
		select {
		case <-testing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// took notes an answer, and returns the domains whose failures are their own now. While DNS is tested there are none:
// the answer may have been on its way before DNS went away, and the test decides.
func (l *lookups) took() (settled []unresolved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = true
	if l.testing != nil {
		return nil
	}
	l.row = 0
	settled, l.waiting = l.waiting, nil
	return settled
}

// failed keeps a domain without an answer, and reports whether the caller is to test DNS.
func (l *lookups) failed(u unresolved, testable bool) (tests bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, u)
	l.row++
	if testable && l.row >= unresolvedRow && l.testing == nil && l.trouble == nil {
		l.testing = make(chan struct{})
		return true
	}
	return false
}

// overflow returns domains that can wait no longer, and whether anything was answered. While DNS is tested all of them
// wait for that; no look-up begins meanwhile.
func (l *lookups) overflow(most int) (list []unresolved, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.waiting) - most; n > 0 && l.testing == nil {
		list, l.waiting = l.waiting[:n:n], l.waiting[n:]
	}
	return list, l.answered
}

// wait begins to wait for DNS, if nobody did.
func (l *lookups) wait() (since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = time.Now()
	}
	return l.since
}

// end ends the test of DNS and returns the domains that waited for it.
func (l *lookups) end(trouble *Trouble) []unresolved {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.waiting
	l.waiting, l.row, l.since, l.trouble = nil, 0, time.Time{}, trouble
	close(l.testing)
	l.testing = nil
	return list
}

// unresolved takes a domain about which DNS gave no answer. Its room is given back until it is looked up again.
func (r *run) unresolved(ctx context.Context, u unresolved) error {
	if r.dns.failed(u, r.config.Preflight != nil) {
		return r.testDNS(ctx)
	}
	list, answered := r.dns.overflow(unresolvedMost)
	return r.concludeAll(ctx, list, !answered)
}

// testDNS finds out whether it is DNS that gives no answers, and waits until it does again, while the run has patience.
func (r *run) testDNS(ctx context.Context) error {
	err := r.config.Preflight(ctx)
	if err == nil { // the domains have a fault of their own
		return r.concludeAll(ctx, r.dns.end(nil), false)
	}
	since := r.dns.wait()
	for time.Since(since) < r.options.Patience && ctx.Err() == nil {
		select {
		case <-time.After(trialEvery):
		case <-ctx.Done():
		}
		if err = r.config.Preflight(ctx); err == nil {
			return r.lookUpAgain(ctx, r.dns.end(nil))
		}
	}
	list := r.dns.end(&Trouble{Kind: DNSDown, Detail: err.Error()})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.concludeAll(ctx, list, true)
}

// lookUpAgain looks up domains about which DNS gave no answer before.
func (r *run) lookUpAgain(ctx context.Context, list []unresolved) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookAgain)
	for _, u := range list {
		group.Go(func() error {
			if err := r.room.Acquire(ctx, int64(u.cost)); err != nil {
				return err
			}
			return r.find(ctx, u.domain, u.cost)
		})
	}
	return group.Wait()
}

// concludeAll gives the addresses of domains their result: DNS gave no answer, and it may be our own doing.
func (r *run) concludeAll(ctx context.Context, list []unresolved, ours bool) error {
	trouble, err := r.dns.ready(ctx)
	if err != nil {
		return err
	}
	said := func(u unresolved) bool { return !u.evidence.silent }
	silent := ours && r.config.Preflight == nil && !slices.ContainsFunc(list, said)
	for _, u := range list {
		e := u.evidence
		e.ours = ours
		if silent {
			e.trouble = silence(e.detail)
		}
		if trouble != nil {
			e.ours, e.trouble = true, trouble
		}
		if err := r.conclude(ctx, u.domain.Name, e); err != nil {
			return err
		}
	}
	return nil
}
