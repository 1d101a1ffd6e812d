package lab_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify/mx"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// greet opens a conversation with a.lab and begins a transaction.
func greet(t *testing.T, l *lab.Lab) *talk {
	t.Helper()
	c := reach(t, l, "a.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	c.exchange("MAIL FROM:<>", "250")
	return c
}

// expectSilence waits for a reply that does not come, and goes.
func (c *talk) expectSilence() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(4 * time.Minute)) // the server gives up after five
	if line, err := c.ReadLine(); !isTimeout(err) {
		c.t.Errorf("want silence, got %q, %v", line, err)
	}
	c.conn.Close()
}

func TestHostsMisbehaveAsDeclared(t *testing.T) {
	const alice, nobody = "RCPT TO:<alice@a.lab>", "RCPT TO:<nobody@a.lab>"
	large := strings.Repeat(alice+"\r\n", 100)
	for name, test := range map[string]struct {
		host string
		talk func(c *talk)
	}{
		"closes-unknown ends the session at one that is no mailbox": {"closes-unknown nopipelining", func(c *talk) {
			c.exchange(alice, "250 2.1.5")
			c.exchange(nobody, "421 Recipient not in route list")
			c.expectEnd()
		}},
		"drops-unknown does it without a word": {"drops-unknown", func(c *talk) {
			c.send(alice, nobody, alice)
			c.expect("250 2.1.5")
			c.expectEnd()
		}},
		"soft-unknown calls an unknown mailbox temporary": {"soft-unknown", func(c *talk) {
			c.exchange(nobody, "450 4.1.1 <nobody@a.lab>: Recipient address rejected: unverified address: User unknown")
			c.exchange(alice, "250 2.1.5")
			c.quit()
		}},
		"mute-quit leaves QUIT without an answer": {"mute-quit latency=20ms", func(c *talk) {
			c.exchange("RSET", "250")
			c.send("QUIT")
			c.expectSilence()
		}},
		"crash closes at one local part": {"crash=bob", func(c *talk) {
			c.send(alice, "RCPT TO:<Bob@a.lab>", alice)
			c.expect("250 2.1.5")
			c.expectEnd()
		}},
		"cut-after falls silent after so many answers": {"cut-after=2", func(c *talk) {
			c.send(alice, nobody, "RSET")
			c.expect("250 2.1.5")
			c.expect("550 5.1.1")
			c.expectSilence()
		}},
		"cut-idle falls silent after a pause": {"cut-idle=60s latency=20ms", func(c *talk) {
			time.Sleep(60 * time.Second)
			c.exchange("NOOP", "250") // a round trip of it is ours
			time.Sleep(61 * time.Second)
			c.send("QUIT")
			c.expectSilence()
		}},
		"stall loses a large flight": {"stall=1400", func(c *talk) {
			c.send(alice, "RSET")
			c.expect("250 2.1.5")
			c.expect("250")
			_, _ = io.WriteString(c.conn, large)
			_, _ = io.WriteString(c.conn, "QUIT\r\n")
			c.expectSilence()
		}},
		"stall loses one at a host that is far, too": {"stall=1400 latency=20ms", func(c *talk) {
			_, _ = io.WriteString(c.conn, large)
			c.expectSilence()
		}},
		"two-replies answers every tenth recipient twice": {"two-replies", func(c *talk) {
			for range 10 {
				c.exchange(alice, "250 2.1.5")
			}
			c.expect("250 2.1.5")
			c.quit()
		}},
		"tls-broken breaks TLS and speaks plain text": {"tls-broken", func(c *talk) {
			c.exchange("RSET", "250")
			c.exchange("STARTTLS", "220")
			if err := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
				c.t.Error("the handshake succeeded")
			}
			c.conn.Close()
		}},
		"blocks-from blocks other clients only": {"blocks-from=127.0.0.7", func(c *talk) {
			c.exchange(alice, "250 2.1.5")
			c.quit()
		}},
		"blocks-from blocks this client": {"blocks-from=127.0.0.7,127.0.0.1", func(c *talk) {
			c.exchange(alice, "554 5.7.1")
			c.quit()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			world := "host mx.a.lab " + test.host + "\ndomain a.lab mx=mx.a.lab\nmailbox alice@a.lab"
			inMemory(t, world, func(t *testing.T, l *lab.Lab) {
				c := greet(t, l)
				test.talk(c)
				c.conn.Close()
				if err := l.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				noViolations(t, l)
			})
		})
	}
}

func TestWhatNeverConnectsEndsWithTheContext(t *testing.T) {
	inMemory(t, `
		host mx.a.lab 127.0.0.2 closed-from=127.0.0.7
		host mx.b.lab 127.0.0.3 blackhole`, func(t *testing.T, l *lab.Lab) {
		for _, test := range []struct{ source, server string }{{"127.0.0.7", "127.0.0.2"}, {"127.0.0.1", "127.0.0.3"}} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			begun := time.Now()
			_, err := l.Dial(ctx, addr(test.source), test.server+":25")
			if !isTimeout(err) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 30*time.Second {
				t.Errorf("from %s to %s: %v after %v", test.source, test.server, err, time.Since(begun))
			}
			cancel()
		}
		c := talkTo(t, l, addr("127.0.0.8"), addr("127.0.0.2"))
		c.expect("220")
		c.quit()
		if got := l.Count(); !maps.Equal(got.ConnectionsFrom, map[netip.Addr]int{addr("127.0.0.8"): 1}) {
			t.Errorf("connections from %v", got.ConnectionsFrom)
		}
	})
}

func TestANameHasTheAddressesOfItsHosts(t *testing.T) {
	inMemory(t, `
		host h1.lab 127.0.0.2 2001:db8::2
		host h2.lab 2001:db8::3
		host h3.lab 127.0.0.4
		host lost.lab servfail
		name mx.tenant1.lab h1.lab,h2.lab
		name mx.tenant2.lab h2.lab,h3.lab
		alias mail.tenant1.lab mx.tenant1.lab
		domain tenant1.lab mx=mail.tenant1.lab
		domain tenant2.lab mx=10:mx.tenant2.lab,20:h1.lab
		domain tenant3.lab mx=lost.lab
		mailbox a@tenant1.lab a@tenant2.lab a@tenant3.lab`, func(t *testing.T, l *lab.Lab) {
		for domain, want := range map[string]string{
			"tenant1.lab": "mail.tenant1.lab [127.0.0.2 2001:db8::2 2001:db8::3]",
			"tenant2.lab": "mx.tenant2.lab [127.0.0.4 2001:db8::3] h1.lab [127.0.0.2 2001:db8::2]",
		} {
			answer, err := l.Resolver().Lookup(t.Context(), domain)
			var got []string
			for _, host := range answer.Hosts {
				got = append(got, fmt.Sprint(host.Name, " ", host.Addrs))
			}
			if s := strings.Join(got, " "); err != nil || s != want {
				t.Errorf("%s: %s, %v, want %s", domain, s, err, want)
			}
		}
		var temporary *mx.TemporaryError
		_, err := l.Resolver().Lookup(t.Context(), "tenant3.lab")
		if !errors.As(err, &temporary) || temporary.Kind != "servfail" {
			t.Errorf("tenant3.lab: %v", err)
		}
		for server, replies := range map[string][2]string{
			"127.0.0.2": {"250", "250"}, "2001:db8::2": {"250", "250"},
			"127.0.0.4": {"554", "250"}, "2001:db8::3": {"250", "250"},
		} {
			c := talkTo(t, l, netip.Addr{}, addr(server))
			c.expect("220")
			c.exchange("EHLO x", "250")
			c.exchange("MAIL FROM:<>", "250")
			c.exchange("RCPT TO:<a@tenant1.lab>", replies[0])
			c.exchange("RCPT TO:<a@tenant2.lab>", replies[1])
			c.quit()
		}
		got := l.Count()
		if want := map[netip.Addr]int{
			addr("127.0.0.2"): 1, addr("2001:db8::2"): 1, addr("2001:db8::3"): 1, addr("127.0.0.4"): 1,
		}; !maps.Equal(got.PeakByAddr, want) {
			t.Errorf("peaks %v", got.PeakByAddr)
		}
		if want := map[netip.Addr]int{addr("127.0.0.1"): 2, addr("::1"): 2}; !maps.Equal(got.ConnectionsFrom, want) {
			t.Errorf("connections from %v", got.ConnectionsFrom)
		}
		if _, err := l.Dial(t.Context(), addr("127.0.0.1"), "[2001:db8::2]:25"); err == nil {
			t.Error("an IPv4 source reached an IPv6 server")
		}
	})
}

func TestTheTruthKnowsTheOptions(t *testing.T) {
	w, err := lab.Parse(`
		host hole.lab blackhole
		host lost.lab servfail
		host soft.lab soft-unknown
		host closes.lab closes-unknown
		host crash.lab crash=bob
		host good.lab
		name both.lab hole.lab,good.lab
		domain hole.lab.lab mx=hole.lab
		domain lost.lab.lab mx=lost.lab
		domain soft.lab.lab mx=soft.lab
		domain closes.lab.lab mx=closes.lab
		domain crash.lab.lab mx=crash.lab
		domain both.lab.lab mx=both.lab
		mailbox a@hole.lab.lab a@lost.lab.lab a,bob@soft.lab.lab a@closes.lab.lab a,bob@crash.lab.lab a@both.lab.lab`)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"a@hole.lab.lab": "timeout", "a@lost.lab.lab": "dns_failure", "a@soft.lab.lab": "accepted",
		"nobody@soft.lab.lab": "server_unavailable", "a@closes.lab.lab": "accepted",
		"nobody@closes.lab.lab": "server_unavailable", "a@crash.lab.lab": "accepted",
		"bob@crash.lab.lab": "server_unavailable", "a@both.lab.lab": "accepted",
	} {
		if got := w.TruthOf(address).Reason; got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestSocketsRefuseWhatOnlyMemoryCanPlay(t *testing.T) {
	for _, option := range []string{"2001:db8::1", "blackhole", "stall=1400", "closed-from=127.0.0.1"} {
		_, err := lab.Start(t.Context(), "host mx.a.lab "+option)
		if err == nil || !strings.Contains(err.Error(), "a lab in memory") {
			t.Errorf("%s: %v", option, err)
		}
	}
}

func TestTLSSessionsThatAreResumedAreCounted(t *testing.T) {
	inMemory(t, "host mx.a.lab starttls\ndomain a.lab mx=mx.a.lab", func(t *testing.T, l *lab.Lab) {
		cache := tls.NewLRUClientSessionCache(1)
		for range 3 {
			c := greet(t, l)
			c.exchange("RSET", "250")
			c.exchange("STARTTLS", "220")
			secure := tls.Client(c.conn, &tls.Config{
				InsecureSkipVerify: true, ServerName: "mx.a.lab", ClientSessionCache: cache,
			})
			c = &talk{t: t, conn: secure, Reader: textproto.NewReader(bufio.NewReader(secure))}
			c.exchange("QUIT", "221")
			c.conn.Close()
		}
		if err := l.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.Count(); got.Handshakes != 3 || got.Resumed != 2 {
			t.Errorf("%d handshakes, %d resumed", got.Handshakes, got.Resumed)
		}
	})
}
