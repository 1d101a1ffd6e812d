package suppression_test

import (
	"fmt"
	"os"
	"strings"

	"presend/suppression"
	"presend/verify/reply"
)

// The bounces of SendGrid become the import file of Amazon SES. One of them is about the sender and is left out.
func Example() {
	const bounces = `status,reason,email,created
5.1.1,550 5.1.1 no such user,ann@corp.example.net,1767225600
5.7.1,550 5.7.1 your IP address is on a blocklist,bob@corp.example.net,1767225600
`
	classifier, err := reply.New()
	if err != nil {
		panic(err)
	}
	list, err := suppression.Open("-", suppression.Options{Stdin: strings.NewReader(bounces)}, classifier)
	if err != nil {
		panic(err)
	}
	defer list.Close()
	fmt.Println(list.Format())
	var tally suppression.Tally
	if _, err := suppression.Export(os.Stdout, suppression.SES, list.Entries(&tally, nil)); err != nil {
		panic(err)
	}
	fmt.Println(tally.Taken, tally.Left)
	// Output:
	// sendgrid
	// ann@corp.example.net,BOUNCE
	// 1 map[the bounce is not about the address (sender_blocked):1]
}
