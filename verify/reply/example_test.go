package reply_test

import (
	"fmt"

	"presend/verify/reply"
)

func Example() {
	classifier, err := reply.New()
	if err != nil {
		panic(err)
	}
	// A reply as the server sent it, or as a bounce or a log quotes it.
	r, err := reply.Parse("550-5.1.1 <bob@example.com>: Recipient address rejected:\r\n" +
		"550 5.1.1 User unknown in virtual mailbox table")
	if err != nil {
		panic(err)
	}
	m := classifier.Classify(r, reply.RCPT, "") // the answer to RCPT, from a provider that is not known
	fmt.Println(m.Reason, m.Subject, m.Kind, m.Rule)
	fmt.Println(m.Action)
	if m.AgainstAddress() {
		fmt.Println("It is a hard failure of the mailbox or the domain.")
	}
	// Output:
	// mailbox_unknown mailbox hard mailbox/unknown
	// remove the address now: it does not exist
	// It is a hard failure of the mailbox or the domain.
}
