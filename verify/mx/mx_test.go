package mx_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"presend/verify/mx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a resolver over UDP and TCP that answers from records, "NAME TYPE" -> zone file lines. A line may also be
// one of the words servfail, refused, drop, tc (truncate over UDP), hang (no answer over TCP), bare (an empty answer
// without SOA).
type zone struct {
	records map[string][]string
	queries atomic.Int64
	tcp     atomic.Int64
}

func (z *zone) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	z.queries.Add(1)
	overTCP := w.RemoteAddr().Network() == "tcp"
	if overTCP {
		z.tcp.Add(1)
	}
	r := new(dns.Msg)
	r.SetReply(m)
	name := strings.ToLower(strings.TrimSuffix(m.Question[0].Name, "."))
	lines, exists := z.records[name+" "+dns.TypeToString[m.Question[0].Qtype]]
	if cname, ok := z.records[name+" CNAME"]; ok {
		lines, exists = slices.Concat(cname, lines), true
		target := strings.TrimSuffix(strings.Fields(cname[0])[4], ".")
		lines = append(lines, z.records[target+" "+dns.TypeToString[m.Question[0].Qtype]]...)
	}
	bare := false
	for _, line := range lines {
		switch line {
		case "servfail":
			r.Rcode = dns.RcodeServerFailure
		case "refused":
			r.Rcode = dns.RcodeRefused
		case "bare":
			bare = true
		case "drop":
			return
		case "hang":
			if overTCP {
				return // the connection stays open
			}
		case "tc":
			if !overTCP {
				r.Answer, r.Truncated = nil, true
				if err := w.WriteMsg(r); err != nil {
					panic(err)
				}
				return
			}
		default:
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			r.Answer = append(r.Answer, rr)
		}
	}
	if !exists {
		r.Rcode = dns.RcodeNameError
		for key := range z.records {
			if strings.HasPrefix(key, name+" ") {
				r.Rcode = dns.RcodeSuccess
			}
		}
	}
	if len(r.Answer) == 0 && !bare {
		soa, err := dns.NewRR("lab. 300 IN SOA ns.lab. root.lab. 1 2 3 4 60")
		if err != nil {
			panic(err)
		}
		r.Ns = append(r.Ns, soa)
	}
	if err := w.WriteMsg(r); err != nil && !errors.Is(err, net.ErrClosed) {
		panic(err)
	}
}

// serve starts the zone and returns its address.
func (z *zone) serve(t testing.TB) string {
	t.Helper()
	var packets net.PacketConn
	var listener net.Listener
	for listener == nil { // until a port is free for both
		var err error
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); errors.Is(err, syscall.EADDRINUSE) {
			packets.Close()
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: listener, Handler: z}} {
		up := make(chan struct{})
		var running sync.WaitGroup
		s.NotifyStartedFunc = func() { close(up) }
		running.Go(func() {
			if err := s.ActivateAndServe(); err != nil {
				t.Error(err)
			}
		})
		<-up
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			running.Wait()
		})
	}
	return packets.LocalAddr().String()
}

func newResolver(t testing.TB, config mx.Config) *mx.Resolver {
	t.Helper()
	r, err := mx.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestLookup(t *testing.T) {
	z := &zone{records: map[string][]string{
		"corp.lab MX":    {"corp.lab. 300 IN MX 20 mx2.corp.lab.", "corp.lab. 300 IN MX 10 MX1.corp.lab."},
		"mx1.corp.lab A": {"mx1.corp.lab. 300 IN A 127.0.1.1"}, "mx1.corp.lab AAAA": {"mx1.corp.lab. 300 IN AAAA ::1"},
		"mx2.corp.lab A":  {"mx2.corp.lab. 300 IN A 127.0.1.2"},
		"implicit.lab A":  {"implicit.lab. 300 IN A 127.0.1.3"},
		"null.lab MX":     {"null.lab. 300 IN MX 0 ."},
		"empty.lab TXT":   {},
		"dangling.lab MX": {"dangling.lab. 300 IN MX 10 gone.lab."},
		"servfail.lab MX": {"servfail"}, "silent.lab MX": {"drop"},
		"big.lab MX":      {"tc", "big.lab. 300 IN MX 10 mx1.corp.lab."},
		"alias.lab CNAME": {"alias.lab. 300 IN CNAME corp.lab."},
		"mxcname.lab MX":  {"mxcname.lab. 300 IN MX 10 c.lab."},
		"c.lab CNAME":     {"c.lab. 300 IN CNAME mx1.corp.lab."},
		"literal.lab MX":  {"literal.lab. 300 IN MX 10 127.0.1.9."},
		"half.lab MX":     {"half.lab. 300 IN MX 10 gone.lab.", "half.lab. 300 IN MX 20 mx2.corp.lab."},
		"lame.lab MX":     {"bare"}, "lame.lab A": {"bare"}, "lame.lab AAAA": {"bare"}, "lame.lab SOA": {"bare"},
		"terse.lab MX": {"bare"}, "terse.lab A": {"bare"}, "terse.lab AAAA": {"bare"},
		"terse.lab SOA": {"terse.lab. 300 IN SOA ns.lab. root.lab. 1 2 3 4 60"},
		"fail.lab MX":   {"fail.lab. 300 IN MX 10 sf.lab."}, "sf.lab A": {"servfail"}, "sf.lab AAAA": {"servfail"},
		"tenant.lab MX": {"tenant.lab. 300 IN MX 0 tenant-lab.mail.protection.outlook.com."},
		"tenant-lab.mail.protection.outlook.com A": {"tenant-lab.mail.protection.outlook.com. 300 IN A 127.0.1.7"},
	}}
	r := newResolver(t, mx.Config{
		Servers: []string{z.serve(t)}, AllowPrivate: true, Timeout: 100 * time.Millisecond, Attempts: 2,
	})
	tests := []struct {
		name, domain string
		hosts        []string
		err          error
		temporary    string
		destination  string
		implicit     bool
	}{
		{
			name: "hosts come in the order of preference", domain: "corp.lab",
			hosts: []string{"mx1.corp.lab", "mx2.corp.lab"}, destination: "corp.lab",
		},
		{
			name: "case and a last dot do not matter", domain: "CORP.lab.",
			hosts: []string{"mx1.corp.lab", "mx2.corp.lab"}, destination: "corp.lab",
		},
		{
			name: "without MX the domain's own address counts", domain: "implicit.lab",
			hosts: []string{"implicit.lab"}, destination: "implicit.lab", implicit: true,
		},
		{name: "a null MX", domain: "null.lab", err: mx.ErrNullMX},
		{name: "a name that does not exist", domain: "nowhere.lab", err: mx.ErrNoSuchDomain},
		{name: "a name without MX and address", domain: "empty.lab", err: mx.ErrNoMailHost},
		{name: "an MX that leads nowhere", domain: "dangling.lab", err: mx.ErrNoMailHost},
		{
			name: "one MX of two leads nowhere", domain: "half.lab", hosts: []string{"gone.lab", "mx2.corp.lab"},
			destination: "corp.lab",
		},
		{name: "SERVFAIL is temporary", domain: "servfail.lab", temporary: "servfail"},
		{name: "silence is temporary", domain: "silent.lab", temporary: "timeout"},
		{name: "an empty answer without a zone is temporary", domain: "lame.lab", temporary: "lame"},
		{
			name:   "an empty answer without SOA from a zone that there is, is one",
			domain: "terse.lab", err: mx.ErrNoMailHost,
		},
		{name: "SERVFAIL about the host is temporary", domain: "fail.lab", temporary: "servfail"},
		{
			name: "a truncated answer is asked for over TCP", domain: "big.lab",
			hosts: []string{"mx1.corp.lab"}, destination: "corp.lab",
		},
		{
			name: "a domain that is an alias", domain: "alias.lab",
			hosts: []string{"mx1.corp.lab", "mx2.corp.lab"}, destination: "corp.lab",
		},
		{name: "an MX that is an alias", domain: "mxcname.lab", hosts: []string{"c.lab"}, destination: "c.lab"},
		{
			name: "an MX that is an address", domain: "literal.lab",
			hosts: []string{"127.0.1.9"}, destination: "127.0.1.9",
		},
		{
			name: "a provider is the destination", domain: "tenant.lab",
			hosts: []string{"tenant-lab.mail.protection.outlook.com"}, destination: "microsoft",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, again := range []string{"asked", "from the cache"} {
				answer, err := r.Lookup(t.Context(), test.domain)
				var temporary *mx.TemporaryError
				switch {
				case test.err != nil:
					if !errors.Is(err, test.err) {
						t.Errorf("%s: error %v, want %v", again, err, test.err)
					}
					continue
				case test.temporary != "":
					if !errors.As(err, &temporary) || temporary.Kind != test.temporary {
						t.Errorf("%s: error %v, want a temporary one of kind %s", again, err, test.temporary)
					}
					continue
				case err != nil:
					t.Fatal(err)
				}
				var hosts []string
				for _, h := range answer.Hosts {
					hosts = append(hosts, h.Name)
				}
				if !slices.Equal(hosts, test.hosts) || answer.Destination != test.destination ||
					answer.Implicit != test.implicit {
					t.Errorf("%s: %+v, want hosts %v at %s", again, answer, test.hosts, test.destination)
				}
			}
		})
	}
	if z.tcp.Load() != 1 {
		t.Errorf("%d queries over TCP, want 1", z.tcp.Load())
	}
}

func TestNonPublicAddressesAreLeftOut(t *testing.T) {
	z := &zone{records: map[string][]string{
		"inside.lab MX": {"inside.lab. 300 IN MX 10 a.lab."},
		"a.lab A":       {"a.lab. 300 IN A 127.0.0.1", "a.lab. 300 IN A 10.0.0.1"},
		"a.lab AAAA":    {"a.lab. 300 IN AAAA fe80::1"},
		"mixed.lab MX":  {"mixed.lab. 300 IN MX 10 b.lab."},
		"b.lab A":       {"b.lab. 300 IN A 192.168.1.1", "b.lab. 300 IN A 8.8.8.8"},
	}}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}})
	if _, err := r.Lookup(t.Context(), "inside.lab"); !errors.Is(err, mx.ErrNotPublic) {
		t.Errorf("error %v, want ErrNotPublic", err)
	}
	answer, err := r.Lookup(t.Context(), "mixed.lab")
	public := []netip.Addr{netip.MustParseAddr("8.8.8.8")}
	if err != nil || len(answer.Hosts) != 1 || !slices.Equal(answer.Hosts[0].Addrs, public) {
		t.Errorf("%+v, %v; want only the public address", answer, err)
	}
}

func TestAnotherResolverIsAskedWhereOneFails(t *testing.T) {
	good := &zone{records: map[string][]string{
		"corp.lab MX": {"corp.lab. 300 IN MX 10 mx.lab."}, "mx.lab A": {"mx.lab. 300 IN A 127.0.1.1"},
	}}
	bad := &zone{records: map[string][]string{
		"corp.lab MX": {"servfail"}, "mx.lab A": {"refused"}, "mx.lab AAAA": {"servfail"},
	}}
	r := newResolver(t, mx.Config{Servers: []string{bad.serve(t), good.serve(t)}, AllowPrivate: true})
	if _, err := r.Lookup(t.Context(), "corp.lab"); err != nil {
		t.Error(err)
	}
}

func TestNXDOMAINIsNotBelievedWhenAnotherResolverKnowsTheName(t *testing.T) {
	knows := &zone{records: map[string][]string{"corp.lab MX": {"corp.lab. 300 IN MX 10 mx.lab."}}}
	denies := &zone{records: map[string][]string{}}
	r := newResolver(t, mx.Config{Servers: []string{denies.serve(t), knows.serve(t)}, AllowPrivate: true})
	_, err := r.Lookup(t.Context(), "corp.lab")
	var temporary *mx.TemporaryError
	if !errors.As(err, &temporary) {
		t.Errorf("error %v, want a temporary one", err)
	}
}

func TestManyWaitersMakeOneQuery(t *testing.T) {
	z := &zone{records: map[string][]string{
		"corp.lab MX": {"corp.lab. 300 IN MX 10 mx.lab."}, "mx.lab A": {"mx.lab. 300 IN A 127.0.1.1"}, "mx.lab AAAA": {},
	}}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}, AllowPrivate: true})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := r.Lookup(t.Context(), "corp.lab"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := z.queries.Load(); n != 3 {
		t.Errorf("%d queries, want 3: MX, A, AAAA", n)
	}
}

func TestACancelledWaiterLeavesAtOnce(t *testing.T) {
	z := &zone{records: map[string][]string{"silent.lab MX": {"drop"}}}
	r := newResolver(t, mx.Config{Servers: []string{z.serve(t)}})
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := r.Lookup(ctx, "silent.lab"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
