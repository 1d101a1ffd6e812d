package verify

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestTheRowOfGreetingsThatMakesATest(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	// alikeFrom are greetings of so many destinations with the same name, each in a network of its own.
	alikeFrom := func(first, n int) (row []string) {
		for i := range n {
			row = append(row, fmt.Sprintf("d%d 192.0.%d.1 fw.isp.lab", first+i, first+i))
		}
		return row
	}
	own := []string{"d100 192.0.100.1 mx.d100.lab"}
	for name, test := range map[string]struct {
		row []string
		at  int // the test comes after so many; 0: never
	}{
		"three unrelated ones":              {alikeFrom(0, 5), 3},
		"one that greets with its own name": {append(alikeFrom(0, 2), append(own, alikeFrom(2, 7)...)...), 0},
		"eight in a row after that":         {append(append(alikeFrom(0, 2), own...), alikeFrom(2, 9)...), 11},
		"one that greets with another foreign name": {append(append(alikeFrom(0, 2), "d50 192.0.50.1 mx.hoster.lab"),
			alikeFrom(2, 8)...), 11},
		"one network": {
			[]string{"d1 192.0.2.1 a.lab", "d2 192.0.2.2 a.lab", "d3 192.0.2.3 a.lab", "d4 192.0.2.4 a.lab"},
			0,
		},
		"one destination": {[]string{"d1 192.0.1.1 a.lab", "d1 192.0.2.2 a.lab", "d1 192.0.3.3 a.lab"}, 0},
		"no names":        {[]string{"d1 192.0.1.1 ", "d2 192.0.2.2 ", "d3 192.0.3.3 "}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var a alike
			for i, g := range test.row {
				var dest, addr, greets string
				if n, _ := fmt.Sscan(g, &dest, &addr, &greets); n < 2 {
					t.Fatal(g)
				}
				at := a.hear(Greeting{Host: "mx." + dest + ".lab", Name: greets}, dest, netip.MustParseAddr(addr), now)
				if at != (i+1 == test.at) {
					t.Errorf("after %d: %v", i+1, at)
				}
			}
		})
	}
}

func TestAForeignGreeting(t *testing.T) {
	for _, test := range []struct {
		host, name string
		foreign    bool
	}{
		{"gmail-smtp-in.l.google.com", "mx.google.com", false},
		{"mx.customer.example", "mx1.hoster.example", true},
		{"mx.customer.co.uk", "mx.hoster.co.uk", true},
		{"mx.customer.example", "mailgw", true},
		{"mx.customer.example", "", false},
	} {
		if got := (Greeting{test.host, test.name}).foreign(); got != test.foreign {
			t.Errorf("%s greets as %s: %v", test.host, test.name, got)
		}
	}
}
