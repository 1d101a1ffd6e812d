package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/verify/mx"
)

// inMemory runs a test on a lab without sockets, in a bubble with a clock of its own.
func inMemory(t *testing.T, declaration string, test func(t *testing.T, l *lab.Lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, err := lab.Start(t.Context(), declaration, lab.InMemory())
		if err != nil {
			t.Fatal(err)
		}
		test(t, l)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// reach opens a conversation with the first mail host of a domain.
func reach(t *testing.T, l *lab.Lab, domain string) *talk {
	t.Helper()
	answer, err := l.Resolver().Lookup(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	return talkTo(t, l, netip.Addr{}, answer.Hosts[0].Addrs[0])
}

// talkTo opens a conversation with a server from a source address.
func talkTo(t *testing.T, l *lab.Lab, source, server netip.Addr) *talk {
	t.Helper()
	conn, err := l.Dial(t.Context(), source, netip.AddrPortFrom(server, uint16(l.SMTPPort())).String())
	if err != nil {
		t.Fatal(err)
	}
	return &talk{t: t, conn: conn, Reader: textproto.NewReader(bufio.NewReader(conn))}
}

// quit ends a conversation politely.
func (c *talk) quit() {
	c.t.Helper()
	c.exchange("QUIT", "221")
	c.expectEnd()
	c.conn.Close()
}

func TestAPipelinedSessionInMemoryTakesVirtualTime(t *testing.T) {
	inMemory(t, `
		host mx.far.lab latency=200ms greylist=5m starttls
		domain far.lab mx=mx.far.lab
		mailbox a@far.lab`, func(t *testing.T, l *lab.Lab) {
		begun := time.Now()
		session := func(want string) {
			c := reach(t, l, "far.lab")
			c.expect("220")
			c.exchange("EHLO x", "250")
			c.exchange("STARTTLS", "220")
			secure := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
			c = &talk{t: t, conn: secure, Reader: textproto.NewReader(bufio.NewReader(secure))}
			c.exchange("EHLO x", "250")
			c.send("MAIL FROM:<>", "RCPT TO:<a@far.lab>", "RCPT TO:<nobody@far.lab>", "RSET", "QUIT")
			for _, reply := range []string{"250", want, "550 5.1.1", "250", "221"} {
				c.expect(reply)
			}
			c.conn.Close()
		}
		session("451 4.7.1")
		// Handshake, banner, EHLO, STARTTLS, EHLO, flight, and one round trip of TLS 1.3, whose last message goes with EHLO.
		if took := time.Since(begun); took != 7*200*time.Millisecond {
			t.Errorf("the session took %v, want seven round trips of 200ms", took)
		}
		time.Sleep(5 * time.Minute)
		session("250 2.1.5")
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		noViolations(t, l)
	})
}

func TestFlightsLargerThanAnyBufferDoNotDeadlock(t *testing.T) {
	inMemory(t, "host mx.a.lab\ndomain a.lab mx=mx.a.lab catchall", func(t *testing.T, l *lab.Lab) {
		c := reach(t, l, "a.lab")
		c.expect("220")
		c.exchange("EHLO x", "250")
		c.exchange("MAIL FROM:<>", "250")
		const recipients = 5000
		written := make(chan struct{})
		go func() {
			defer close(written)
			c.send(slices.Repeat([]string{"RCPT TO:<someone.with.a.rather.long.name@a.lab>"}, recipients)...)
		}()
		for range recipients {
			c.expect("250 2.1.5")
		}
		<-written
		c.quit()
	})
}

func TestConnectionsInMemoryFailAsSocketsDo(t *testing.T) {
	inMemory(t, `
		host mx.a.lab 127.0.0.2 latency=100ms
		host mx.dead.lab 127.0.0.3 dead
		host mx.silent.lab 127.0.0.4 silent`, func(t *testing.T, l *lab.Lab) {
		for name, address := range map[string]string{
			"a dead host": "127.0.0.3:25", "an unknown address": "127.0.0.9:25", "another port": "127.0.0.2:26",
		} {
			_, err := l.Dial(t.Context(), netip.Addr{}, address)
			var op *net.OpError
			if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v, want connection refused", name, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := l.Dial(ctx, netip.Addr{}, "127.0.0.2:25"); !isTimeout(err) {
			t.Errorf("a context that ends in the handshake: %v", err)
		}

		source := netip.MustParseAddr("127.0.0.77")
		c := talkTo(t, l, source, netip.MustParseAddr("127.0.0.4"))
		if local, ok := c.conn.LocalAddr().(*net.TCPAddr); !ok || !local.IP.Equal(source.AsSlice()) {
			t.Errorf("local address %v", c.conn.LocalAddr())
		}
		if got := c.conn.RemoteAddr().String(); got != "127.0.0.4:25" {
			t.Errorf("remote address %v", got)
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
		begun := time.Now()
		_, err := c.ReadLine()
		if took := time.Since(begun); !isTimeout(err) || !errors.Is(err, os.ErrDeadlineExceeded) ||
			took != time.Minute {
			t.Errorf("a read past its deadline: %v after %v", err, took)
		}
		_ = c.conn.SetDeadline(time.Time{})
		go func() { time.Sleep(time.Second); c.conn.Close() }()
		if _, err := c.conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read while the connection is closed: %v", err)
		}
		if _, err := io.WriteString(c.conn, "x"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write to a closed connection: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestAWriterWaitsForRoomUntilItsDeadline(t *testing.T) {
	inMemory(t, "host mx.a.lab 127.0.0.2 tarpit", func(t *testing.T, l *lab.Lab) {
		c := talkTo(t, l, netip.Addr{}, netip.MustParseAddr("127.0.0.2"))
		_ = c.conn.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := c.conn.Write(bytes.Repeat([]byte("x"), 1<<20)); n == 0 || !isTimeout(err) {
			t.Errorf("wrote %d octets to one who does not read: %v", n, err)
		}
		c.conn.Close()
	})
}

func TestOneWhoSaysQUITAndConnectsBreaksNoCap(t *testing.T) {
	for _, latency := range []string{"0s", "1ms", "200ms"} {
		t.Run("latency="+latency, func(t *testing.T) {
			world := "host mx.c.lab sessions=1 latency=" + latency + "\ndomain c.lab mx=mx.c.lab"
			inMemory(t, world, func(t *testing.T, l *lab.Lab) {
				for range 20 {
					c := reach(t, l, "c.lab")
					c.expect("220")
					c.exchange("EHLO x", "250")
					c.send("QUIT")
					c.conn.Close()
				}
				if err := l.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				noViolations(t, l)
				if peak := l.Count().PeakSessions["mx.c.lab"]; peak != 1 {
					t.Errorf("%d sessions at a time", peak)
				}
			})
		})
	}
}

func TestAConnectionThatIsGoneBeforeItsBannerBreaksNoRule(t *testing.T) {
	inMemory(t, "host mx.c.lab latency=200ms\ndomain c.lab mx=mx.c.lab", func(t *testing.T, l *lab.Lab) {
		reach(t, l, "c.lab").conn.Close()
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		noViolations(t, l)
	})
}

func TestTheResolverAnswersAsTheNameServerDoes(t *testing.T) {
	const world = `
		dns latency=10ms
		host mx1.corp.lab
		host mx2.corp.lab
		host gone.corp.lab noaddress
		host tenant.mail.protection.outlook.com
		alias mail.corp.lab mx1.corp.lab
		domain corp.lab mx=20:mail.corp.lab,10:mx2.corp.lab
		alias www.corp.lab corp.lab
		domain tenant.lab mx=tenant.mail.protection.outlook.com
		domain tiny.lab implicit=mx1.corp.lab
		domain null.lab nullmx
		domain parked.lab nomail
		domain nowhere.lab mx=gone.corp.lab
		domain gone.lab nxdomain
		domain broken.lab servfail
		domain mute.lab timeout`
	inMemory(t, world, func(t *testing.T, l *lab.Lab) {
		for _, test := range []struct{ domain, hosts, destination, provider string }{
			{"corp.lab", "mx2.corp.lab mail.corp.lab", "corp.lab", ""},
			{"WWW.corp.lab.", "mx2.corp.lab mail.corp.lab", "corp.lab", ""},
			{"tenant.lab", "tenant.mail.protection.outlook.com", "microsoft", "microsoft"},
			{"tiny.lab", "tiny.lab", "tiny.lab", ""},
		} {
			begun := time.Now()
			answer, err := l.Resolver().Lookup(t.Context(), test.domain)
			var names []string
			for _, host := range answer.Hosts {
				names = append(names, host.Name)
				if len(host.Addrs) != 1 || !host.Addrs[0].IsLoopback() {
					t.Errorf("%s: host %+v", test.domain, host)
				}
			}
			if got := strings.Join(names, " "); err != nil || got != test.hosts || answer.Destination != test.destination ||
				answer.Provider.Name != test.provider ||
				answer.Implicit != (test.domain == "tiny.lab") {
				t.Errorf("%s: %+v, %v", test.domain, answer, err)
			}
			if took := time.Since(begun); took != 20*time.Millisecond {
				t.Errorf("%s took %v", test.domain, took)
			}
		}
		for domain, want := range map[string]error{
			"gone.lab": mx.ErrNoSuchDomain, "never-declared.lab": mx.ErrNoSuchDomain, "null.lab": mx.ErrNullMX,
			"parked.lab": mx.ErrNoMailHost, "nowhere.lab": mx.ErrNoMailHost,
		} {
			if _, err := l.Resolver().Lookup(t.Context(), domain); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", domain, err, want)
			}
		}
		for domain, kind := range map[string]string{"broken.lab": "servfail", "mute.lab": "timeout"} {
			var temporary *mx.TemporaryError
			if _, err := l.Resolver().Lookup(t.Context(), domain); !errors.As(err, &temporary) ||
				temporary.Kind != kind {
				t.Errorf("%s: %v, want %s", domain, err, kind)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if _, err := l.Resolver().Lookup(ctx, "corp.lab"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a look-up whose context ended: %v", err)
		}
	})
}
