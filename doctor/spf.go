package doctor

import (
	"context"
	"net"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/miekg/dns"
)

// spfResolver answers what SPF asks, each question once. Its errors are *net.DNSError, as package spf wants them. It is
// for one goroutine.
type spfResolver struct {
	exam  *exam
	known map[string]spfAnswer
}

type spfAnswer struct {
	reply *dns.Msg
	err   error
}

func (r *spfResolver) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	key := dns.TypeToString[kind] + " " + strings.ToLower(strings.TrimSuffix(name, "."))
	answer, ok := r.known[key]
	if !ok {
		answer.reply, answer.err = r.exam.ask(ctx, name, kind)
		r.known[key] = answer
	}
	switch {
	case answer.err != nil:
		return nil, &net.DNSError{Err: answer.err.Error(), Name: name, IsTemporary: true}
	case answer.reply.Rcode == dns.RcodeNameError:
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	}
	return answer.reply, nil
}

// LookupTXT implements spf.DNSResolver.
func (r *spfResolver) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	reply, err := r.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return textsIn(reply), nil
}

// LookupMX implements spf.DNSResolver.
func (r *spfResolver) LookupMX(ctx context.Context, name string) (hosts []*net.MX, err error) {
	reply, err := r.ask(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	for _, m := range records[*dns.MX](reply) {
		hosts = append(hosts, &net.MX{Host: m.Mx, Pref: m.Preference})
	}
	return hosts, nil
}

// LookupIPAddr implements spf.DNSResolver.
func (r *spfResolver) LookupIPAddr(ctx context.Context, host string) (addrs []net.IPAddr, err error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		reply, err := r.ask(ctx, host, kind)
		if err != nil {
			return nil, err
		}
		for _, a := range addressesIn(reply) {
			addrs = append(addrs, net.IPAddr{IP: a.AsSlice()})
		}
	}
	return addrs, nil
}

// LookupAddr implements spf.DNSResolver.
func (r *spfResolver) LookupAddr(ctx context.Context, addr string) (names []string, err error) {
	reverse, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, err
	}
	reply, err := r.ask(ctx, reverse, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	for _, p := range records[*dns.PTR](reply) {
		names = append(names, p.Ptr)
	}
	return names, nil
}

var _ spf.DNSResolver = (*spfResolver)(nil)
