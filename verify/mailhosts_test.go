package verify_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify"
)

func TestADomainIsNotServedOnlyIfEveryTargetOfItsMXSaysSoOrDoesNotExist(t *testing.T) {
	type world struct{ declaration, want string }
	domain := "\ndomain corp.lab norelay mx=10:mx1.a.lab,20:mx2.b.lab\nmailbox ann@corp.lab bob@corp.lab"
	bubbles(t, map[string]world{
		"both refuse to relay":             {"host mx1.a.lab\nhost mx2.b.lab", "domain_not_served"},
		"the second does not resolve":      {"host mx1.a.lab\nhost mx2.b.lab noaddress", "domain_not_served"},
		"the first does not resolve":       {"host mx1.a.lab noaddress\nhost mx2.b.lab", "domain_not_served"},
		"the second's address is SERVFAIL": {"host mx1.a.lab\nhost mx2.b.lab servfail", "dns_failure"},
		"the first's address is SERVFAIL":  {"host mx1.a.lab servfail\nhost mx2.b.lab", "dns_failure"},
		"the second refuses connections":   {"host mx1.a.lab\nhost mx2.b.lab dead", "unreachable"},
		"the first refuses connections":    {"host mx1.a.lab dead\nhost mx2.b.lab", "unreachable"},
		"the second never connects":        {"host mx1.a.lab\nhost mx2.b.lab blackhole", "timeout"},
		"the second is silent":             {"host mx1.a.lab\nhost mx2.b.lab silent", "timeout"},
		"the second is shut down": {
			"host mx1.a.lab\nhost mx2.b.lab banner421",
			"server_unavailable",
		},
		"the second blocks us": {"host mx1.a.lab\nhost mx2.b.lab banner554", "sender_blocked"},
		"the second drops every session": {
			"host mx1.a.lab\nhost mx2.b.lab crash=ann drops-unknown",
			"server_unavailable",
		},
		"the second has a family that we do not use": {
			"host mx1.a.lab 127.0.0.9\nhost mx2.b.lab 2001:db8::9",
			"not_probed",
		},
	}, func(t *testing.T, w world) {
		l, v := memoryWorld(t, w.declaration+domain, func(c *verify.Config) { c.IPv4 = w.want == "not_probed" })
		results := verifyAll(t, v, []string{"ann@corp.lab", "bob@corp.lab"})
		wantReasons(t, results, all(w.want, []string{"ann@corp.lab", "bob@corp.lab"}))
		wantPoliteness(t, l)
	})
}

func TestAFamilyThatIsNotInUseSaysNothingAboutADomain(t *testing.T) {
	type world struct {
		address string
		change  func(*verify.Config)
		want    string
	}
	only4 := func(c *verify.Config) { c.IPv4 = true }
	only6 := func(c *verify.Config) { c.IPv6 = true }
	from6 := func(c *verify.Config) { c.Sources = addrs("2001:db8::1", "2001:db8::2") }
	bubbles(t, map[string]world{
		"-6 and IPv4 only":                     {"127.0.0.9", only6, "not_probed"},
		"-4 and IPv6 only":                     {"2001:db8::9", only4, "not_probed"},
		"-6 and both":                          {"127.0.0.9 2001:db8::9", only6, "accepted"},
		"-4 and both":                          {"127.0.0.9 2001:db8::9", only4, "accepted"},
		"-4 and IPv4":                          {"127.0.0.9", only4, "accepted"},
		"sources of IPv6 and a host of IPv4":   {"127.0.0.9", from6, "not_probed"},
		"sources of IPv6 and a host with both": {"127.0.0.9 2001:db8::9", from6, "accepted"},
	}, func(t *testing.T, w world) {
		l, v := memoryWorld(t, "host mx.corp.lab "+w.address+"\ndomain corp.lab mx=mx.corp.lab\n"+
			"domain implicit.lab implicit=mx.corp.lab\nmailbox ann@corp.lab ann@implicit.lab", w.change)
		for _, r := range verifyAll(t, v, []string{"ann@corp.lab", "ann@implicit.lab"}) {
			if string(r.Reason) != w.want || r.Verdict == "invalid" {
				t.Errorf("%s: %s, %s (%s), want %s", r.Normalized, r.Verdict, r.Reason, r.Detail, w.want)
			}
			if w.want == "not_probed" && (!strings.HasPrefix(r.Detail, "not asked:") || r.Reply != nil) {
				t.Errorf(
					"%s: %q with reply %v; want a detail that says that it was not asked",
					r.Normalized,
					r.Detail,
					r.Reply,
				)
			}
		}
		wantPoliteness(t, l)
	})
}

func TestASecondMXIsAskedWhereTheFirstHasNoAddressAtTheMoment(t *testing.T) {
	bubbles(t, map[string]string{
		"SERVFAIL": "servfail", "no address": "noaddress", "refused": "dead", "never connects": "blackhole",
		"blocks us": "banner554",
	}, func(t *testing.T, fault string) {
		_, v := memoryWorld(t, "host mx1.a.lab "+fault+"\nhost mx2.b.lab\n"+
			"domain corp.lab mx=10:mx1.a.lab,20:mx2.b.lab\nmailbox ann@corp.lab", nil)
		begun := time.Now()
		results := verifyAll(t, v, []string{"ann@corp.lab", "bob@corp.lab"})
		wantReasons(t, results, map[string]string{"ann@corp.lab": "accepted", "bob@corp.lab": "mailbox_unknown"})
		within(t, "the run", time.Since(begun), 0, 31*time.Second)
		for _, r := range results {
			if r.MX != "mx2.b.lab" {
				t.Errorf("%s was answered by %s", r.Normalized, r.MX)
			}
		}
	})
}

func TestADomainWithoutAnyAddressIsToldApartByTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := memoryWorld(t, `
			host gone.lab noaddress
			host lost.lab servfail
			domain a.lab mx=gone.lab
			domain b.lab mx=lost.lab
			domain c.lab mx=10:gone.lab,20:lost.lab
			domain d.lab nxdomain
			domain e.lab servfail`, nil)
		wantReasons(
			t,
			verifyAll(t, v, []string{"ann@a.lab", "ann@b.lab", "ann@c.lab", "ann@d.lab", "ann@e.lab"}),
			map[string]string{
				"ann@a.lab": "no_mail_host", "ann@b.lab": "dns_failure", "ann@c.lab": "dns_failure",
				"ann@d.lab": "no_such_domain",
				"ann@e.lab": "dns_failure",
			},
		)
	})
}
