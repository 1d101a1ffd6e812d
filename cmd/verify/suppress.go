package main

import (
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"presend/state"
)

func suppressCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "suppress",
		Short: "Keep the list of whom never to write to",
		Long:  "Keep the list of whom never to write to: addresses that bounced hard or asked to be left alone, and whole domains, written @example.com. They are never probed, and verify list calls them invalid (suppressed).",
	}
	c.AddCommand(suppressAdd(a), suppressRemove(a), suppressList(a))
	return c
}

func suppressAdd(a *app) *cobra.Command {
	var path, reason string
	var hashed bool
	c := &cobra.Command{
		Use:   "add ADDRESS|@DOMAIN... --state FILE",
		Short: "Put addresses or domains on the list",
		Args:  arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.suppress(c, path, hashed, func(yield func(state.Suppressed, error) bool) {
				for _, name := range args {
					if !yield(state.Suppressed{Name: name, Reason: reason, Source: "manual"}, nil) {
						return
					}
				}
			})
		},
	}
	stateFlag(c, &path)
	c.Flags().StringVar(&reason, "reason", "manual", "why")
	hashedFlag(c, &hashed)
	return c
}

func hashedFlag(c *cobra.Command, hashed *bool) {
	c.Flags().BoolVar(hashed, "hashed", false, "keep salted hashes only, from now on and of what is on the list; there is no way back")
}

func (a *app) suppress(c *cobra.Command, path string, hashed bool, entries iter.Seq2[state.Suppressed, error]) (err error) {
	if path == "" {
		return usagef("--state is missing; see %s --help", c.CommandPath())
	}
	file, err := state.Open(c.Context(), path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if hashed {
		if err := file.HashSuppression(c.Context()); err != nil {
			return err
		}
	}
	added, err := file.Suppress(c.Context(), entries)
	if err != nil {
		return err
	}
	if !a.flags.quiet {
		fmt.Fprintf(a.stderr, "%d put on the suppression list\n", added)
	}
	return nil
}

func suppressRemove(a *app) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "remove ADDRESS|@DOMAIN... --state FILE",
		Short: "Take addresses or domains off the list",
		Args:  arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) (err error) {
			file, err := openState(c, path)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			for _, name := range args {
				err = errors.Join(err, file.Unsuppress(c.Context(), name))
			}
			return err
		},
	}
	stateFlag(c, &path)
	return c
}

func suppressList(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "list --state FILE",
		Short: "Print the list",
		Args:  arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		t := table{names: []string{"name", "reason", "source", "at"}}
		for s, err := range file.SuppressionList(c.Context()) {
			if err != nil {
				return t, err
			}
			t.rows = append(t.rows, []any{s.Name, s.Reason, s.Source, s.At})
		}
		return t, nil
	})
}
