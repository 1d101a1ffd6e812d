package verify_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// refuses is a Prober whose first sessions are refused with a reply to the connection.
type refuses struct {
	verify.Prober
	left atomic.Int64
	says reply.Reply
}

func (p *refuses) Open(ctx context.Context, target smtpprobe.Target) (verify.Session, error) {
	if p.left.Add(-1) >= 0 {
		return nil, &smtpprobe.GreetError{
			Host: target.Host, Addr: target.Addrs[0],
			Err: &smtpprobe.RefusedError{Command: reply.Connect, Reply: p.says},
		}
	}
	return p.Prober.Open(ctx, target)
}

func TestAPauseEndsAndTheRunGoesOn(t *testing.T) {
	says, err := reply.Parse("421 4.7.0 Too many connections, slow down")
	if err != nil {
		t.Fatal(err)
	}
	type world struct {
		refusals    int64
		want        string
		least, most time.Duration
	}
	bubbles(t, map[string]world{
		"after one refusal":   {1, "accepted", time.Second, 3 * time.Second},
		"after two refusals":  {2, "accepted", 3 * time.Second, 6 * time.Second},
		"where it never ends": {1 << 40, "rate_limited", 3 * time.Second, 5 * time.Minute},
	}, func(t *testing.T, w world) {
		addresses := numbered("user", "corp.lab", 50)
		l, v := memoryWorld(
			t,
			"host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox "+strings.Join(addresses, " "),
			func(c *verify.Config) {
				p := &refuses{Prober: c.Prober, says: says}
				p.left.Store(w.refusals)
				c.Prober = p
			},
		)
		begun := time.Now()
		results := verifyAll(t, v, addresses)
		wantReasons(t, results, all(w.want, addresses))
		within(t, "the run", time.Since(begun), w.least, w.most)
		if r := results[0]; w.want == "rate_limited" && r.RetryAt.IsZero() {
			t.Error("a host that is too busy is worth another try, and there is no time for it")
		}
		wantPoliteness(t, l)
	})
}

func TestADestinationWithARateIsAskedAtThatRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addresses := numbered("user", "gmx.net", 100)
		l, v := memoryWorld(t, "host mx00.gmx.net latency=10ms\ndomain gmx.net mx=mx00.gmx.net\nmailbox "+
			strings.Join(addresses, " "), nil)
		begun := time.Now()
		wantReasons(t, verifyAll(t, v, addresses), all("accepted", addresses))
		within(t, "100 addresses at 5 a second, 30 of them at once", time.Since(begun), 13*time.Second, 18*time.Second)
		wantPoliteness(t, l)
	})
}

func TestRowsThatWereNotAskedCarryNobodysReply(t *testing.T) {
	bubbles(t, map[string]string{
		"blocked at RCPT": "blocks", "blocked at the banner": "banner554", "refused at MAIL": "noptr",
		"dropped": "drops-unknown", "ended with 421": "closes-unknown", "blocked after ten": "blocks-after=10",
	}, func(t *testing.T, options string) {
		var b strings.Builder
		var addresses []string
		fmt.Fprintf(&b, "host real.wall.lab latency=10ms %s\n", options)
		for d := range 12 {
			fmt.Fprintf(&b, "name mx%d.wall.lab real.wall.lab\ndomain d%d.lab mx=mx%d.wall.lab\n", d, d, d)
			addresses = append(addresses, numbered("user", fmt.Sprintf("d%d.lab", d), 40)...)
		}
		l, v := memoryWorld(t, b.String(), nil)
		results := verifyAll(t, v, addresses)
		wantOwnReplies(t, results)
		notAsked := 0
		for _, r := range results {
			asked := l.Probes(r.Normalized) > 0
			_, domain, _ := strings.Cut(r.Normalized, "@")
			if own := "mx" + strings.TrimSuffix(domain[1:], ".lab") + ".wall.lab"; r.MX != own {
				t.Errorf("%s carries the host %s, want its own, %s", r.Normalized, r.MX, own)
			}
			switch {
			case strings.HasPrefix(r.Detail, "not asked:"):
				if notAsked++; asked || r.Reply != nil || r.Source.IsValid() {
					t.Errorf(
						"%s, asked %d times, says %q and carries %v",
						r.Normalized,
						l.Probes(r.Normalized),
						r.Detail,
						r.Reply,
					)
				}
			case r.Reply != nil && r.Reply.Command == "RCPT" && !asked:
				t.Errorf("%s was not asked and carries a reply to RCPT: %v", r.Normalized, r.Reply)
			}
		}
		if notAsked == 0 {
			t.Error("every row was asked")
		}
	})
}
