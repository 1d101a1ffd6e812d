package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"presend/job"
	"presend/verify"
)

// checkFlags are those of verify check.
type checkFlags struct {
	json     bool
	state    string
	patience time.Duration
}

func checkCommand(a *app) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check ADDRESS...|-",
		Short: "Verify addresses and show the evidence",
		Long: `Verify addresses and show the evidence.

Several addresses are asked about at the same time, and their results are shown in the order of the arguments. With -
they are read from standard input, one a line.

Exit status: 0 deliverable, 3 risky, 4 invalid, 5 unknown; of several addresses, the worst.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.hintSender(); err != nil {
				return err
			}
			return a.check(c, args, f)
		},
	}
	c.Flags().StringVar(&f.state, "state", "",
		"state `FILE` to read known results from and to add results to (default: nothing is remembered)")
	a.flags.registerEngine(c.Flags())
	registerPatience(c.Flags(), &f.patience)
	a.flags.registerVerdict(c.Flags())
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
	return c
}

func (a *app) check(c *cobra.Command, addresses []string, f checkFlags) error {
	rules, err := a.flags.treatRules()
	if err != nil {
		return err
	}
	if addresses, err = withStdin(addresses, a.stdin); err != nil {
		return err
	}
	if f.json && a.flags.verbose > 1 {
		a.heard = &dialogues{}
	}
	verifier, resolver, err := a.verifier()
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	worst := 0
	codes := map[verify.Verdict]int{
		verify.Deliverable: 0, verify.Risky: exitRisky, verify.Invalid: exitInvalid,
		verify.Unknown: exitUnknown,
	}
	order := map[int]int{0: 0, exitRisky: 1, exitUnknown: 2, exitInvalid: 3}
	first := true
	show := func(result verify.Result) error {
		if code := codes[result.Verdict]; order[code] > order[worst] {
			worst = code
		}
		if f.json {
			return json.NewEncoder(a.stdout).Encode(checked{result, a.dialogue(result)})
		}
		if !first {
			fmt.Fprintln(a.stdout)
		}
		first = false
		writeResult(a.stdout, result, coloursOn(a.stdout))
		return nil
	}
	o := job.CheckOptions{State: f.state, Treat: rules, Preflight: a.preflight(resolver), Patience: f.patience}
	err = job.Check(c.Context(), verifier, addresses, o, show, a.stop)
	if errors.Is(err, job.ErrStopped) {
		err = &exitError{code: exitInterrupted}
	}
	// Results are out; servers are told QUIT before the process ends, which takes a second at most.
	leaving, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 2*time.Second)
	defer cancel()
	_ = verifier.Wait(leaving) // a server that does not answer QUIT changes nothing
	var trouble *job.TroubleError
	if errors.As(err, &trouble) {
		return &exitError{exitFailed, trouble.Error()}
	}
	if err != nil {
		return err
	}
	if worst != 0 {
		return &exitError{code: worst}
	}
	return nil
}

// maxChecks is how many addresses may come from standard input. For more of them verify list - is made.
const maxChecks = 10000

// withStdin puts the lines of standard input, blank ones aside, in the place of an address that is -.
func withStdin(addresses []string, stdin io.Reader) ([]string, error) {
	at := slices.Index(addresses, "-")
	if at < 0 {
		return addresses, nil
	}
	var read []string
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" {
			continue
		}
		if read = append(read, line); len(read) > maxChecks {
			return nil, usagef("standard input holds more than %d addresses; give it to verify list -", maxChecks)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if len(read) == 0 {
		return nil, usagef("standard input holds no address")
	}
	return slices.Replace(slices.Clone(addresses), at, at+1, read...), nil
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
