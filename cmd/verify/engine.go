package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"presend/doctor"
	"presend/job"
	"presend/lists/reference"
	"presend/report"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// maxLookups is how many DNS look-ups run at a time, as long as enough files may be open.
const maxLookups = 256

// verifier builds the engine from the flags. Its resolver is to be closed; that only frees sockets.
func (a *app) verifier() (v *verify.Verifier, resolver io.Closer, err error) {
	f := &a.flags
	logger, err := a.logger()
	if err != nil {
		return nil, nil, err
	}
	out, err := f.outside()
	if err != nil {
		return nil, nil, err
	}
	names, err := reference.Load(reference.Options{UserFiles: f.reference})
	if err != nil {
		return nil, nil, err
	}
	pace, err := smtpprobe.LoadPace(f.pace)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	sessions, lookups, limited := doctor.Room(f.sessions, maxLookups)
	if limited && !f.noSMTP && !f.quiet {
		fmt.Fprintf(a.stderr, "Few files may be open (ulimit -n), so %s at a time.\n",
			report.Count(sessions, "session runs", "sessions run"))
	}
	config := verify.Config{
		Resolver: a.resolver, Pace: pace, Reference: names, Sessions: sessions, Lookups: lookups, IPv4: f.ipv4, IPv6: f.ipv6,
		Logger:  logger,
		Sources: out.sources,
	}
	if !f.noSMTP {
		prober, err := a.prober(logger, out)
		if err != nil {
			return nil, nil, err
		}
		config.Prober = verify.SMTP(prober)
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

func (a *app) prober(logger *slog.Logger, out outside) (*smtpprobe.Prober, error) {
	f := &a.flags
	from, err := f.sender()
	if err != nil {
		return nil, err
	}
	config := smtpprobe.Config{
		HELO: f.helo, From: from, Port: f.smtpPort, Timeout: f.timeout, Dial: a.dial, Logger: logger,
	}
	if out.proxy != nil {
		config.Dial = throughProxy(out.proxy)
	}
	prober, err := smtpprobe.New(config)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return prober, nil
}
