package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"presend/verify/mx"
)

// world is a machine and what it can reach, without sockets. The zero value of a field is a healthy one.
type world struct {
	zone    map[string][]dns.RR // by lower-case name
	failing map[string]bool     // names that DNS gives no answer about

	faults   map[string]error // of the preflight, by server
	exchange func(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error)
	greeting func(host netip.Addr) (text string, err error)
	local    func(target netip.Addr) (netip.Addr, error)
	files    uint64
	filesErr error

	mu      sync.Mutex
	asked   map[string]int // questions by name, of Ask
	dialled []string       // source and address
	heard   []string       // what clients said to mail hosts
}

// healthy is the zone of a machine at which nothing is wrong. $HOSTS stands for the providers' hosts.
const healthy = `
mail.example.com.               A     198.51.100.7
mail.example.com.               AAAA  2001:db8::7
7.100.51.198.in-addr.arpa.      PTR   mail.example.com.
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.com.
example.com.                    MX    10 mail.example.com.
example.com.                    TXT   "v=spf1 mx ip6:2001:db8::7 -all"
_dmarc.example.com.             TXT   "v=DMARC1; p=reject"
`

// newWorld returns a healthy world with more records; a line that begins with - takes a name's records of a type away.
func newWorld(t *testing.T, more string) *world {
	t.Helper()
	w := &world{zone: map[string][]dns.RR{}, files: 65536, asked: map[string]int{}}
	known, err := loadFacts()
	if err != nil {
		t.Fatal(err)
	}
	text := healthy
	for i, p := range known.Providers {
		text += fmt.Sprintf("%s. A 203.0.113.%d\n%s. AAAA 2001:db8:1::%d\n", p.Host, i+1, p.Host, i+1)
	}
	for _, b := range known.Blocklists {
		text += "2.0.0.127." + b.Zone + ". A 127.0.0.2\n"
	}
	for line := range strings.Lines(text + more) {
		line = strings.TrimSpace(line)
		if gone, ok := strings.CutPrefix(line, "-"); ok {
			w.remove(t, strings.Fields(gone))
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		if rr != nil {
			name := dns.CanonicalName(rr.Header().Name)
			w.zone[name] = append(w.zone[name], rr)
		}
	}
	return w
}

func (w *world) remove(t *testing.T, words []string) {
	t.Helper()
	var kept []dns.RR
	for _, rr := range w.zone[words[0]] {
		if dns.TypeToString[rr.Header().Rrtype] != words[1] {
			kept = append(kept, rr)
		}
	}
	if len(kept) == len(w.zone[words[0]]) {
		t.Fatalf("no %s record of %s to take away", words[1], words[0])
	}
	if w.zone[words[0]] = kept; len(kept) == 0 {
		delete(w.zone, words[0])
	}
}

// Ask implements DNS.
func (w *world) Ask(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name = dns.CanonicalName(name)
	w.asked[name]++
	if w.failing[name] {
		return nil, &mx.TemporaryError{Kind: "servfail"}
	}
	return w.reply(name, kind), nil
}

func (w *world) reply(name string, kind uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, kind)
	m.Response = true
	all, exists := w.zone[name]
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	for _, rr := range all {
		if rr.Header().Rrtype == kind {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

// Lookup implements Hosts.
func (w *world) Lookup(_ context.Context, domain string) (mx.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := dns.Fqdn(domain)
	switch all, exists := w.zone[name]; {
	case w.failing[name]:
		return mx.Answer{}, &mx.TemporaryError{Kind: "servfail"}
	case !exists:
		return mx.Answer{}, mx.ErrNoSuchDomain
	default:
		for _, rr := range all {
			switch rr := rr.(type) {
			case *dns.MX:
				if rr.Mx == "." {
					return mx.Answer{}, mx.ErrNullMX
				}
				return mx.Answer{Hosts: []mx.Host{{Name: strings.TrimSuffix(rr.Mx, ".")}}}, nil
			case *dns.A:
				return mx.Answer{Hosts: []mx.Host{{Name: domain}}, Implicit: true}, nil
			}
		}
	}
	return mx.Answer{}, mx.ErrNoMailHost
}

func (w *world) network() Network {
	return Network{
		Exchange:  w.answer,
		Preflight: func(_ context.Context, server string) error { return w.faults[server] },
		Dial:      w.dial,
		Local: func(_ context.Context, target netip.Addr) (netip.Addr, error) {
			if w.local != nil {
				return w.local(target)
			}
			if target.Is4() {
				return netip.MustParseAddr("198.51.100.7"), nil
			}
			return netip.MustParseAddr("2001:db8::7"), nil
		},
		OpenFiles: func() (uint64, error) { return w.files, w.filesErr },
	}
}

// answer is a validating resolver, if nothing else was declared.
func (w *world) answer(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	if w.exchange != nil {
		return w.exchange(ctx, server, query)
	}
	return validating(query), nil
}

func validating(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	switch query.Question[0].Name {
	case ".":
		m.AuthenticatedData = true
		now := uint32(time.Now().Unix())
		m.Answer = []dns.RR{
			&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET}},
			&dns.RRSIG{
				Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET}, Inception: now - 86400,
				Expiration: now + 12*86400,
			},
		}
	case "dnssec-failed.org.":
		m.Rcode = dns.RcodeServerFailure
	default:
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// dial connects to a mail host that greets and hears QUIT.
func (w *world) dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	to := netip.MustParseAddrPort(address)
	w.mu.Lock()
	w.dialled = append(w.dialled, fmt.Sprintf("%s>%s", source, address))
	w.mu.Unlock()
	text := fmt.Sprintf("220 mx%s.test ESMTP\r\n", strings.NewReplacer(".", "-", ":", "-").Replace(to.Addr().String()))
	if w.greeting != nil {
		var err error
		if text, err = w.greeting(to.Addr()); err != nil {
			return nil, err
		}
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if _, err := server.Write([]byte(text)); err != nil {
			return
		}
		line, err := bufio.NewReader(server).ReadString('\n')
		w.mu.Lock()
		w.heard = append(w.heard, line)
		w.mu.Unlock()
		if err == nil {
			_, _ = server.Write([]byte("221 2.0.0 Bye\r\n")) // the client may be gone
		}
	}()
	return client, nil
}

// examine runs all checks and returns the findings of one, and the worst level of all.
func (w *world) examine(t *testing.T, name string, change func(*Config)) (findings []Finding, worst Level) {
	t.Helper()
	config := Config{
		DNS: w, Hosts: w, Servers: []string{"192.0.2.53:53"}, AllowPrivate: true, HELO: "mail.example.com",
		From: "check@example.com", Network: w.network(),
	}
	if change != nil {
		change(&config)
	}
	worst, err := Run(t.Context(), config, func(f Finding) error {
		if f.Check == name || name == "" {
			findings = append(findings, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return findings, worst
}

func refusedConnection() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: errnoError(syscall.ECONNREFUSED)}
}

func errnoError(errno syscall.Errno) error { return fmt.Errorf("connect: %w", errno) }

// timeoutError is what a dialer returns at its deadline.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

var errBoom = errors.New("boom")
