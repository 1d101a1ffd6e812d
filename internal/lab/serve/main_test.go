package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheLabAnswersAtTheAddressThatIsPrintedUntilItIsInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.lab")
	if err := os.WriteFile(file, []byte("host mx.own.lab\ndomain own.lab mx=mx.own.lab\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`--dns (\S+) --smtp-port \d+ --allow-private`)
	for _, args := range [][]string{nil, {file}} {
		ctx, interrupt := context.WithCancel(t.Context())
		printed, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := serve(ctx, args, out)
			out.CloseWithError(err)
			ended <- err
		}()
		var address string
		for scan := bufio.NewScanner(printed); address == "" && scan.Scan(); {
			if found := flags.FindStringSubmatch(scan.Text()); found != nil {
				address = found[1]
			}
		}
		conn, err := net.Dial("tcp", address) // DNS over TCP
		if err != nil {
			t.Errorf("%q: %v", args, err)
		} else {
			conn.Close()
		}
		interrupt()
		if err := <-ended; err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestWhatCannotBeServedIsAnError(t *testing.T) {
	for _, args := range [][]string{{"missing.lab"}, {"a", "b"}} {
		if err := serve(t.Context(), args, new(strings.Builder)); err == nil {
			t.Errorf("%q is served", args)
		}
	}
}
