package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

func TestManyHostsOfEveryTemperAreTreatedByTheirRules(t *testing.T) {
	options := []string{
		"", "latency=2ms", "nopipelining latency=2ms", "starttls", "sessions=1", "sessions=1 nopipelining", "rcpts=5", "rcpts=1", "rcpts=5 errors=6", "errors=10", "errors=20 nopipelining",
		"helo-only", "nosmtputf8", "drops-after=3", "drops-after=7 sessions=2", "starttls sessions=2 rcpts=7", "dead", "banner421", "banner554", "garbage", "blocks", "noptr",
	}
	var declaration strings.Builder
	for h, option := range options {
		fmt.Fprintf(&declaration, "host mx.h%d.lab %s\n", h, option)
		for d := range 5 {
			domain, kind := fmt.Sprintf("d%d.h%d.lab", d, h), ""
			if d == 4 {
				kind = "catchall"
			}
			fmt.Fprintf(&declaration, "domain %s mx=mx.h%d.lab %s\n", domain, h, kind)
			for m := range 12 {
				word := "mailbox"
				switch {
				case d == 4:
				case m%4 == 1:
					word = "unknown"
				case m == 6:
					word = "full"
				case m == 7:
					word = "disabled"
				}
				fmt.Fprintf(&declaration, "%s m%d@%s\n", word, m, domain)
			}
		}
	}
	table := filepath.Join(t.TempDir(), "pace.toml")
	rows := "[default]\nsessions = 2\nrecipients = 50\nsession = 500\nerrors = 9\n[\"h4.lab\"]\nsessions = 1\n[\"h5.lab\"]\nsessions = 1\n"
	if err := os.WriteFile(table, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	pace, err := smtpprobe.LoadPace(table)
	if err != nil {
		t.Fatal(err)
	}
	l, v := world(t, declaration.String(), func(c *verify.Config) { c.Pace = pace })
	var addresses []string
	truth := l.Truth()
	for _, x := range truth {
		addresses = append(addresses, x.Address)
	}
	for i, r := range verifyAll(t, v, addresses) {
		if string(r.Reason) != truth[i].Reason {
			t.Errorf("%s at %q: %s (%s), want %s", addresses[i], optionOf(options, addresses[i]), r.Reason, r.Detail, truth[i].Reason)
		}
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rude := l.Count().Violations; len(rude) > 0 {
		t.Errorf("the verifier was rude: %v", rude)
	}
	t.Logf("%d addresses: %+v", len(addresses), l.Count())
}

// optionOf finds the options of the host that an address of the test is at.
func optionOf(options []string, address string) string {
	var domain, host int
	if _, err := fmt.Sscanf(address[strings.Index(address, "@")+1:], "d%d.h%d.lab", &domain, &host); err != nil {
		return err.Error()
	}
	return options[host]
}

func TestSilentHostsAndTarpitsEndInATimeOutAndHoldNobodyUp(t *testing.T) {
	l, _ := world(t, `
		host mx.silent.lab silent
		host mx.tar.lab tarpit
		host mx.quick.lab
		domain silent.lab mx=mx.silent.lab
		domain tar.lab mx=mx.tar.lab
		domain quick.lab mx=mx.quick.lab
		mailbox ann@silent.lab ann@tar.lab ann@quick.lab`, nil)
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", Port: l.SMTPPort(), Dial: l.Dial, Timeout: 300 * time.Millisecond, RCPT: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := mx.New(mx.Config{Servers: []string{l.DNS()}, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer resolver.Close()
	v, err := verify.New(verify.Config{Resolver: resolver, Prober: verify.SMTP(prober)})
	if err != nil {
		t.Fatal(err)
	}
	got := verifyAll(t, v, []string{"ann@silent.lab", "ann@tar.lab", "ann@quick.lab"})
	if got[0].Reason != "timeout" || got[1].Reason != "timeout" || got[2].Reason != "accepted" {
		t.Errorf("%s, %s and %s; want timeout, timeout and accepted", got[0].Reason, got[1].Reason, got[2].Reason)
	}
}
