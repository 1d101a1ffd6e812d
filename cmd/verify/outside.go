package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// outside is what the flags say of how mail hosts are reached, once they were read.
type outside struct {
	sources []netip.Addr // none: the system's choice
	proxy   *url.URL     // nil: none
}

// outside reads and checks the flags that say how mail hosts are reached.
func (f *sharedFlags) outside() (o outside, err error) {
	if f.sessions < 1 {
		return o, usagef("--sessions must be at least 1")
	}
	if f.timeout <= 0 {
		return o, usagef("--timeout must be more than nothing")
	}
	for _, text := range f.sourceIPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return o, usagef("--source-ip: %v", err)
		}
		o.sources = append(o.sources, addr)
	}
	if f.proxy == "" {
		return o, nil
	}
	if o.proxy, err = url.Parse(f.proxy); err != nil || o.proxy.Scheme != "socks5" || o.proxy.Host == "" {
		return o, usagef("--proxy %s: want socks5://[user:password@]host:port", f.proxy)
	}
	if len(o.sources) > 1 {
		return o, usagef("receivers see the address of the proxy only; with --proxy give one --source-ip at most")
	}
	return o, nil
}

// untilStopped returns a context that the first interrupt ends, for work of which there is nothing to keep.
func (a *app) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// sender returns the address of --from; empty for the null reverse-path.
func (f *sharedFlags) sender() (string, error) {
	from := strings.Trim(f.from, "<>")
	if from != "" && !strings.Contains(from, "@") {
		return "", usagef("--from %s: want an address", f.from)
	}
	return from, nil
}

// helloName returns what EHLO says.
func (f *sharedFlags) helloName() (string, error) {
	if f.helo != "" {
		return f.helo, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host's name, which EHLO says: %w", err)
	}
	return name, nil
}

// hintSender says, in one line, that mail hosts are told nothing that fits this machine, if so: neither a sender nor a
// name that DNS can know.
func (a *app) hintSender() error {
	from, err := a.flags.sender()
	if err != nil || from != "" || a.flags.noSMTP {
		return err
	}
	name, err := a.flags.helloName()
	if err != nil || strings.Contains(strings.Trim(name, "."), ".") {
		return err
	}
	a.say("Mail hosts are told the name " + printable(name) + " and the sender <>, which many refuse: " +
		"give --helo a name that DNS knows this machine by, and --from an address of yours.")
	return nil
}
