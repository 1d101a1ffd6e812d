package mx

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestEveryProviderPatternMatchesItsHosts(t *testing.T) {
	p, err := providerTable()
	if err != nil {
		t.Fatal(err)
	}
	check := func(host, want string) {
		if got, ok := p.of(host); !ok || got.Name != want {
			t.Errorf("%s is %q, want %q", host, got.Name, want)
		}
	}
	for host, provider := range p.exact {
		check(host, provider.Name)
	}
	for suffix, provider := range p.suffixes {
		check("x"+suffix, provider.Name)
	}
	for _, pat := range p.patterns {
		check(pat.before+"1"+strings.ReplaceAll(pat.after, "*", "eu"), pat.provider.Name)
	}
}

func TestProvidersAreToldApart(t *testing.T) {
	p, err := providerTable()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"alt1.gmail-smtp-in.l.google.com":            "google",
		"hotmail-com.olc.protection.outlook.com":     "outlook",
		"corp-example.mail.protection.outlook.com":   "microsoft",
		"mta5.am0.yahoodns.net":                      "yahoo",
		"mx01.mail.icloud.com":                       "icloud",
		"mx00.emig.gmx.net":                          "gmx",
		"inbound-smtp.eu-west-1.amazonaws.com":       "amazon",
		"d1.ess.barracuda.com":                       "barracuda",
		"d1.ess.de.barracudanetworks.com":            "barracuda",
		"mail.corp.lab":                              "",
		"evil-gmail-smtp-in.l.google.com.attack.lab": "",
	} {
		if got, _ := p.of(host); got.Name != want {
			t.Errorf("%s is %q, want %q", host, got.Name, want)
		}
	}
}

func TestADomainIsParkedOnlyIfAllItsHostsAre(t *testing.T) {
	p, err := providerTable()
	if err != nil {
		t.Fatal(err)
	}
	for hosts, want := range map[string]bool{
		"park-mx.above.com":                                 true,
		"mx37.m1bp.com mx37.mb5p.com":                       true,
		"mail.h-email.net mail.b-io.co":                     true,
		"mx.corp.lab park-mx.above.com":                     false,
		"park-mx.above.com mx.corp.lab":                     false,
		"park-mx.above.com aspmx.l.google.com":              false,
		"mailstore1.secureserver.net":                       false,
		"eforward1.registrar-servers.com":                   false,
		"h-email.net.corp.lab":                              false,
		"xmail.h-email.net":                                 false,
		"corp-lab.mail.protection.outlook.com mail.b-io.co": false,
	} {
		var list []Host
		for _, name := range strings.Fields(hosts) {
			list = append(list, Host{Name: name})
		}
		if got := p.match(list); got.Parked != want || got.Parked != (got.Name == "parked") {
			t.Errorf("%s: %+v", hosts, got)
		}
	}
}

func TestADomainOfFreeMailBelongsToOneProviderThatCanBeNamed(t *testing.T) {
	p, err := providerTable()
	if err != nil {
		t.Fatal(err)
	}
	for domain, provider := range p.free {
		if named, known := Named(provider.Name); !known || named != provider {
			t.Errorf("%s: %+v cannot be named", domain, provider)
		}
	}
	var rows map[string]struct{ Domains []string }
	if _, err := toml.Decode(providersTable, &rows); err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for name, row := range rows {
		for _, domain := range row.Domains {
			if other, twice := by[domain]; twice || domain != strings.ToLower(domain) || !strings.Contains(domain, ".") {
				t.Errorf("%s: %q, and of %q too", name, domain, other)
			}
			by[domain] = name
			if guessed, known := Guess(domain); !known || guessed.Name != name {
				t.Errorf("%s is guessed to be at %+v, want %s", domain, guessed, name)
			}
		}
	}
	if len(by) < 50 {
		t.Errorf("%d domains", len(by))
	}
	if _, known := Guess("corp.example"); known {
		t.Error("a company is guessed to be at a provider")
	}
	if yahoo, _ := Guess("ymail.com"); !yahoo.AcceptsAll {
		t.Error("Yahoo is not known to accept any address")
	}
}
