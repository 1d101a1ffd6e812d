package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"presend/doctor"
	"presend/report"
	"presend/verify/mx"
)

func doctorCommand(a *app) *cobra.Command {
	var asJSON bool
	var timeout time.Duration // shorter than that of a run
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine can probe, and whether the sender is fit to send",
		Long: `Check whether this machine can probe, and whether the sender is fit to send: the resolver, port 25, our address
and its name, the sender's domain, blocklists, the proxy, the clock, the limit of open files.

It sends some questions to the resolver, 256 of them at once at the end, and connects to a mail host of each of five
large providers, with no command but QUIT.

Exit status: 1 if there is a failure, else 0; a warning does not change it.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			a.flags.timeout = timeout
			return a.doctor(c.Context(), asJSON)
		},
	}
	// Of the flags of the engine, those that say how the outside is reached and who we are.
	engine := pflag.NewFlagSet("", pflag.ContinueOnError)
	a.flags.registerEngine(engine)
	for _, name := range []string{
		"dns", "smtp-port", "allow-private", "helo", "from", "source-ip", "proxy", "sessions", "ipv4", "ipv6",
	} {
		c.Flags().AddFlag(engine.Lookup(name))
	}
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "time limit for a connection and for each reply")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func (a *app) doctor(ctx context.Context, asJSON bool) error {
	config, err := a.doctorConfig()
	if err != nil {
		return err
	}
	resolver, err := mx.New(mx.Config{Servers: a.flags.dns, AllowPrivate: a.flags.allowPrivate})
	if err != nil {
		return usagef("%v", err)
	}
	defer resolver.Close() // it only frees sockets
	config.DNS, config.Hosts, config.Servers = resolver, resolver, resolver.Servers()
	if a.resolver != nil {
		config.Hosts = a.resolver
	}
	ctx, cancel := a.untilStopped(ctx)
	defer cancel()
	counts := map[doctor.Level]int{}
	worst, err := doctor.Run(ctx, config, func(f doctor.Finding) error {
		counts[f.Level]++
		if asJSON {
			return json.NewEncoder(a.stdout).Encode(f)
		}
		_, err := fmt.Fprint(a.stdout, findingText(f))
		return err
	})
	if err != nil {
		return err
	}
	if !a.flags.quiet {
		warnings := report.Count(counts[doctor.Warning], "warning", "warnings")
		failures := report.Count(counts[doctor.Failure], "failure", "failures")
		fmt.Fprintf(a.stderr, "%d ok, %s, %s\n", counts[doctor.OK], warnings, failures)
	}
	if worst == doctor.Failure {
		return &exitError{code: exitFailed}
	}
	return nil
}

// doctorConfig reads the flags.
func (a *app) doctorConfig() (config doctor.Config, err error) {
	f := &a.flags
	out, err := f.outside()
	if err != nil {
		return config, err
	}
	config = doctor.Config{
		Port: f.smtpPort, IPv4: f.ipv4, IPv6: f.ipv6, AllowPrivate: f.allowPrivate, Sessions: f.sessions, Timeout: f.timeout,
		Sources: out.sources, Proxy: out.proxy, Network: doctor.Network{Dial: a.dial},
	}
	if config.From, err = f.sender(); err != nil {
		return config, err
	}
	config.HELO, err = f.helloName()
	return config, err
}

// findingText shows a finding to a person: what was found, and below it what that means and how to fix it.
func findingText(f doctor.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %s", f.Level, f.Check)
	if f.About != "" {
		fmt.Fprintf(&b, " %s", printable(f.About))
	}
	fmt.Fprintf(&b, ": %s\n", printable(f.Found))
	if f.Means != "" {
		fmt.Fprintf(&b, "%9s%s\n", "", printable(f.Means))
	}
	if f.Fix != "" {
		fmt.Fprintf(&b, "%9sFix: %s\n", "", printable(f.Fix))
	}
	return b.String()
}
