package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

const (
	inHand      = 100_000 // tasks of a run that were looked up and are not done: enough that probing never waits
	domainCost  = 5       // what a domain with few tasks counts of these, so that 20,000 domains are the most
	firstTasks  = 50      // tasks of a domain that are leased with its look-up
	batchMost   = 10_000  // results recorded at once
	concludeOne = 500     // tasks concluded at a time where nothing is to be asked

	stopFor = 3 * time.Second // how long a run that was stopped awaits answers in flight; QUIT takes a second more
)

// Observer is told what a run does. Each method is called by one goroutine of a run, but both may be called at the same
// time, so an Observer is safe for concurrent use. They must return soon.
type Observer interface {
	// Done reports a settled result that is about to be recorded.
	Done(Result)
	// Waiting reports what the run waits for, about once a second.
	Waiting(Ahead)
}

// TroubleObserver is an Observer that is told of trouble as soon as it is known. The trouble may be about results that
// were reported before, those since Trouble.Since.
type TroubleObserver interface {
	Observer
	Troubled(*Trouble)
}

// RunOptions are what a run may be given; the zero value is a run that nobody watches or stops.
type RunOptions struct {
	Observer Observer        // nil: none
	Stop     <-chan struct{} // closed: the run ends politely; what is in flight is heard and kept
	Patience time.Duration   // how long to wait for a network that is down before the rest is not probed; 0: not at all
	Quick    bool            // of providers that accept any address, ask about a sample; the rest is LeftOut
}

// run is one pass over a queue.
type run struct {
	*Verifier
	options   RunOptions
	queue     Queue
	id        runID
	port      *port
	room      *semaphore.Weighted
	concluded chan Done
	facts     chan Facts
	dns       lookups
	samples   samples
}

// Run verifies what the queue hands out. It returns nil when all of it has a result or options.Stop was closed, and
// else the error of ctx or of the queue. Results known by then are recorded in every case but that of a queue that
// cannot record. Runs may be under way at the same time: they share each destination's pace. When the last one returns,
// all sessions have been left.
func (v *Verifier) Run(ctx context.Context, queue Queue, options RunOptions) error {
	r := &run{
		Verifier: v, options: options, queue: queue, room: semaphore.NewWeighted(inHand),
		concluded: make(chan Done, 2*concludeOne), facts: make(chan Facts, concludeOne),
	}
	r.port = newPort(func(n int) { r.room.Release(int64(n)) })
	var spent []Spent
	if ledger, ok := queue.(Ledger); ok {
		var err error
		if spent, err = ledger.Spent(ctx, time.Now().UTC().Truncate(wholeDay)); err != nil {
			return fmt.Errorf("verify: reading what was asked today: %w", err)
		}
	}
	r.id = v.engine.join(func(id runID) event { return begin{id, options.Patience, spent} }, r.port)
	looking, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	select {
	case <-options.Stop: // before it began
		stopLooking()
	default:
	}
	over := make(chan struct{})
	var group errgroup.Group
	group.Go(func() error { return r.lookUp(looking) })
	group.Go(func() error { return r.feed(over, stopLooking) })
	group.Go(func() error {
		r.watch(ctx, over, stopLooking)
		return nil
	})
	recorded := r.record(context.WithoutCancel(ctx), stopLooking)
	close(over)
	failed := group.Wait()
	switch {
	case recorded != nil:
		return fmt.Errorf("verify: recording results: %w", recorded)
	case ctx.Err() != nil:
		return fmt.Errorf("verify: %w", ctx.Err())
	case failed != nil:
		return fmt.Errorf("verify: %w", failed)
	}
	return nil
}

func (r *run) tell(ev event) { r.engine.events <- message{event: ev} }

// watch ends the run when it is to stop, and lets the observer know what is waited for.
func (r *run) watch(ctx context.Context, over <-chan struct{}, stopLooking func()) {
	var seconds <-chan time.Time
	if r.options.Observer != nil {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		seconds = ticker.C
	}
	stopping, ended := r.options.Stop, ctx.Done()
	var late <-chan time.Time // when answers in flight are awaited no longer
	asked := false            // for a text; the dispatcher has room for one
	for {
		select {
		case <-over:
			return
		case <-stopping:
			stopping = nil
			stopLooking()
			r.tell(stop{r.id})
			late = time.After(stopFor)
		case <-late:
			r.tell(gone{r.id})
		case <-ended:
			ended = nil
			r.tell(gone{r.id})
		case <-seconds:
			if !asked {
				asked = true
				r.tell(describe{r.id})
			}
		case ahead := <-r.port.texts:
			asked = false
			if words := r.dns.words(); !ahead.Closing {
				ahead.Words = cmp.Or(words, ahead.Words)
			}
			r.options.Observer.Waiting(ahead)
		}
	}
}

// lookUp looks up domain after domain, several at a time, and hands them to the dispatcher.
func (r *run) lookUp(ctx context.Context) (err error) {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.config.Lookups)
	defer func() {
		err = errors.Join(err, group.Wait())
		if err == nil { // what waited until more is known
			list, answered := r.dns.overflow(0)
			err = r.concludeAll(ctx, list, !answered)
		}
		if ctx.Err() != nil { // stopped, or a queue that failed: not an error of a look-up
			err = nil
		}
		close(r.concluded)
		if err != nil {
			r.tell(stop{r.id})
		}
		r.tell(fed{r.id})
	}()
	for {
		domains, err := r.queue.Domains(gctx, r.config.Lookups)
		if err != nil || len(domains) == 0 {
			return err
		}
		for _, d := range domains {
			cost := max(domainCost, min(d.Pending, firstTasks))
			if err := r.room.Acquire(gctx, int64(cost)); err != nil {
				return err
			}
			group.Go(func() error { return r.find(gctx, d, cost) })
		}
	}
}

// find looks up one domain. Where there is nothing to ask, its addresses have their result here.
func (r *run) find(ctx context.Context, d Domain, cost int) error {
	trouble, err := r.dns.ready(ctx)
	if err != nil {
		return err
	}
	if trouble != nil { // DNS was given up
		r.room.Release(int64(cost))
		e := trouble.evidence()
		e.reason = verdict.DNSFailure
		return r.conclude(ctx, d.Name, e)
	}
	e, worth := r.byName(ctx, d.Name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e.unanswered {
		r.room.Release(int64(cost))
		return r.unresolved(ctx, unresolved{d, cost, e})
	}
	if err := r.concludeAll(ctx, r.dns.took(), false); err != nil {
		return err
	}
	if !worth || r.config.Prober == nil {
		r.room.Release(int64(cost))
		return r.conclude(ctx, d.Name, e)
	}
	if r.options.Quick && e.answer.Provider.AcceptsAll {
		return r.sample(ctx, d, cost, e)
	}
	list, err := r.lease(ctx, d.Name, min(d.Pending, firstTasks), e.answer)
	if err != nil {
		return err
	}
	more := max(0, d.Pending-list.leased)
	if list.leased == 0 {
		more = 0
	}
	r.tell(
		found{
			run:    r.id,
			domain: d.Name,
			answer: e.answer,
			fact:   d.CatchAll,
			tasks:  list.tasks,
			more:   more,
			weight: cost,
		},
	)
	return nil
}

// leased is what a Queue gave: tasks to ask about, and how many it gave in all.
type leased struct {
	tasks  []Task
	leased int
}

// lease gets tasks, and concludes those that are never asked about.
func (r *run) lease(ctx context.Context, domain string, most int, answer mx.Answer) (l leased, err error) {
	list, err := r.queue.Lease(ctx, domain, most)
	if err != nil {
		return l, err
	}
	l.leased = len(list)
	for _, t := range list {
		if r.isTrap(t.Address) {
			if err := r.emit(ctx, Done{Task: t, Result: r.result(t, trapEvidence(answer))}); err != nil {
				return l, err
			}
			continue
		}
		l.tasks = append(l.tasks, t)
	}
	return l, nil
}

// emit gives the recorder a result that needs no asking.
func (r *run) emit(ctx context.Context, d Done) error {
	select {
	case r.concluded <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// conclude gives one result to all addresses of a domain.
func (r *run) conclude(ctx context.Context, domain string, e evidence) error {
	for {
		list, err := r.queue.Lease(ctx, domain, concludeOne)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, t := range list {
			if err := r.emit(ctx, Done{Task: t, Result: r.unprobed(t, e)}); err != nil {
				return err
			}
		}
	}
	f := Facts{Name: domain, Provider: e.answer.Provider.Name, CheckedAt: time.Now()}
	if len(e.answer.Hosts) > 0 {
		f.MX = e.answer.Hosts[0].Name
	}
	select {
	case r.facts <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// feed gets from the queue what the dispatcher asks for.
func (r *run) feed(over <-chan struct{}, stopLooking func()) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var failed error
	for {
		select {
		case <-over:
			return failed
		case o := <-r.port.refills:
			var l leased
			if failed == nil {
				l, failed = r.lease(ctx, o.domain, o.most, mx.Answer{})
				if failed != nil {
					stopLooking()
					r.tell(stop{r.id})
				}
			}
			more := max(0, o.more-l.leased)
			if l.leased == 0 {
				more = 0
			}
			r.tell(tasks{run: r.id, domain: o.domain, tasks: l.tasks, more: more})
		}
	}
}

// record writes results as they come until the run is over. It takes all there is at a time, so batches form by
// themselves while the disk is waited for. If the queue fails, the run ends, since what is not kept must not be asked
// for.
func (r *run) record(ctx context.Context, stopLooking func()) (failed error) {
	concluded := r.concluded
	r.tell(collect{r.id})
	for last := false; !last || concluded != nil || len(r.facts) > 0; {
		var done []Done
		var facts []Facts
		var spent []Spent
		collected := false
		take := func(o resultsOrder) {
			collected, last = true, o.last
			for _, f := range o.done {
				d := Done{Task: f.task, Result: r.result(f.task, f.evidence), Provisional: f.provisional}
				if d.Provisional {
					d.Result.RetryAt = d.Result.CheckedAt // a run that is broken off goes on with it at once
				}
				done = append(done, d)
			}
			facts = append(facts, o.facts...)
			if observer, ok := r.options.Observer.(TroubleObserver); ok {
				for _, t := range o.troubles {
					observer.Troubled(t)
				}
			}
			spent = o.spent
		}
		select {
		case o := <-r.port.results:
			take(o)
		case d, more := <-concluded:
			if more {
				done = append(done, d)
			} else {
				concluded = nil
			}
		case f := <-r.facts:
			facts = append(facts, f)
		}
		for len(done) < batchMost { // what is there already
			select {
			case d, more := <-concluded:
				if more {
					done = append(done, d)
					continue
				}
				concluded = nil
			case f := <-r.facts:
				facts = append(facts, f)
				continue
			default:
			}
			break
		}
		if ledger, ok := r.queue.(Ledger); ok && failed == nil && len(spent) > 0 {
			if failed = ledger.Spend(ctx, spent); failed != nil {
				stopLooking()
				r.tell(gone{r.id})
			}
		}
		if failed == nil && len(done)+len(facts) > 0 {
			if o := r.options.Observer; o != nil {
				for _, d := range done {
					if !d.Provisional {
						o.Done(d.Result)
					}
				}
			}
			if failed = r.queue.Record(ctx, done, facts); failed != nil {
				stopLooking()
				r.tell(gone{r.id})
			}
		}
		if collected && !last {
			r.tell(collect{r.id})
		}
	}
	return failed
}

// byName finds out what the name of a domain tells, and whether its mail hosts are worth asking.
func (v *Verifier) byName(ctx context.Context, domain string) (e evidence, worth bool) {
	answer, err := v.config.Resolver.Lookup(ctx, domain)
	e.answer = answer
	switch {
	case err != nil:
		e.reason, e.detail = dnsEvidence(domain, err)
		e.unanswered, e.silent = temporary(err), silent(err)
		e.ours = e.reason == verdict.DNSFailure // for all that one domain tells
	case v.config.Reference != nil && v.config.Reference.Disposable(domain):
		e.reason, e.detail = verdict.Disposable, domain+" hands out throw-away addresses"
	case answer.Provider.Parked:
		e.reason = verdict.SpamTrapSuspect
		e.detail = fmt.Sprintf("%s is a parked domain: its mail host %s takes mail for any address at domains that are for "+
			"sale or look like typos",
			domain, answer.Hosts[0].Name)
	default:
		e.reason, e.detail = verdict.NotProbed, "the domain takes mail; no server was asked about the mailbox"
		worth = true
	}
	return e, worth
}

// unprobed is the result of an address whose mail host was not asked.
func (v *Verifier) unprobed(t Task, e evidence) Result {
	if e.reason == verdict.NotProbed && v.isTrap(t.Address) {
		e = trapEvidence(e.answer)
	}
	return v.result(t, e)
}

// isTrap reports whether an address looks like a spam trap.
func (v *Verifier) isTrap(a syntax.Address) bool {
	return v.config.Reference != nil && v.config.Reference.TrapSuspect(a.Local, a.Domain)
}

// check asks about one address whose domain is worth asking.
func (v *Verifier) check(ctx context.Context, a syntax.Address, answer mx.Answer) (Result, error) {
	p := newPort(nil)
	id := v.engine.join(func(id runID) event {
		return found{
			run:    id,
			check:  true,
			domain: a.Domain,
			answer: answer,
			fact:   catchall.Open,
			tasks:  []Task{{Address: a}},
		}
	}, p)
	select {
	case o := <-p.results:
		return v.settled(o)
	case <-ctx.Done():
	}
	select {
	case v.engine.events <- message{event: gone{id}}:
		return Result{}, ctx.Err()
	case o := <-p.results:
		return v.settled(o)
	}
}

func (v *Verifier) settled(o resultsOrder) (Result, error) {
	if len(o.done) == 0 {
		return Result{}, errors.New("verify: the check was stopped before it ended")
	}
	return v.result(o.done[0].task, o.done[0].evidence), nil
}

// Wait returns when no run, no check and no session is under way, or with the error of ctx. A program that ends after
// its last check calls it so that servers are told QUIT, which takes a second at most.
func (v *Verifier) Wait(ctx context.Context) error { return v.engine.wait(ctx) }
