package verdict_test

import (
	"fmt"
	"time"

	"presend/verify/verdict"
)

func Example() {
	facts := verdict.MailboxUnknown.Facts()
	fmt.Println(facts.Verdict, facts.Score, facts.Action)
	fmt.Println(facts.Advice)

	// A server asked us to come back later. The timetable says when.
	now := time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)
	memory := verdict.Memory{} // the address was never asked before
	at, _ := memory.Retry(verdict.Answer{Reason: verdict.Greylisted, At: now})
	memory = memory.After(verdict.Greylisted, now, at)
	fmt.Println(at.Sub(now), memory.Tries)
	// Output:
	// invalid 1 do_not_send
	// The mailbox does not exist. Leave the address out.
	// 15m0s 1
}
