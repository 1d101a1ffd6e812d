package verify

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"presend/verify/verdict"
)

// schedule returns when a task is to be asked again, and the reason and detail of its result, which differ from the
// evidence where this was its last try. The timetable is package verdict's.
func schedule(t Task, now time.Time, e evidence) (at time.Time, reason Reason, detail string) {
	answer := verdict.Answer{Reason: e.reason, At: now, Named: e.after, Open: e.open, Ours: e.ours, Spread: rand.Float64()}
	if e.open { // what waits for one catch-all question comes back at one time
		h := fnv.New32a()
		_, _ = io.WriteString(h, t.Address.Domain) // never fails
		answer.Spread = float64(h.Sum32()%100) / 100
	}
	at, gaveUp := t.Memory.Retry(answer)
	switch {
	case !gaveUp:
		return at, e.reason, e.detail
	case e.reason == verdict.MailboxFull:
		detail = fmt.Sprintf("the mailbox stayed full since %s", t.Memory.Since.UTC().Format(time.DateOnly))
	default:
		detail = fmt.Sprintf("%d tries since %s met only temporary answers, the last: %s",
			t.Memory.Tries+1, t.Memory.Since.UTC().Format("2 Jan 15:04"), e.detail)
	}
	return time.Time{}, verdict.GaveUp, detail
}
