package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
	"presend/verify/smtpprobe"
)

func TestManyHostsOfEveryTemperAreTreatedByTheirRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := []string{
			"", "latency=2ms", "nopipelining latency=2ms", "starttls", "sessions=1", "sessions=1 nopipelining", "rcpts=5",
			"rcpts=1", "rcpts=5 errors=6", "errors=10", "errors=20 nopipelining",
			"helo-only", "nosmtputf8", "drops-after=3", "drops-after=7 sessions=2", "starttls sessions=2 rcpts=7",
			"dead", "banner421", "banner554", "garbage", "blocks", "noptr",
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
		rows := "[default]\nsessions = 2\nrecipients = 50\nsession = 500\nerrors = 9\n" +
			"[\"h4.lab\"]\nsessions = 1\n[\"h5.lab\"]\nsessions = 1\n"
		if err := os.WriteFile(table, []byte(rows), 0o644); err != nil {
			t.Fatal(err)
		}
		pace, err := smtpprobe.LoadPace(table)
		if err != nil {
			t.Fatal(err)
		}
		l, v := memoryWorld(t, declaration.String(), func(c *verify.Config) { c.Pace = pace })
		var addresses []string
		truth := l.Truth()
		for _, x := range truth {
			addresses = append(addresses, x.Address)
		}
		for i, r := range verifyAll(t, v, addresses) {
			if string(r.Reason) != truth[i].Reason {
				t.Errorf(
					"%s at %q: %s (%s), want %s",
					addresses[i],
					optionOf(options, addresses[i]),
					r.Reason,
					r.Detail,
					truth[i].Reason,
				)
			}
		}
		wantPoliteness(t, l)
		t.Logf("%d addresses: %+v", len(addresses), l.Count())
	})
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
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(t, `
			host mx.silent.lab silent
			host mx.tar.lab tarpit
			host mx.quick.lab latency=20ms
			domain silent.lab mx=mx.silent.lab
			domain tar.lab mx=mx.tar.lab
			domain quick.lab mx=mx.quick.lab
			mailbox ann@silent.lab ann@tar.lab ann@quick.lab`, nil)
		addresses := []string{"ann@silent.lab", "ann@tar.lab", "ann@quick.lab"}
		begun, queue := time.Now(), newNotebook(t, addresses)
		queue.onRecord = func() {
			if _, done := queue.results[2]; done && queue.records == 1 {
				within(t, "the quick host", time.Since(begun), 0, time.Second)
			}
		}
		if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		within(t, "the run", time.Since(begun), 30*time.Second, 101*time.Second) // a banner has at most a hundred lines
		for i, want := range []verify.Reason{"timeout", "timeout", "accepted"} {
			if got := queue.results[int64(i)]; got.Reason != want {
				t.Errorf("%s: %s (%s), want %s", addresses[i], got.Reason, got.Detail, want)
			}
		}
	})
}
