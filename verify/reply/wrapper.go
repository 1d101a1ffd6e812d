package reply

import (
	"regexp"
	"slices"
	"strings"

	"presend/verify/verdict"
)

// wrappers find what a server quotes of the host behind it, whose answer its own depends on. The last group is the
// inner reply or, in the words of Postfix's reject_unverified_recipient, what else went wrong behind.
var wrappers = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:(?:said|response was|server was):|server returned|` +
		`responded with) ?['"]?([245]\d\d[ -]\S.*)$`),
	regexp.MustCompile(`(?i)\bcallout verification failed:?\s+([245]\d\d[ -]\S.*)$`),
	regexp.MustCompile(`(?i)\bfailure for one or more recipients \([^:()]*:([245]\d\d[ -][^)]+)`),
	regexp.MustCompile(`(?i)\bun(?:deliverable|verified) address:\s*(\S.*)$`),
}

// quoting are words of which every wrapper has one: most replies have none, and this is much faster than the patterns.
var quoting = []string{
	"said:", "was:", "returned", "responded with", "callout verification failed", "one or more recipients",
	"undeliverable address", "unverified address",
}

// aboutSender finds the words of servers that verify the sender's address in the same way.
var aboutSender = regexp.MustCompile(`(?i)\bsender (?:address|verify|verification)\b`)

// Inner returns the reply that a server quotes of the host behind it, and the command that this answered. An inner
// failure that is no reply, as "mail for example.com loops back to myself", has words and no codes.
func (r Reply) Inner() (inner Reply, cmd Command, ok bool) {
	if r.Code/100 == 2 || r.Code/100 == 3 {
		return Reply{}, "", false
	}
	text := r.Text()
	if lower := strings.ToLower(text); !slices.ContainsFunc(quoting,
		func(s string) bool { return strings.Contains(lower, s) }) {
		return Reply{}, "", false
	}
	for _, w := range wrappers {
		m := w.FindStringSubmatch(text)
		if m == nil || aboutSender.MatchString(text) {
			continue
		}
		inner, err := Parse(m[1])
		if err != nil {
			continue
		}
		if leadingCode(m[1]) == 0 { // the codes in it are not its own
			inner.Code, inner.Enhanced = 0, Enhanced{}
		}
		if cmd = CommandIn(text); cmd == "" {
			cmd = RCPT
		}
		return inner, cmd, true
	}
	return Reply{}, "", false
}

// wrapped returns what a wrapper means: the inner reply decides alone. The host behind speaks of the host in front of
// it, so what it holds against its client is not about us, and only the two of them can change it.
func (c *Classifier) wrapped(outer, inner Reply, cmd Command) Meaning {
	class := inner.Code / 100
	if class == 0 {
		class = outer.Code / 100
	}
	m := c.classify(query{class: class, reply: inner, command: cmd})
	theirs := m.Subject == SubjectSender || m.Subject == SubjectMessage || m.Reason.AboutSender()
	switch m.Reason {
	case verdict.Accepted, verdict.ServerUnavailable, verdict.Unreachable, verdict.Timeout, verdict.DNSFailure,
		verdict.ProtocolError, verdict.Greylisted:
		theirs = true
	}
	if cmd != RCPT && cmd != DATA { // nobody had named the mailbox yet
		theirs, m.Confidence = true, Sure
	}
	if theirs && m.Sure() {
		m.Reason, m.Subject, m.Kind = verdict.ServerUnavailable, SubjectServer, Soft
		info := aboutReply(m.Reason)
		m.Means, m.Action = info.Means, info.Soft
	}
	return m
}
