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
// destinations in a row had no answer, and hosts that answered before do not either; or when unrelated destinations in a
// row all greeted with the same name. Its answer tells "port 25 is closed here" from "these hosts are down", and
// "another server answers for all" from "they have one operator".
type Outside func(ctx context.Context, source netip.Addr, ipv6 bool) (Greeting, error)

// testFor is how long a test may take.
const testFor = 15 * time.Second

// test finds out whether anything answers on a way: hosts that did before, else large ones.
func (d *dispatcher) test(ctx context.Context, o testOrder) tested {
	ctx, cancel := context.WithTimeout(ctx, testFor)
	defer cancel()
	begun := time.Now()
	if o.about != "" {
		large, err := d.outside(ctx, o.source, o.way.v6)
		return tested{way: o.way, asked: o.about, greeting: large, err: err}
	}
	errs := make([]error, len(o.targets))
	var group sync.WaitGroup
	for i, target := range o.targets {
		group.Go(func() { errs[i] = d.answers(ctx, target) })
	}
	group.Wait()
	answered := slices.Contains(errs, nil)
	var err error
	if !answered {
		err = errors.Join(errs...)
		if d.outside != nil {
			_, err = d.outside(ctx, o.source, o.way.v6)
		}
	}
	return tested{way: o.way, err: err, took: time.Since(begun), gaveUp: errors.Is(ctx.Err(), context.Canceled)}
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
