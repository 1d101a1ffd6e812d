// Command internet measures the scheduler on a simulated internet of 20,000 domains on 2,000 mail hosts, in this
// process and over sockets. Each host has its own latency, caps and behaviour. It prints how long a list takes, how
// near that is to the shortest time that caps and round trips allow, what it cost the hosts and this machine, and what
// the naive way costs on a part of the same list. A second world is a provider like Microsoft 365, with many small
// domains on few servers. There it counts how many addresses a session serves, and how many the refusal budget would
// allow.
//
//	go run ./bench/internet -addresses 200000 -sessions 500
//	go run ./bench/internet -tenants
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"presend/bench/figures"
	"presend/internal/lab"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
)

func main() {
	var o options
	flag.IntVar(&o.addresses, "addresses", 200_000, "addresses of the list")
	flag.IntVar(&o.domains, "domains", 20_000, "domains of the addresses")
	flag.IntVar(&o.hosts, "hosts", 2_000, "mail hosts of these")
	flag.IntVar(&o.sessions, "sessions", 500, "sessions at a time")
	flag.IntVar(&o.naive, "naive", 10_000, "addresses to ask the naive way; 0: none")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the first world")
	flag.IntVar(
		&o.worlds,
		"worlds",
		5,
		"worlds to measure the efficiency of, since it differs between them; all else is measured in the first",
	)
	flag.DurationVar(
		&o.timeout,
		"timeout",
		5*time.Second,
		"how long to wait for a reply; as short as the latencies, so that tarpits do not take longer than all else",
	)
	flag.BoolVar(&o.onlyTenants, "tenants", false, "measure only the world of a provider with many tenants")
	flag.IntVar(&o.tenantServers, "servers", 3, "server addresses that the MX name of each tenant has")
	flag.IntVar(&o.last, "last", 0, "name this many of the hosts that were done last")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the run to a file")
	flag.StringVar(&o.json, "json", "", "write the figures to a file, too")
	flag.Parse()
	if err := o.measure(context.Background()); err != nil {
		log.Fatal("internet: ", err)
	}
}

type options struct {
	scale
	sessions, naive int
	worlds          int
	last            int
	onlyTenants     bool
	tenantServers   int
	seed            uint64
	timeout         time.Duration
	profile, json   string
}

func (o options) measure(ctx context.Context) error {
	table := figures.New("internet")
	if !o.onlyTenants {
		if err := o.internets(ctx, table); err != nil {
			return err
		}
	}
	for _, errors := range []int{0, 20} {
		if err := o.tenants(ctx, errors, table); err != nil {
			return err
		}
	}
	return table.Write(os.Stdout, o.json)
}

// internets measures the first world and the naive way in it, and the efficiency in the others.
func (o options) internets(ctx context.Context, table *figures.Table) error {
	in, ours, efficiency, err := o.run(ctx, o.seed, table)
	if err != nil {
		return err
	}
	if o.naive > 0 {
		if err := o.compare(ctx, in, table, ours); err != nil {
			return err
		}
	}
	all, broken := []float64{efficiency}, ours.broken
	o.profile = "" // only the first world is profiled
	for seed := o.seed + 1; seed < o.seed+uint64(o.worlds); seed++ {
		_, ours, efficiency, err := o.run(ctx, seed, figures.New("not shown"))
		if err != nil {
			return err
		}
		broken += ours.broken
		table.Add(fmt.Sprintf("efficiency, seed %d", seed), efficiency, "")
		all = append(all, efficiency)
	}
	slices.Sort(all)
	table.Add("efficiency, median", all[len(all)/2], "")
	table.Add("rule violations, all worlds", float64(broken), "")
	return nil
}

// run makes a world, computes its floor and runs the engine over its list.
func (o options) run(
	ctx context.Context,
	seed uint64,
	table *figures.Table,
) (in *internet, ours outcome, efficiency float64, err error) {
	if in, err = build(o.scale, rand.New(rand.NewPCG(seed, 0))); err != nil {
		return nil, ours, 0, err
	}
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		return nil, ours, 0, err
	}
	best := floorOf(in, pace, o.sessions, o.timeout)
	table.Add("addresses", float64(len(in.list)), "")
	table.Add("domains", float64(o.domains), "")
	table.Add("hosts", float64(o.hosts), "")
	table.Add("sessions at a time", float64(o.sessions), "")
	table.Add("floor: the busiest host", best.Busiest.Seconds(), "s")
	table.Add("floor: sessions", float64(best.Fewest), "")
	table.Add("floor: all sessions", best.Total.Seconds(), "s")
	if ours, err = o.scheduled(ctx, in, table, ""); err != nil {
		return nil, ours, 0, err
	}
	efficiency = best.least().Seconds() / ours.took.Seconds()
	table.Add("efficiency", efficiency, "")
	return in, ours, efficiency, nil
}

// outcome is the result of one way of asking.
type outcome struct {
	answered    int
	took        time.Duration
	broken      int // rules that were broken
	connections int
}

func (w outcome) perSecond() float64 { return float64(w.answered) / w.took.Seconds() }

// start brings the world up with a resolver on it.
func start(ctx context.Context, in *internet) (*lab.Lab, *mx.Resolver, error) {
	l, err := in.world.Start(ctx)
	if err != nil {
		return nil, nil, err
	}
	resolver, err := mx.New(mx.Config{Servers: []string{l.DNS()}, AllowPrivate: true})
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, resolver, nil
}

// scheduled runs the engine over the whole list, and adds its figures under names with a prefix.
func (o options) scheduled(
	ctx context.Context, in *internet, table *figures.Table, prefix string,
) (w outcome, err error) {
	l, resolver, err := start(ctx, in)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, resolver.Close(), l.Close()) }()
	clock := &clock{}
	prober, err := smtpprobe.New(
		smtpprobe.Config{
			HELO:    "probe.lab",
			From:    "check@probe.lab",
			Port:    l.SMTPPort(),
			Dial:    clock.dial(l),
			Timeout: o.timeout,
			RCPT:    o.timeout,
		},
	)
	if err != nil {
		return w, err
	}
	verifier, err := verify.New(verify.Config{Resolver: resolver, Prober: verify.SMTP(prober), Sessions: o.sessions})
	if err != nil {
		return w, err
	}
	parsed := make(map[int64]syntax.Address, len(in.list))
	for i, address := range in.list {
		if parsed[int64(i)], err = syntax.Parse(address); err != nil {
			return w, err
		}
	}
	queue := verify.NewMemoryQueue(parsed)
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return w, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return w, err
		}
	}
	used, err := startUsage()
	if err != nil {
		return w, err
	}
	begun := time.Now()
	last := &finishing{begun: begun, at: map[string]time.Duration{}}
	err = verifier.Run(ctx, queue, verify.RunOptions{Observer: last})
	w.took = time.Since(begun)
	pprof.StopCPUProfile()
	if err = errors.Join(err, l.Settle(ctx)); err != nil {
		return w, err
	}
	if err := used.add(table, prefix, len(in.list)); err != nil {
		return w, err
	}
	w.answered = len(queue.Results)
	wrong := 0
	for i, address := range in.list {
		r := queue.Results[int64(i)]
		if truth := l.TruthOf(address); r.Verdict == "invalid" && truth.Reason != string(r.Reason) &&
			truth.Later != string(r.Reason) {
			wrong++
		}
	}
	table.Add(prefix+"time", w.took.Seconds(), "s")
	open := time.Duration(clock.total.Load())
	table.Add(prefix+"time of all sessions over the budget", open.Seconds()/float64(o.sessions), "s")
	table.Add(prefix+"addresses a second", w.perSecond(), "1/s")
	table.Add(prefix+"called invalid, against the truth", float64(wrong), "")
	last.note(table, in, o)
	seen := l.Count()
	w.broken, w.connections = seen.ViolationCount(), seen.Connections
	behaviour(table, prefix, seen, len(in.list))
	return w, nil
}

// behaviour adds what the hosts counted.
func behaviour(table *figures.Table, prefix string, c lab.Counts, addresses int) {
	table.Add(prefix+"connections", float64(c.Connections), "")
	table.Add(prefix+"connections an address", float64(c.Connections)/float64(addresses), "")
	table.Add(prefix+"commands", float64(c.Commands), "")
	table.Add(prefix+"RCPTs", float64(c.Rcpts), "")
	table.Add(prefix+"DNS queries", float64(c.DNSQueries), "")
	table.Add(prefix+"TLS handshakes", float64(c.Handshakes), "")
	table.Add(prefix+"of them resumed", float64(c.Resumed), "")
	table.Add(prefix+"sessions that met an error limit", float64(c.ErrorLimits), "")
	peak := 0
	for _, n := range c.PeakByAddr {
		peak = max(peak, n)
	}
	table.Add(prefix+"most sessions at one host", float64(peak), "")
	table.Add(prefix+"rule violations", float64(c.ViolationCount()), "")
	for _, v := range c.Violations[:min(3, len(c.Violations))] {
		table.Note(prefix + "violation: " + v)
	}
}

// compare asks a part of the list the naive way, in a fresh world.
func (o options) compare(ctx context.Context, in *internet, table *figures.Table, ours outcome) (err error) {
	l, resolver, err := start(ctx, in)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resolver.Close(), l.Close()) }()
	part := in.list[:min(o.naive, len(in.list))]
	answered, took, err := naive(ctx, l, resolver, part, o.sessions, o.timeout)
	if err = errors.Join(err, l.Settle(ctx)); err != nil {
		return err
	}
	theirs := outcome{answered: answered, took: took}
	table.Add("naive: addresses", float64(len(part)), "")
	table.Add("naive: of them answered", float64(answered), "")
	table.Add("naive: time", took.Seconds(), "s")
	table.Add("naive: answers a second", theirs.perSecond(), "1/s")
	behaviour(table, "naive: ", l.Count(), len(part))
	table.Add("times the naive way", ours.perSecond()/theirs.perSecond(), "")
	return nil
}

// finishing is a verify.Observer that notes when each mail host gave its last result.
type finishing struct {
	begun time.Time
	mu    sync.Mutex
	at    map[string]time.Duration
}

// Done implements verify.Observer.
func (f *finishing) Done(r verify.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[r.MX] = time.Since(f.begun)
}

// Waiting implements verify.Observer.
func (f *finishing) Waiting(verify.Ahead) {}

// note names the hosts that were done last, since they decide how long the run takes.
func (f *finishing) note(table *figures.Table, in *internet, o options) {
	names := slices.SortedFunc(maps.Keys(f.at), func(a, b string) int { return cmp.Compare(f.at[b], f.at[a]) })
	for _, name := range names[:min(o.last, len(names))] {
		for _, p := range in.places {
			if p.host.Name == name {
				n := 0
				for _, d := range p.domains {
					n += d.addresses
				}
				table.Note(fmt.Sprintf(
					"last: %s after %.1f s: %d addresses of %d domains, %v a round trip, pipelining %v, errors %d, %s",
					name, f.at[name].Seconds(), n, len(p.domains), p.host.Latency.Round(time.Millisecond),
					!p.host.NoPipelining, p.host.Errors, p.host.Fault))
			}
		}
	}
}

// clock sums up how long connections are open.
type clock struct{ total atomic.Int64 }

func (c *clock) dial(l *lab.Lab) func(context.Context, netip.Addr, string) (net.Conn, error) {
	return func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
		begun := time.Now()
		conn, err := l.Dial(ctx, source, address)
		if err != nil {
			c.total.Add(int64(time.Since(begun)))
			return nil, err
		}
		return &timed{Conn: conn, clock: c, begun: begun}, nil
	}
}

type timed struct {
	net.Conn
	clock *clock
	begun time.Time
}

// Close implements net.Conn.
func (t *timed) Close() error {
	t.clock.total.Add(int64(time.Since(t.begun)))
	return t.Conn.Close()
}
