package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"presend/job"
	"presend/report"
	"presend/state"
)

func retryCommand(a *app) *cobra.Command {
	var path, list string
	var wait time.Duration
	patience := listPatience
	c := &cobra.Command{
		Use:   "retry --state FILE",
		Short: "Ask again about temporary answers that are ready to retry",
		Long: "Ask again about temporary answers that are ready to retry, of the addresses in the newest run of every " +
			"list in " +
			"the state file. The next verify list on the same state file writes the new results.",
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			file, err := openState(c, path, state.OpenExisting)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			verifier, resolver, err := a.verifier()
			if err != nil {
				return err
			}
			defer resolver.Close() // it only frees sockets
			also, err := openSuppression(c.Context(), list)
			if err != nil {
				return err
			}
			if also != nil {
				defer func() { err = errors.Join(err, also.Close()) }()
			}
			run, err := file.BeginRetries(c.Context(), state.Policy{Suppression: also})
			if err != nil {
				return err
			}
			defer run.Close()
			o := job.RetryOptions{Wait: wait, Preflight: a.preflight(resolver), Patience: patience}
			retried, err := job.Retry(c.Context(), verifier, file, run, o, newProgress(a), a.stop)
			var trouble *job.TroubleError
			if errors.Is(err, job.ErrStopped) {
				return &exitError{exitInterrupted, "stopped; run the same command again to go on"}
			}
			if err != nil && !errors.As(err, &trouble) {
				return err
			}
			if !a.flags.quiet {
				fmt.Fprintf(a.stderr, "%s asked again\n", report.Count(retried, "address", "addresses"))
			}
			if err := run.Finish(c.Context(), state.Summary{Retried: retried}); err != nil || trouble == nil {
				return err
			}
			return &exitError{exitFailed, trouble.Error()}
		},
	}
	stateFlag(c, &path)
	c.Flags().StringVar(&list, "suppress", "", "a `FILE` with a suppression list to respect too; see verify suppress")
	a.flags.registerEngine(c.Flags())
	registerPatience(c.Flags(), &patience)
	c.Flags().DurationVar(&wait, "wait", 0, "wait this long for temporary answers to become ready to retry")
	return c
}

// stateFlag is --state of the commands that work on a state file alone.
func stateFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "state", "", "state `FILE`")
}

// openState opens the file of --state, which must be there: with state.OpenExisting for a command next to which nothing
// else may use it, with OpenExistingWithin for one that may wait for that, with OpenExistingShared next to a run.
func openState(
	c *cobra.Command, path string, open func(context.Context, string) (*state.File, error),
) (*state.File, error) {
	if path == "" {
		return nil, usagef("--state is missing: the file that verify list --state wrote; see %s --help", c.CommandPath())
	}
	return open(c.Context(), path)
}

// openSuppression opens the file of --suppress; nil where there is none.
func openSuppression(ctx context.Context, path string) (*state.File, error) {
	if path == "" {
		return nil, nil
	}
	return state.OpenShared(ctx, path)
}
