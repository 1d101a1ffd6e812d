package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/reply"
)

const (
	ahead     = 20000 // domains looked up and not yet done: enough that probing never waits, and a bound on memory
	batchSize = 500   // tasks leased at once, and half of the results that wait to be recorded
	batchTime = 100 * time.Millisecond
	batchMost = 10000 // results recorded at once: what comes within batchTime, since each batch waits for the disk
)

// Observer is told what a run does; its methods must return at once and be safe for concurrent use.
type Observer interface {
	// Done reports a result that is about to be recorded.
	Done(Result)
	// Waiting reports what the run waits for, in words, whenever that changes; empty for nothing in particular.
	Waiting(string)
}

// run is one pass over a queue.
type run struct {
	*Verifier
	queue   Queue
	observe Observer
	sched   *scheduler
	results chan recorded
}

type recorded struct {
	done  Done
	facts *Facts
}

// Run verifies what the queue hands out and returns when all of it has a result, when Config.Stop is closed (nil
// error), or when ctx ends or the queue fails. Results known by then are recorded in every case. observe may be nil.
func (v *Verifier) Run(ctx context.Context, queue Queue, observe Observer) error {
	r := &run{Verifier: v, queue: queue, observe: observe, results: make(chan recorded, 2*batchSize)}
	recording, writers := errgroup.Group{}, context.WithoutCancel(ctx)
	work, gctx := errgroup.WithContext(ctx)
	r.sched = newScheduler(v.config, work)
	failed := make(chan struct{})
	recording.Go(func() error {
		err := r.record(writers)
		if err != nil {
			close(failed)
		}
		return err
	})
	work.Go(func() error {
		select { // a queue that does not keep results must not be probed for
		case <-failed:
			return errors.New("results could not be recorded")
		case <-r.sched.finished:
			return nil
		case <-gctx.Done():
			return gctx.Err()
		}
	})
	work.Go(func() error {
		defer r.sched.resolved()
		return r.resolve(gctx)
	})
	work.Go(func() error { return r.sched.dispatch(gctx, r.session) })
	if observe != nil {
		work.Go(func() error { return r.tell(gctx) })
	}
	err := work.Wait()
	close(r.results)
	if failure := recording.Wait(); failure != nil {
		return fmt.Errorf("verify: recording results: %w", failure)
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// tell lets the observer know what is being waited for.
func (r *run) tell(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.observe.Waiting(r.sched.waitingFor())
		case <-r.sched.finished:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *run) stopping() bool {
	select {
	case <-r.config.Stop:
		return true
	default:
		return false
	}
}

// resolve looks up domain after domain, several at a time, and hands them to the scheduler.
func (r *run) resolve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.config.Lookups)
	for !r.stopping() {
		domains, err := r.queue.Domains(ctx, r.config.Lookups)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		if len(domains) == 0 {
			break
		}
		for _, domain := range domains {
			if err := r.sched.room(ctx); err != nil {
				return errors.Join(err, group.Wait())
			}
			group.Go(func() error { return r.lookup(ctx, domain) })
		}
	}
	return group.Wait()
}

// lookup finds a domain's mail hosts; where there is nothing to probe, its addresses have their result here.
func (r *run) lookup(ctx context.Context, domain Domain) error {
	if r.stopping() {
		return nil
	}
	e, worth := r.byName(ctx, domain.Name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if worth && r.config.Prober != nil {
		r.sched.add(newDomainWork(domain, e.answer, r.config))
		return nil
	}
	if err := r.conclude(ctx, domain.Name, e); err != nil {
		return err
	}
	return r.emit(ctx, recorded{facts: r.facts(domain.Name, e.answer, catchall.Open)})
}

// byName finds out what the name of a domain tells, and whether its mail hosts are worth asking.
func (v *Verifier) byName(ctx context.Context, domain string) (e evidence, worth bool) {
	answer, err := v.config.Resolver.Lookup(ctx, domain)
	e.answer = answer
	switch {
	case err != nil:
		e.reason, e.detail = dnsEvidence(domain, err)
	case !v.probes(domain):
		e.reason, e.detail = reply.Disposable, domain+" hands out throw-away addresses"
	default:
		e.reason, e.detail = reply.NotProbed, "the domain takes mail; no server was asked about the mailbox"
		worth = true
	}
	return e, worth
}

// unprobed is the result of an address whose mail host was not asked.
func (v *Verifier) unprobed(t Task, e evidence) Result {
	if e.reason == reply.NotProbed && v.isTrap(t) {
		e = trapEvidence(e.answer)
	}
	return v.result(t, e)
}

// probes says whether a domain's servers are worth asking: a throw-away domain's are not, whatever they say.
func (v *Verifier) probes(domain string) bool {
	return v.config.Reference == nil || !v.config.Reference.Disposable(domain)
}

func dnsEvidence(domain string, err error) (Reason, string) {
	var temporary *mx.TemporaryError
	switch {
	case errors.Is(err, mx.ErrNoSuchDomain):
		return reply.NoSuchDomain, domain + " does not exist"
	case errors.Is(err, mx.ErrNullMX):
		return reply.NullMX, domain + " says that it takes no mail (null MX)"
	case errors.Is(err, mx.ErrNoMailHost):
		return reply.NoMailHost, domain + " has no mail host"
	case errors.Is(err, mx.ErrNotPublic):
		return reply.NoMailHost, domain + " has mail hosts on non-public addresses only"
	case errors.As(err, &temporary):
		return reply.DNSFailure, fmt.Sprintf("DNS gave no answer about %s: %v", domain, temporary)
	}
	return reply.DNSFailure, fmt.Sprintf("DNS gave no answer about %s: %v", domain, err)
}

// conclude gives one result to all addresses of a domain that still wait.
func (r *run) conclude(ctx context.Context, domain string, e evidence) error {
	for {
		tasks, err := r.queue.Lease(ctx, domain, batchSize)
		if err != nil || len(tasks) == 0 {
			return err
		}
		for _, t := range tasks {
			if err := r.deliver(ctx, t, r.unprobed(t, e)); err != nil {
				return err
			}
		}
	}
}

// isTrap says whether an address looks like a spam trap, which is never asked about: the asking is what it waits for.
func (v *Verifier) isTrap(t Task) bool {
	return v.config.Reference != nil && v.config.Reference.TrapSuspect(t.Address.Local, t.Address.Domain)
}

func trapEvidence(answer mx.Answer) evidence {
	return evidence{answer: answer, reason: reply.SpamTrapSuspect, detail: "it looks like a spam trap: an address that no person gave to anybody"}
}

// finish records a task's result.
func (r *run) finish(ctx context.Context, t Task, e evidence) error {
	return r.deliver(ctx, t, r.result(t, e))
}

func (r *run) deliver(ctx context.Context, t Task, result Result) error {
	if r.observe != nil {
		r.observe.Done(result)
	}
	return r.emit(ctx, recorded{done: Done{Task: t, Result: result}})
}

func (r *run) facts(domain string, answer mx.Answer, c catchall.Answer) *Facts {
	f := &Facts{Name: domain, Provider: answer.Provider.Name, CatchAll: c, CheckedAt: r.config.Now()}
	if len(answer.Hosts) > 0 {
		f.MX = answer.Hosts[0].Name
	}
	return f
}

func (r *run) emit(ctx context.Context, x recorded) error {
	select {
	case r.results <- x:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// record writes results in batches until there are no more.
func (r *run) record(ctx context.Context) error {
	ticker := time.NewTicker(batchTime)
	defer ticker.Stop()
	var done []Done
	var facts []Facts
	flush := func() error {
		if len(done)+len(facts) == 0 {
			return nil
		}
		err := r.queue.Record(ctx, done, facts)
		done, facts = nil, nil
		return err
	}
	for {
		select {
		case x, more := <-r.results:
			if !more {
				return flush()
			}
			if x.facts != nil {
				facts = append(facts, *x.facts)
			} else {
				done = append(done, x.done)
			}
			if len(done)+len(facts) < batchMost {
				continue
			}
		case <-ticker.C:
		}
		if err := flush(); err != nil {
			return err
		}
	}
}
