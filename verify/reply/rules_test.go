package reply

import (
	"regexp"
	"testing"
)

// spoken takes "RCPT> " and "qq> " off the front of a rule's test.
var spoken = regexp.MustCompile(`^([A-Za-z]+)> `)

func readTest(t *testing.T, s string) (Reply, Command, string) {
	t.Helper()
	var cmd Command
	var provider string
	if m := spoken.FindStringSubmatch(s); m != nil {
		s = s[len(m[0]):]
		switch c := Command(m[1]); c {
		case Connect, EHLO, STARTTLS, MAIL, RCPT, DATA:
			cmd = c
		default:
			provider = m[1]
		}
	}
	r, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r, cmd, provider
}

func TestEveryRuleDecidesItsOwnReplies(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]rule{c.strong, c.weak, c.codes} {
		for _, r := range list {
			if len(r.Tests) == 0 {
				t.Errorf("rule %s has no test", r.id)
			}
			for _, test := range r.Tests {
				parsed, cmd, provider := readTest(t, test)
				if got := c.Classify(parsed, cmd, provider); got.Rule != r.id {
					t.Errorf("rule %s: %q is decided by %s (%s)", r.id, test, got.Rule, got.Reason)
				}
			}
		}
	}
}
