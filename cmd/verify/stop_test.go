package main

import (
	"strings"
	"testing"
	"time"
)

func TestAnInterruptEndsTheProgramWithinFiveSeconds(t *testing.T) {
	for name, host := range map[string]string{
		"with a host that takes its time": "latency=8s",
		"with a host that falls silent":   "latency=100ms nopipelining cut-after=1",
	} {
		t.Run(name, func(t *testing.T) {
			world := "host mx.slow.lab " + host + "\ndomain slow.lab mx=mx.slow.lab\nmailbox ann,bob@slow.lab"
			simulate(t, world, func(s *simulation) {
				var interrupted time.Time
				time.AfterFunc(26*time.Second, func() {
					interrupted = time.Now()
					close(s.stop)
				})
				code, _, stderr := s.verify("list", s.list("ann@slow.lab", "bob@slow.lab"), "--state", s.path("s.db"),
					"-o", s.path("out.csv"))
				if took := time.Since(interrupted); code != exitInterrupted || took > 5*time.Second {
					t.Errorf("exit %d after %v: %s", code, took, stderr)
				}
				for _, want := range []string{
					"stopping in 5 s at most: ", "closing 1 session with slow.lab\n",
					"To go on: verify list",
				} {
					if !strings.Contains(stderr, want) {
						t.Errorf("it does not say %q: %s", want, stderr)
					}
				}
			})
			simulate(t, world, func(s *simulation) {
				time.AfterFunc(26*time.Second, func() { close(s.stop) })
				_, _, stderr := s.verify("list", s.list("ann@slow.lab", "bob@slow.lab"), "-q", "--state", s.path("s.db"),
					"-o", s.path("out.csv"))
				if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "verify: stopped; ") {
					t.Errorf("with -q it says %q, want only how to go on", stderr)
				}
			})
		})
	}
}
