package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/internal/lab"
	"presend/verify/mx"
)

// rounds is how often the naive way asks again about addresses that were turned away with 421, as its user would.
const rounds = 20

// naive asks about addresses as most verifiers do: for each one a connection, EHLO, MAIL, a RCPT for the catch-all
// question, one for the address, and QUIT, with net/smtp. It returns how many got an answer.
func naive(
	ctx context.Context,
	l *lab.Lab,
	resolver *mx.Resolver,
	addresses []string,
	budget int,
	timeout time.Duration,
) (answered int, took time.Duration, err error) {
	begun := time.Now()
	for range rounds {
		var mu sync.Mutex
		var turnedAway []string
		var group errgroup.Group
		group.SetLimit(budget)
		for i, address := range addresses {
			group.Go(func() error {
				domain := address[strings.LastIndexByte(address, '@')+1:]
				answer, err := resolver.Lookup(ctx, domain)
				if err != nil {
					return nil // counted as without an answer
				}
				err = ask(ctx, l, answer.Hosts[0].Addrs[0], i, address, domain, timeout)
				var said *textproto.Error
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					answered++
				case errors.As(err, &said) && said.Code == 421:
					turnedAway = append(turnedAway, address)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil || len(turnedAway) == 0 {
			return answered, time.Since(begun), err
		}
		addresses = turnedAway
	}
	return answered, time.Since(begun), nil
}

func ask(
	ctx context.Context,
	l *lab.Lab,
	host netip.Addr,
	i int,
	address, domain string,
	timeout time.Duration,
) error {
	conn, err := l.Dial(ctx, netip.Addr{}, netip.AddrPortFrom(host, uint16(l.SMTPPort())).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "mx.lab")
	if err != nil {
		return err
	}
	if err := c.Hello("probe.lab"); err != nil {
		return err
	}
	if err := c.Mail("check@probe.lab"); err != nil {
		return err
	}
	for _, recipient := range []string{fmt.Sprintf("qx7%dzz@%s", i, domain), address} {
		var refusal *textproto.Error // it is an answer
		if err := c.Rcpt(recipient); err != nil && !errors.As(err, &refusal) {
			return err
		}
	}
	return c.Quit()
}
