package mx

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestPreflight(t *testing.T) {
	empty := zone{}.answer
	nodata := func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(m) }
	rewriting := func(m *dns.Msg) *dns.Msg {
		reply := mail(m)
		if reply.Rcode == dns.RcodeNameError {
			reply = new(dns.Msg).SetReply(m)
			reply.Answer = append(reply.Answer, record("%s 300 IN A 203.0.113.1", m.Question[0].Name))
		}
		return reply
	}
	one := func(m *dns.Msg) *dns.Msg {
		if name := m.Question[0].Name; name == "." || strings.HasSuffix(name, ".com.") && name != "yahoo.com." {
			return empty(m)
		}
		return mail(m)
	}
	lacksEDNS := func(m *dns.Msg) *dns.Msg {
		if m.IsEdns0() != nil {
			return nil
		}
		return mail(m)
	}
	stripped := func(m *dns.Msg) *dns.Msg {
		reply := mail(m)
		if m.Question[0].Qtype == dns.TypeMX {
			reply.Answer = nil
		}
		return reply
	}
	insideRoot := func(m *dns.Msg) *dns.Msg {
		if m.Question[0].Name == "." {
			return mail(m)
		}
		return empty(m)
	}
	good, bad := &simServer{answer: mail}, &simServer{answer: rewriting}
	for _, test := range []struct {
		name    string
		servers []*simServer
		fault   Fault // "": it passes
	}{
		{"one that knows the names", []*simServer{good}, ""},
		{"one that knows one of the names", []*simServer{{answer: one}}, ""},
		{"one that is slow", []*simServer{{answer: mail, latency: 500 * time.Millisecond}}, ""},
		{"one that does not answer EDNS", []*simServer{{answer: lacksEDNS}}, ""},
		{"one that answers over TCP only", []*simServer{{answer: mail, overUDP: silence}}, ""},
		{"NXDOMAIN to everything", []*simServer{{answer: empty}}, Empty},
		{"NODATA to everything", []*simServer{{answer: nodata}}, Empty},
		{"MX records are stripped", []*simServer{{answer: stripped}}, Empty},
		{"a root of its own, and nothing below", []*simServer{{answer: insideRoot}}, Empty},
		{"an address for everything that does not exist", []*simServer{bad}, Rewrites},
		{"silence", []*simServer{{answer: silence}}, Dead},
		{"nobody listens", []*simServer{{closed: true}}, Dead},
		{"SERVFAIL to everything", []*simServer{{answer: status(dns.RcodeServerFailure)}}, Dead},
		{"REFUSED to everything", []*simServer{{answer: status(dns.RcodeRefused)}}, Dead},
		{"the first is dead, the second is good", []*simServer{{closed: true}, good}, ""},
		{"the first lies, the second is good", []*simServer{{answer: empty}, good}, ""},
		{"the first rewrites, the second is good", []*simServer{bad, good}, ""},
		{"the first is dead, the second rewrites", []*simServer{{closed: true}, bad}, Rewrites},
		{"the first lies, the second is dead", []*simServer{{answer: empty}, {answer: silence}}, Empty},
	} {
		simulate(t, test.name, func(t *testing.T) {
			addresses := []string{"9.9.9.9:53", "8.8.8.8:53"}[:len(test.servers)]
			n := network{servers: map[string]*simServer{}}
			for i, address := range addresses {
				n.servers[address] = test.servers[i]
			}
			r := n.resolver(t, Config{Servers: addresses})
			begun := time.Now()
			err := r.Preflight(t.Context())
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
			var fault *PreflightError
			switch {
			case test.fault == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case test.fault != "" && (!errors.As(err, &fault) || fault.Fault != test.fault):
				t.Errorf("error %v, want the fault %s", err, test.fault)
			case test.fault == "":
				if _, err := r.Lookup(t.Context(), "gone.lab"); !errors.Is(err, ErrNoSuchDomain) {
					// It is asked of the good resolver only, or the lying one would be believed.
					t.Errorf("a domain that does not exist: error %v", err)
				}
				if _, err := r.Lookup(t.Context(), "corp.lab"); err != nil {
					t.Error(err)
				}
			}
			t.Log(err)
		})
	}
}

func TestAResolverThatLiedIsAskedAgainAfterALaterPreflight(t *testing.T) {
	simulate(t, "it has stopped lying", func(t *testing.T) {
		first, second := &simServer{answer: zone{}.answer}, &simServer{answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": first, "8.8.8.8:53": second}}
		r := n.resolver(t, Config{Servers: []string{"9.9.9.9:53", "8.8.8.8:53"}})
		use := func(want bool) {
			t.Helper()
			if err := r.Preflight(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := first.queries()
			if failed, err := lookUp(t, r, 10); failed > 0 {
				t.Error(err)
			}
			if used := first.queries() > before; used != want {
				t.Errorf("the first resolver is used: %t, want %t", used, want)
			}
			r.cache = newCache(100)
		}
		use(false)
		first.change(func(s *simServer) { s.answer = mail })
		use(true)
	})
}

func TestAResolverThatLiedIsNotBelievedBecauseItFellSilent(t *testing.T) {
	simulate(t, "it lies, is silent in a later preflight, and lies again", func(t *testing.T) {
		first, second := &simServer{answer: zone{}.answer}, &simServer{answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": first, "8.8.8.8:53": second}}
		r := n.resolver(t, Config{Servers: []string{"9.9.9.9:53", "8.8.8.8:53"}})
		for _, answer := range []func(*dns.Msg) *dns.Msg{zone{}.answer, silence} {
			first.change(func(s *simServer) { s.answer = answer })
			if err := r.Preflight(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		first.change(func(s *simServer) { s.answer = zone{}.answer })
		before := first.queries()
		time.Sleep(time.Minute) // long enough for another chance of one that only fell silent
		if failed, err := lookUp(t, r, 50); failed > 0 {
			t.Error(err)
		}
		if asked := first.queries() - before; asked > 0 {
			t.Errorf("the one that lied was asked %d times", asked)
		}
	})
}

func TestTheRootIsEnoughWhereNothingIsSaidOfTheOtherNames(t *testing.T) {
	simulate(t, "SERVFAIL about all of them", func(t *testing.T) {
		rootAlone := func(m *dns.Msg) *dns.Msg {
			if m.Question[0].Qtype == dns.TypeMX {
				return status(dns.RcodeServerFailure)(m)
			}
			return mail(m)
		}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: rootAlone}}}
		if err := n.resolver(t, Config{}).Preflight(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAPreflightEndsWithItsContext(t *testing.T) {
	simulate(t, "cancelled", func(t *testing.T) {
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: silence}}}
		r := n.resolver(t, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Preflight(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
	})
}

func TestAPreflightAsksAboutTheNamesOfTheConfig(t *testing.T) {
	simulate(t, "a closed lab", func(t *testing.T) {
		lab := zone{"corp.lab. MX": "10 mx.lab."}.answer
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: lab}}}
		if err := n.resolver(t, Config{KnownNames: []string{"corp.lab"}}).Preflight(t.Context()); err != nil {
			t.Error(err)
		}
		if err := n.resolver(t, Config{}).Preflight(t.Context()); err == nil {
			t.Error("the lab knows the default names")
		}
	})
}

func TestKnownNames(t *testing.T) {
	names := knownNames()
	for _, name := range names {
		if _, ok := dns.IsDomainName(name); !ok {
			t.Errorf("%q is no domain", name)
		}
	}
	if want := []string{".", "gmail.com", "outlook.com", "yahoo.com", "icloud.com"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
