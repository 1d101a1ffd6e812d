package mx_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"presend/verify/mx"
)

// describe writes a host as "name address address" or "name: error".
func describe(h mx.Host) string {
	var temporary *mx.TemporaryError
	switch {
	case errors.As(h.Err, &temporary):
		return h.Name + ": " + temporary.Kind
	case h.Err != nil:
		return h.Name + ": " + h.Err.Error()
	}
	return strings.Join(append([]string{h.Name}, strings.Fields(strings.Trim(fmt.Sprint(h.Addrs), "[]"))...), " ")
}

func TestEveryMXTargetStaysInTheAnswer(t *testing.T) {
	z := &zone{records: map[string][]string{
		"four.lab A": {"four.lab. 300 IN A 8.8.8.8"}, "six.lab AAAA": {"six.lab. 300 IN AAAA 2600::1"},
		"both.lab AAAA": {"both.lab. 300 IN AAAA 2600::2"}, "both.lab A": {"both.lab. 300 IN A 8.8.4.4"},
		"failing.lab A": {"servfail"}, "failing.lab AAAA": {"servfail"},
		"half.lab A": {"half.lab. 300 IN A 1.1.1.1"}, "half.lab AAAA": {"servfail"},
		"otherhalf.lab A": {"refused"}, "otherhalf.lab AAAA": {"otherhalf.lab. 300 IN AAAA 2600::3"},
		"nodata.lab TXT": {}, "inside.lab A": {"inside.lab. 300 IN A 10.0.0.1"},
		"insidehalf.lab A": {"insidehalf.lab. 300 IN A 10.0.0.1"}, "insidehalf.lab AAAA": {"servfail"},
		"nodatahalf.lab A": {}, "nodatahalf.lab AAAA": {"servfail"},
	}}
	many := make([]string, 18)
	for i := range many {
		many[i] = "gone.lab"
	}
	manyAnswers := slices.Repeat([]string{"gone.lab: no address"}, 16)
	tests := []struct {
		name    string
		targets []string
		hosts   []string
		err     error  // a conclusion
		kind    string // of a temporary error
	}{
		{
			name:    "one target resolves, one fails for a time, one does not exist",
			targets: []string{"four.lab", "failing.lab", "gone.lab"},
			hosts:   []string{"four.lab 8.8.8.8", "failing.lab: servfail", "gone.lab: no address"},
		},
		{
			name:    "one target does not exist and the other fails for a time",
			targets: []string{"gone.lab", "failing.lab"},
			hosts:   []string{"gone.lab: no address", "failing.lab: servfail"}, kind: "servfail",
		},
		{
			name:    "a target with IPv4 only, one with IPv6 only and one with both",
			targets: []string{"four.lab", "six.lab", "both.lab"},
			hosts:   []string{"four.lab 8.8.8.8", "six.lab 2600::1", "both.lab 8.8.4.4 2600::2"},
		},
		{name: "IPv6 only is a mail host", targets: []string{"six.lab"}, hosts: []string{"six.lab 2600::1"}},
		{
			name:    "the family that is known is used where the other fails for a time",
			targets: []string{"half.lab", "otherhalf.lab"},
			hosts:   []string{"half.lab 1.1.1.1", "otherhalf.lab 2600::3"},
		},
		{
			name:    "a family without addresses says nothing about one that fails",
			targets: []string{"nodatahalf.lab"}, hosts: []string{"nodatahalf.lab: servfail"}, kind: "servfail",
		},
		{
			name:    "no target exists",
			targets: []string{"gone.lab", "nodata.lab"},
			hosts:   []string{"gone.lab: no address", "nodata.lab: no address"}, err: mx.ErrNoMailHost,
		},
		{
			name:    "one target is not public and the other does not exist",
			targets: []string{"inside.lab", "gone.lab"},
			hosts:   []string{"inside.lab: non-public addresses only", "gone.lab: no address"}, err: mx.ErrNotPublic,
		},
		{
			name:    "one target is not public and the other fails for a time",
			targets: []string{"inside.lab", "failing.lab"},
			hosts:   []string{"inside.lab: non-public addresses only", "failing.lab: servfail"}, kind: "servfail",
		},
		{
			name:    "a target that is not public as far as it is known",
			targets: []string{"insidehalf.lab"}, hosts: []string{"insidehalf.lab: servfail"}, kind: "servfail",
		},
		{
			name:    "targets beyond those that are looked up prevent a conclusion",
			targets: many, hosts: append(manyAnswers, "gone.lab: limit", "gone.lab: limit"), kind: "limit",
		},
	}
	for i, test := range tests {
		for preference, target := range test.targets {
			owner := fmt.Sprintf("test%d.lab", i)
			record := fmt.Sprintf("%s. 300 IN MX %d %s.", owner, preference, target)
			z.records[owner+" MX"] = append(z.records[owner+" MX"], record)
		}
	}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}})
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, err := r.Lookup(t.Context(), fmt.Sprintf("test%d.lab", i))
			var temporary *mx.TemporaryError
			switch errors.As(err, &temporary) {
			case true:
				if temporary.Kind != test.kind {
					t.Errorf("error %v, want %v %s", err, test.err, test.kind)
				}
			case false:
				if !errors.Is(err, test.err) || test.kind != "" {
					t.Errorf("error %v, want %v %s", err, test.err, test.kind)
				}
			}
			var hosts []string
			for _, h := range answer.Hosts {
				hosts = append(hosts, describe(h))
			}
			if !slices.Equal(hosts, test.hosts) {
				t.Errorf("hosts %q, want %q", hosts, test.hosts)
			}
		})
	}
}

func TestAnAnswerExpiresWithTheFirstOfItsParts(t *testing.T) {
	z := &zone{records: map[string][]string{
		"short.lab MX": {"short.lab. 60 IN MX 10 long.lab."}, "long.lab A": {"long.lab. 9000 IN A 8.8.8.8"},
		"long.lab AAAA":   {"long.lab. 9000 IN AAAA 2600::1"},
		"changing.lab MX": {"changing.lab. 9000 IN MX 10 brief.lab."}, "brief.lab A": {"brief.lab. 90 IN A 8.8.8.8"},
		"brief.lab AAAA": {"brief.lab. 9000 IN AAAA 2600::1"},
		"failing.lab MX": {"failing.lab. 9000 IN MX 10 long.lab.", "failing.lab. 9000 IN MX 20 sf.lab."},
		"sf.lab A":       {"servfail"}, "sf.lab AAAA": {"servfail"},
	}}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}})
	for _, test := range []struct {
		name, domain string
		want         time.Duration
	}{
		{"the MX is the first to end", "short.lab", time.Minute},
		{"an address is the first to end", "changing.lab", 90 * time.Second},
		{"a target that fails for a time is looked up again after five minutes", "failing.lab", 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, err := r.Lookup(t.Context(), test.domain)
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Until(answer.Expires); got > test.want || got < test.want-30*time.Second {
				t.Errorf("expires in %s, want %s", got, test.want)
			}
		})
	}
}

func TestNewLeavesTheCallersServersAlone(t *testing.T) {
	servers := []string{"127.0.0.1", "[::1]", "127.0.0.1:5353"}
	given := slices.Clone(servers)
	newResolver(t, mx.Config{Servers: given})
	if !slices.Equal(given, servers) {
		t.Errorf("the caller's servers are %q after New, want %q", given, servers)
	}
}

// mute is a resolver whose UDP answers are truncated and that accepts TCP connections and never answers on them.
func mute(t *testing.T) string {
	t.Helper()
	z := &zone{records: map[string][]string{"big.lab MX": {"tc", "hang"}}}
	return z.serve(t)
}

func TestAResolverThatHangsOnTCPHoldsNobodyBeyondTheirDeadline(t *testing.T) {
	r := newResolver(t, mx.Config{Servers: []string{mute(t)}, Timeout: 5 * time.Second, Attempts: 1})
	var waiters sync.WaitGroup
	for _, patience := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} {
		waiters.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			_, err := r.Lookup(ctx, "big.lab")
			took := time.Since(start)
			if !errors.Is(err, context.DeadlineExceeded) || took < patience || took > patience+4*time.Second {
				t.Errorf("error %v after %s, want the deadline's after %s", err, took, patience)
			}
		})
	}
	waiters.Wait()
}

func TestAResolverThatHangsOnTCPIsTemporaryAfterTheTimeoutOfATry(t *testing.T) {
	r := newResolver(t, mx.Config{Servers: []string{mute(t)}, Timeout: 100 * time.Millisecond, Attempts: 1})
	_, err := r.Lookup(t.Context(), "big.lab")
	var temporary *mx.TemporaryError
	if !errors.As(err, &temporary) || temporary.Kind != "timeout" || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a temporary one of kind timeout", err)
	}
}

func TestACancelledContextEndsAHangingTCPExchangeAtOnce(t *testing.T) {
	r := newResolver(t, mx.Config{Servers: []string{mute(t)}, Timeout: 5 * time.Second, Attempts: 1})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	_, err := r.Lookup(ctx, "big.lab")
	if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 4*time.Second {
		t.Errorf("error %v after %s, want context.Canceled at once", err, took)
	}
}

func TestTheDeadlineOfTheSecondQueryAboutANameIsTheCallersToo(t *testing.T) {
	denies := &zone{records: map[string][]string{}}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	servers := []string{denies.serve(t), silent.LocalAddr().String()}
	r := newResolver(t, mx.Config{Servers: servers, Timeout: 5 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Lookup(ctx, "nowhere.lab"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline's", err)
	}
}

func TestAnAnswerThatADeadlineCutShortIsNoAnswer(t *testing.T) {
	z := &zone{records: map[string][]string{
		"slow.lab MX": {"slow.lab. 300 IN MX 10 known.lab.", "slow.lab. 300 IN MX 20 silent.lab."},
		"known.lab A": {"known.lab. 300 IN A 8.8.8.8"}, "silent.lab A": {"drop"}, "silent.lab AAAA": {"drop"},
	}}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if answer, err := r.Lookup(ctx, "slow.lab"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v; want the deadline's error", answer, err)
	}
}
