// Command dns measures for how many domains a second the resolver finds the mail hosts. A local authority takes a
// millisecond for each answer. For comparison it runs a plain loop over miekg/dns with as many queries at a time.
//
//	go run ./bench/dns -domains 100000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"presend/bench/figures"
	"presend/internal/lab"
	"presend/verify/mx"
)

func main() {
	domains := flag.Int("domains", 100_000, "domains to look up")
	hosts := flag.Int("hosts", 1_000, "mail hosts of these")
	lookups := flag.Int("lookups", 256, "look-ups at a time")
	json := flag.String("json", "", "write the figures to a file, too")
	flag.Parse()
	if err := measure(context.Background(), *domains, *hosts, *lookups, *json); err != nil {
		log.Fatal("dns: ", err)
	}
}

func measure(ctx context.Context, domains, hosts, lookups int, json string) (err error) {
	world := lab.NewWorld()
	world.Latency = time.Millisecond
	for i := range hosts {
		if err := world.AddHost(lab.Host{Name: fmt.Sprintf("mx.host%d.lab", i)}); err != nil {
			return err
		}
	}
	names := make([]string, domains)
	for i := range names {
		names[i] = fmt.Sprintf("domain%d.lab", i)
		mx := lab.MX{Preference: 10, Host: fmt.Sprintf("mx.host%d.lab", i%hosts)}
		if err := world.AddDomain(lab.Domain{Name: names[i], MX: []lab.MX{mx}}); err != nil {
			return err
		}
	}
	l, err := world.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	resolver, err := mx.New(mx.Config{Servers: []string{l.DNS()}, AllowPrivate: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resolver.Close()) }()

	table := figures.New("dns")
	table.Add("domains", float64(domains), "")
	table.Add("mail hosts", float64(hosts), "")
	table.Add("at a time", float64(lookups), "")
	ours, err := rate(ctx, names, lookups, func(ctx context.Context, name string) error {
		_, err := resolver.Lookup(ctx, name)
		return err
	})
	if err != nil {
		return err
	}
	asked := l.Count().DNSQueries
	client := &dns.Client{Timeout: 5 * time.Second}
	plain, err := rate(ctx, names, lookups, func(ctx context.Context, name string) error {
		_, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeMX), l.DNS())
		return err
	})
	if err != nil {
		return err
	}
	table.Add("look-ups a second, MX and addresses", ours, "1/s")
	table.Add("queries a look-up", float64(asked)/float64(domains), "")
	table.Add("plain miekg/dns: MX answers a second", plain, "1/s")
	table.Add("times the plain loop", ours/plain, "")
	return table.Write(os.Stdout, json)
}

// rate runs a look-up for each name, several at a time, and returns how many it did a second.
func rate(
	ctx context.Context, names []string, atATime int, lookup func(context.Context, string) error,
) (float64, error) {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan string, atATime)
	begun := time.Now()
	for range atATime {
		group.Go(func() error {
			for name := range next {
				if err := lookup(ctx, name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(next)
		for _, name := range names {
			select {
			case next <- name:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := group.Wait()
	return float64(len(names)) / time.Since(begun).Seconds(), err
}
