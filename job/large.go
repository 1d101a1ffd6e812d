package job

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"presend/verify"
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

// LargeHosts returns the test of whether port 25 is open here: it connects to the mail hosts of some large providers, and
// passes when one of them says a word. A nil dial is that of package net.
func LargeHosts(resolver verify.Resolver, dial Dial) verify.Outside {
	if dial == nil {
		dial = dialFrom
	}
	return func(ctx context.Context, source netip.Addr, ipv6 bool) error {
		ctx, cancel := context.WithTimeout(ctx, largeTime)
		defer cancel()
		names := largeDomains()
		errs := make([]error, len(names))
		var group sync.WaitGroup
		for i, name := range names {
			group.Go(func() {
				if errs[i] = speaks(ctx, resolver, dial, name, source, ipv6); errs[i] == nil {
					cancel()
				}
			})
		}
		group.Wait()
		for _, err := range errs {
			if err == nil {
				return nil
			}
		}
		return errors.Join(errs...)
	}
}

// speaks reports, as nil, that a mail host of a domain says a word.
func speaks(
	ctx context.Context, resolver verify.Resolver, dial Dial, domain string, source netip.Addr, ipv6 bool,
) error {
	answer, err := resolver.Lookup(ctx, domain)
	if err != nil {
		return fmt.Errorf("%s: %w", domain, err)
	}
	tried := 0
	err = fmt.Errorf("%s: no mail host has an address of this family", domain)
	for _, host := range answer.Hosts {
		for _, addr := range host.Addrs {
			if addr.Unmap().Is4() == ipv6 || tried == largeAddrs {
				continue
			}
			tried++
			if err = greets(ctx, dial, source, netip.AddrPortFrom(addr, 25).String()); err == nil {
				return nil
			}
		}
	}
	return err
}

// greets connects and waits for the first line of a mail host, and leaves.
func greets(ctx context.Context, dial Dial, source netip.Addr, address string) error {
	c, err := dial(ctx, source, address)
	if err != nil {
		return err
	}
	defer c.Close() // read only
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReaderSize(c, 512).ReadString('\n')
	if err != nil && len(line) < 3 {
		return fmt.Errorf("%s: no greeting: %w", address, err)
	}
	_, _ = c.Write([]byte("QUIT\r\n")) // whatever comes of it
	return nil
}

func dialFrom(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	d := net.Dialer{}
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	return d.DialContext(ctx, "tcp", address)
}
