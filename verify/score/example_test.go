package score_test

import (
	"fmt"

	"presend/verify/reply"
	"presend/verify/score"
)

func Example() {
	table, err := score.New()
	if err != nil {
		panic(err)
	}
	fmt.Println(table.Verdict(reply.CatchAll), table.Score(score.Evidence{Reason: reply.CatchAll}))
	evidence := score.Evidence{Reason: reply.Accepted, Flags: []score.Flag{score.Role}}
	fmt.Println(table.Verdict(evidence.Reason), table.Score(evidence))
	// Output:
	// risky 70
	// deliverable 96
}
