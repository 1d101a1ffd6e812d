package job_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"presend/job"
)

func TestAJobThatIsStoppedEndsWithinFiveSecondsAlsoWhereDNSIsMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, "host mx.slow.lab latency=8s mute-quit\ndomain slow.lab mx=mx.slow.lab\nmailbox ann@slow.lab")
		list := o.path("list.csv")
		if err := os.WriteFile(list, []byte("email\nann@slow.lab\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		stop, tests := make(chan struct{}), 0
		mute := func(ctx context.Context) error {
			if tests++; tests > 1 { // DNS answers before the run, and not behind it
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		var stopped time.Time
		time.AfterFunc(26*time.Second, func() {
			stopped = time.Now()
			close(stop)
		})
		_, err := job.Run(t.Context(), o.verifier(), job.Options{
			Input: list, Output: o.path("out.csv"), State: o.path("state.db"), Probing: true, Preflight: mute,
		}, quiet{}, stop)
		if took := time.Since(stopped); !errors.Is(err, job.ErrStopped) || took > 4500*time.Millisecond || tests != 2 {
			t.Errorf("it ended after %v with %v, and tested DNS %d times", took, err, tests)
		}
	})
}
