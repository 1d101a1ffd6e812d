package mx

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestAResolverWithALimitLosesNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		server *simServer
		within time.Duration
	}{
		{"150 at a time, REFUSED beyond, 30 ms", &simServer{
			latency: 30 * time.Millisecond, limit: 150, overLimit: dns.RcodeRefused,
		}, 8 * time.Second},
		{"150 at a time, SERVFAIL beyond, 30 ms", &simServer{
			latency: 30 * time.Millisecond, limit: 150, overLimit: dns.RcodeServerFailure,
		}, 8 * time.Second},
		{"10 at a time, REFUSED beyond", &simServer{
			latency: 30 * time.Millisecond, limit: 10, overLimit: dns.RcodeRefused,
		}, 60 * time.Second},
		{"1,000 a second, REFUSED beyond", &simServer{
			latency: time.Millisecond, perSecond: 1000, overLimit: dns.RcodeRefused,
		}, 15 * time.Second},
		{"1,000 a second, SERVFAIL beyond", &simServer{
			latency: time.Millisecond, perSecond: 1000, overLimit: dns.RcodeServerFailure,
		}, 15 * time.Second},
		{"1,000 a second, silence beyond", &simServer{
			latency: time.Millisecond, perSecond: 1000, overLimit: -1,
		}, 15 * time.Second},
		{"10 connections over TCP only, silence beyond", &simServer{
			latency: 20 * time.Millisecond, overUDP: silence, limit: 10, overLimit: -1,
		}, 90 * time.Second},
		{"no limit", &simServer{latency: time.Millisecond}, time.Second},
	} {
		simulate(t, test.name, func(t *testing.T) {
			server := test.server
			server.answer = mail
			n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
			r := n.resolver(t, Config{})
			begun := time.Now()
			failed, err := lookUp(t, r, 2000)
			if failed > 0 {
				t.Errorf("%d of 2,000 domains have no answer: %v", failed, err)
			}
			took := time.Since(begun)
			if took > test.within {
				t.Errorf("it took %s, want at most %s", took, test.within)
			}
			t.Logf("%s, %d queries", took, server.queries())
		})
	}
}

func TestAResolverIsAskedInTheWayThatItAnswers(t *testing.T) {
	// beforeEDNS answers a query with EDNS in its own way, and others well.
	beforeEDNS := func(with func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
		return func(m *dns.Msg) *dns.Msg {
			if m.IsEdns0() != nil {
				return with(m)
			}
			return mail(m)
		}
	}
	for _, test := range []struct {
		name    string
		server  *simServer
		queries int // at most, of 500 domains with 6,000 questions
		within  time.Duration
	}{
		{"EDNS is NOTIMP", &simServer{answer: beforeEDNS(status(dns.RcodeNotImplemented))}, 1600, 2 * time.Second},
		{"EDNS is FORMERR", &simServer{answer: beforeEDNS(status(dns.RcodeFormatError))}, 1600, 2 * time.Second},
		{"EDNS is SERVFAIL", &simServer{answer: beforeEDNS(status(dns.RcodeServerFailure))}, 1600, 2 * time.Second},
		{"EDNS is not answered", &simServer{answer: beforeEDNS(silence)}, 1700, 4 * time.Second},
		{"TCP only, UDP is not answered", &simServer{answer: mail, overUDP: silence}, 1700, 6 * time.Second},
		{"TCP only, UDP is closed", &simServer{answer: mail, closedUDP: true}, 1600, 2 * time.Second},
	} {
		simulate(t, test.name, func(t *testing.T) {
			server := test.server
			server.latency = time.Millisecond
			n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
			r := n.resolver(t, Config{})
			begun := time.Now()
			if failed, err := lookUp(t, r, 500); failed > 0 {
				t.Errorf("%d of 500 domains have no answer: %v", failed, err)
			}
			took, queries := time.Since(begun), server.queries()
			if queries > test.queries || took > test.within {
				t.Errorf("%d queries, want at most %d, since the way is remembered; %s, want at most %s",
					queries, test.queries, took, test.within)
			}
			t.Logf("%s, %d queries", took, queries)
		})
	}
}

func TestOfSeveralResolversTheOneThatAnswersIsAsked(t *testing.T) {
	for _, test := range []struct {
		name   string
		first  *simServer
		within time.Duration
		asked  int // the first one, at most
	}{
		{"the first is silent", &simServer{answer: silence}, 2500 * time.Millisecond, 300},
		{"the first is closed", &simServer{answer: mail, closed: true}, 500 * time.Millisecond, 0},
		{"the first refuses everything", &simServer{answer: status(dns.RcodeRefused)}, 2 * time.Second, 300},
		{"the first fails at everything", &simServer{answer: status(dns.RcodeServerFailure)}, 2 * time.Second, 300},
	} {
		simulate(t, test.name, func(t *testing.T) {
			second := &simServer{latency: time.Millisecond, answer: mail}
			test.first.latency = time.Millisecond
			n := network{servers: map[string]*simServer{"9.9.9.9:53": test.first, "8.8.8.8:53": second}}
			r := n.resolver(t, Config{Servers: []string{"9.9.9.9:53", "8.8.8.8:53"}})
			begun := time.Now()
			failed, err := lookUp(t, r, 500)
			took, asked := time.Since(begun), test.first.queries()
			if failed > 0 || took > test.within || asked > test.asked {
				t.Errorf("%d of 500 domains have no answer (%v) after %s, want none within %s; the first resolver "+
					"was asked %d times, want at most %d", failed, err, took, test.within, asked, test.asked)
			}
			t.Logf("%s, the first was asked %d times, the second %d", took, asked, second.queries())
		})
	}
}

func TestAResolverThatIsBackIsAskedAgain(t *testing.T) {
	simulate(t, "the other one is gone by then", func(t *testing.T) {
		first, second := &simServer{answer: mail, closed: true}, &simServer{answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": first, "8.8.8.8:53": second}}
		r := n.resolver(t, Config{Servers: []string{"9.9.9.9:53", "8.8.8.8:53"}})
		if failed, err := lookUp(t, r, 100); failed > 0 {
			t.Fatal(err)
		}
		first.change(func(s *simServer) { s.closed = false })
		second.change(func(s *simServer) { s.closed = true })
		time.Sleep(rareInterval)
		if _, err := r.Lookup(t.Context(), "other.lab"); err != nil {
			t.Error(err)
		}
		if first.queries() == 0 {
			t.Error("the first resolver was not asked again")
		}
	})
}

func TestANameThatIsNeverAnsweredIsNotTheResolversFault(t *testing.T) {
	simulate(t, "three of them, nine tries each", func(t *testing.T) {
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: silence}}}
		r := n.resolver(t, Config{})
		if failed, _ := lookUp(t, r, 3); failed != 3 {
			t.Errorf("%d failed, want 3", failed)
		}
		if !r.client.upstreams[0].isUp() {
			t.Error("the resolver is taken for down")
		}
	})
}

func TestAResolverMaySpeakAnotherWayWhenItIsBack(t *testing.T) {
	simulate(t, "over TCP only", func(t *testing.T) {
		server := &simServer{answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
		r := n.resolver(t, Config{})
		if failed, err := lookUp(t, r, 50); failed > 0 {
			t.Fatal(err)
		}
		server.change(func(s *simServer) { s.closed = true })
		time.Sleep(socketAge) // the network has no ICMP for sockets that are open
		if _, err := r.Lookup(t.Context(), "other.lab"); err == nil {
			t.Fatal("an answer")
		}
		server.change(func(s *simServer) { s.closed, s.overUDP = false, silence })
		var err error
		for range 5 {
			time.Sleep(trialInterval)
			if _, err = r.Lookup(t.Context(), "other.lab"); err == nil {
				return
			}
		}
		t.Error(err)
	})
}

func TestWhereNoResolverAnswersALookUpEndsSoon(t *testing.T) {
	for _, test := range []struct {
		name   string
		server *simServer
	}{
		{"silent", &simServer{answer: silence}},
		{"closed", &simServer{closed: true}},
		{"refusing", &simServer{answer: status(dns.RcodeRefused)}},
		{"failing", &simServer{answer: status(dns.RcodeServerFailure)}},
	} {
		simulate(t, test.name, func(t *testing.T) {
			n := network{servers: map[string]*simServer{"9.9.9.9:53": test.server}}
			r := n.resolver(t, Config{})
			begun := time.Now()
			failed, err := lookUp(t, r, 2000)
			var temporary *TemporaryError
			if failed != 2000 || !errors.As(err, &temporary) {
				t.Errorf("%d of 2,000 domains have no answer: %v; want all, for now", failed, err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %s, want seconds", took)
			}
			t.Logf("%s, %d queries: %v", time.Since(begun), test.server.queries(), err)

			asked := test.server.queries()
			begun = time.Now()
			for range 50 {
				if _, err := r.Lookup(t.Context(), "other.lab"); err == nil {
					t.Error("an answer")
				}
				time.Sleep(100 * time.Millisecond)
			}
			seconds := int(time.Since(begun) / time.Second)
			if more := test.server.queries() - asked; more > seconds+1 && test.name != "failing" {
				t.Errorf("%d queries in %d seconds, want one a second", more, seconds)
			}
			test.server.change(func(s *simServer) { s.closed, s.answer = false, mail })
			time.Sleep(trialInterval)
			if _, err := r.Lookup(t.Context(), "back.lab"); err != nil {
				t.Errorf("now that it answers: %v", err)
			}
			if failed, err := lookUp(t, r, 500); failed > 0 {
				t.Errorf("%d of 500 domains have no answer: %v", failed, err)
			}
		})
	}
}

func TestAResolverThatIsAwayForAMomentLosesNothing(t *testing.T) {
	for _, test := range []struct {
		name       string
		gone, back func(s *simServer)
	}{
		{"silent", func(s *simServer) { s.answer = silence }, func(s *simServer) { s.answer = mail }},
		{"closed", func(s *simServer) { s.closed = true }, func(s *simServer) { s.closed = false }},
	} {
		simulate(t, test.name, func(t *testing.T) {
			server := &simServer{latency: 30 * time.Millisecond, answer: mail}
			n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
			r := n.resolver(t, Config{})
			time.AfterFunc(300*time.Millisecond, func() { server.change(test.gone) })
			time.AfterFunc(4300*time.Millisecond, func() { server.change(test.back) })
			begun := time.Now()
			if failed, err := lookUp(t, r, 3000); failed > 0 {
				t.Errorf("%d of 3,000 domains have no answer: %v", failed, err)
			}
			t.Log(time.Since(begun))
		})
	}
}

func TestSocketsAreReopenedWhenOurAddressChanges(t *testing.T) {
	simulate(t, "in the middle of a run", func(t *testing.T) {
		server := &simServer{latency: 30 * time.Millisecond, answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": server}, moved: time.Now().Add(500 * time.Millisecond)}
		r := n.resolver(t, Config{})
		begun := time.Now()
		if failed, err := lookUp(t, r, 3000); failed > 0 {
			t.Errorf("%d of 3,000 domains have no answer: %v", failed, err)
		}
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestPacketLossLosesNearlyNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		loss   float64
		most   int // domains without an answer
		within time.Duration
	}{
		{"a tenth in each direction", 0.1, 0, 15 * time.Second},
		{"a fifth in each direction", 0.2, 2, 30 * time.Second},
	} {
		simulate(t, test.name, func(t *testing.T) {
			server := &simServer{latency: 30 * time.Millisecond, answer: mail}
			n := network{servers: map[string]*simServer{"9.9.9.9:53": server}, loss: test.loss}
			r := n.resolver(t, Config{})
			begun := time.Now()
			failed, err := lookUp(t, r, 2000)
			took := time.Since(begun)
			if failed > test.most || took > test.within {
				t.Errorf("%d of 2,000 domains have no answer: %v, after %s", failed, err, took)
			}
			t.Logf("%d failed, %s, %d queries", failed, took, server.queries())
		})
	}
}

func TestQuestionsThatWaitForAResolverAreLetInWhenItGoesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{window: newWindow()}
		for range firstWindow {
			if _, err := u.window.enter(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		entered := false
		go func() {
			_, err := u.window.enter(t.Context(), false)
			entered = err == nil
		}()
		synctest.Wait()
		if entered {
			t.Fatal("the window has room")
		}
		u.report(time.Now(), silent, false, true)
		synctest.Wait()
		if !entered {
			t.Error("it still waits, and could ask another resolver")
		}
	})
}

func TestAResolverThatFailsIsLeftAloneForAMoment(t *testing.T) {
	simulate(t, "SERVFAIL", func(t *testing.T) {
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: status(dns.RcodeServerFailure)}}}
		begun := time.Now()
		if _, err := n.resolver(t, Config{}).Lookup(t.Context(), "corp.lab"); err == nil {
			t.Error("no error")
		}
		if took, want := time.Since(begun), againAfter+2*againAfter; took != want {
			t.Errorf("three tries took %s, want the two pauses, %s", took, want)
		}
	})
}

func TestAMachineThatIsShortOfSocketsLosesNothing(t *testing.T) {
	simulate(t, "16 at a time", func(t *testing.T) {
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: mail, latency: 20 * time.Millisecond}}}
		r := n.resolver(t, Config{})
		u := r.client.upstreams[0]
		var open, refused atomic.Int32
		u.dial = func(ctx context.Context, kind, address string) (net.Conn, error) {
			if open.Add(1) > 16 {
				open.Add(-1)
				refused.Add(1)
				return nil, &net.OpError{Op: "dial", Net: kind, Err: syscall.EMFILE}
			}
			c, err := n.dial(ctx, kind, address)
			return counted{c, &open}, err
		}
		begun := time.Now()
		if failed, err := lookUp(t, r, 500); failed > 0 {
			t.Errorf("%d of 500 domains have no answer: %v", failed, err)
		}
		// 500 domains of three questions, 16 at a time in 20 ms, take two seconds.
		if took := time.Since(begun); took > 5*time.Second || refused.Load() > 500 {
			t.Errorf("it took %v, and %d times there was no socket", took, refused.Load())
		}
		t.Logf("%v, %d", time.Since(begun), refused.Load())
	})
}

// counted is a connection that counts while it is open.
type counted struct {
	net.Conn
	open *atomic.Int32
}

func (c counted) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}
