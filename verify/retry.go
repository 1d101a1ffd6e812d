package verify

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"presend/verify/reply"
)

// gaps are the waits between the five tries of an address whose answers are temporary; all lie within 72 hours. They
// are those of a mail server: a greylisting host lets the second try pass, a host under repair the later ones.
var gaps = []time.Duration{15 * time.Minute, 2 * time.Hour, 12 * time.Hour, 48 * time.Hour}

// retries says whether a reason is temporary, so that another try is worth its while.
func retries(r Reason) bool {
	switch r {
	case reply.Greylisted,
		reply.RateLimited,
		reply.ServerUnavailable,
		reply.Unreachable,
		reply.Timeout,
		reply.DNSFailure,
		reply.MailboxFull:
		return true
	}
	return false
}

// schedule says when a task with a temporary answer is to be tried again, or what is to be said after the last try.
// A wait that the reply names is honoured where it is longer than a minute and shorter than the timetable's end.
func schedule(t Task, now time.Time, e evidence) (at time.Time, reason Reason, detail string) {
	if t.Tries >= len(gaps) {
		if e.reason == reply.CatchAllUnknown { // it was accepted each time
			return time.Time{}, e.reason, e.detail
		}
		if e.reason == reply.MailboxFull {
			return time.Time{}, reply.GaveUp, fmt.Sprintf(
				"the mailbox stayed full through %d tries: abandoned",
				t.Tries+1,
			)
		}
		return time.Time{}, reply.GaveUp, fmt.Sprintf(
			"%d tries since %s met only temporary answers, the last: %s",
			t.Tries+1,
			t.Since.UTC().Format("2 Jan 15:04"),
			e.detail,
		)
	}
	gap := gaps[t.Tries]
	if e.open { // what waits for one catch-all question comes back at one time
		h := fnv.New32a()
		_, _ = io.WriteString(h, t.Address.Domain) // never fails
		return now.Add(gap + gap*time.Duration(h.Sum32()%100)/1000), e.reason, e.detail
	}
	if t.Tries == 0 && e.after > 0 && e.after <= gaps[len(gaps)-1] {
		gap = e.after + time.Second // servers round down
	} else {
		gap += rand.N(gap / 10) // not all at once
	}
	return now.Add(gap), e.reason, e.detail
}
