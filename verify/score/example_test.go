package score_test

import (
	"fmt"

	"presend/verify/score"
	"presend/verify/verdict"
)

func Example() {
	fmt.Println(score.Of(score.Evidence{Reason: verdict.CatchAll}))
	fmt.Println(score.Of(score.Evidence{Reason: verdict.Accepted, Flags: []verdict.Flag{verdict.FlagRole}}))
	// Output:
	// 70
	// 97
}
