package job

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/state"
	"presend/verify"
)

// CheckOptions say how addresses of no list are checked.
type CheckOptions struct {
	State string // path of a state file whose knowledge is used and added to; empty: nothing is remembered
	Treat map[verify.Flag]verify.Verdict

	Preflight Preflight     // tests DNS; nil: it is not tested
	Patience  time.Duration // how long to wait for a network that goes down
}

// Check verifies some addresses of no list and hands each result to show, in the order of the addresses and never two
// at a time, perhaps from other goroutines. Closing stop ends it soon: results that are known by then
// are shown, and the error is [ErrStopped]. Where the fault is on our side, the results are shown and the error is a
// [*TroubleError].
func Check(
	ctx context.Context, verifier *verify.Verifier, addresses []string, o CheckOptions, show func(verify.Result) error,
	stop <-chan struct{},
) error {
	w := &watcher{}
	lies, err := w.preflight(ctx, o.Preflight)
	if err != nil {
		return err
	}
	treated := func(r verify.Result) error { return show(verify.Treat(r, o.Treat)) }
	switch {
	case lies != nil:
		for _, address := range addresses {
			if err := treated(unasked(verifier, address, lies).Result); err != nil {
				return err
			}
		}
	case o.State != "":
		err = checkWithState(ctx, verifier, addresses, o, w, treated, stop)
	default:
		checks, cancel := untilStop(ctx, stop)
		defer cancel()
		err = checkEach(checks, verifier, addresses, func(r verify.Result) error {
			r, err := w.believed(ctx, verifier, r, o.Preflight)
			if err != nil {
				return err
			}
			return treated(r)
		})
		if err != nil && isClosed(stop) {
			return ErrStopped
		}
	}
	if err != nil {
		return err
	}
	return w.err()
}

// believed returns a result as it may be shown: one that was concluded from DNS alone is, when DNS is tested once more.
func (w *watcher) believed(
	ctx context.Context, verifier *verify.Verifier, r verify.Result, test Preflight,
) (verify.Result, error) {
	w.note(r)
	if !fromDNSAlone(r.Reason) {
		return r, nil
	}
	lies, err := w.preflight(ctx, test)
	if err != nil || lies == nil {
		return r, err
	}
	return unasked(verifier, r.Address, lies).Result, nil
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
			result, err := checkOne(ctx, verifier, address)
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

// checkOne verifies an address, and what it may mean if its server refuses it as it is written.
func checkOne(ctx context.Context, verifier *verify.Verifier, address string) (verify.Result, error) {
	result, err := verifier.Check(ctx, address)
	if err != nil {
		return result, err
	}
	parsed, _, final := verifier.Examine(address)
	if final || parsed.Fallback == "" {
		return result, nil
	}
	if !isRefused(result.Reason) {
		return withSuggestion(rowResult{Result: result}, parsed.Fallback).Result, nil
	}
	meant, err := verifier.Check(ctx, parsed.Fallback)
	if err == nil {
		result, _ = meantInstead(result, meant)
	}
	return result, err
}

// checkWithState verifies the addresses that a state file does not know, all at once, and shows what is known then.
func checkWithState(
	ctx context.Context, verifier *verify.Verifier, addresses []string, o CheckOptions, w *watcher,
	show func(verify.Result) error, stop <-chan struct{},
) (err error) {
	begun := time.Now()
	file, err := state.Open(ctx, o.State)
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
	if err := verifier.Run(ctx, run, verify.RunOptions{Observer: w, Stop: stop, Patience: o.Patience}); err != nil {
		return err
	}
	if err := w.withdraw(ctx, o.Preflight, file, begun); err != nil {
		return err
	}
	stopped := isClosed(stop)
	next, end := iter.Pull2(run.Results(ctx))
	defer end()
	rows := &rowResults{next: next, path: o.State}
	for i, address := range addresses {
		if err := rows.read(int64(i + 1)); err != nil {
			return err
		}
		known, _ := rows.column(0)
		row, err := knownRow(verifier, address, known, o.State)
		if meant, ok := rows.column(state.FallbackColumn); ok && err == nil {
			row = withMeant(row, meant)
		}
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
			if !yieldEntries(int64(i+1), 0, toAsk(verifier, address), yield) {
				return
			}
		}
	}
}
