package doctor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"testing"
)

// socks is a SOCKS5 proxy in memory: what it answers to the greeting and to the password, and whether it goes on.
type socks struct {
	method, login byte
	hangsUp       bool // in place of the answer to the password
	banner        string
	heard         []byte // of the password
}

// dial connects to the proxy.
func (s *socks) dial(context.Context, netip.Addr, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if s.banner != "" {
			go io.Copy(io.Discard, server)
			_, _ = server.Write([]byte(s.banner))
			return
		}
		r := bufio.NewReader(server)
		hello := make([]byte, 2)
		if _, err := io.ReadFull(r, hello); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, r, int64(hello[1])); err != nil {
			return
		}
		if _, err := server.Write([]byte{5, s.method}); err != nil || s.method != 2 {
			return
		}
		for range 2 { // user name and password
			n, err := r.ReadByte()
			if err == nil && n == 1 && len(s.heard) == 0 {
				n, err = r.ReadByte()
			}
			text := make([]byte, n)
			if err == nil {
				_, err = io.ReadFull(r, text)
			}
			if err != nil {
				return
			}
			s.heard = append(append(s.heard, text...), ' ')
		}
		if !s.hangsUp {
			_, _ = server.Write([]byte{1, s.login})
		}
	}()
	return client, nil
}

func TestTheProxyIsLoggedInTo(t *testing.T) {
	user := url.UserPassword("ann", "secret")
	for name, test := range map[string]struct {
		proxy socks
		user  *url.Userinfo
		dial  error
		want  want
	}{
		"an open proxy":             {proxy: socks{method: 0}, want: want{OK, "lets this machine in"}},
		"an open proxy, a password": {proxy: socks{method: 0}, user: user, want: want{OK, "lets this machine in"}},
		"the right password":        {proxy: socks{method: 2}, user: user, want: want{OK, "lets this machine in"}},
		"a wrong password": {
			proxy: socks{method: 2, login: 1}, user: user,
			want: want{Failure, "refuses the user name or the password"},
		},
		"a wrong password, hang-up": {
			proxy: socks{method: 2, hangsUp: true}, user: user,
			want: want{Failure, "refuses the user name or the password"},
		},
		"no password given":        {proxy: socks{method: 255}, want: want{Failure, "wants a user name"}},
		"a password that it wants": {proxy: socks{method: 2}, want: want{Failure, "wants a user name"}},
		"another way to log in":    {proxy: socks{method: 255}, user: user, want: want{Failure, "none of the ways"}},
		"a web server": {
			proxy: socks{banner: "HTTP/1.1 400 Bad Request\r\n"},
			want:  want{Failure, "does not speak SOCKS5"},
		},
		"nobody there": {dial: refusedConnection(), want: want{Failure, "cannot be reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			from := netip.MustParseAddr("198.51.100.9")
			config := Config{
				Proxy: &url.URL{Scheme: "socks5", Host: "192.0.2.1", User: test.user}, Sources: []netip.Addr{from},
			}
			config.Network.Dial = func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
				if address != "192.0.2.1:1080" {
					t.Errorf("connected to %s, and SOCKS is at port 1080 where none is given", address)
				}
				if source != from {
					t.Errorf("connected from %s, want %s", source, from)
				}
				if test.dial != nil {
					return nil, test.dial
				}
				return test.proxy.dial(ctx, source, address)
			}
			compare(t, newExam(t.Context(), config, facts{}).proxy(t.Context()), []want{test.want})
		})
	}
}

func TestUserNameAndPasswordAreSentAsGiven(t *testing.T) {
	s := &socks{method: 2}
	conn, err := s.dial(t.Context(), netip.Addr{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := handshake(conn, url.UserPassword("ann", "s3 cret")); err != nil {
		t.Fatal(err)
	}
	if string(s.heard) != "ann s3 cret " {
		t.Errorf("the proxy heard %q", s.heard)
	}
}

func TestNoProxyIsNoLine(t *testing.T) {
	if findings := newWorld(t, "").findingsOf(t, "proxy"); len(findings) > 0 {
		t.Errorf("%+v", findings)
	}
}

func TestMailHostsAreTriedThroughTheProxy(t *testing.T) {
	w := newWorld(t, "")
	var to []string
	findings, _ := w.examine(t, "port-25", func(c *Config) {
		v4(c)
		c.Proxy = &url.URL{Scheme: "socks5", Host: "192.0.2.1:1080"}
		c.Network.Dial = func(_ context.Context, _ netip.Addr, address string) (net.Conn, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			to = append(to, address)
			return nil, refusedConnection()
		}
	})
	compare(t, findings, []want{{Failure, "no mail host answers on port 25 through the proxy"}})
	for _, address := range to {
		if address != "192.0.2.1:1080" {
			t.Errorf("connected to %s", address)
		}
	}
}

func TestALongPasswordIsNotSent(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() {
		_, _ = io.ReadFull(server, make([]byte, 4))
		_, _ = server.Write([]byte{5, 2})
	}()
	if err := handshake(client, url.UserPassword("ann", string(make([]byte, 256)))); !errors.Is(err, errLogin) {
		t.Errorf("%v", err)
	}
}
