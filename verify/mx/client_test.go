package mx

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestAnswersThatAreLateOrForgedArePassedOver(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong func(m *dns.Msg)
	}{
		{"another ID", func(m *dns.Msg) { m.Id++ }},
		{"no answer but a question", func(m *dns.Msg) { m.Response = false }},
		{"another name", func(m *dns.Msg) { m.Question[0].Name = "other.lab." }},
		{"another type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }},
		{"another class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }},
		{"no question", func(m *dns.Msg) { m.Question = nil }},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			s := &socket{Conn: ours}
			defer s.Close()
			go func() {
				var buffer [512]byte
				n, err := theirs.Read(buffer[:])
				var m dns.Msg
				if err != nil || m.Unpack(buffer[:n]) != nil {
					t.Errorf("no question came: %v", err)
				}
				forged := new(dns.Msg).SetRcode(&m, dns.RcodeNameError)
				test.wrong(forged)
				right := new(dns.Msg).SetReply(&m)
				right.Question[0].Name = "COrp.lab."
				for _, reply := range []*dns.Msg{forged, right} {
					packed, err := reply.Pack()
					if err != nil {
						t.Error(err)
					}
					if _, err := theirs.Write([]byte("short")); err != nil {
						t.Error(err)
					}
					if _, err := theirs.Write(packed); err != nil {
						t.Error(err)
					}
				}
			}()
			m := new(dns.Msg).SetQuestion("corp.lab.", dns.TypeMX)
			reply, err := s.exchange(m, time.Now().Add(10*time.Second))
			if err != nil || reply.Rcode != dns.RcodeSuccess {
				t.Errorf("%v, %v; want the right answer", reply, err)
			}
		})
	}
}
