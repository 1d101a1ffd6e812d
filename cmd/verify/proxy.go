package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"

	"presend/job"
	"presend/verify"
)

// throughProxy returns a dialer that goes through a SOCKS5 proxy. Where it is the proxy that failed and not the mail
// host, the error is a *verify.ProxyError.
func throughProxy(address *url.URL) job.Dial {
	return func(ctx context.Context, source netip.Addr, target string) (net.Conn, error) {
		direct := &toProxy{}
		if source.IsValid() {
			direct.dialer.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
		}
		through, err := proxy.FromURL(address, direct)
		if err != nil {
			return nil, &verify.ProxyError{Err: err}
		}
		dialer, ok := through.(proxy.ContextDialer)
		if !ok {
			return nil, &verify.ProxyError{Err: errors.New("it cannot be dialled with a deadline")}
		}
		c, err := dialer.DialContext(ctx, "tcp", target)
		if err == nil || ctx.Err() != nil && direct.connected {
			return c, err // the host took too long, as far as can be told
		}
		return nil, proxyError(err, direct.connected)
	}
}

// toProxy connects to the proxy itself, and remembers whether that worked.
type toProxy struct {
	dialer    net.Dialer
	connected bool
}

// Dial implements proxy.Dialer.
func (d *toProxy) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext implements proxy.ContextDialer.
func (d *toProxy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dialer.DialContext(ctx, network, address)
	d.connected = err == nil
	return c, err
}

// hostReplies are the replies of RFC 1928 that are, or may be, about the mail host, in the words of package socks.
// Those that are about the proxy are the others.
var hostReplies = []string{
	"general SOCKS server failure", "network unreachable", "host unreachable",
	"connection refused", "TTL expired",
}

// proxyError says whose fault a failed connection through a proxy is. Connected tells whether the proxy was reached.
func proxyError(err error, connected bool) error {
	text := err.Error()
	if connected {
		for _, reply := range hostReplies {
			if strings.HasSuffix(text, "unknown error "+reply) {
				return err
			}
		}
	}
	return &verify.ProxyError{Err: err, Rule: connected && strings.Contains(text, "not allowed by ruleset")}
}
