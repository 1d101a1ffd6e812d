package lab_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"presend/internal/lab"
)

// large makes a world of 2,000 hosts and 20,000 domains, ten at each host.
func large(t testing.TB) *lab.World {
	t.Helper()
	w := lab.NewWorld()
	for i := range 2000 {
		if err := w.AddHost(lab.Host{
			Name: fmt.Sprintf("mx.h%d.lab", i), Sessions: 10,
			Latency: time.Duration(i%20) * time.Millisecond,
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20_000 {
		name := fmt.Sprintf("d%d.lab", i)
		if err := w.AddDomain(lab.Domain{
			Name: name,
			MX:   []lab.MX{{Preference: 10, Host: fmt.Sprintf("mx.h%d.lab", i%2000)}},
		}); err != nil {
			t.Fatal(err)
		}
		if err := w.AddMailbox("a@"+name, lab.Mailbox); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func startLarge(t testing.TB) (*lab.World, *lab.Lab) {
	t.Helper()
	w := large(t)
	l, err := w.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, l
}

// flight runs one session with one pipelined transaction.
func flight(t testing.TB, l *lab.Lab, address, domain string, recipients int) error {
	c, err := l.Dial(t.Context(), netip.Addr{}, address)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(text string, replies int) error {
		if _, err := c.Write([]byte(text)); err != nil {
			return err
		}
		for n := 0; n < replies; {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line[0] != '2' {
				return fmt.Errorf("%s: %s", domain, line)
			}
			if line[3] == ' ' {
				n++
			}
		}
		return nil
	}
	if err := say("", 1); err != nil {
		return err
	}
	if err := say("EHLO probe.lab\r\n", 1); err != nil {
		return err
	}
	all := "MAIL FROM:<>\r\n" + strings.Repeat("RCPT TO:<a@"+domain+">\r\n", recipients) + "RSET\r\n"
	if err := say(all, recipients+2); err != nil {
		return err
	}
	return say("QUIT\r\n", 1)
}

func TestTwoThousandHostsServeFiveHundredSessionsAtATime(t *testing.T) {
	w, l := startLarge(t)
	hosts := w.Hosts()
	var g errgroup.Group
	g.SetLimit(500)
	for i := range 2000 {
		g.Go(func() error {
			h := hosts[i]
			domain := strings.TrimSuffix("d"+strings.TrimPrefix(h.Name, "mx.h"), ".lab") + ".lab"
			return flight(t, l, net.JoinHostPort(h.Addr.String(), fmt.Sprint(l.SMTPPort())), domain, 5)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	noViolations(t, l)
	if got := l.Count(); got.Connections != 2000 || got.Rcpts != 10_000 {
		t.Errorf("%d connections, %d RCPTs", got.Connections, got.Rcpts)
	}
}

func BenchmarkSessions(b *testing.B) {
	w, l := startLarge(b)
	h := w.Hosts()[0]
	address := net.JoinHostPort(h.Addr.String(), fmt.Sprint(l.SMTPPort()))
	for _, recipients := range []int{1, 100} {
		b.Run(fmt.Sprintf("recipients=%d", recipients), func(b *testing.B) {
			for b.Loop() {
				if err := flight(b, l, address, "d0.lab", recipients); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(recipients*b.N)/b.Elapsed().Seconds(), "rcpts/s")
		})
	}
}

func BenchmarkNames(b *testing.B) {
	_, l := startLarge(b)
	query := new(dns.Msg).SetQuestion("d77.lab.", dns.TypeMX)
	packed, err := query.Pack()
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("udp4", l.DNS())
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		answer := make([]byte, 512)
		for pb.Next() {
			if _, err := c.Write(packed); err != nil {
				b.Error(err)
				return
			}
			if _, err := c.Read(answer); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}
