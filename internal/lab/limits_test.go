package lab_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
)

func TestHostsLimitAsDeclared(t *testing.T) {
	const good, bad = "RCPT TO:<good@a.lab>", "RCPT TO:<bad@a.lab>"
	for name, test := range map[string]struct {
		options string
		talk    func(t *testing.T, l *lab.Lab, c *talk)
	}{
		"transactions a session": {"mails=2", func(_ *testing.T, _ *lab.Lab, c *talk) {
			c.exchange("RSET", "250")
			c.exchange("MAIL FROM:<>", "250")
			c.exchange("RSET", "250")
			c.exchange("MAIL FROM:<>", "421 4.7.0")
			c.expectEnd()
		}},
		"the first visit": {"first-visit", func(t *testing.T, l *lab.Lab, c *talk) {
			c.exchange(good, "450 4.3.2")
			c.exchange(bad, "450 4.3.2")
			c.exchange("QUIT", "221")
			c = greet(t, l)
			c.exchange(good, "250")
			c.exchange("QUIT", "221")
		}},
		"a tarpit": {"tarpits=8s", func(t *testing.T, _ *lab.Lab, c *talk) {
			for _, want := range []time.Duration{8 * time.Second, 16 * time.Second} {
				begun := time.Now()
				c.exchange(bad, "550 5.1.1")
				if took := time.Since(begun); took != want {
					t.Errorf("%v, want %v", took, want)
				}
			}
			c.exchange("QUIT", "221")
		}},
		"a rate": {"rate=2", func(_ *testing.T, _ *lab.Lab, c *talk) {
			c.exchange(good, "250")
			c.exchange(bad, "550 5.1.1")
			c.exchange(good, "450 4.7.1 Error: too much mail")
			time.Sleep(31 * time.Second)
			c.exchange(good, "250")
			c.exchange(good, "450 4.7.1 Error: too much mail")
			c.exchange("QUIT", "221")
		}},
		"an hourly limit": {"hourly=1", func(_ *testing.T, _ *lab.Lab, c *talk) {
			c.exchange(good, "250")
			c.exchange(good, "450 4.7.1 Error: hourly limit")
			c.exchange("QUIT", "221")
		}},
		"words of its own": {"refusal=550_the_moon_is_closed", func(_ *testing.T, _ *lab.Lab, c *talk) {
			c.exchange(bad, "550 the moon is closed")
			c.exchange(good, "250")
			c.exchange("QUIT", "221")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, err := lab.Start(context.WithoutCancel(t.Context()),
					"host mx.a.lab "+test.options+"\ndomain a.lab mx=mx.a.lab\nmailbox good@a.lab", lab.InMemory())
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				test.talk(t, l, greet(t, l))
			})
		})
	}
}

func TestTheLabsToTryByHandComeUp(t *testing.T) {
	for _, name := range []string{"limits.lab", "scores.lab"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l, err := lab.Start(t.Context(), string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
