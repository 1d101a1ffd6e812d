package doctor

import (
	"strings"
	"testing"
)

func TestBlocklistsAreTestedBeforeTheyAreBelieved(t *testing.T) {
	const (
		zen   = "zen.spamhaus.org"
		point = "-2.0.0.127.zen.spamhaus.org. A\n"
		ours  = "7.100.51.198.zen.spamhaus.org. A "
	)
	for name, test := range map[string]struct {
		records string
		world   func(*world)
		want    want
	}{
		"not listed": {want: want{OK, "Spamhaus ZEN does not list it"}},
		"listed":     {records: ours + "127.0.0.3", want: want{Failure, "lists it (127.0.0.3, CSS:"}},
		"listed twice": {
			records: ours + "127.0.0.2\n" + ours + "127.0.0.10",
			want:    want{Failure, "127.0.0.2, SBL: it sends spam; 127.0.0.10, PBL:"},
		},
		"listed for a new reason": {records: ours + "127.0.0.99", want: want{Failure, "lists it (127.0.0.99)"}},
		"refused at the test": {
			records: point + "2.0.0.127.zen.spamhaus.org. A 127.255.255.254",
			want:    want{Warning, "refuses this resolver (127.255.255.254)"},
		},
		"refused after the test": {
			records: ours + "127.255.255.255",
			want:    want{Warning, "does not say: it refuses this resolver (127.255.255.255)"},
		},
		"lists nothing": {records: point, want: want{Warning, "does not list its test point"}},
		"lists everything": {
			records: "1.0.0.127.zen.spamhaus.org. A 127.0.0.2",
			want:    want{Warning, "lists everything"},
		},
		"a zone that was sold": {
			records: point + "2.0.0.127.zen.spamhaus.org. A 203.0.113.80",
			want:    want{Warning, "no answer of a blocklist"},
		},
		"everything, and refused": {
			records: ours + "127.0.0.2\n1.0.0.127.zen.spamhaus.org. A 127.255.255.252",
			want:    want{Warning, "refuses this resolver"},
		},
		"no answer at the test": {
			world: failing("2.0.0.127.zen.spamhaus.org."),
			want:  want{Warning, "cannot be asked: it does not answer: servfail"},
		},
		"no answer about us": {
			world: failing("7.100.51.198.zen.spamhaus.org."),
			want:  want{Warning, "does not say: it does not answer"},
		},
		"no answer about the rest": {world: failing("1.0.0.127.zen.spamhaus.org."), want: want{Warning, "cannot be asked"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.records)
			if test.world != nil {
				test.world(w)
			}
			findings, _ := w.examine(t, "blocklist", v4)
			var its []Finding
			for _, f := range findings {
				if strings.HasSuffix(f.About, zen) {
					its = append(its, f)
				} else if f.Level != OK {
					t.Errorf("another list: %+v", f)
				}
			}
			compare(t, its, []want{test.want})
		})
	}
}

func TestAListOfIPv4AddressesIsNotAskedAboutIPv6(t *testing.T) {
	w := newWorld(t, "")
	findings, _ := w.examine(t, "blocklist", func(c *Config) { c.IPv6 = true })
	compare(t, findings, []want{
		{OK, "Spamhaus ZEN does not list it"},
		{OK, "SpamCop lists IPv4 addresses only"},
		{OK, "Barracuda lists IPv4 addresses only"},
		{OK, "PSBL lists IPv4 addresses only"},
	})
	const reverse = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
	if w.asked[reverse+"zen.spamhaus.org."] != 1 {
		t.Errorf("the list of both families was not asked: %v", w.asked)
	}
	if w.asked[reverse+"bl.spamcop.net."] != 0 {
		t.Error("the list of IPv4 addresses was asked")
	}
}

func TestBlocklistsAreTestedWhereTheAddressIsNotKnown(t *testing.T) {
	w := newWorld(t, "-2.0.0.127.bl.spamcop.net. A")
	findings, _ := w.examine(t, "blocklist", func(c *Config) { c.AllowPrivate, c.HELO = false, "x.test" })
	compare(t, findings, []want{
		{OK, "Spamhaus ZEN can be asked; which address"},
		{Warning, "SpamCop cannot be asked"},
		{OK, "Barracuda can be asked"},
		{OK, "PSBL can be asked"},
	})
}

func TestARegisteredListSaysHowToRegister(t *testing.T) {
	w := newWorld(t, "-2.0.0.127.b.barracudacentral.org. A")
	for _, f := range w.findingsOf(t, "blocklist") {
		if strings.HasSuffix(f.About, "barracudacentral.org") && !strings.Contains(f.Fix, "registered") {
			t.Errorf("%q", f.Fix)
		}
	}
}

func (w *world) findingsOf(t *testing.T, name string) []Finding {
	t.Helper()
	findings, _ := w.examine(t, name, nil)
	return findings
}

func TestTheFactsAreWholeAndHaveSources(t *testing.T) {
	known, err := loadFacts()
	if err != nil {
		t.Fatal(err)
	}
	if len(known.Providers) < 3 || len(known.Blocklists) < 4 || len(known.Public) < 4 {
		t.Errorf("%d providers, %d blocklists, %d public resolvers", len(known.Providers), len(known.Blocklists),
			len(known.Public))
	}
	seen := map[string]bool{}
	once := func(what string) {
		if what == "" || seen[what] {
			t.Errorf("%q is empty or there twice", what)
		}
		seen[what] = true
	}
	for _, p := range known.Providers {
		once(p.Name)
		once(p.Host)
		if p.Source == "" || strings.Count(p.Host, ".") < 2 {
			t.Errorf("%+v", p)
		}
	}
	for _, b := range known.Blocklists {
		once(b.Name)
		once(b.Zone)
		if !strings.HasPrefix(b.Source, "https://") || !strings.HasPrefix(b.Lookup, "https://") || len(b.Codes) == 0 {
			t.Errorf("%+v", b)
		}
		for code, words := range b.Codes {
			if !strings.HasPrefix(code, "127.0.0.") || words == "" {
				t.Errorf("%s: %q is %q", b.Zone, code, words)
			}
		}
	}
	for _, p := range known.Public {
		once(p.Name)
		if !strings.HasPrefix(p.Source, "https://") || len(p.Addresses) == 0 {
			t.Errorf("%+v", p)
		}
		for _, a := range p.Addresses {
			once(a.String())
			if known.publicName(a) != p.Name || !a.IsGlobalUnicast() {
				t.Errorf("%s is %q", a, known.publicName(a))
			}
		}
	}
	if known.DNSSEC.Signed == "" || known.DNSSEC.Broken == "" || known.DNSSEC.Source == "" {
		t.Errorf("%+v", known.DNSSEC)
	}
	if !known.Route.IPv4.Is4() || !known.Route.IPv6.Is6() || known.Route.Source == "" {
		t.Errorf("%+v", known.Route)
	}
}
