package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"presend/internal/lab"
)

func demoCommand(a *app) *cobra.Command {
	var directory string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Do the whole job on a sample list against an internet in this process",
		Long:  "Do the whole job on a sample list, against DNS and mail servers inside this process: no network, no root.",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), directory) },
	}
	c.Flags().StringVar(&directory, "dir", "",
		"keep the list, the output and the state in `DIR` (default a new temporary one)")
	return c
}

func (a *app) demo(ctx context.Context, directory string) (err error) {
	if directory == "" {
		if directory, err = os.MkdirTemp("", "verify-demo-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	list := filepath.Join(directory, "contacts.csv")
	if err := os.WriteFile(list, lab.DemoList(), 0o644); err != nil {
		return err
	}
	internet, err := lab.Start(ctx, lab.Demo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, internet.Close()) }()
	a.flags.dns, a.flags.smtpPort, a.flags.allowPrivate = []string{internet.DNS()}, internet.SMTPPort(), true
	a.flags.noPreflight = true
	a.dial = internet.Dial
	output := filepath.Join(directory, "contacts.verified.csv")
	a.say(fmt.Sprintf("verify list %s --dns %s --smtp-port %d --allow-private --no-preflight",
		list, internet.DNS(), internet.SMTPPort()))
	f := defaultListFlags()
	f.output, f.state = output, output+".state"
	return a.list(ctx, list, f)
}
