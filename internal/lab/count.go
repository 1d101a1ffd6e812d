package lab

import (
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Counts is how the lab's clients behaved.
type Counts struct {
	Connections  int            // TCP connections accepted
	Sessions     int            // of these, those that got as far as a HELO or EHLO that was accepted
	Commands     int            // SMTP commands
	Rcpts        int            // of these, RCPT
	TooManyRcpts int            // RCPTs answered with 452 4.5.3
	ErrorLimits  int            // sessions ended for too many errors
	DNSQueries   int            // queries that arrived, each retry counted
	Handshakes   int            // TLS handshakes that succeeded
	Resumed      int            // of these, those that resumed a TLS session
	PeakSessions map[string]int // by host: most connections at a time

	PeakByAddr      map[netip.Addr]int // by server address: most connections at a time
	ConnectionsFrom map[netip.Addr]int // by client address: connections accepted

	// Violations are the rules broken, in order: a session cap exceeded, a pipeline that was not announced, a command
	// after 421, a connection closed without QUIT, DATA. Past a thousand they are only counted.
	Violations []string
	unkept     int
}

// ViolationCount returns how many rules were broken.
func (c Counts) ViolationCount() int { return len(c.Violations) + c.unkept }

const violationsKept = 1000

type tally struct {
	connections, sessions, commands, rcpts, tooManyRcpts, errorLimits, queries, handshakes, resumed atomic.Int64

	mu         sync.Mutex
	from       map[netip.Addr]int // connections by client
	violations []string
	more       int

	probes [64]probes // shared out by hash, so that sessions seldom wait for one another
}

// probes counts RCPTs by address.
type probes struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) shard(address string) *probes {
	h := fnv.New32a()
	_, _ = io.WriteString(h, address) // never fails
	return &t.probes[h.Sum32()%uint32(len(t.probes))]
}

func (t *tally) probe(address string) {
	p := t.shard(address)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == nil {
		p.n = map[string]int{}
	}
	p.n[address]++
}

func (t *tally) connection(client netip.Addr) {
	t.connections.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from == nil {
		t.from = map[netip.Addr]int{}
	}
	t.from[client]++
}

func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.violations) == violationsKept {
		t.more++
		return
	}
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
}

// Count returns the counts so far. What a client did last may not have arrived yet: see Settle.
func (l *Lab) Count() Counts {
	t := &l.tally
	c := Counts{
		Connections:  int(t.connections.Load()),
		Sessions:     int(t.sessions.Load()),
		Commands:     int(t.commands.Load()),
		Rcpts:        int(t.rcpts.Load()),
		TooManyRcpts: int(t.tooManyRcpts.Load()),
		ErrorLimits:  int(t.errorLimits.Load()),
		DNSQueries:   int(t.queries.Load()),
		Handshakes:   int(t.handshakes.Load()),
		Resumed:      int(t.resumed.Load()),
		PeakSessions: map[string]int{},
		PeakByAddr:   map[netip.Addr]int{},
	}
	for name, h := range l.hosts {
		h.mu.Lock()
		if h.peak > 0 {
			c.PeakSessions[name] = h.peak
		}
		for addr, at := range h.at {
			if at.peak > 0 {
				c.PeakByAddr[addr] = at.peak
			}
		}
		h.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.ConnectionsFrom = maps.Clone(t.from)
	c.Violations, c.unkept = append(c.Violations, t.violations...), t.more
	return c
}

// Probes returns how many RCPTs were sent for an address, at whichever host.
func (l *Lab) Probes(address string) int {
	local, domain, err := split(address)
	if err != nil {
		return 0
	}
	address = local + "@" + domain
	p := l.tally.shard(address)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n[address]
}

// AllProbes yields every address that was asked about, invented ones too, and how often, in no order.
func (l *Lab) AllProbes() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := range l.tally.probes {
			p := &l.tally.probes[i]
			p.mu.Lock()
			n := maps.Clone(p.n)
			p.mu.Unlock()
			for address, times := range n {
				if !yield(address, times) {
					return
				}
			}
		}
	}
}
