package mx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// network is an in-memory network of resolvers, for tests in simulated time.
type network struct {
	servers map[string]*simServer
	mu      sync.Mutex
	random  *rand.Rand
	loss    float64   // the share of packets that are lost, in each direction
	moved   time.Time // sockets opened before lead nowhere after this time; zero: never
}

// simServer is a resolver. Its answers come after the latency.
type simServer struct {
	latency    time.Duration
	answer     func(m *dns.Msg) *dns.Msg // nil: silence
	overUDP    func(m *dns.Msg) *dns.Msg // in place of answer, over UDP; nil: as answer
	closed     bool                      // nobody listens: ICMP tells so
	closedUDP  bool                      // nobody listens on UDP
	limit      int                       // of queries at a time; 0: none
	perSecond  int                       // limit of queries a second; 0: none
	overLimit  int                       // the status beyond; -1: silence
	mu         sync.Mutex
	flying     int
	second     time.Time
	thisSecond int
	udp, tcp   int // queries that came
}

// resolver returns a Resolver on the network.
func (n *network) resolver(t *testing.T, config Config) *Resolver {
	t.Helper()
	n.random = rand.New(rand.NewPCG(1, 2))
	if config.Servers == nil {
		for address := range n.servers {
			config.Servers = append(config.Servers, address)
		}
	}
	r, err := newResolver(config, n.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (n *network) lost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loss > 0 && n.random.Float64() < n.loss
}

func (n *network) dial(_ context.Context, kind, address string) (net.Conn, error) {
	s := n.servers[address]
	if s == nil {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: syscall.ENETUNREACH}
	}
	s.mu.Lock()
	closed := s.closed || s.closedUDP && kind == "udp"
	s.mu.Unlock()
	if closed {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go n.serve(s, &dns.Conn{Conn: theirs}, kind == "tcp", time.Now())
	if kind == "udp" {
		ours = datagrams{&dns.Conn{Conn: ours}}
	}
	return ours, nil
}

// datagrams gives a stream the bounds of packets.
type datagrams struct{ *dns.Conn }

// serve answers on one connection until it is closed.
func (n *network) serve(s *simServer, conn *dns.Conn, tcp bool, opened time.Time) {
	var replies sync.WaitGroup
	defer replies.Wait()
	defer conn.Close()
	for {
		m, err := conn.ReadMsg()
		if err != nil {
			return
		}
		moved := !n.moved.IsZero() && opened.Before(n.moved) && !time.Now().Before(n.moved)
		if moved || !tcp && n.lost() {
			continue
		}
		replies.Go(func() {
			reply := s.reply(m, tcp)
			if reply == nil || !tcp && n.lost() {
				return
			}
			_ = conn.WriteMsg(reply) // the client may be gone
		})
	}
}

// asked returns how many queries came over UDP and TCP.
func (s *simServer) asked() (udp, tcp int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.udp, s.tcp
}

// queries returns how many queries came.
func (s *simServer) queries() int {
	udp, tcp := s.asked()
	return udp + tcp
}

// change changes the server in the middle of a test.
func (s *simServer) change(to func(s *simServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to(s)
}

func (s *simServer) reply(m *dns.Msg, tcp bool) *dns.Msg {
	s.mu.Lock()
	if tcp {
		s.tcp++
	} else {
		s.udp++
	}
	if now := time.Now(); now.Sub(s.second) >= time.Second {
		s.second, s.thisSecond = now, 0
	}
	s.thisSecond++
	over := s.limit > 0 && s.flying >= s.limit || s.perSecond > 0 && s.thisSecond > s.perSecond
	if !over {
		s.flying++
	}
	s.mu.Unlock()
	if over {
		if s.overLimit < 0 {
			return nil
		}
		return new(dns.Msg).SetRcode(m, s.overLimit)
	}
	time.Sleep(s.latency)
	s.mu.Lock()
	s.flying--
	answer := s.answer
	if !tcp && s.overUDP != nil {
		answer = s.overUDP
	}
	s.mu.Unlock()
	return answer(m)
}

// mail answers for every domain that it has a mail host, but not for names that begin with "gone".
func mail(m *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(m)
	name := m.Question[0].Name
	if strings.HasPrefix(name, "gone") || len(name) > 24 {
		return reply.SetRcode(m, dns.RcodeNameError)
	}
	switch m.Question[0].Qtype {
	case dns.TypeMX:
		reply.Answer = append(reply.Answer, record("%s 300 IN MX 10 mx.%s", name, name))
	case dns.TypeA:
		reply.Answer = append(reply.Answer, record("%s 300 IN A 8.8.8.8", name))
	case dns.TypeNS:
		reply.Answer = append(reply.Answer, record(". 300 IN NS a.root-servers.net."))
	default:
		reply.Ns = append(reply.Ns, record("%s 300 IN SOA ns.lab. root.lab. 1 2 3 4 60", name))
	}
	return reply
}

// status answers everything with a status.
func status(rcode int) func(*dns.Msg) *dns.Msg {
	return func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(m, rcode) }
}

func silence(*dns.Msg) *dns.Msg { return nil }

func record(format string, args ...any) dns.RR {
	rr, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err)
	}
	return rr
}

// lookUp looks up domains, 256 at a time as a run does. It returns how many had no answer, and the last error.
func lookUp(t *testing.T, r *Resolver, domains int) (failed int, last error) {
	t.Helper()
	var mu sync.Mutex
	var workers sync.WaitGroup
	names := make(chan string)
	for range 256 {
		workers.Go(func() {
			for name := range names {
				if _, err := r.Lookup(t.Context(), name); err != nil {
					mu.Lock()
					failed, last = failed+1, err
					mu.Unlock()
				}
			}
		})
	}
	for i := range domains {
		names <- fmt.Sprintf("d%d.lab", i)
	}
	close(names)
	workers.Wait()
	return failed, last
}

// simulate runs a test in simulated time.
func simulate(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}
