// Command verify tells which addresses of a list can be written to, before anything is sent.
//
// It holds flags, files and messages only; the work is done by the packages of this module.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"presend/state"
	"presend/verify"
)

// Exit codes. They are a contract with scripts.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitRisky       = 3
	exitInvalid     = 4
	exitUnknown     = 5
	exitGate        = 6
	exitInterrupted = 130
)

// exitError carries an exit code; its message, if any, is printed.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the whole command; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		close(stop)
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return (&app{stdin: stdin, stdout: stdout, stderr: stderr, stop: stop}).run(ctx, args)
}

// run runs the command with these arguments and returns the exit code. The end of ctx is the second interrupt.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.args = args
	root := rootCommand(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.message != "" {
			a.complain(exit.message)
		}
		return exit.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	a.complain(err.Error())
	if advice := state.Advice(err); advice != "" {
		a.complain(advice)
	}
	return exitFailed
}

// announceStop says that the command is stopping, if it is interrupted before ctx ends.
func (a *app) announceStop(ctx context.Context) {
	select {
	case <-a.stop:
	case <-ctx.Done():
		return
	}
	if _, drawn := a.drawsOn(); drawn {
		fmt.Fprintln(a.stderr) // behind the bar
	}
	a.say("stopping in 5 s at most: answers in flight are kept; interrupt again to stop now")
}

// app is what all subcommands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	stop           <-chan struct{} // closed by the first interrupt
	flags          sharedFlags
	args           []string   // of the command, as they were given
	heard          *dialogues // nil: nobody asks for the SMTP dialogue as data

	// What tests and the demo put in place of the network; nil: the network.
	dial     func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)
	resolver verify.Resolver
}

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "verify",
		Short:         "Find out which addresses of a list can receive mail, before anything is sent",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%v; see %s --help", err, c.CommandPath())
	})
	a.flags.registerCommon(root.PersistentFlags())
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		err := a.flags.load(c)
		go a.announceStop(c.Context())
		return err
	}
	root.AddCommand(
		listCommand(a), checkCommand(a), explainCommand(a), demoCommand(a), retryCommand(a), suppressCommand(a),
		historyCommand(a), runsCommand(a), trendCommand(a), forgetCommand(a), backupCommand(a), paceCommand(a),
		doctorCommand(a), versionCommand(a),
		manCommand(a),
	)
	addExamples(root)
	return root
}

// arguments is cobra's check of the arguments with our exit code.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usagef("%v; see %s --help", err, c.CommandPath())
		}
		return nil
	}
}
