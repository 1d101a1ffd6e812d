package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"presend/internal/atomicfile"
	"presend/job"
	"presend/state"
	"presend/suppression"
	"presend/verify/reply"
)

func suppressCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "suppress",
		Short: "Manage the suppression list",
		Long: `Manage the suppression list: addresses that bounced hard or asked not to be written to, and whole
domains, written @example.com. verify list calls them invalid (suppressed). The list is part of a state file
(--state), or has a file of its own (--suppress), which is created when it does not exist and which verify list and
verify retry read with --suppress.

Each entry has an origin. An entry that a person asked for (an unsubscribe, a complaint, an entry by hand) never
expires, and the address is never asked about. A bounce stays too, but a bounce that says that the domain cannot be
reached is removed when the domain is back. A verdict of this program that was imported again is asked again at the
end of its shelf life, and removed when the address is accepted.`,
	}
	c.AddCommand(suppressAdd(a), suppressRemove(a), suppressList(a), suppressImport(a), suppressExport(a))
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
					if !yield(byHand(name, reason), nil) {
						return
					}
				}
			})
		},
	}
	listFlag(c, &path)
	c.Flags().StringVar(&reason, "reason", "manual", "why the entries are on the list")
	hashedFlag(c, &hashed)
	return c
}

// byHand is an entry that a person makes. Words that name a verdict are the person's own here.
func byHand(name, reason string) state.Suppressed {
	s := state.Suppressed{Name: name, Reason: reason, Source: "manual", Origin: state.Person}
	if state.OriginOf(reason) == state.Bounce {
		s.Origin = state.Bounce
	}
	return s
}

// listFlag gives a command on the suppression list the files that one may be in.
func listFlag(c *cobra.Command, path *string) {
	stateFlag(c, path)
	c.Flags().StringVar(path, "suppress", "", "a `FILE` that holds only the list, in place of --state")
	c.MarkFlagsMutuallyExclusive("state", "suppress")
}

func hashedFlag(c *cobra.Command, hashed *bool) {
	c.Flags().BoolVar(hashed, "hashed", false,
		"keep salted hashes only, from now on and of what is on the list; there is no way back")
}

func (a *app) suppress(c *cobra.Command, path string, hashed bool,
	entries iter.Seq2[state.Suppressed, error],
) (err error) {
	if path == "" {
		return usagef("--state or --suppress is required; see %s --help", c.CommandPath())
	}
	file, err := state.OpenShared(c.Context(), path)
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
			file, err := openState(c, path, state.OpenExisting)
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
	listFlag(c, &path)
	return c
}

func suppressList(a *app) *cobra.Command {
	return pastCommand(a, &cobra.Command{
		Use:   "list --state FILE",
		Short: "Print the list",
		Args:  arguments(cobra.NoArgs),
	}, func(c *cobra.Command, file *state.File, _ []string) (table, error) {
		t := table{names: []string{"name", "reason", "source", "at", "origin"}}
		for s, err := range file.SuppressionList(c.Context()) {
			if err != nil {
				return t, err
			}
			t.rows = append(t.rows, []any{s.Name, s.Reason, s.Source, s.At, s.Origin})
		}
		return t, nil
	})
}

func suppressImport(a *app) *cobra.Command {
	var path string
	var hashed bool
	var o suppression.Options
	c := &cobra.Command{
		Use:   "import FILE... --state FILE",
		Short: "Put what mail services suppress on the list",
		Long: `Put what mail services suppress on the list: suppressions, bounces and event logs of SendGrid, Mailgun,
Postmark, SparkPost, Amazon SES, Mailchimp, Mandrill, Brevo, HubSpot, Klaviyo and others, in any format that verify
list reads.

The columns say which addresses are suppressed: a reason, a status or a type, a yes or no, an expiry date. Soft
bounces, deliveries, expired entries and entries marked false are left out. A bounce whose reply is about the sender,
the message or a temporary trouble is left out too, because it says nothing about the address. The entries that are
left out are counted, and named with -v. In a list that holds only addresses every address counts. For any other list,
--says names the column that says which addresses are suppressed, or --all suppresses every address.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			classifier, err := reply.New()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := a.importSuppression(c, path, hashed, name, o, classifier); err != nil {
					return err
				}
			}
			return nil
		},
	}
	listFlag(c, &path)
	hashedFlag(c, &hashed)
	c.Flags().StringVar(&o.Column, "column", "",
		"the address column: its `NAME`, or its number from 1 (default found out)")
	c.Flags().StringVar(&o.Says, "says", "",
		"the column that says which addresses are suppressed: its `NAME`, or its number from 1 (default found out)")
	c.Flags().BoolVar(&o.All, "all", false, "every address of the files is suppressed")
	return c
}

func (a *app) importSuppression(c *cobra.Command, path string, hashed bool, name string, o suppression.Options,
	classifier *reply.Classifier,
) (err error) {
	o.Stdin = a.stdin
	list, err := suppression.Open(name, o, classifier)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	left := func(row suppression.Row) {
		if a.flags.verbose > 0 {
			fmt.Fprintf(a.stderr, "%s, line %d: %s left out: %s\n", name, row.Line, printable(row.Name), printable(row.Left))
		}
	}
	var tally suppression.Tally
	err = a.suppress(c, path, hashed, func(yield func(state.Suppressed, error) bool) {
		for e, err := range list.Entries(&tally, left) {
			if !yield(state.Suppressed{
				Name: e.Name, Reason: e.Reason, Source: string(list.Format()), At: e.At, Enhanced: e.Enhanced(classifier),
			}, err) {
				return
			}
		}
	})
	if err != nil || a.flags.quiet {
		return err
	}
	fmt.Fprintf(a.stderr, "%s (%s): %d taken\n", name, list.Format(), tally.Taken)
	for _, why := range slices.Sorted(maps.Keys(tally.Left)) {
		fmt.Fprintf(a.stderr, "  %d left out: %s\n", tally.Left[why], why)
	}
	return nil
}

func suppressExport(a *app) *cobra.Command {
	var path, format, output string
	var reasons []string
	c := &cobra.Command{
		Use:   "export --state FILE [--format FORMAT] [-o FILE]",
		Short: "Write the list as a mail service imports it",
		Args:  arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if !slices.Contains(suppression.Formats, suppression.Format(format)) {
				return usagef("--format %s: want one of %s", format, formatNames())
			}
			if output != "" && job.SameFile(output, path) {
				return usagef("the output %s would replace the state; give it another name", output)
			}
			file, err := openState(c, path, state.OpenExistingShared)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			entries := file.SuppressionList(c.Context())
			if output == "" || output == "-" {
				return a.exportSuppression(a.stdout, entries, suppression.Format(format), reasons)
			}
			out, err := atomicfile.Create(output)
			if err != nil {
				return err
			}
			if err := a.exportSuppression(out, entries, suppression.Format(format), reasons); err != nil {
				return errors.Join(err, out.Abort())
			}
			return out.Commit()
		},
	}
	listFlag(c, &path)
	c.Flags().StringVar(&format, "format", string(suppression.CSV), "one of "+formatNames())
	c.Flags().StringVarP(&output, "output", "o", "", "the file to write (default: standard output)")
	c.Flags().StringSliceVar(&reasons, "reason", nil, "only entries with one of these reasons, as unsubscribe")
	return c
}

func formatNames() string {
	var names []string
	for _, f := range suppression.Formats {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func (a *app) exportSuppression(w io.Writer, entries iter.Seq2[state.Suppressed, error], format suppression.Format,
	reasons []string,
) error {
	domains, err := suppression.Export(w, format, func(yield func(suppression.Entry, error) bool) {
		for s, err := range entries {
			if err == nil && s.Hashed() && s.Reason == state.Forgot {
				continue // nobody knows any more which address it is
			}
			if err == nil && s.Hashed() {
				err = errors.New("the list keeps hashes only: the addresses cannot be written")
			}
			if !yield(suppression.Entry{Name: s.Name, Reason: s.Reason, At: s.At}, err) {
				return
			}
		}
	}, reasons...)
	if err == nil && domains > 0 {
		fmt.Fprintf(a.stderr, "%d whole domains left out: %s has addresses only\n", domains, format)
	}
	return err
}
