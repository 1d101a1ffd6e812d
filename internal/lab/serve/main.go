// Command serve keeps a lab up until it is interrupted, so that any other command can be tried against it by hand:
//
//	go run ./internal/lab/serve                 the internet of verify demo
//	go run ./internal/lab/serve my.lab          one of your own; the package comment of lab explains the words
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"presend/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// serve starts the lab of the file named, or the demo's, says how to reach it, and closes it when ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) (err error) {
	declared := lab.Demo
	switch len(args) {
	case 0:
	case 1:
		text, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		declared = string(text)
	default:
		return errors.New("want at most one file")
	}
	internet, err := lab.Start(ctx, declared)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, internet.Close()) }()
	_, err = fmt.Fprintf(out, "The lab is up until you interrupt it. Add to any command:\n\n"+
		"\t--dns %s --smtp-port %d --allow-private\n", internet.DNS(), internet.SMTPPort())
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
