package reply_test

import (
	"testing"

	"presend/verify/reply"
)

func TestTheNameOfAGreeting(t *testing.T) {
	for line, want := range map[string]struct {
		name   string
		masked bool
	}{
		"mx.corp.lab ESMTP ready": {"mx.corp.lab", false},
		" MX.Corp.lab":            {"mx.corp.lab", false},
		"ESMTP":                   {"", false},
		"SMTP ready":              {"", false},
		"":                        {"", false},
		"******* 2***0":           {"", true},
	} {
		name, masked := reply.GreetingName(reply.Reply{Code: 220, Lines: []string{line}})
		if name != want.name || masked != want.masked {
			t.Errorf("%q: %q, %v; want %q, %v", line, name, masked, want.name, want.masked)
		}
	}
	if name, masked := reply.GreetingName(reply.Reply{}); name != "" || masked {
		t.Errorf("no greeting at all: %q, %v", name, masked)
	}
}
