package score_test

import (
	"fmt"
	"time"

	"presend/verify/score"
	"presend/verify/verdict"
)

func Example() {
	asked := score.Evidence{Reason: verdict.Accepted, Flags: []verdict.Flag{verdict.FlagRole}}
	now := score.Of(asked, score.List{})
	fmt.Println(score.Round(now))
	fmt.Println(score.Round(score.Aged(now, asked.Reason, 182*24*time.Hour)))

	// The same evidence is worth more in a clean list than in one with many unknown mailboxes.
	open := score.Evidence{Reason: verdict.CatchAll}
	var clean, dirty score.List
	clean.Add(verdict.Accepted, nil, 1000)
	dirty.Add(verdict.Accepted, nil, 500)
	dirty.Add(verdict.MailboxUnknown, nil, 500)
	fmt.Println(score.Round(score.Of(open, clean)), score.Round(score.Of(open, dirty)))
	// Output:
	// 97
	// 85
	// 99 75
}
