package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// checksMost is how many addresses are checked at a time.
const checksMost = 50

func checkCommand(a *app) *cobra.Command {
	var asJSON bool
	var path string
	c := &cobra.Command{
		Use:   "check ADDRESS...",
		Short: "Verify addresses and show the evidence",
		Long: `Verify addresses and show the evidence.

Several addresses are asked about at the same time, and their results are shown in the order of the arguments.

Exit status: 0 deliverable, 3 risky, 4 invalid, 5 unknown; of several addresses, the worst.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.check(c, args, asJSON, path)
		},
	}
	c.Flags().StringVar(&path, "state", "", "state `FILE` whose knowledge is used and added to (default: nothing is remembered)")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func (a *app) check(c *cobra.Command, addresses []string, asJSON bool, path string) error {
	rules, err := a.flags.treatRules()
	if err != nil {
		return err
	}
	verifier, resolver, err := a.verifier()
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	worst := 0
	codes := map[verify.Verdict]int{verdict.Deliverable: 0, verdict.Risky: exitRisky, verdict.Invalid: exitInvalid, verdict.Unknown: exitUnknown}
	order := map[int]int{0: 0, exitRisky: 1, exitUnknown: 2, exitInvalid: 3}
	first := true
	show := func(result verify.Result) error {
		result = verify.Treat(result, rules)
		if code := codes[result.Verdict]; order[code] > order[worst] {
			worst = code
		}
		if asJSON {
			return json.NewEncoder(a.stdout).Encode(result)
		}
		if !first {
			fmt.Fprintln(a.stdout)
		}
		first = false
		writeResult(a.stdout, result)
		return nil
	}
	if path == "" {
		ctx, cancel := a.untilStop(c.Context())
		defer cancel()
		err = each(ctx, verifier, addresses, show)
	} else {
		err = a.remembered(c.Context(), verifier, addresses, path, show)
	}
	// Results are out; servers are told QUIT before the process ends, which takes a second at most.
	leaving, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 2*time.Second)
	defer cancel()
	_ = verifier.Wait(leaving) // a server that does not answer QUIT changes nothing
	if err != nil {
		return err
	}
	if worst != 0 {
		return &exitError{code: worst}
	}
	return nil
}

// each verifies addresses, several at a time, and remembers nothing. A result is shown as soon as all before it are. If ctx
// ends or a result cannot be shown, those that are known by then are shown, and the rest is given up.
func each(ctx context.Context, verifier *verify.Verifier, addresses []string, show func(verify.Result) error) error {
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

// remembered verifies the addresses that a state file does not know, all at once, and shows what is known then.
func (a *app) remembered(ctx context.Context, verifier *verify.Verifier, addresses []string, path string, show func(verify.Result) error) (err error) {
	file, err := state.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	run, err := file.Begin(ctx, "", state.Policy{})
	if err != nil {
		return err
	}
	err = run.Add(ctx, func(yield func(*syntax.Address, error) bool) {
		for _, address := range addresses {
			if !yield(toVerify(verifier, address), nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if err := verifier.Run(ctx, run, verify.RunOptions{Stop: a.stop}); err != nil {
		return err
	}
	n := 0
	for known, err := range run.Results(ctx) {
		if err != nil {
			return err
		}
		row, err := knownRow(verifier, addresses[n], known, file.Path())
		n++
		if err != nil && a.stopped() {
			continue // the run was stopped before it was asked about
		}
		if err == nil {
			err = show(row.Result)
		}
		if err != nil {
			return err
		}
	}
	if a.stopped() {
		return &exitError{code: exitInterrupted}
	}
	return run.Finish(ctx, state.Summary{})
}

// writeResult shows a result to a person.
func writeResult(w io.Writer, r verify.Result) {
	fmt.Fprintf(w, "%s: %s (%s), score %d\n", printable(r.Address), r.Verdict, r.Reason, r.Score)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-11s %s\n", name, printable(value))
		}
	}
	line("why", r.Detail)
	if r.Normalized != r.Address {
		line("normalized", r.Normalized)
	}
	line("did you mean", r.Suggestion)
	line("mail host", r.MX)
	line("provider", r.Provider)
	if r.Reply != nil {
		line("reply", fmt.Sprintf("%d %s %s (to %s)", r.Reply.Code, r.Reply.Enhanced, r.Reply.Text, r.Reply.Command))
	}
	flags := make([]string, len(r.Flags))
	for i, f := range r.Flags {
		flags[i] = string(f)
	}
	line("flags", strings.Join(flags, ", "))
	if !r.RetryAt.IsZero() {
		line("try again", r.RetryAt.Local().Format(time.RFC1123))
	}
}

// printable keeps text from servers and lists from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
