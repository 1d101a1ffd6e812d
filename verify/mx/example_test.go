package mx_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"

	"presend/verify/mx"
)

func Example() {
	address, stop := nameServer() // the example's own; with an empty Config the system's resolvers are asked
	defer stop()
	resolver, err := mx.New(mx.Config{Servers: []string{address}})
	if err != nil {
		panic(err)
	}
	defer resolver.Close()

	for _, domain := range []string{"corp.example", "gone.example"} {
		answer, err := resolver.Lookup(context.Background(), domain)
		var temporary *mx.TemporaryError
		switch {
		case errors.As(err, &temporary): // DNS gave no answer: ask again later
			fmt.Println(domain, "is not known yet:", temporary)
		case err != nil: // a conclusion about the domain
			fmt.Println(domain, "takes no mail:", err)
		default:
			fmt.Println(domain, "is served by", answer.Provider.Name)
			for _, host := range answer.Hosts { // in the order in which to try them
				fmt.Println(host.Preference, host.Name, host.Addrs, host.Err)
			}
		}
	}
	// Output:
	// corp.example is served by google
	// 1 aspmx.l.google.com [142.250.27.26 2a00:1450:4025:401::1a] <nil>
	// 10 old.corp.example [] no address
	// gone.example takes no mail: mail hosts of gone.example: no such domain
}

// nameServer serves the zone of corp.example on this machine, and knows no other name.
func nameServer() (address string, stop func()) {
	records := map[string][]string{
		"corp.example. MX": {
			"corp.example. 300 IN MX 10 old.corp.example.", "corp.example. 300 IN MX 1 aspmx.l.google.com.",
		},
		"aspmx.l.google.com. A":    {"aspmx.l.google.com. 300 IN A 142.250.27.26"},
		"aspmx.l.google.com. AAAA": {"aspmx.l.google.com. 300 IN AAAA 2a00:1450:4025:401::1a"},
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		answer := new(dns.Msg).SetReply(m)
		for _, line := range records[m.Question[0].Name+" "+dns.TypeToString[m.Question[0].Qtype]] {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			answer.Answer = append(answer.Answer, rr)
		}
		if len(answer.Answer) == 0 {
			answer.Rcode = dns.RcodeNameError
		}
		if err := w.WriteMsg(answer); err != nil {
			panic(err)
		}
	})}
	ready, done := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	go func() {
		defer close(done)
		if err := server.ActivateAndServe(); err != nil {
			panic(err)
		}
	}()
	<-ready
	return packets.LocalAddr().String(), func() {
		if err := server.Shutdown(); err != nil {
			panic(err)
		}
		<-done
	}
}
