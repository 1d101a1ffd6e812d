package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"presend/internal/lab"
)

// socks5 is a proxy (RFC 1928) without authentication that connects to IPv4 addresses, and counts.
func socks5(t *testing.T) (address string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer client.Close()
				b := make([]byte, 10)
				if _, err := io.ReadFull(client, b[:3]); err != nil { // version, one method: none
					return
				}
				client.Write([]byte{5, 0})
				if _, err := io.ReadFull(client, b); err != nil { // version, CONNECT, 0, IPv4, address, port
					return
				}
				addr, _ := netip.AddrFromSlice(b[4:8])
				server, err := net.Dial("tcp", netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[8:])).String())
				if err != nil {
					client.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
					return
				}
				defer server.Close()
				client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				go io.Copy(server, client)
				io.Copy(client, server)
			}()
		}
	}()
	return listener.Addr().String(), connections
}

func TestSessionsGoThroughTheProxy(t *testing.T) {
	_, toLab := startLab(t, lab.Demo)
	address, connections := socks5(t)
	var stdout, stderr bytes.Buffer
	code := run(append([]string{"check", "heidi@alpina.lab", "--proxy", "socks5://" + address}, toLab...),
		strings.NewReader(""), &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "deliverable") {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
	if connections.Load() == 0 {
		t.Error("the proxy saw no connection")
	}
}

// proxyThat is a proxy that answers every request in the same way: method is the authentication that it asks for, and
// answer the reply of RFC 1928 to CONNECT.
func proxyThat(t *testing.T, method, answer byte) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				b := make([]byte, 255)
				if _, err := client.Read(b); err != nil { // version and methods
					return
				}
				client.Write([]byte{5, method})
				if method == 2 {
					if _, err := client.Read(b); err != nil { // name and password
						return
					}
					client.Write([]byte{1, 1}) // wrong
					return
				}
				if _, err := client.Read(b); err != nil { // CONNECT
					return
				}
				client.Write([]byte{5, answer, 0, 1, 0, 0, 0, 0, 0, 0})
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAProxyThatServesNobodyIsAboutTheProxy(t *testing.T) {
	_, toLab := startLab(t, lab.Demo)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, world := range map[string]struct{ proxy, says string }{
		"a wrong password":       {"user:wrong@" + proxyThat(t, 2, 0), "username/password authentication failed"},
		"no method that we have": {proxyThat(t, 0xff, 0), "no acceptable authentication methods"},
		"a rule against all":     {proxyThat(t, 0, 2), "not allowed by ruleset"},
		"nothing listens there":  {gone.Addr().String(), "connection refused"},
		"its name is unknown":    {"proxy.invalid:1080", "proxy.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			arguments := []string{"check", "heidi@alpina.lab", "urs@alpina.lab", "--proxy", "socks5://" + world.proxy}
			code := run(append(arguments, toLab...), strings.NewReader(""), &stdout, &stderr)
			if code != 1 || !strings.Contains(stdout.String(), "unknown (not_probed)") {
				t.Errorf("exit %d: %s", code, stdout.String())
			}
			said := stderr.String()
			if !strings.Contains(said, "the proxy connects to no mail host") || !strings.Contains(said, world.says) {
				t.Errorf("it says %q, want %q in it", said, world.says)
			}
		})
	}
}

func TestAHostThatTheProxyCannotReachIsAboutTheHost(t *testing.T) {
	_, toLab := startLab(t, lab.Demo)
	for answer, reason := range map[byte]string{3: "unreachable", 4: "unreachable", 5: "unreachable", 6: "unreachable"} {
		var stdout, stderr bytes.Buffer
		arguments := []string{"check", "heidi@alpina.lab", "--proxy", "socks5://" + proxyThat(t, 0, answer)}
		code := run(append(arguments, toLab...), strings.NewReader(""), &stdout, &stderr)
		if code != 1 || !strings.Contains(stdout.String(), "unknown ("+reason+")") {
			t.Errorf("reply %d: exit %d: %s", answer, code, stdout.String())
		}
		if said := stderr.String(); !strings.Contains(said, "no mail host answered in this run") {
			t.Errorf("reply %d: it says %q", answer, said)
		}
	}
}

func TestBehindAProxySeveralSourcesAreOneAddress(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run([]string{
		"check", "heidi@alpina.lab", "--proxy", "socks5://127.0.0.1:1", "--source-ip", "127.0.0.2", "--source-ip",
		"127.0.0.3",
	}, strings.NewReader(""), &stdout, &stderr)
	if code != 2 || !strings.Contains(stderr.String(), "receivers see the address of the proxy only") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
