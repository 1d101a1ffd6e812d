package job

import (
	"context"
	"time"

	"presend/state"
	"presend/verify"
)

// Passes runs the engine over a run's work, and again for what can be asked again while the caller is willing to wait.
// It returns how many temporary answers were asked about again, and [ErrStopped] when stop is closed.
func Passes(
	ctx context.Context, verifier *verify.Verifier, run *state.Run, wait time.Duration, observer Observer,
	stop <-chan struct{},
) (retried int, err error) {
	deadline := time.Now().Add(wait)
	for {
		plan, err := run.Plan(ctx)
		if err != nil {
			return retried, err
		}
		retried += plan.Due
		if plan.Pending() > 0 {
			observer.Pass(plan.Pending())
			err := verifier.Run(ctx, run, verify.RunOptions{Observer: observer, Stop: stop})
			observer.PassEnded()
			if err != nil {
				return retried, err
			}
		}
		if isClosed(stop) {
			return retried, ErrStopped
		}
		due, err := run.NextRetry(ctx)
		if err != nil || wait == 0 || due.IsZero() || due.After(deadline) {
			return retried, err
		}
		observer.WaitingUntil(due)
		select {
		case <-time.After(time.Until(due) + time.Second): // the state counts whole seconds
		case <-stop:
			return retried, ErrStopped
		case <-ctx.Done():
			return retried, ctx.Err()
		}
		if err := run.Again(ctx); err != nil {
			return retried, err
		}
	}
}
