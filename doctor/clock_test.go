package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestTheClockIsComparedWithWhatWasHeard(t *testing.T) {
	dated := func(off time.Duration) func(*world) {
		return func(w *world) {
			w.greeting = func(host netip.Addr) (string, error) {
				said := time.Now().Add(off).UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700")
				return fmt.Sprintf("220 %s Microsoft ESMTP MAIL Service ready at %s\r\n", host, said), nil
			}
		}
	}
	signedFrom := func(begin, end time.Duration) func(*world) {
		return func(w *world) {
			w.exchange = func(_ context.Context, _ string, query *dns.Msg) (*dns.Msg, error) {
				m := validating(query)
				for _, s := range records[*dns.RRSIG](m) {
					s.Inception = uint32(time.Now().Add(begin).Unix())
					s.Expiration = uint32(time.Now().Add(end).Unix())
				}
				return m, nil
			}
		}
	}
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		world func(*world)
		want  want
	}{
		"right by a greeting":   {dated(0), want{OK, "agrees with the greeting of Gmail"}},
		"a little off":          {dated(4 * time.Minute), want{OK, "agrees with"}},
		"six minutes behind":    {dated(6 * time.Minute), want{Warning, "behind the greeting of Gmail"}},
		"ten minutes behind":    {dated(10 * time.Minute), want{Warning, "behind the greeting of Gmail"}},
		"ten minutes ahead":     {dated(-10 * time.Minute), want{Warning, "ahead of the greeting of Gmail"}},
		"a day behind":          {dated(day), want{Failure, "behind the greeting"}},
		"right by a signature":  {signedFrom(-day, 12*day), want{OK, "root zone's signature, which is 13 days"}},
		"before the signature":  {signedFrom(day, 12*day), want{Failure, "the root zone's signature is valid from"}},
		"after the signature":   {signedFrom(-12*day, -day), want{Failure, "the root zone's signature is valid from"}},
		"nothing to compare it": {func(w *world) { w.exchange = boomExchange }, want{Warning, "could not be compared"}},
		"no resolver to be trusted": {
			func(w *world) { w.faults = map[string]error{"192.0.2.53:53": errBoom} },
			want{Warning, "could not be compared"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			test.world(w)
			compare(t, w.findingsOf(t, "clock"), []want{test.want})
		})
	}
}

func TestADateIsFoundInAGreeting(t *testing.T) {
	for text, want := range map[string]string{
		"AM.prod.outlook.com Microsoft ESMTP MAIL Service ready at Wed, 25 Nov 2026 15:34:36 " +
			"+0000 [08DE]": "2026-11-25T15:34:36Z",
		"mx.test ESMTP; Wed, 25 Nov 2026 16:34:36 +0100": "2026-11-25T15:34:36Z",
		"mx.google.com ESMTP d2e1a72fcca58-7c3f - gsmtp": "",
		"mx.test Wed, 99 Nov 2026 16:34:36 +0100":        "",
		"": "",
	} {
		got, ok := dateIn(text)
		if ok != (want != "") || ok && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %t", text, got, ok)
		}
	}
}
