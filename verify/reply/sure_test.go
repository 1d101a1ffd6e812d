package reply_test

import (
	"strings"
	"testing"

	"presend/verify/reply"
	"presend/verify/verdict"
)

// reading is what a reply to RCPT should be read as.
type reading struct {
	reason verdict.Reason
	kind   reply.Kind // empty: either
	sure   bool       // whether the confidence is high enough to make an address invalid
}

// wantReadings compares what replies to RCPT are read as.
func wantReadings(t *testing.T, cases map[string]reading) {
	t.Helper()
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range cases {
		lines := strings.SplitAfter(text+"\r\n", "\n")
		r, err := reply.Read(func() ([]byte, error) {
			line := lines[0]
			lines = lines[1:]
			return []byte(line), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Classify(r, reply.RCPT, "")
		if got.Reason != want.reason || got.Sure() != want.sure || want.kind != "" && got.Kind != want.kind {
			t.Errorf("%s\n\tis read as %s, %s, %.2f by %s; want %s, %s, sure: %v",
				text, got.Reason, got.Kind, got.Confidence, got.Rule, want.reason, want.kind, want.sure)
		}
	}
}

func TestAnEnhancedCodeOfAMailboxIsSureWithoutWordsAndABareCodeIsNot(t *testing.T) {
	wantReadings(t, map[string]reading{
		"550 5.1.1":                   {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.1 nope":              {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.1 Ei onnistu":        {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.10":                  {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.10 no":               {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.6 gone":              {verdict.MailboxDisabled, reply.Hard, true},
		"550 5.2.1":                   {verdict.MailboxDisabled, reply.Hard, true},
		"550 5.1.1 Mailbox disabled":  {verdict.MailboxDisabled, reply.Hard, true},
		"550 5.2.1 User unknown":      {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.7.1 No such user!":     {verdict.MailboxUnknown, reply.Hard, true},
		"550":                         {verdict.Unclear, reply.Hard, false},
		"550 no":                      {verdict.Unclear, reply.Hard, false},
		"553":                         {verdict.Unclear, reply.Hard, false},
		"552":                         {verdict.MailboxFull, reply.Hard, false},
		"550 Address rejected":        {verdict.MailboxUnknown, reply.Hard, false},
		"550 #5.1.0 Address rejected": {verdict.MailboxUnknown, reply.Hard, true}, // Cisco's own words
		"550 5.4.1 Recipient address rejected: Access denied. [x.prod.protection.outlook.com]": {
			verdict.MailboxUnknown, reply.Hard, true,
		},
		"554 5.7.1 <bob@example.com>: Recipient address rejected: Country not allowed": {
			verdict.MailboxUnknown, reply.Hard, false,
		},
		"524 5.2.4 Mailing list expansion problem: <bob@example.com>": {verdict.MailboxUnknown, reply.Hard, true},
	})
}

func TestWordsThatSayThatACheckFailedAreNoEvidenceAboutTheMailbox(t *testing.T) {
	for _, text := range []string{
		"550 Could not verify recipient: database error",
		"550 5.1.1 Could not verify recipient",
		"550 5.1.1 <bob@example.com>: unable to look up recipient",
		"550 5.1.1 Recipient verification failed: LDAP server unavailable",
		"550 unable to verify user, try again",
		"550 5.1.1 Recipient lookup failed",
		"550 5.1.1 user lookup error: MySQL connection failed",
		"550 Recipient cannot be verified",
		"550 5.1.1 address could not be validated",
		"550 Recipient callout failed",
		"451 Could not complete recipient verify callout",
		"550 5.1.1 Empfänger konnte nicht überprüft werden",
		"550 5.1.1 Impossible de vérifier le destinataire",
		"550 5.1.1 No se pudo verificar el destinatario",
		"550 5.1.1 Не удалось проверить получателя",
	} {
		wantReadings(t, map[string]reading{text: {verdict.ServerUnavailable, reply.Soft, true}})
	}
	wantReadings(t, map[string]reading{ // somebody did look
		"550 5.1.1 Recipient lookup failed: user unknown": {verdict.MailboxUnknown, reply.Hard, true},
		"550 Could not find user in directory":            {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.1 User not found in database":            {verdict.MailboxUnknown, reply.Hard, true},
	})
}

func TestTheInnerReplyOfAWrapperDecides(t *testing.T) {
	const rejected = " <bob@example.com>: Recipient address rejected: "
	wantReadings(t, map[string]reading{
		"450 4.1.1" + rejected + "unverified address: host b.example[192.0.2.7] said: 550 5.1.1 <bob@example.com>: " +
			"User unknown (in reply to RCPT TO command)": {verdict.MailboxUnknown, reply.Hard, true},
		"550 5.1.1" + rejected + "undeliverable address: host b.example[192.0.2.7] said: 552 5.2.2 Mailbox full " +
			"(in reply to RCPT TO command)": {verdict.MailboxFull, reply.Hard, true},
		"550 5.1.1" + rejected + "undeliverable address: host b.example[192.0.2.7] said: 450 4.2.1 Mailbox busy " +
			"(in reply to RCPT TO command)": {verdict.ServerUnavailable, reply.Soft, true},
		"550 5.1.1" + rejected + "undeliverable address: mail for example.com loops back to myself": {
			verdict.ServerUnavailable, reply.Soft, true,
		},
		"550 5.1.1" + rejected + "undeliverable address: connect to b.example[192.0.2.7]:25: Connection refused": {
			verdict.ServerUnavailable, reply.Soft, true,
		},
		"450 4.1.1" + rejected + "unverified address: connect to b.example[192.0.2.7]:25: Connection timed out": {
			verdict.ServerUnavailable, reply.Soft, true,
		},
		"550 5.1.1" + rejected + `undeliverable address: Command died with status 1: "/usr/bin/x"`: {
			verdict.ServerUnavailable, reply.Soft, true,
		},
		"550 5.1.1" + rejected + "undeliverable address: something nobody knows": {verdict.Unclear, reply.Hard, false},
		"550 5.1.1" + rejected + `undeliverable address: unknown user: "bob"`: {
			verdict.MailboxUnknown, reply.Hard, true,
		},
		// The host behind refuses the host in front of it. That is not about us.
		"550 5.1.1" + rejected + "undeliverable address: host b.example[192.0.2.7] said: 554 5.7.1 Client host " +
			"[192.0.2.8] blocked using zen.spamhaus.org (in reply to RCPT TO command)": {
			verdict.ServerUnavailable, "", true,
		},
		"550 5.1.1" + rejected + "undeliverable address: host b.example[192.0.2.7] said: 550 5.1.1 User unknown " +
			"(in reply to MAIL FROM command)": {verdict.ServerUnavailable, "", true},
		"550-Callout verification failed:\n550 550 5.1.1 User unknown": {verdict.MailboxUnknown, reply.Hard, true},
		"550 Previous (cached) callout verification failure":           {verdict.Refused, reply.Hard, true},
		"550 permanent failure for one or more recipients (bob@example.com:550 5.1.1 User unknown)": {
			verdict.MailboxUnknown, reply.Hard, true,
		},
		"550 permanent failure for one or more recipients (bob@example.com:552 5.2.2 over quota)": {
			verdict.MailboxFull, reply.Hard, true,
		},
		// What is quoted about our own sender address is about us.
		"550-Verification failed for <news@example.net>\n550-Called:   192.0.2.5\n" +
			"550-Sent:     RCPT TO:<news@example.net>\n" +
			"550-Response: 550 5.1.1 user unknown\n550 Sender verify failed": {verdict.Policy, "", false},
		"450 4.1.7 <news@example.net>: Sender address rejected: unverified address: host b.example[192.0.2.7] said: " +
			"550 5.1.1 User unknown (in reply to RCPT TO command)": {verdict.Policy, "", true},
	})
}

func TestOnlyASureMeaningSuppresses(t *testing.T) {
	for m, want := range map[reply.Meaning]bool{
		{Reason: verdict.MailboxUnknown, Subject: reply.SubjectMailbox, Kind: reply.Hard, Confidence: 0.9}:  true,
		{Reason: verdict.MailboxUnknown, Subject: reply.SubjectMailbox, Kind: reply.Hard, Confidence: 0.89}: false,
	} {
		if m.Suppresses() != want {
			t.Errorf("with a confidence of %.2f Suppresses is %v", m.Confidence, !want)
		}
	}
}

func TestAnUnsureReplyIsNoAdviceToRemoveTheAddress(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	for text, removes := range map[string]bool{
		"550 5.7.1 <bob@example.com>: Recipient address rejected: Country not allowed": false,
		"550 5.1.1 <bob@example.com>: User unknown":                                    true,
	} {
		r, err := reply.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m := c.Classify(r, reply.RCPT, "")
		if got := strings.HasPrefix(m.Action, "remove"); got != removes || m.Suppresses() != removes {
			t.Errorf("%s: the action is %q, it suppresses: %t", text, m.Action, m.Suppresses())
		}
	}
}
