package job

import (
	"context"
	"errors"
	"time"

	"presend/state"
	"presend/verify"
)

// RetryOptions say how temporary answers are asked again.
type RetryOptions struct {
	Wait      time.Duration // how long to wait for those that can be asked again later
	Preflight Preflight     // tests DNS before and after the run; nil: it is not tested
	Patience  time.Duration // how long to wait for a network that goes down
}

// Retry asks again about the work of a run of file. It returns how many temporary answers were asked about again,
// [ErrStopped] when stop is closed, and a [*TroubleError] where the fault is on our side.
func Retry(
	ctx context.Context, verifier *verify.Verifier, file *state.File, run *state.Run, o RetryOptions, observer Observer,
	stop <-chan struct{},
) (retried int, err error) {
	w := &watcher{observer: observer}
	p := passes{verifier, w, observer, o.Wait, o.Patience, o.Preflight, stop, false}
	retried, _, err = p.tested(ctx, file, run)
	if err != nil {
		return retried, err
	}
	return retried, w.err()
}

// leastPause is how long a job waits at least, so that what can be asked again soon after is asked together.
const leastPause = time.Minute

// passes runs the engine over a run's work, and again for what can be asked again while the caller is willing to wait.
type passes struct {
	verifier *verify.Verifier
	watcher  *watcher
	observer Observer
	wait     time.Duration
	patience time.Duration
	test     Preflight
	stop     <-chan struct{}
	quick    bool
}

// tested runs between two tests of DNS. If the first one fails, nothing is asked, and lies says why; if the second one
// fails, what the run concluded from DNS is taken back. It returns what run does.
func (p passes) tested(
	ctx context.Context, file *state.File, run *state.Run,
) (retried int, lies *verify.Trouble, err error) {
	begun := time.Now()
	if lies, err = p.watcher.preflight(ctx, p.test); err != nil || lies != nil {
		return 0, lies, err
	}
	retried, err = p.run(ctx, run)
	test := p.test
	if isClosed(p.stop) { // somebody waits for the end
		test = test.within(time.Second)
	}
	failed := p.watcher.withdraw(ctx, test, file, begun)
	if failed != nil && (err == nil || errors.Is(err, ErrStopped)) {
		err = failed
	}
	return retried, nil, err
}

// run returns how many temporary answers were asked about again, and [ErrStopped] when stop is closed. It waits for
// nothing more once something is wrong on our side.
func (p passes) run(ctx context.Context, run *state.Run) (retried int, err error) {
	deadline := time.Now().Add(p.wait)
	for {
		plan, err := run.Plan(ctx)
		if err != nil {
			return retried, err
		}
		retried += plan.Due
		if plan.Pending() > 0 {
			p.observer.Pass(plan.Pending())
			err := p.verifier.Run(ctx, run, verify.RunOptions{
				Observer: p.watcher, Stop: p.stop, Patience: p.patience, Quick: p.quick,
			})
			p.observer.PassEnded()
			if err != nil {
				return retried, err
			}
		}
		if isClosed(p.stop) {
			return retried, ErrStopped
		}
		if p.watcher.troubled() {
			return retried, nil
		}
		if run.Doubted() { // what was accepted while another fact of its domain held
			if err := run.Again(ctx); err != nil {
				return retried, err
			}
			continue
		}
		due, err := run.NextRetry(ctx)
		if err != nil || p.wait == 0 || due.IsZero() || due.After(deadline) {
			return retried, err
		}
		pause := max(time.Until(due)+time.Second, leastPause) // the state counts whole seconds
		p.observer.WaitingUntil(time.Now().Add(pause))
		select {
		case <-time.After(pause):
		case <-p.stop:
			return retried, ErrStopped
		case <-ctx.Done():
			return retried, ctx.Err()
		}
		if err := run.Again(ctx); err != nil {
			return retried, err
		}
	}
}
