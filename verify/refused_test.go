package verify_test

import (
	"context"
	"testing"
	"time"

	"presend/internal/lab"
	"presend/verify"
)

// scripted starts a lab in memory whose host mx.corp.lab follows a script, and a Verifier that sees nothing else. The
// domain corp.lab has the mailboxes. It is called inside synctest.Test.
func scripted(
	t testing.TB, options string, boxes []string, script lab.Script, change func(*verify.Config),
) (*lab.Lab, *verify.Verifier) {
	t.Helper()
	w, err := lab.Parse("host mx.corp.lab latency=20ms " + options + "\ndomain corp.lab mx=mx.corp.lab")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range boxes {
		if err := w.AddMailbox(a, lab.Mailbox); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Script("mx.corp.lab", script); err != nil {
		t.Fatal(err)
	}
	l, err := w.Start(context.WithoutCancel(t.Context()), lab.InMemory())
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, l, l.Resolver(), change)
	leaveAtEnd(t, l, v)
	return l, v
}

// refusing returns a script that gives one reply to every recipient that is no mailbox.
func refusing(reply string) lab.Script {
	return refusingBy(func(lab.Visit) string { return reply })
}

// refusingBy returns a script that gives every recipient that is no mailbox the reply of a function.
func refusingBy(reply func(lab.Visit) string) lab.Script {
	return func(v lab.Visit) (string, time.Duration) {
		if v.Command == "RCPT" && !v.Known {
			return reply(v), 0
		}
		return "", 0
	}
}

func TestWordsThatDoNotSayWhyMakeNothingInvalid(t *testing.T) {
	const rejected = " <nobody@corp.lab>: Recipient address rejected: "
	type world struct{ reply, want string }
	cases := map[string]world{}
	for _, w := range []world{
		{"554 5.7.1" + rejected + "Country not allowed", "refused"},
		{"550", "refused"},
		{"550 5.1.1", "mailbox_unknown"},
		{"550 5.1.10", "mailbox_unknown"},
		{"550 5.2.1 no", "mailbox_disabled"},
		{"550 Could not verify recipient: database error", "server_unavailable"},
		{"550 5.1.1 unable to look up the recipient", "server_unavailable"},
		{"550 5.1.1" + rejected + "undeliverable address: mail for corp.lab loops back to myself", "server_unavailable"},
		{"550 5.1.1" + rejected + "undeliverable address: Command died with status 1", "server_unavailable"},
		{"550 5.1.1" + rejected + "undeliverable address: nobody reads this", "refused"},
		{"450 4.1.1" + rejected + "unverified address: host b.lab said: 550 5.1.1 User unknown", "mailbox_unknown"},
		{"550 Previous (cached) callout verification failure", "refused"},
		{"550 5.1.2 Host unknown", "refused"}, // its mail host has just answered
		{"550 5.4.4 Invalid domain", "refused"},
		{"556 5.1.10 Recipient address has null MX", "refused"},
		{"554 Transaction failed", "refused"},
		{"552", "refused"},
		{"556", "refused"},
		{"450 4.1.2" + rejected + "Domain not found", "server_unavailable"},
		{"550 5.7.1 Access denied", "policy"},
	} {
		cases[w.reply] = w
	}
	bubbles(t, cases, func(t *testing.T, w world) {
		_, v := scripted(t, "", nil, refusing(w.reply), nil)
		wantReasons(t, verifyAll(t, v, []string{"nobody@corp.lab"}), map[string]string{"nobody@corp.lab": w.want})
	})
}

func TestTheInnerReplyOfAWrapperAnswersTheAddressAndTheQuestion(t *testing.T) {
	for reply, want := range map[string]string{
		"450 4.1.1 <x>: Recipient address rejected: unverified address: host b.lab[192.0.2.7] said: 550 5.1.1 User unknown " +
			"(in reply to RCPT TO command)": "mailbox_unknown",
		"550 Previous (cached) callout verification failure": "refused",
	} {
		bubbles(t, map[string]string{reply: want}, func(t *testing.T, want string) {
			good, bad := numbered("good", "corp.lab", 9), numbered("bad", "corp.lab", 6)
			_, v := scripted(t, "", good, refusing(reply), nil)
			reasons := all("accepted", good)
			for _, a := range bad {
				reasons[a] = want
			}
			wantReasons(t, verifyAll(t, v, append(good, bad...)), reasons)
			wantReasons(t, verifyAll(t, v, good[:1]), reasons) // the question alone
		})
	}
}
