package reply_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/verify/reply"
)

func ExampleClassifier_Classify() {
	classifier, err := reply.New()
	if err != nil {
		panic(err)
	}
	r, err := reply.Parse("550-5.1.1 <bob@example.com>: Recipient address rejected:\r\n550 5.1.1 User unknown in virtual mailbox table")
	if err != nil {
		panic(err)
	}
	m := classifier.Classify(r, reply.RCPT, "")
	fmt.Println(m.Reason, m.Subject, m.Kind, m.Rule)
	fmt.Println(m.Action)
	// Output:
	// mailbox_unknown mailbox hard mailbox/unknown
	// remove the address now: it does not exist
}

func TestParseTakesCodesOffEveryForm(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want reply.Reply
	}{
		"one line": {
			"550 5.1.1 User unknown",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"User unknown"}},
		},
		"several lines": {
			"550-5.1.1 The account\r\n550 5.1.1 does not exist\r\n",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"The account", "does not exist"}},
		},
		"several lines folded into one": {
			"550-5.1.1 The account 550-5.1.1 does not 550 5.1.1 exist",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"The account", "does not", "exist"}},
		},
		"wrapped by Postfix": {
			"host mx.example.com[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)",
			reply.Reply{Code: 452, Enhanced: reply.Enhanced{Class: 4, Subject: 2, Detail: 2}, Lines: []string{"Mailbox full"}},
		},
		"an enhanced code behind the words": {
			"550 sorry, no mailbox here by that name (#5.1.1)",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"sorry, no mailbox here by that name (#5.1.1)"}},
		},
		"a bare code":          {"451", reply.Reply{Code: 451}},
		"a bare enhanced code": {"5.2.2", reply.Reply{Enhanced: reply.Enhanced{Class: 5, Subject: 2, Detail: 2}}},
		"words only":           {"Unknown user: bob", reply.Reply{Lines: []string{"Unknown user: bob"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reply.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
