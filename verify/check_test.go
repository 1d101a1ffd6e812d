package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// hangs is a Resolver that never answers.
type hangs struct{}

func (hangs) Lookup(ctx context.Context, _ string) (mx.Answer, error) {
	<-ctx.Done()
	return mx.Answer{}, fmt.Errorf("lookup: %w", ctx.Err())
}

func TestACallersDeadlineIsTheCallersError(t *testing.T) {
	type world struct {
		options string
		change  func(*verify.Config)
		cancels bool
	}
	cases := map[string]world{"the resolver hangs": {"", func(c *verify.Config) { c.Resolver = hangs{} }, false}}
	for _, options := range []string{
		"silent", "tarpit", "blackhole", "latency=3s", "latency=1s", "latency=700ms nopipelining", "latency=600ms starttls",
		"stall=20",
	} {
		cases[options] = world{options, nil, false}
		cases[options+", cancelled"] = world{options, nil, true}
	}
	bubbles(t, cases, func(t *testing.T, w world) {
		_, v := memoryWorld(
			t,
			"host mx.corp.lab "+w.options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			w.change,
		)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		want := context.DeadlineExceeded
		if w.cancels {
			cancel()
			want = context.Canceled
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel)
		}
		defer cancel()
		begun := time.Now()
		r, err := v.Check(ctx, "ann@corp.lab")
		if !errors.Is(err, want) || r.Reason != "" {
			t.Errorf("%s, %v; want the caller's error", r.Reason, err)
		}
		within(t, "the check", time.Since(begun), 2*time.Second, 2*time.Second)
		begun = time.Now()
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, "leaving the session that nobody waits for", time.Since(begun), 0, 7*time.Second)
	})
}

func TestATimeLimitOfOursIsNotTheCallersError(t *testing.T) {
	bubbles(t, map[string]string{"silent": "silent", "never connects": "blackhole", "stalls": "stall=20"},
		func(t *testing.T, options string) {
			_, v := memoryWorld(
				t,
				"host mx.corp.lab "+options+"\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
				nil,
			)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			r, err := v.Check(ctx, "ann@corp.lab")
			if err != nil || r.Reason != "timeout" || r.RetryAt.IsZero() {
				t.Errorf("%s (%s), %v; want timeout and no error", r.Reason, r.Detail, err)
			}
		})
}

func TestADeadlineOfOneCheckDoesNotEndAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, v := memoryWorld(
			t,
			"host mx.corp.lab latency=500ms\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab bob@corp.lab",
			nil,
		)
		short, cancel := context.WithTimeout(t.Context(), 1700*time.Millisecond) // in the flight
		defer cancel()
		failed := make(chan error)
		go func() {
			_, err := v.Check(short, "ann@corp.lab")
			failed <- err
		}()
		r, err := v.Check(t.Context(), "bob@corp.lab")
		if err != nil || r.Reason != "accepted" {
			t.Errorf("bob: %s (%s), %v", r.Reason, r.Detail, err)
		}
		if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ann: %v", err)
		}
		if n := l.Probes("bob@corp.lab"); n != 1 {
			t.Errorf("bob was asked %d times", n)
		}
	})
}

func TestAnUnansweredQUITHoldsNoAnswerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(
			t,
			"host mx.corp.lab latency=50ms mute-quit\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab",
			nil,
		)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
		defer cancel()
		r, err := v.Check(ctx, "ann@corp.lab")
		if err != nil || r.Reason != "accepted" {
			t.Errorf("%s, %v", r.Reason, err)
		}
		within(t, "the check", time.Since(begun), 200*time.Millisecond, 300*time.Millisecond)
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, "with QUIT", time.Since(begun), time.Second, 1400*time.Millisecond)
	})
}

func TestHostsThatAreMuteAtQUITHoldNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		declaration, addresses := hosts(100, 1, "latency=20ms mute-quit")
		_, v := memoryWorld(t, declaration, func(c *verify.Config) { c.Sessions = 10 })
		begun := time.Now()
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		within(t, "the run", time.Since(begun), time.Second, 4*time.Second)
	})
}

// fake is a Resolver that knows one host, and a Prober whose server accepts what does not end in a digit.
type fake struct{ answer mx.Answer }

func (f *fake) Lookup(context.Context, string) (mx.Answer, error) { return f.answer, nil }
func (f *fake) Open(_ context.Context, t smtpprobe.Target) (verify.Session, error) {
	return &fakeSession{addr: t.Addrs[0]}, nil
}

type fakeSession struct{ addr netip.Addr }

func (s *fakeSession) Addr() netip.Addr                   { return s.addr }
func (s *fakeSession) Greeting() string                   { return "" }
func (s *fakeSession) RoundTrip() time.Duration           { return time.Millisecond }
func (s *fakeSession) Pipelining() bool                   { return true }
func (s *fakeSession) SMTPUTF8() bool                     { return false }
func (s *fakeSession) TLS() bool                          { return false }
func (s *fakeSession) TLSFailed() bool                    { return false }
func (s *fakeSession) Limits() (l smtpprobe.ServerLimits) { return l }
func (s *fakeSession) Close(context.Context) error        { return nil }

var (
	yes = reply.Reply{Code: 250, Enhanced: reply.Enhanced{Class: 2, Subject: 1, Detail: 5}, Lines: []string{"Ok"}}
	no  = reply.Reply{
		Code:     550,
		Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1},
		Lines:    []string{"User unknown"},
	}
)

func (s *fakeSession) Probe(
	_ context.Context,
	list [][]string,
	_ func(smtpprobe.Answer) bool,
) ([]smtpprobe.Transaction, error) {
	said := make([]smtpprobe.Transaction, len(list))
	for i, recipients := range list {
		for _, r := range recipients {
			local, _, _ := strings.Cut(r, "@")
			a := smtpprobe.Answer{Recipient: r, Reply: yes}
			if last := local[len(local)-1]; last >= '0' && last <= '9' {
				a.Reply = no
			}
			said[i].Answers = append(said[i].Answers, a)
		}
	}
	return said, nil
}

// fakeVerifier returns a Verifier over a fake network whose domain it has met.
func fakeVerifier(t testing.TB) *verify.Verifier {
	t.Helper()
	hosts := []mx.Host{{Name: "mx.corp.lab", Preference: 10, Addrs: addrs("192.0.2.1")}}
	answer, err := mx.Assemble("corp.lab", hosts, false)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{answer}
	v, err := verify.New(verify.Config{Resolver: f, Prober: f})
	if err != nil {
		t.Fatal(err)
	}
	checkOne(t, v)
	return v
}

func checkOne(t testing.TB, v *verify.Verifier) {
	if r, err := v.Check(t.Context(), "ann@corp.lab"); err != nil || r.Reason != "accepted" {
		t.Fatalf("%s (%s), %v", r.Reason, r.Detail, err)
	}
}

func TestACheckAllocatesLittle(t *testing.T) {
	v := fakeVerifier(t)
	const checks = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range checks {
		checkOne(t, v)
	}
	if err := v.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / checks
	t.Logf("%d octets in %d allocations a check", each, (after.Mallocs-before.Mallocs)/checks)
	if each > 20_000 {
		t.Errorf("a check allocates %d octets, want 20,000 at most", each)
	}
}

func BenchmarkCheck(b *testing.B) {
	v := fakeVerifier(b)
	b.ReportAllocs()
	for b.Loop() {
		checkOne(b, v)
	}
}

func BenchmarkCheckInParallel(b *testing.B) {
	v := fakeVerifier(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			checkOne(b, v)
		}
	})
}
