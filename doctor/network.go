package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/proxy"

	"presend/verify/mx"
)

// exchangeTime is how long a resolver has to reply to one query. It is more than a second, since a question that is not
// in its cache takes it several steps.
const exchangeTime = 3 * time.Second

func (c Config) withDefaults() Config {
	c.Port = cmp.Or(c.Port, 25)
	c.Sessions = cmp.Or(c.Sessions, 200)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	n := &c.Network
	if n.Exchange == nil {
		n.Exchange = exchange
	}
	if n.Preflight == nil {
		n.Preflight = preflight
	}
	if n.Dial == nil {
		n.Dial = dial
	}
	if n.Local == nil {
		n.Local = local
	}
	if n.OpenFiles == nil {
		n.OpenFiles = openFiles
	}
	return c
}

// exchange asks over UDP, and over TCP where the reply is truncated.
func exchange(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	reply, _, err := (&dns.Client{Timeout: exchangeTime, UDPSize: dns.DefaultMsgSize}).ExchangeContext(ctx, query, server)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: exchangeTime}).ExchangeContext(ctx, query, server)
	}
	return reply, err
}

// preflight tests one resolver as a run does.
func preflight(ctx context.Context, server string) error {
	resolver, err := mx.New(mx.Config{Servers: []string{server}})
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	return resolver.Preflight(ctx)
}

func dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	return dialer(source).DialContext(ctx, "tcp", address)
}

func dialer(source netip.Addr) *net.Dialer {
	d := &net.Dialer{}
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	return d
}

// local connects a UDP socket, which sends nothing.
func local(ctx context.Context, target netip.Addr) (netip.Addr, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", netip.AddrPortFrom(target, 53).String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	from, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the local address: %w", err)
	}
	return from.Addr().Unmap().WithZone(""), nil
}

// through lets the dialer of package proxy use ours.
type through struct {
	dial   func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)
	source netip.Addr
}

func (t through) Dial(network, address string) (net.Conn, error) {
	return t.DialContext(context.Background(), network, address)
}

func (t through) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return t.dial(ctx, t.source, address)
}

// connect makes a connection to a mail host, through the proxy where there is one.
func (e *exam) connect(ctx context.Context, source, host netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	address := netip.AddrPortFrom(host, uint16(e.Port)).String()
	if e.Proxy == nil {
		return e.Network.Dial(ctx, source, address)
	}
	dialer, err := proxy.FromURL(e.Proxy, through{e.Network.Dial, source})
	if err != nil {
		return nil, err
	}
	d, ok := dialer.(proxy.ContextDialer)
	if !ok {
		return nil, fmt.Errorf("the proxy %s cannot be dialled with a deadline", e.Proxy.Host)
	}
	return d.DialContext(ctx, "tcp", address)
}

// ask asks one question, in a bounded time.
func (e *exam) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	return e.DNS.Ask(ctx, name, kind)
}

// records returns the records of a kind in a reply.
func records[T dns.RR](reply *dns.Msg) (found []T) {
	for _, rr := range reply.Answer {
		if r, ok := rr.(T); ok {
			found = append(found, r)
		}
	}
	return found
}

// addresses returns the addresses of a name in both families. No address and no error mean that it has none.
func (e *exam) addresses(ctx context.Context, name string) (found []netip.Addr, err error) {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	type answer struct {
		reply *dns.Msg
		err   error
	}
	for _, a := range each(len(kinds), func(i int) answer {
		reply, err := e.ask(ctx, name, kinds[i])
		return answer{reply, err}
	}) {
		if a.err != nil {
			err = a.err
			continue
		}
		found = append(found, addressesIn(a.reply)...)
	}
	if len(found) > 0 {
		err = nil
	}
	return found, err
}

// addressesIn returns the addresses in a reply.
func addressesIn(reply *dns.Msg) (found []netip.Addr) {
	add := func(ip net.IP) {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			found = append(found, addr.Unmap())
		}
	}
	for _, r := range records[*dns.A](reply) {
		add(r.A)
	}
	for _, r := range records[*dns.AAAA](reply) {
		add(r.AAAA)
	}
	return found
}

// texts returns the TXT records of a name, each in one piece.
func (e *exam) texts(ctx context.Context, name string) ([]string, error) {
	reply, err := e.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return textsIn(reply), nil
}

// textsIn returns the TXT records of a reply, each in one piece.
func textsIn(reply *dns.Msg) (texts []string) {
	for _, r := range records[*dns.TXT](reply) {
		texts = append(texts, strings.Join(r.Txt, ""))
	}
	return texts
}
