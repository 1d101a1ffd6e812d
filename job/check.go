package job

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"presend/state"
	"presend/verify"
)

// CheckOptions say how addresses of no list are checked.
type CheckOptions struct {
	State string // path of a state file whose knowledge is used and added to; empty: nothing is remembered
	Treat map[verify.Flag]verify.Verdict
}

// Check verifies some addresses of no list and hands each result to show, in the order of the addresses. Closing stop
// ends it soon: results that are known by then are shown, and the error is [ErrStopped].
func Check(
	ctx context.Context, verifier *verify.Verifier, addresses []string, o CheckOptions, show func(verify.Result) error,
	stop <-chan struct{},
) error {
	treated := func(r verify.Result) error { return show(verify.Treat(r, o.Treat)) }
	if o.State != "" {
		return checkWithState(ctx, verifier, addresses, o.State, treated, stop)
	}
	checks, cancel := untilStop(ctx, stop)
	defer cancel()
	err := checkEach(checks, verifier, addresses, treated)
	if err != nil && isClosed(stop) {
		return ErrStopped
	}
	return err
}

// checksMost is how many addresses are checked at a time.
const checksMost = 50

// checkEach verifies addresses, several at a time, and remembers nothing. A result is shown as soon as all before it
// are. If ctx ends or a result cannot be shown, those that are known by then are shown, and the rest is given up.
func checkEach(
	ctx context.Context, verifier *verify.Verifier, addresses []string, show func(verify.Result) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checksMost)
	var mu sync.Mutex // guards what follows
	known, next := map[int]verify.Result{}, 0
	for i, address := range addresses {
		group.Go(func() error {
			result, err := verifier.Check(ctx, address)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			known[i] = result
			for ; ; next++ {
				result, there := known[next]
				if !there {
					return nil
				}
				delete(known, next)
				if err := show(result); err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	for _, i := range slices.Sorted(maps.Keys(known)) { // behind one that has no result
		err = errors.Join(err, show(known[i]))
	}
	return err
}

// checkWithState verifies the addresses that a state file does not know, all at once, and shows what is known then.
func checkWithState(
	ctx context.Context, verifier *verify.Verifier, addresses []string, path string, show func(verify.Result) error,
	stop <-chan struct{},
) (err error) {
	file, err := state.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	run, err := file.Begin(ctx, "", state.Policy{})
	if err != nil {
		return err
	}
	defer run.Close()
	if err := run.Add(ctx, toAskOf(verifier, addresses)); err != nil {
		return err
	}
	if err := verifier.Run(ctx, run, verify.RunOptions{Stop: stop}); err != nil {
		return err
	}
	stopped := isClosed(stop)
	n := 0
	for known, err := range run.Results(ctx) {
		if err != nil {
			return err
		}
		row, err := knownRow(verifier, addresses[n], known, path)
		n++
		if err != nil && stopped {
			continue // the run was stopped before it was asked about
		}
		if err == nil {
			err = show(row.Result)
		}
		if err != nil {
			return err
		}
	}
	if stopped {
		return ErrStopped
	}
	return run.Finish(ctx, state.Summary{})
}

// toAskOf yields what each address has to be asked about; nil where its result is certain already.
func toAskOf(verifier *verify.Verifier, addresses []string) iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for i, address := range addresses {
			if !yield(state.Entry{Row: int64(i + 1), Address: toAsk(verifier, address)}, nil) {
				return
			}
		}
	}
}
