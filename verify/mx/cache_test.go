package mx

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

var corp = question{"corp.lab", dns.TypeMX}

func TestAnAnswerIsAskedForAgainWhenItsTTLHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, asked := newCache(10), 0
		get := func() {
			t.Helper()
			_, err := c.get(t.Context(), corp, func(context.Context) (found, error) {
				asked++
				return found{expires: time.Now().Add(time.Minute)}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		get()
		time.Sleep(time.Minute - 1)
		get()
		if asked != 1 {
			t.Errorf("asked %d times within the TTL, want once", asked)
		}
		time.Sleep(time.Nanosecond)
		get()
		if asked != 2 {
			t.Errorf("asked %d times, want a second time after the TTL", asked)
		}
	})
}

func TestAWaiterThatLeavesGetsItsOwnErrorAndTheOthersGetTheAnswer(t *testing.T) {
	for _, test := range []struct {
		name        string
		hasty, wait time.Duration // when the hasty one comes, and how long the patient one waits for the answer
	}{
		{"the hasty one joins one who asks", time.Millisecond, time.Second},
		{"the hasty one asks, and when it leaves the other asks again", -time.Millisecond, 1099 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(10)
				slow := func(ctx context.Context) (found, error) {
					select {
					case <-time.After(time.Second):
						return found{expires: time.Now().Add(time.Minute)}, nil
					case <-ctx.Done():
						return found{}, ctx.Err()
					}
				}
				var both sync.WaitGroup
				both.Go(func() {
					time.Sleep(max(0, test.hasty))
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					start := time.Now()
					_, err := c.get(ctx, corp, slow)
					if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 100*time.Millisecond {
						t.Errorf("the hasty waiter: error %v after %s, want its deadline's after 100 ms", err, took)
					}
				})
				both.Go(func() {
					time.Sleep(max(0, -test.hasty))
					start := time.Now()
					if _, err := c.get(t.Context(), corp, slow); err != nil || time.Since(start) != test.wait {
						t.Errorf("the patient waiter: error %v after %s, want the answer after %s",
							err, time.Since(start), test.wait)
					}
				})
				both.Wait()
			})
		})
	}
}

func TestTheLastWaiterEndsTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := false
		_, err := c.get(ctx, corp, func(ctx context.Context) (found, error) {
			<-ctx.Done()
			ended = true
			return found{}, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || !ended {
			t.Errorf("error %v, flight ended: %t; want the deadline's and true", err, ended)
		}
	})
}

func TestADeadlineThatHasPassedEndsAContextByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := ended(ctx); err != nil {
			t.Errorf("before the deadline: %v", err)
		}
		time.Sleep(time.Second)
		if err := ended(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the deadline: %v", err)
		}
		cancel()
		if err := ended(ctx); err == nil {
			t.Error("a cancelled context has not ended")
		}
	})
}

func TestAnAnswerIsKeptForItsTTLWithinLimits(t *testing.T) {
	nothing := func(records ...string) func(*dns.Msg) {
		return func(m *dns.Msg) {
			for _, text := range records {
				m.Ns = append(m.Ns, record("%s", text))
			}
		}
	}
	mail := func(ttl string) func(*dns.Msg) {
		return func(m *dns.Msg) { m.Answer = append(m.Answer, record("corp.lab. %s IN MX 10 mx.lab.", ttl)) }
	}
	for name, test := range map[string]struct {
		fill func(*dns.Msg)
		want time.Duration
	}{
		"an hour":             {mail("3600"), time.Hour},
		"nothing":             {mail("0"), minTTL},
		"a week":              {mail("604800"), maxTTL},
		"no SOA":              {nothing(), noTTL},
		"the SOA's minimum":   {nothing("lab. 300 IN SOA ns.lab. root.lab. 1 2 3 4 60"), time.Minute},
		"the SOA's own TTL":   {nothing("lab. 60 IN SOA ns.lab. root.lab. 1 2 3 4 300"), time.Minute},
		"an SOA with nothing": {nothing("lab. 0 IN SOA ns.lab. root.lab. 1 2 3 4 0"), minTTL},
	} {
		simulate(t, name, func(t *testing.T) {
			reply := new(dns.Msg).SetQuestion("corp.lab.", dns.TypeMX)
			test.fill(reply)
			if f, _ := read(reply, corp.name, corp.kind); time.Until(f.expires) != test.want {
				t.Errorf("it is kept for %s, want %s", time.Until(f.expires), test.want)
			}
		})
	}
}
