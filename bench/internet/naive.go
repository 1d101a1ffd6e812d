package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/internal/lab"
	"presend/verify/mx"
)

// naive asks about addresses as most verifiers do: for each one a connection, EHLO, MAIL, a RCPT for the catch-all
// question, one for the address, and QUIT, with net/smtp. It returns how many got an answer.
func naive(ctx context.Context, l *lab.Lab, resolver *mx.Resolver, addresses []string, budget int, patience time.Duration) (answered int64, took time.Duration, err error) {
	begun := time.Now()
	var got atomic.Int64
	var group errgroup.Group
	group.SetLimit(budget)
	for i, address := range addresses {
		group.Go(func() error {
			domain := address[strings.LastIndexByte(address, '@')+1:]
			answer, err := resolver.Lookup(ctx, domain)
			if err != nil {
				return nil // an answer of a kind, and the same for both ways
			}
			if ask(ctx, l, answer.Hosts[0].Addrs[0], i, address, domain, patience) == nil {
				got.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	return got.Load(), time.Since(begun), err
}

func ask(ctx context.Context, l *lab.Lab, host netip.Addr, i int, address, domain string, patience time.Duration) error {
	conn, err := l.Dial(ctx, netip.Addr{}, netip.AddrPortFrom(host, uint16(l.SMTPPort())).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
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
		err = c.Rcpt(recipient) // a refusal is an answer
		if err != nil && !isReply(err) {
			return err
		}
	}
	return c.Quit()
}

// isReply says whether an error is what a server said.
func isReply(err error) bool {
	var reply *textproto.Error
	return errors.As(err, &reply)
}
