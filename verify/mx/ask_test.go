package mx_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"presend/internal/lab"
	"presend/verify/mx"
)

func TestAskReturnsRepliesOfAnyKind(t *testing.T) {
	l, err := lab.Start(t.Context(), `
		host   mx.lab
		domain broken.lab servfail
		record corp.lab. TXT "v=spf1 -all"`)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := mx.New(mx.Config{Servers: []string{l.DNS()}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if servers := r.Servers(); len(servers) != 1 || servers[0] != l.DNS() {
		t.Errorf("the resolvers are %v", servers)
	}
	reply, err := r.Ask(t.Context(), "Corp.lab.", dns.TypeTXT)
	if err != nil || len(reply.Answer) != 1 {
		t.Errorf("%v, %v", reply, err)
	}
	reply, err = r.Ask(t.Context(), "gone.lab", dns.TypeTXT)
	if err != nil || reply.Rcode != dns.RcodeNameError {
		t.Errorf("%v, %v", reply, err)
	}
	var temporary *mx.TemporaryError
	if _, err = r.Ask(t.Context(), "broken.lab", dns.TypeTXT); !errors.As(err, &temporary) {
		t.Errorf("%v", err)
	}
}

func TestIsPublicIsWhatMailHostsAreJudgedBy(t *testing.T) {
	for address, want := range map[string]bool{
		"192.168.1.1": false, "192.0.2.1": false, "1.1.1.1": true,
		"2606:4700::1": true, "fd00::2": false,
	} {
		if mx.IsPublic(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: not %t", address, want)
		}
	}
}
