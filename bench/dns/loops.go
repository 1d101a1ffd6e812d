package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const timeout = 5 * time.Second

// plain asks for the MX records of a domain as the first example of miekg/dns does it: a socket for each query.
func plain(server string) func(ctx context.Context, domain string) error {
	client := &dns.Client{Timeout: timeout}
	return func(ctx context.Context, domain string) error {
		m := query(domain)
		reply, _, err := client.ExchangeContext(ctx, m, server)
		return check(m, reply, err)
	}
}

// kept asks for the MX records of a domain on connections of miekg/dns that are kept, one query at a time on each.
func kept(server string) (ask func(ctx context.Context, domain string) error, closeAll func()) {
	client := &dns.Client{Timeout: timeout}
	var mu sync.Mutex
	var idle []*dns.Conn
	take := func(ctx context.Context) (*dns.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if last := len(idle) - 1; last >= 0 {
			conn := idle[last]
			idle = idle[:last]
			return conn, nil
		}
		return client.DialContext(ctx, server)
	}
	ask = func(ctx context.Context, domain string) error {
		conn, err := take(ctx)
		if err != nil {
			return err
		}
		m := query(domain)
		reply, _, err := client.ExchangeWithConnContext(ctx, m, conn)
		if err := check(m, reply, err); err != nil {
			conn.Close()
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		idle = append(idle, conn)
		return nil
	}
	return ask, func() {
		for _, conn := range idle {
			conn.Close()
		}
	}
}

func query(domain string) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(domain), dns.TypeMX).SetEdns0(1232, false)
}

// check returns an error unless the reply is an answer to the query.
func check(m, reply *dns.Msg, err error) error {
	switch {
	case err != nil:
		return err
	case len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, m.Question[0].Name):
		return fmt.Errorf("the answer is to another question: %v", reply.Question)
	case len(reply.Answer) != 1:
		return fmt.Errorf("%d records, want 1", len(reply.Answer))
	}
	return nil
}
