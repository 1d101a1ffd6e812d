package mx

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone answers a name and type, "corp.lab. MX", with records, and other questions with NODATA; with NXDOMAIN where nil.
type zone map[string]string

func (z zone) answer(m *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(m)
	name := m.Question[0].Name
	exists := false
	for key := range z {
		exists = exists || strings.HasPrefix(key, name+" ")
	}
	if line := z[name+" "+dns.TypeToString[m.Question[0].Qtype]]; line != "" {
		reply.Answer = append(reply.Answer, record("%s", name+" 300 IN "+dns.TypeToString[m.Question[0].Qtype]+" "+line))
		return reply
	}
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = append(reply.Ns, record("lab. 300 IN SOA ns.lab. root.lab. 1 2 3 4 60"))
	return reply
}

func TestThatADomainTakesNoMailIsConfirmedAtAnotherResolver(t *testing.T) {
	has := zone{"corp.lab. MX": "10 mx.lab.", "mx.lab. A": "8.8.8.8"}
	none, nodata, dangling := zone{}, zone{"corp.lab. TXT": ""}, zone{"corp.lab. MX": "10 gone.lab."}
	inside := zone{"corp.lab. MX": "10 mx.lab.", "mx.lab. A": "10.0.0.1"}
	null, localhost := zone{"corp.lab. MX": "0 ."}, zone{"corp.lab. MX": "10 localhost."}
	failing, refusing := status(dns.RcodeServerFailure), status(dns.RcodeRefused)
	temporary := errors.New("a temporary error")
	for _, test := range []struct {
		name          string
		first, second func(*dns.Msg) *dns.Msg // nil second: there is none
		err           error                   // nil: the domain has mail
		not           error                   // what it is not
	}{
		{"NXDOMAIN twice", none.answer, none.answer, ErrNoSuchDomain, nil},
		{"NODATA twice", nodata.answer, nodata.answer, ErrNoMailHost, nil},
		{"a dangling MX twice", dangling.answer, dangling.answer, ErrNoMailHost, nil},
		{"NXDOMAIN, and the other has mail", none.answer, has.answer, nil, nil},
		{"NODATA, and the other has mail", nodata.answer, has.answer, nil, nil},
		{"a dangling MX, and the other has mail", dangling.answer, has.answer, nil, nil},
		{"a non-public host, and the other has a public one", inside.answer, has.answer, nil, nil},
		{"NXDOMAIN, and the other has a null MX", none.answer, null.answer, ErrNullMX, nil},
		{"NXDOMAIN and NODATA", none.answer, nodata.answer, temporary, nil},
		{"NODATA and a non-public host", nodata.answer, inside.answer, temporary, nil},
		{"a null MX needs no other", null.answer, has.answer, ErrNullMX, nil},
		{"NODATA, and the other fails and then the first says it again", nodata.answer, failing, ErrNoMailHost, nil},
		{"NODATA, and there is no other", nodata.answer, nil, ErrNoMailHost, nil},
		{"non-public, and there is no other", inside.answer, nil, ErrNotPublic, ErrNoMailHost},
		{"non-public, and the other fails", inside.answer, refusing, ErrNotPublic, ErrNoMailHost},
		{"non-public, and the other says no such domain", inside.answer, none.answer, ErrNotPublic, ErrNoMailHost},
		{"localhost twice", localhost.answer, localhost.answer, ErrLocalhostMX, ErrNotPublic},
		{"localhost, and the other has mail", localhost.answer, has.answer, nil, nil},
	} {
		simulate(t, test.name, func(t *testing.T) {
			n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: test.first}}}
			servers := []string{"9.9.9.9:53"}
			if test.second != nil {
				n.servers["8.8.8.8:53"] = &simServer{answer: test.second}
				servers = append(servers, "8.8.8.8:53")
			}
			r := n.resolver(t, Config{Servers: servers})
			for _, again := range []string{"asked", "from the cache"} {
				answer, err := r.Lookup(t.Context(), "corp.lab")
				var isTemporary *TemporaryError
				switch {
				case test.err == temporary:
					if !errors.As(err, &isTemporary) {
						t.Errorf("%s: error %v, want a temporary one", again, err)
					}
				case !errors.Is(err, test.err), test.not != nil && errors.Is(err, test.not):
					t.Errorf("%s: error %v, want %v and not %v", again, err, test.err, test.not)
				case err == nil && (len(answer.Hosts) != 1 || len(answer.Hosts[0].Addrs) != 1):
					t.Errorf("%s: %+v, want a host", again, answer)
				}
			}
		})
	}
}

func TestAConclusionThatCannotBeConfirmedIsTemporary(t *testing.T) {
	simulate(t, "the only resolver fails at the second question", func(t *testing.T) {
		asked := 0
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: func(m *dns.Msg) *dns.Msg {
			if asked++; asked == 1 {
				return zone{}.answer(m)
			}
			return status(dns.RcodeServerFailure)(m)
		}}}}
		_, err := n.resolver(t, Config{}).Lookup(t.Context(), "corp.lab")
		var temporary *TemporaryError
		if !errors.As(err, &temporary) || temporary.Kind != "servfail" {
			t.Errorf("error %v, want a temporary one", err)
		}
	})
}

func TestTwoPublicResolversThatAgreeOnNonPublicHostsMakeNoMailHost(t *testing.T) {
	inside := zone{"corp.lab. MX": "10 mx.lab.", "mx.lab. A": "10.0.0.1"}
	for _, test := range []struct {
		name    string
		servers []string
		want    bool
	}{
		{"two public ones", []string{"9.9.9.9:53", "8.8.8.8:53"}, true},
		{"one is private", []string{"9.9.9.9:53", "192.168.1.1:53"}, false},
		{"the first is private", []string{"127.0.0.1:53", "9.9.9.9:53"}, false},
		{"one only", []string{"9.9.9.9:53"}, false},
		{"one has a name", []string{"9.9.9.9:53", "dns.lab:53"}, false},
	} {
		simulate(t, test.name, func(t *testing.T) {
			n := network{servers: map[string]*simServer{}}
			for _, address := range test.servers {
				n.servers[address] = &simServer{answer: inside.answer}
			}
			r := n.resolver(t, Config{Servers: test.servers})
			for range 2 {
				_, err := r.Lookup(t.Context(), "corp.lab")
				if !errors.Is(err, ErrNotPublic) || errors.Is(err, ErrNoMailHost) != test.want {
					t.Errorf("error %v, want ErrNotPublic; that it is ErrNoMailHost: %t", err, test.want)
				}
			}
		})
	}
}

func TestLocalhostAsAMailHost(t *testing.T) {
	for _, target := range []string{"localhost.", "LOCALHOST.", "127.0.0.1.", "127.0.0.53."} {
		simulate(t, target, func(t *testing.T) {
			z := zone{"corp.lab. MX": "10 " + target, "localhost. A": "127.0.0.1"}
			n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: z.answer}}}
			answer, err := n.resolver(t, Config{}).Lookup(t.Context(), "corp.lab")
			if !errors.Is(err, ErrLocalhostMX) || !errors.Is(err, ErrNoMailHost) || errors.Is(err, ErrNotPublic) ||
				len(answer.Hosts) != 1 || !errors.Is(answer.Hosts[0].Err, ErrNoAddress) {
				t.Errorf("%+v, %v; want ErrLocalhostMX, which is ErrNoMailHost", answer, err)
			}
			answer, err = n.resolver(t, Config{AllowPrivate: true}).Lookup(t.Context(), "corp.lab")
			if err != nil || len(answer.Hosts) != 1 || len(answer.Hosts[0].Addrs) != 1 {
				t.Errorf("with private addresses allowed: %+v, %v", answer, err)
			}
		})
	}
}

func TestAConclusionIsConfirmedAgainWhenItsTTLHasEnded(t *testing.T) {
	simulate(t, "NXDOMAIN for a minute", func(t *testing.T) {
		server := &simServer{answer: zone{}.answer}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
		r := n.resolver(t, Config{})
		for _, step := range []struct {
			after   time.Duration
			queries int // so far
		}{{0, 2}, {59 * time.Second, 2}, {2 * time.Second, 4}} {
			time.Sleep(step.after)
			if _, err := r.Lookup(t.Context(), "corp.lab"); !errors.Is(err, ErrNoSuchDomain) {
				t.Error(err)
			}
			if server.queries() != step.queries {
				t.Errorf("%d queries, want %d", server.queries(), step.queries)
			}
		}
	})
}
