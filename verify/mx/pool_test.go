package mx

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestSocketsAreKeptButNotForEver(t *testing.T) {
	simulate(t, "one after another", func(t *testing.T) {
		server := &simServer{answer: mail}
		n := network{servers: map[string]*simServer{"9.9.9.9:53": server}}
		var opened atomic.Int32
		p := newPool("9.9.9.9:53", func(ctx context.Context, kind, address string) (net.Conn, error) {
			opened.Add(1)
			return n.dial(ctx, kind, address)
		})
		defer p.close()
		m := new(dns.Msg).SetQuestion("corp.lab.", dns.TypeMX)
		ask := func(want error, sockets int32) {
			t.Helper()
			if _, err := p.exchange(t.Context(), m, time.Now().Add(time.Second)); isTimeout(err) != isTimeout(want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if opened.Load() != sockets {
				t.Errorf("%d sockets were opened, want %d", opened.Load(), sockets)
			}
		}
		ask(nil, 1)
		ask(nil, 1)
		time.Sleep(socketAge)
		ask(nil, 2)
		server.change(func(s *simServer) { s.answer = silence })
		ask(context.DeadlineExceeded, 2)
		server.change(func(s *simServer) { s.answer = mail })
		ask(nil, 3)
		ask(nil, 3)
		if len(p.open) != 1 || len(p.idle) != 1 {
			t.Errorf("%d sockets are open and %d idle, want one", len(p.open), len(p.idle))
		}
	})
}

// broken is a socket on which nothing can be sent any more.
type broken struct {
	net.Conn
	tries *int
}

func (b broken) Write([]byte) (int, error) {
	*b.tries++
	return 0, errors.New("the address is gone")
}

func TestWhereAnIdleSocketFailsTheOthersAreNotUsedAndANewOneIsOpened(t *testing.T) {
	simulate(t, "the address is gone", func(t *testing.T) {
		n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: mail}}}
		p := newPool("9.9.9.9:53", n.dial)
		defer p.close()
		tries := 0
		for range 3 {
			conn, err := n.dial(t.Context(), "udp", "9.9.9.9:53")
			if err != nil {
				t.Fatal(err)
			}
			s := &socket{Conn: broken{conn, &tries}, opened: time.Now()}
			p.open[s] = struct{}{}
			p.idle = append(p.idle, s)
		}
		m := new(dns.Msg).SetQuestion("corp.lab.", dns.TypeMX)
		if _, err := p.exchange(t.Context(), m, time.Now().Add(time.Second)); err != nil {
			t.Error(err)
		}
		if len(p.open) != 1 || len(p.idle) != 1 || tries != 1 {
			t.Errorf("%d sockets are open and %d idle, want the new one; %d old ones were tried, want one",
				len(p.open), len(p.idle), tries)
		}
	})
}

func TestClosingEndsALookUp(t *testing.T) {
	hangs := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, test := range map[string]struct {
		config Config
		dial   dialer // nil: that of the network
	}{
		"over UDP":                     {config: Config{Timeout: time.Minute}},
		"over TCP":                     {config: Config{Timeout: time.Minute, TCP: true}},
		"a connection is being opened": {config: Config{Timeout: time.Minute, TCP: true}, dial: hangs},
	} {
		simulate(t, name, func(t *testing.T) {
			n := network{servers: map[string]*simServer{"9.9.9.9:53": {answer: silence}}}
			r := n.resolver(t, test.config)
			if test.dial != nil {
				r.client.upstreams[0].dial = test.dial
			}
			time.AfterFunc(time.Second, func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			})
			begun := time.Now()
			failed, err := lookUp(t, r, 256)
			if failed != 256 || !errors.Is(err, errClosed) {
				t.Errorf("%d failed: %v; want all", failed, err)
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("it took %s after a second", took)
			}
		})
	}
}
