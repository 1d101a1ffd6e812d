package mx_test

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"presend/verify/mx"
)

// everyAnswer is a resolver that gives the same message as its answer to every question.
type everyAnswer struct{ message atomic.Pointer[dns.Msg] }

func (e *everyAnswer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	m := e.message.Load().Copy()
	m.Id, m.Response, m.Truncated, m.Question = question.Id, true, false, question.Question
	packed, err := m.Pack()
	if err != nil { // what unpacks and does not pack again; the resolver sees a failure
		m = new(dns.Msg)
		m.SetRcode(question, dns.RcodeServerFailure)
		packed, err = m.Pack()
	}
	if err == nil {
		_, _ = w.Write(packed) // the test may have closed the socket
	}
}

// packed returns a message with records in its answer section, as octets.
func packed(f *testing.F, rcode int, records ...string) []byte {
	f.Helper()
	m := new(dns.Msg)
	m.SetQuestion("a.example.", dns.TypeMX)
	m.Rcode = rcode
	for _, record := range records {
		rr, err := dns.NewRR(record)
		if err != nil {
			f.Fatal(err)
		}
		if _, ok := rr.(*dns.SOA); ok {
			m.Ns = append(m.Ns, rr)
			continue
		}
		m.Answer = append(m.Answer, rr)
	}
	octets, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return octets
}

func FuzzAnyDNSAnswerGivesHostsThatHoldTogether(f *testing.F) {
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 MX 10 a.example.", "a.example. 60 A 8.8.8.8"))
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 MX 0 ."))
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 A 8.8.8.8", "a.example. 60 AAAA 2001:4860::8"))
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 A 127.0.0.1"))
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 MX 10 [8.8.8.8].", "a.example. 60 MX 5 B.Example."))
	f.Add(packed(f, dns.RcodeSuccess,
		"a.example. 60 CNAME b.example.", "b.example. 60 MX 1 b.example.", "b.example. 60 A 8.8.8.8"))
	f.Add(packed(f, dns.RcodeSuccess, "a.example. 60 CNAME b.example."))
	f.Add(packed(f, dns.RcodeNameError, "example. 60 SOA ns.example. x.example. 1 2 3 4 5"))
	f.Add(packed(f, dns.RcodeSuccess, `a.example. 60 MX 10 8\..`))
	f.Add(packed(f, dns.RcodeRefused))

	answers := &everyAnswer{}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: answers, NotifyStartedFunc: func() { close(started) }}
	served := make(chan error, 1)
	go func() { served <- server.ActivateAndServe() }()
	<-started
	f.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			f.Error(err)
		}
		<-served
	})

	f.Fuzz(func(t *testing.T, octets []byte) {
		m := new(dns.Msg)
		if len(octets) > 1000 || m.Unpack(octets) != nil {
			return // no resolver can send it, or it does not fit into UDP
		}
		answers.message.Store(m)
		resolver, err := mx.New(mx.Config{
			Servers: []string{conn.LocalAddr().String()}, Timeout: 300 * time.Millisecond, Attempts: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer resolver.Close()
		answer, err := resolver.Lookup(t.Context(), "a.example")
		holdsTogether(t, answer, err, len(m.Answer))
	})
}

// holdsTogether checks what is true of every answer, whatever DNS says: with how many records it said it bounds how
// many hosts and addresses there are.
func holdsTogether(t *testing.T, answer mx.Answer, err error, records int) {
	t.Helper()
	reachable, addresses := false, 0
	for _, host := range answer.Hosts {
		if (host.Err == nil) != (len(host.Addrs) > 0) {
			t.Errorf("host %q has %d addresses and the error %v", host.Name, len(host.Addrs), host.Err)
		}
		unescaped := strings.TrimSuffix(host.Name, `\.`) // an octet of a label, not the last dot
		if host.Name == "" || host.Name != strings.ToLower(host.Name) || strings.HasSuffix(unescaped, ".") {
			t.Errorf("host name %q is not in lower case without the last dot", host.Name)
		}
		for _, a := range host.Addrs {
			if a.Is4In6() || a.IsLoopback() || a.IsPrivate() || a.IsMulticast() || a.IsUnspecified() {
				t.Errorf("host %q has the address %s, where no mail host of the internet is", host.Name, a)
			}
		}
		reachable = reachable || len(host.Addrs) > 0
		addresses = max(addresses, len(host.Addrs))
	}
	if (err == nil) != reachable {
		t.Errorf("error %v, and a host with an address: %t", err, reachable)
	}
	if err == nil && answer.Destination == "" {
		t.Error("an answer has no destination")
	}
	byPreference := func(a, b mx.Host) int { return int(a.Preference) - int(b.Preference) }
	if !slices.IsSortedFunc(answer.Hosts, byPreference) {
		t.Errorf("the hosts are not in the order of their preferences: %v", answer.Hosts)
	}
	if answer.Implicit && len(answer.Hosts) != 1 {
		t.Errorf("%d hosts of a domain without MX", len(answer.Hosts))
	}
	// Each of the two questions for addresses gets all records, and a name may itself be an address.
	if len(answer.Hosts) > max(1, records) || addresses > max(1, 2*records) {
		t.Errorf("%d hosts, one with %d addresses, of %d records", len(answer.Hosts), addresses, records)
	}
}
