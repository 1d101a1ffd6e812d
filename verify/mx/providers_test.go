package mx

import (
	"strings"
	"testing"
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
