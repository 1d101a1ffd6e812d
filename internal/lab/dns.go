package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ttl of every record, in seconds.
const ttl = 300

// nameServer answers for the whole internet, over UDP and TCP.
type nameServer struct {
	world   *World
	tally   *tally
	parents map[string]bool // names that exist only because of names below them
	addr    string
	servers []*dns.Server
	serving sync.WaitGroup
	ctx     context.Context
	close   func() error
}

func newNameServer(ctx context.Context, w *World, t *tally) *nameServer {
	n := &nameServer{world: w, tally: t, parents: w.parents(), ctx: ctx}
	n.close = sync.OnceValue(n.shutDown)
	return n
}

// serve opens the sockets and answers on them until close.
func (n *nameServer) serve() error {
	udp, tcp, err := listenBoth()
	if err != nil {
		return err
	}
	n.addr = udp.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: n}, {Listener: tcp, Handler: n}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		n.serving.Go(func() { _ = server.ActivateAndServe() }) // it ends with Shutdown, which reports
		<-started
		n.servers = append(n.servers, server)
	}
	return nil
}

// listenBoth opens UDP and TCP on the same port.
func listenBoth() (net.PacketConn, net.Listener, error) {
	const attempts = 20
	var last error
	for range attempts {
		tcp, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, nil, fmt.Errorf("lab: %w", err)
		}
		udp, err := net.ListenPacket("udp4", tcp.Addr().String())
		if err == nil {
			if u, ok := udp.(*net.UDPConn); ok {
				_ = u.SetReadBuffer(4 << 20) // bursts; a smaller one still works
			}
			return udp, tcp, nil
		}
		tcp.Close()
		last = err
	}
	return nil, nil, fmt.Errorf("lab: %w", last)
}

func (n *nameServer) shutDown() error {
	var errs []error
	for _, server := range n.servers {
		errs = append(errs, server.Shutdown())
	}
	n.serving.Wait()
	return errors.Join(errs...)
}

// ServeDNS answers one query.
func (n *nameServer) ServeDNS(rw dns.ResponseWriter, query *dns.Msg) {
	n.tally.queries.Add(1)
	if len(query.Question) != 1 {
		return
	}
	_, udp := rw.LocalAddr().(*net.UDPAddr)
	answer := n.answer(query, udp)
	if answer == nil || !pause(n.ctx, n.world.Latency) {
		return
	}
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		answer.SetEdns0(1232, opt.Do())
	}
	if udp {
		answer.Truncate(size)
	}
	_ = rw.WriteMsg(answer) // the client may be gone
}

// answer returns the message to send, nil for none.
func (n *nameServer) answer(query *dns.Msg, udp bool) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable = true
	question := query.Question[0]
	owner, name := question.Name, strings.ToLower(strings.TrimSuffix(question.Name, "."))
	for {
		target, ok := n.world.aliases[name]
		if !ok {
			break
		}
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(owner, dns.TypeCNAME), Target: target + "."})
		owner, name = target+".", target
		if question.Qtype == dns.TypeCNAME {
			return m
		}
	}
	domain := n.world.domains[name]
	if domain != nil && domain.TCP && udp {
		m.Truncated = true
		return m
	}
	found, rcode := n.records(owner, name, domain, question.Qtype)
	if rcode == noAnswer {
		return nil
	}
	if more, exists := n.world.declared(name, question.Qtype); exists {
		found, rcode = append(found, more...), dns.RcodeSuccess
	}
	m.Rcode = rcode
	m.Answer = append(m.Answer, found...)
	if len(found) == 0 && rcode != dns.RcodeServerFailure {
		m.Ns = []dns.RR{soa(name)}
	}
	return m
}

// noAnswer in place of an rcode means silence.
const noAnswer = -1

func (n *nameServer) records(owner, name string, domain *Domain, qtype uint16) ([]dns.RR, int) {
	if domain != nil {
		switch domain.Answer {
		case NXDomain:
			return nil, dns.RcodeNameError
		case ServFail:
			return nil, dns.RcodeServerFailure
		case TimesOut:
			return nil, noAnswer
		}
		switch qtype {
		case dns.TypeMX:
			return domain.mxRecords(owner), dns.RcodeSuccess
		}
		return n.world.addresses(owner, domain.Implicit, qtype)
	}
	if len(n.world.servers(name)) > 0 {
		return n.world.addresses(owner, name, qtype)
	}
	if n.parents[name] {
		return nil, dns.RcodeSuccess
	}
	return nil, dns.RcodeNameError
}

func (d *Domain) mxRecords(owner string) []dns.RR {
	if d.Answer == NullMX {
		return []dns.RR{&dns.MX{Hdr: header(owner, dns.TypeMX), Preference: 0, Mx: "."}}
	}
	records := make([]dns.RR, 0, len(d.MX))
	for _, mx := range d.MX {
		records = append(records, &dns.MX{Hdr: header(owner, dns.TypeMX), Preference: mx.Preference, Mx: mx.Host + "."})
	}
	return records
}

// addresses returns the A or AAAA records of a host or name under the name of owner.
func (w *World) addresses(owner, name string, qtype uint16) (records []dns.RR, rcode int) {
	if qtype != dns.TypeA && qtype != dns.TypeAAAA {
		return nil, dns.RcodeSuccess
	}
	for _, server := range w.servers(name) {
		h := w.hosts[server]
		switch {
		case h.Fault == LostAddress:
			return nil, dns.RcodeServerFailure
		case h.Fault == NoAddress:
		case qtype == dns.TypeA && h.Addr.IsValid():
			records = append(records, &dns.A{Hdr: header(owner, dns.TypeA), A: h.Addr.AsSlice()})
		case qtype == dns.TypeAAAA && h.Addr6.IsValid():
			records = append(records, &dns.AAAA{Hdr: header(owner, dns.TypeAAAA), AAAA: h.Addr6.AsSlice()})
		}
	}
	return records, dns.RcodeSuccess
}

func header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// soa is the authority for negative answers (RFC 2308): the top-level domain's.
func soa(name string) dns.RR {
	zone := name[strings.LastIndexByte(name, '.')+1:] + "."
	below := strings.TrimPrefix(zone, ".") // of the root, a name that can be sent
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA), Ns: "ns." + below, Mbox: "hostmaster." + below,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ttl,
	}
}

// parents returns the names above those that are declared, which exist but hold nothing (RFC 8020).
func (w *World) parents() map[string]bool {
	parents := map[string]bool{"": true}
	add := func(name string) {
		for {
			_, above, ok := strings.Cut(name, ".")
			if !ok || parents[above] {
				return
			}
			parents[above] = true
			name = above
		}
	}
	for name := range w.hosts {
		add(name)
	}
	for name, d := range w.domains {
		if d.Answer != NXDomain {
			add(name)
		}
	}
	for name := range w.aliases {
		add(name)
	}
	for name := range w.names {
		add(name)
	}
	for name := range w.records {
		add(name)
	}
	return parents
}

// pause waits, and reports whether it waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
