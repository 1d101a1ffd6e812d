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
	code := run(append([]string{"check", "heidi@alpina.lab", "--proxy", "socks5://" + address}, toLab...), strings.NewReader(""), &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "deliverable") {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
	if connections.Load() == 0 {
		t.Error("the proxy saw no connection")
	}
}
