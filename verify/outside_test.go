package verify

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify/smtpprobe"
)

// opening is a Prober whose sessions cannot be opened. Without an error it waits until it is broken off.
type opening struct{ err error }

func (o opening) Open(ctx context.Context, _ smtpprobe.Target) (Session, error) {
	if o.err != nil {
		return nil, o.err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestATestOfAWayTellsWhetherAnythingAnswers(t *testing.T) {
	down := errors.New("no answer")
	for name, test := range map[string]struct {
		open     error
		targets  int
		large    error // what large hosts answer
		answered bool
		asked    bool // large hosts
	}{
		"a host refuses the session, and has answered": {&smtpprobe.RefusedError{}, 2, down, true, false},
		"no host answers, and a large one does":        {down, 2, nil, true, true},
		"nothing answers":                              {down, 2, down, false, true},
		"no host is known":                             {down, 0, nil, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			d := &dispatcher{prober: opening{test.open}, outside: func(context.Context, netip.Addr, bool) (Greeting, error) {
				asked = true
				return Greeting{}, test.large
			}}
			got := d.test(t.Context(), testOrder{way: way{0, true}, targets: make([]smtpprobe.Target, test.targets)})
			if got.way != (way{0, true}) || (got.err == nil) != test.answered || asked != test.asked || got.gaveUp {
				t.Errorf("%+v, large hosts were asked: %v", got, asked)
			}
		})
	}
}

func TestATestThatIsBrokenOffSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := &dispatcher{prober: opening{}}
		ended := make(chan tested)
		go func() { ended <- d.test(ctx, testOrder{targets: make([]smtpprobe.Target, 1)}) }()
		synctest.Wait()
		cancel()
		if got := <-ended; !got.gaveUp || got.err == nil {
			t.Errorf("%+v", got)
		}
		if got := d.test(t.Context(), testOrder{targets: make([]smtpprobe.Target, 1)}); got.gaveUp || got.took != testFor {
			t.Errorf("%+v; its time was over", got)
		}
	})
}

func TestLargeHostsHaveTheirOwnTimeWhereKnownOnesHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dispatcher{prober: opening{}, outside: func(ctx context.Context, _ netip.Addr, _ bool) (Greeting, error) {
			if left, ok := ctx.Deadline(); !ok || time.Until(left) != testFor {
				t.Errorf("%v left for large hosts", time.Until(left))
			}
			return Greeting{}, ctx.Err()
		}}
		got := d.test(t.Context(), testOrder{targets: make([]smtpprobe.Target, 1)})
		if got.err != nil || got.gaveUp || got.took != testFor {
			t.Errorf("%+v; large hosts answered", got)
		}
	})
}
