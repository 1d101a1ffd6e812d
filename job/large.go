package job

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"presend/verify"
	"presend/verify/reply"
)

//go:embed large.txt
var large string

// largeDomains returns the domains of large.txt.
func largeDomains() (names []string) {
	for line := range strings.Lines(large) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	return names
}

const (
	largeAddrs = 2 // addresses of a large provider that are tried
	largeTime  = 10 * time.Second
)

// Dial opens a TCP connection to address, from a source; the zero Addr leaves that to the system.
type Dial func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)

// LargeHosts returns the test of whether port 25 is open here: it connects to the mail hosts of some large providers,
// and passes when one of them greets and answers a command: some firewalls let a connection and a greeting through. A
// nil dial is that of package net.
func LargeHosts(resolver verify.Resolver, dial Dial) verify.Outside {
	if dial == nil {
		dial = dialFrom
	}
	return func(ctx context.Context, source netip.Addr, ipv6 bool) (verify.Greeting, error) {
		ctx, cancel := context.WithTimeout(ctx, largeTime)
		defer cancel()
		names := largeDomains()
		errs := make([]error, len(names))
		said := make([]verify.Greeting, len(names))
		var group sync.WaitGroup
		for i, name := range names {
			group.Go(func() {
				if said[i], errs[i] = speaks(ctx, resolver, dial, name, source, ipv6); errs[i] == nil {
					cancel()
				}
			})
		}
		group.Wait()
		for i, err := range errs {
			if err == nil {
				return said[i], nil
			}
		}
		return verify.Greeting{}, errors.Join(errs...)
	}
}

// speaks returns how a mail host of a domain greets that answers.
func speaks(
	ctx context.Context, resolver verify.Resolver, dial Dial, domain string, source netip.Addr, ipv6 bool,
) (verify.Greeting, error) {
	answer, err := resolver.Lookup(ctx, domain)
	if err != nil {
		return verify.Greeting{}, fmt.Errorf("%s: %w", domain, err)
	}
	tried := 0
	err = fmt.Errorf("%s: no mail host has an address of this family", domain)
	for _, host := range answer.Hosts {
		for _, addr := range host.Addrs {
			if addr.Unmap().Is4() == ipv6 || tried == largeAddrs {
				continue
			}
			tried++
			var name string
			if name, err = greets(ctx, dial, source, netip.AddrPortFrom(addr, 25).String()); err == nil {
				return verify.Greeting{Host: host.Name, Name: name}, nil
			}
		}
	}
	return verify.Greeting{}, err
}

// greets connects, reads the greeting of a mail host, and leaves when that has answered QUIT.
func greets(ctx context.Context, dial Dial, source netip.Addr, address string) (name string, err error) {
	c, err := dial(ctx, source, address)
	if err != nil {
		return "", err
	}
	defer c.Close() // nothing is left to write
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	lines := bufio.NewReaderSize(c, reply.MaxLine)
	next := func() ([]byte, error) { return lines.ReadSlice('\n') }
	greeting, err := reply.Read(next)
	if err != nil {
		return "", fmt.Errorf("%s: no greeting: %w", address, err)
	}
	if _, err := io.WriteString(c, "QUIT\r\n"); err != nil {
		return "", fmt.Errorf("%s: %w", address, err)
	}
	if _, err := reply.Read(next); err != nil {
		return "", fmt.Errorf("%s: a greeting, and no answer to QUIT: %w", address, err)
	}
	name, _ = reply.GreetingName(greeting)
	return name, nil
}

func dialFrom(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	d := net.Dialer{}
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	return d.DialContext(ctx, "tcp", address)
}
