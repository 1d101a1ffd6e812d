package mx_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"presend/verify/mx"
)

// host returns a mail host with addresses.
func host(name string, preference uint16, addrs ...string) mx.Host {
	h := mx.Host{Name: name, Preference: preference}
	for _, a := range addrs {
		h.Addrs = append(h.Addrs, netip.MustParseAddr(a))
	}
	return h
}

// lacking returns a mail host without addresses.
func lacking(name string, preference uint16, err error) mx.Host {
	return mx.Host{Name: name, Preference: preference, Err: err}
}

func TestAssemble(t *testing.T) {
	servfail := &mx.TemporaryError{Kind: "servfail"}
	tests := []struct {
		name        string
		hosts       []mx.Host
		order       []string
		destination string
		provider    string
		err         error // nil, or what the error is
	}{
		{
			name: "hosts are sorted by preference, and equal ones keep their order",
			hosts: []mx.Host{
				host("c.corp.lab", 20, "192.0.2.3"),
				host("b.corp.lab", 10, "192.0.2.2"),
				host("a.corp.lab", 10, "::1"),
			},
			order:       []string{"b.corp.lab", "a.corp.lab", "c.corp.lab"},
			destination: "corp.lab",
		},
		{
			name:        "a host without an address stays, and does not decide on the destination",
			hosts:       []mx.Host{lacking("mx.gone.lab", 10, mx.ErrNoAddress), host("mx.corp.lab", 20, "192.0.2.2")},
			order:       []string{"mx.gone.lab", "mx.corp.lab"},
			destination: "corp.lab",
		},
		{
			name:        "an MX that is an address is its own destination",
			hosts:       []mx.Host{host("192.0.2.2", 10, "192.0.2.2")},
			order:       []string{"192.0.2.2"},
			destination: "192.0.2.2",
		},
		{
			name:        "a name of one label counts by its address",
			hosts:       []mx.Host{host("mailhost", 10, "192.0.2.2")},
			order:       []string{"mailhost"},
			destination: "192.0.2.2",
		},
		{
			name: "a provider is the destination, even where its host did not resolve just now",
			hosts: []mx.Host{
				lacking("corp.mail.protection.outlook.com", 10, servfail),
				host("mx.corp.lab", 20, "192.0.2.2"),
			},
			order:       []string{"corp.mail.protection.outlook.com", "mx.corp.lab"},
			destination: "microsoft", provider: "microsoft",
		},
		{
			name: "a temporary error outweighs the other errors",
			hosts: []mx.Host{
				lacking("a.corp.lab", 10, mx.ErrNoAddress),
				lacking("b.corp.lab", 20, mx.ErrNotPublic),
				lacking("c.corp.lab", 30, servfail),
			},
			order:       []string{"a.corp.lab", "b.corp.lab", "c.corp.lab"},
			destination: "corp.lab", err: servfail,
		},
		{
			name:        "addresses that are not public outweigh none",
			hosts:       []mx.Host{lacking("a.corp.lab", 10, mx.ErrNotPublic), lacking("b.corp.lab", 20, mx.ErrNoAddress)},
			order:       []string{"a.corp.lab", "b.corp.lab"},
			destination: "corp.lab", err: mx.ErrNotPublic,
		},
		{
			name:        "no host with an address is no mail host",
			hosts:       []mx.Host{lacking("192.0.2.2", 10, mx.ErrNoAddress), lacking("b.corp.lab", 20, nil)},
			order:       []string{"192.0.2.2", "b.corp.lab"},
			destination: "192.0.2.2", err: mx.ErrNoMailHost,
		},
		{name: "no host at all is no mail host", destination: "corp.lab", err: mx.ErrNoMailHost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			given := slices.Clone(test.hosts)
			answer, err := mx.Assemble("corp.lab", given, true)
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			var order []string
			for _, h := range answer.Hosts {
				order = append(order, h.Name)
				if (len(h.Addrs) > 0) != (h.Err == nil) {
					t.Errorf("%s has addresses %v and error %v", h.Name, h.Addrs, h.Err)
				}
			}
			if !slices.Equal(order, test.order) || answer.Destination != test.destination ||
				answer.Provider.Name != test.provider || answer.Domain != "corp.lab" || !answer.Implicit {
				t.Errorf("%+v, want hosts %v of %q at %s", answer, test.order, test.provider, test.destination)
			}
			for i, h := range test.hosts {
				if given[i].Name != h.Name || given[i].Err != h.Err {
					t.Errorf("the caller's hosts are changed: %+v", given)
				}
			}
		})
	}
}
