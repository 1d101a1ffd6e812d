// Command dns measures for how many domains a second the resolver finds the mail hosts. A local authority takes a
// millisecond for each answer. For comparison it runs two loops over miekg/dns with as many queries at a time: one
// opens a socket for each query, and the other keeps its connections. The three take turns for several rounds, and the
// figures are medians. Every answer is checked.
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
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/bench/figures"
	"presend/internal/lab"
	"presend/verify/mx"
)

func main() {
	domains := flag.Int("domains", 100_000, "domains to look up")
	hosts := flag.Int("hosts", 1_000, "mail hosts of these")
	lookups := flag.Int("lookups", 256, "look-ups at a time")
	rounds := flag.Int("rounds", 5, "rounds; in each, every contender looks up all domains")
	json := flag.String("json", "", "write the figures to a file, too")
	flag.Parse()
	if err := measure(context.Background(), *domains, *hosts, *lookups, *rounds, *json); err != nil {
		log.Fatal("dns: ", err)
	}
}

func measure(ctx context.Context, domains, hosts, lookups, rounds int, json string) (err error) {
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
		mail := []lab.MX{{Preference: 10, Host: fmt.Sprintf("mx.host%d.lab", i%hosts)}}
		if err := world.AddDomain(lab.Domain{Name: names[i], MX: mail}); err != nil {
			return err
		}
	}
	l, err := world.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var ours, opened, reused contender
	for range rounds {
		if err := errors.Join(
			ours.run(names, func() error { return lookUpAll(ctx, l.DNS(), names, lookups) }),
			opened.run(names, func() error { return each(ctx, names, lookups, plain(l.DNS())) }),
			reused.run(names, func() error {
				ask, closeAll := kept(l.DNS())
				defer closeAll()
				return each(ctx, names, lookups, ask)
			}),
		); err != nil {
			return err
		}
	}
	table := figures.New("dns")
	table.Add("domains", float64(domains), "")
	table.Add("mail hosts", float64(hosts), "")
	table.Add("at a time", float64(lookups), "")
	table.Add("rounds", float64(rounds), "")
	ours.add(table, "look-ups, MX and addresses")
	opened.add(table, "plain miekg/dns, MX only, a socket a query")
	reused.add(table, "kept miekg/dns connections, MX only")
	table.Add("times the plain loop", median(ours.rates)/median(opened.rates), "")
	return table.Write(os.Stdout, json)
}

// contender holds what was measured of one way to ask: by round, domains a second and seconds of CPU, those of the
// authority in the same process among them.
type contender struct{ rates, cpu []float64 }

func (c *contender) run(names []string, all func() error) error {
	before, err := figures.ProcessorTime()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := all(); err != nil {
		return err
	}
	took := time.Since(begun).Seconds()
	after, err := figures.ProcessorTime()
	c.rates, c.cpu = append(c.rates, float64(len(names))/took), append(c.cpu, (after-before).Seconds())
	return err
}

func (c *contender) add(table *figures.Table, name string) {
	table.Add(name, median(c.rates), "1/s")
	table.Add(name+": CPU", median(c.cpu), "s")
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// lookUpAll finds the mail hosts of all domains with a new resolver, whose cache is empty.
func lookUpAll(ctx context.Context, server string, names []string, atATime int) (err error) {
	resolver, err := mx.New(mx.Config{Servers: []string{server}, AllowPrivate: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resolver.Close()) }()
	return each(ctx, names, atATime, func(ctx context.Context, name string) error {
		answer, err := resolver.Lookup(ctx, name)
		if err == nil && (len(answer.Hosts) != 1 || len(answer.Hosts[0].Addrs) != 1) {
			err = fmt.Errorf("%+v, want one host with one address", answer)
		}
		return err
	})
}

// each runs a look-up for every name, so many at a time.
func each(ctx context.Context, names []string, atATime int, lookup func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan string, atATime)
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
	return group.Wait()
}
