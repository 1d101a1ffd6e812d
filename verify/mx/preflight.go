package mx

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Fault is what a preflight finds to be wrong with a resolver.
type Fault string

// The faults of a resolver.
const (
	Dead     Fault = "dead"     // it answers no question about a known name
	Empty    Fault = "empty"    // it says of known names that there is nothing, and of none that there is
	Rewrites Fault = "rewrites" // it has an address for a name that does not exist
)

// PreflightError is the error of a preflight: no resolver can be trusted. What such resolvers say about a domain is not
// to be concluded from.
type PreflightError struct {
	Fault  Fault
	Server string // the resolver with this fault, or the first of several
	Err    error  // of a dead resolver: what happened
}

func (e *PreflightError) Error() string {
	switch e.Fault {
	case Rewrites:
		return fmt.Sprintf("the resolver %s has addresses for names that do not exist, so typos look like domains: "+
			"switch that off at the resolver, or use another one", e.Server)
	case Empty:
		return fmt.Sprintf("the resolver %s says that well-known domains do not exist or take no mail, so this machine "+
			"may be cut "+
			"off from the internet (a captive portal, a VPN, a sandbox): connect it, or use another resolver", e.Server)
	}
	return fmt.Sprintf("the resolver %s does not answer (%v): check the network, or use another resolver", e.Server, e.Err)
}

func (e *PreflightError) Unwrap() error { return e.Err }

const (
	preflightTime = 1900 * time.Millisecond // a caller who allows two seconds hears what is wrong
	preflightTry  = 900 * time.Millisecond  // so that there is time for a second one
)

//go:embed known.txt
var knownFile string

// knownNames returns the default of Config.KnownNames.
func knownNames() (names []string) {
	for line := range strings.Lines(knownFile) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	return names
}

// Preflight tests the resolvers, in two seconds at most. A resolver passes if any of several known names resolves, and
// a random one does not. Where some pass, the resolvers that lie are asked no more, until a later preflight finds them
// without fault; one that is only silent then may lie again. Where none passes, the error is a *PreflightError, or that
// of the context.
func (r *Resolver) Preflight(ctx context.Context) error {
	testing, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	upstreams := r.client.upstreams
	errs := make([]*PreflightError, len(upstreams))
	together(len(upstreams), func(i int) { errs[i] = r.examine(testing, upstreams[i]) })
	if err := ended(ctx); err != nil {
		return err
	}
	var worst *PreflightError
	passed, faults := false, false
	for i, e := range errs {
		switch {
		case e == nil:
			passed = true
			upstreams[i].find("")
		case e.Fault == Dead: // it does not harm, and may be back at any time, as what it was
			worst = cmp.Or(worst, e)
		default:
			upstreams[i].find(e.Fault)
			if worst == nil || worst.Fault == Dead {
				worst = e
			}
		}
		faults = faults || upstreams[i].found() != ""
	}
	r.client.faults.Store(faults)
	if passed {
		return nil
	}
	return worst
}

// examine tests one resolver. It returns nil if it passes.
func (r *Resolver) examine(ctx context.Context, u *upstream) *PreflightError {
	var known, random sight
	var both sync.WaitGroup
	both.Go(func() { known = r.seeAny(ctx, u, r.config.KnownNames) })
	both.Go(func() { random = r.see(ctx, u, question{RandomName(), dns.TypeA}, 0) })
	both.Wait()
	switch {
	case random.resolves:
		return &PreflightError{Fault: Rewrites, Server: u.address}
	case known.resolves:
		return nil
	case known.denied:
		return &PreflightError{Fault: Empty, Server: u.address}
	}
	return &PreflightError{Fault: Dead, Server: u.address, Err: known.err}
}

// sight is what a resolver shows of a name.
type sight struct {
	resolves, denied bool // denied: NXDOMAIN, or nothing of that kind
	root             bool // it is of the root zone
	err              error
}

// seeAny asks about names at a time, until one resolves. The root zone tells least: a resolver may have a root of its
// own, or strip MX records. It counts only where nothing is said of the other names.
func (r *Resolver) seeAny(ctx context.Context, u *upstream, names []string) (all sight) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sights := make(chan sight)
	var root sight
	for i, name := range names {
		q := question{strings.TrimSuffix(name, "."), dns.TypeMX}
		if name == "." {
			q = question{".", dns.TypeNS}
		}
		go func() {
			s := r.see(ctx, u, q, i)
			s.root = name == "."
			sights <- s
		}()
	}
	for range names {
		s := <-sights
		if all.err == nil {
			all.err = s.err
		}
		if s.root {
			root = s
			continue
		}
		if s.resolves {
			cancel()
		}
		all.resolves, all.denied = all.resolves || s.resolves, all.denied || s.denied
	}
	if !all.resolves && !all.denied {
		all.resolves, all.denied = root.resolves, root.denied
	}
	return all
}

// see asks one resolver about a name until it answers, in one way after another, beginning with the one of a number.
func (r *Resolver) see(ctx context.Context, u *upstream, q question, first int) sight {
	err := errors.New("no time to ask")
	for try := first; ; try++ {
		if _, waiting := u.window.enter(ctx, try > first); waiting != nil {
			return sight{err: err}
		}
		reply, _, failure := u.exchange(ctx, q, u.way(try, r.config.TCP), try > first, preflightTry)
		switch {
		case ctx.Err() != nil:
			return sight{err: err}
		case failure != nil:
			err = failure
		case !isAnswer(reply):
			err = fmt.Errorf("%s from %s", dns.RcodeToString[reply.Rcode], u.address)
		default:
			has := len(reply.Answer) > 0
			return sight{resolves: has, denied: !has}
		}
		if sleep(ctx, againAfter) != nil {
			return sight{err: err}
		}
	}
}

// RandomName returns a name that nobody has registered, so that no cache holds it either.
func RandomName() string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var label [24]byte
	for i := range label {
		label[i] = letters[rand.IntN(len(letters))]
	}
	return string(label[:]) + ".com"
}
