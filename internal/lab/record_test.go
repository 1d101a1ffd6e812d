package lab

import (
	"testing"

	"github.com/miekg/dns"
)

func TestRecordsAreAddedToWhatIsThere(t *testing.T) {
	l, err := Start(t.Context(), `
		host   mx.lab
		domain corp.lab mx=mx.lab
		record corp.lab. TXT "v=spf1 -all"   # a comment
		record a.b.corp.lab. PTR mx.lab.`)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		name           string
		kind           uint16
		rcode, records int
	}{
		{"corp.lab.", dns.TypeTXT, dns.RcodeSuccess, 1},
		{"corp.lab.", dns.TypeMX, dns.RcodeSuccess, 1},
		{"A.b.corp.lab.", dns.TypePTR, dns.RcodeSuccess, 1},
		{"a.b.corp.lab.", dns.TypeTXT, dns.RcodeSuccess, 0},
		{"b.corp.lab.", dns.TypeTXT, dns.RcodeSuccess, 0}, // it exists, since a name is below it
		{".", dns.TypeNS, dns.RcodeSuccess, 0},
		{"c.corp.lab.", dns.TypeTXT, dns.RcodeNameError, 0},
	} {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(test.name, test.kind), l.DNS())
		if err != nil {
			t.Fatal(err)
		}
		if reply.Rcode != test.rcode || len(reply.Answer) != test.records {
			t.Errorf("%s %s: %v", test.name, dns.TypeToString[test.kind], reply)
		}
	}
}

func TestARecordIsInTheFormOfAZoneFile(t *testing.T) {
	for _, line := range []string{"record corp.lab. TXTT x", "record corp.lab.", "record ;"} {
		if _, err := Parse(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
