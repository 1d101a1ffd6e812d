package verify

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"presend/verify/smtpprobe"
)

// Outside connects to large hosts on port 25, from one of our addresses (the zero Addr is the system's choice) and over
// one family. It returns the greeting of one that answers. It is called only after connections to several unrelated
// destinations in a row had no answer, and hosts that answered before do not either; or when unrelated destinations in
// a row all greeted with the same name. Its answer tells "port 25 is closed here" from "these hosts are down", and
// "another server answers for all" from "they have one operator".
type Outside func(ctx context.Context, source netip.Addr, ipv6 bool) (Greeting, error)

// testFor is how long hosts that answered before are waited for, and then the large ones.
const testFor = 15 * time.Second

// test finds out whether anything answers on a way: hosts that did before, else large ones. Each of both has its own
// time, since a network that drops packets takes all of it.
func (d *dispatcher) test(ctx context.Context, o testOrder) tested {
	begun := time.Now()
	if o.about != "" {
		ctx, cancel := context.WithTimeout(ctx, testFor)
		defer cancel()
		large, err := d.outside(ctx, o.source, o.way.v6)
		return tested{way: o.way, asked: o.about, greeting: large, err: err}
	}
	err := d.knownAnswer(ctx, o.targets)
	if err != nil && d.outside != nil {
		ctx, cancel := context.WithTimeout(ctx, testFor)
		_, err = d.outside(ctx, o.source, o.way.v6)
		cancel()
	}
	return tested{way: o.way, err: err, took: time.Since(begun), gaveUp: ctx.Err() != nil}
}

// errNoneKnown is the result of a test of a way on which no host has answered before.
var errNoneKnown = errors.New("no host is known that answered before")

// knownAnswer returns nil if one of the hosts answers that did before.
func (d *dispatcher) knownAnswer(ctx context.Context, targets []smtpprobe.Target) error {
	if len(targets) == 0 {
		return errNoneKnown
	}
	ctx, cancel := context.WithTimeout(ctx, testFor)
	defer cancel()
	errs := make([]error, len(targets))
	var group sync.WaitGroup
	for i, target := range targets {
		group.Go(func() { errs[i] = d.answers(ctx, target) })
	}
	group.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return errors.Join(errs...)
}

// answers opens a session and leaves it. A host that refuses the session has answered.
func (d *dispatcher) answers(ctx context.Context, target smtpprobe.Target) error {
	s, err := d.prober.Open(ctx, target)
	var refused *smtpprobe.RefusedError
	switch {
	case err == nil:
		_ = s.Close(context.WithoutCancel(ctx)) // how it says goodbye changes nothing
		return nil
	case errors.As(err, &refused):
		return nil
	}
	return err
}
