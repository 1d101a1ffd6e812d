package reply_test

import (
	"os"
	"strings"
	"testing"

	"presend/verify/reply"
	"presend/verify/verdict"
)

// readings are the words of testdata/products.txt, each with what a meaning must be for it.
var readings = map[string]func(m reply.Meaning, invalid bool) bool{
	"unknown":  func(m reply.Meaning, invalid bool) bool { return invalid && m.Subject == reply.SubjectMailbox },
	"disabled": func(m reply.Meaning, invalid bool) bool { return invalid && m.Reason == verdict.MailboxDisabled },
	"full":     func(m reply.Meaning, _ bool) bool { return m.Reason == verdict.MailboxFull },
	"restricted": func(m reply.Meaning, _ bool) bool {
		return m.Reason == verdict.RecipientRestricted || m.Reason == verdict.Policy
	},
	"temp": func(m reply.Meaning, _ bool) bool {
		return (m.Kind == reply.Soft || m.Reason == verdict.ServerUnavailable) && m.Reason != verdict.MailboxFull &&
			m.Reason.Verdict() != verdict.Deliverable
	},
	"us": func(m reply.Meaning, _ bool) bool {
		return m.Reason.AboutSender() || m.Reason == verdict.RateLimited
	},
	"notserved": func(m reply.Meaning, _ bool) bool {
		return m.Reason == verdict.DomainNotServed || m.Reason.AboutSender()
	},
	"open": func(_ reply.Meaning, invalid bool) bool { return !invalid },
}

func TestWhatManyProductsSayIsReadRightly(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/products.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.SplitN(line, "|", 3)
		right := readings[fields[0]]
		if right == nil || len(fields) != 3 {
			t.Fatalf("%q", line)
		}
		r, err := reply.Parse(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		count++
		m := c.Classify(r, reply.RCPT, fields[1])
		if invalid := m.Suppresses(); !right(m, invalid) {
			t.Errorf("%s\n\tis read as %s, %s, %s, %.2f by %s", line, m.Reason, m.Kind, m.Subject, m.Confidence, m.Rule)
		}
	}
	if count < 400 {
		t.Errorf("only %d replies", count)
	}
}
