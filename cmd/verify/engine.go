package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"

	"presend/job"
	"presend/lists/reference"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// verifier builds the engine from the flags. Its resolver is to be closed; that only frees sockets.
func (a *app) verifier() (v *verify.Verifier, resolver io.Closer, err error) {
	f := &a.flags
	logger, err := a.logger()
	if err != nil {
		return nil, nil, err
	}
	if f.sessions < 1 {
		return nil, nil, usagef("--sessions must be at least 1")
	}
	names, err := reference.Load(reference.Options{UserFiles: f.reference})
	if err != nil {
		return nil, nil, err
	}
	pace, err := smtpprobe.LoadPace(f.pace)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	config := verify.Config{
		Resolver: a.resolver, Pace: pace, Reference: names, Sessions: f.sessions, IPv4: f.ipv4, IPv6: f.ipv6, Logger: logger,
	}
	for _, text := range f.sourceIPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, nil, usagef("--source-ip: %v", err)
		}
		config.Sources = append(config.Sources, addr)
	}
	if !f.noSMTP {
		prober, err := a.prober(logger)
		if err != nil {
			return nil, nil, err
		}
		config.Prober = verify.SMTP(prober)
	}
	if f.proxy != "" && len(config.Sources) > 1 {
		return nil, nil, usagef("receivers see the address of the proxy only; with --proxy give one --source-ip at most")
	}
	resolver = io.NopCloser(nil)
	if config.Resolver == nil {
		network, err := mx.New(mx.Config{Servers: f.dns, AllowPrivate: f.allowPrivate})
		if err != nil {
			return nil, nil, usagef("%v", err)
		}
		config.Resolver, resolver = network, network
	}
	config.Preflight = a.preflight(resolver)
	if config.Preflight != nil && f.smtpPort == 25 && f.proxy == "" {
		config.Outside = job.LargeHosts(config.Resolver, a.dial)
	}
	if v, err = verify.New(config); err != nil {
		return nil, nil, errors.Join(err, resolver.Close())
	}
	return v, resolver, nil
}

// preflight returns the test of DNS; nil where there is to be none.
func (a *app) preflight(resolver io.Closer) job.Preflight {
	if test, ok := resolver.(interface{ Preflight(context.Context) error }); ok && !a.flags.noPreflight {
		return test.Preflight
	}
	return nil
}

func (a *app) prober(logger *slog.Logger) (*smtpprobe.Prober, error) {
	f := &a.flags
	config := smtpprobe.Config{
		HELO: f.helo, From: strings.Trim(f.from, "<>"), Port: f.smtpPort, Timeout: f.timeout, Dial: a.dial, Logger: logger,
	}
	if f.proxy != "" {
		address, err := url.Parse(f.proxy)
		if err != nil || address.Scheme != "socks5" {
			return nil, usagef("--proxy %s: want socks5://[user:password@]host:port", f.proxy)
		}
		config.Dial = throughProxy(address)
	}
	prober, err := smtpprobe.New(config)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return prober, nil
}
