package verify

import (
	"strings"
	"testing"
	"time"

	"presend/verify/syntax"
	"presend/verify/verdict"
)

// The timetable itself is tested where it is, in package verdict; these tests are about what the engine gives it.

func TestTheLastTryOfAnAddressIsTold(t *testing.T) {
	begun := time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		reason Reason
		memory verdict.Memory
		detail string
	}{
		"servers that failed for days": {
			ServerUnavailable,
			verdict.Memory{Reason: ServerUnavailable, Tries: 5, Counted: 5, Since: begun},
			"6 tries since 5 Jan 03:00 met only temporary answers, the last: it is down",
		},
		"a mailbox that stayed full": {
			MailboxFull,
			verdict.Memory{Reason: MailboxFull, Tries: 3, Times: 3, Since: begun},
			"the mailbox stayed full since 2026-01-05",
		},
	} {
		t.Run(name, func(t *testing.T) {
			task := Task{Address: syntax.Stored("ann", "corp.lab"), Memory: test.memory}
			at, reason, detail := schedule(task, begun.AddDate(0, 0, 200), evidence{reason: test.reason, detail: "it is down"})
			if !at.IsZero() || reason != GaveUp || detail != test.detail {
				t.Errorf("%v, %s: %s; want gave_up: %s", at, reason, detail, test.detail)
			}
		})
	}
}

func TestWhatWaitsForOneQuestionComesBackAtOneTime(t *testing.T) {
	now := time.Now()
	times := map[time.Time]bool{}
	for _, local := range strings.Fields("ann bob cara dave eve") {
		at, reason, _ := schedule(
			Task{Address: syntax.Stored(local, "corp.lab")}, now, evidence{reason: CatchAllUnknown, open: true},
		)
		if reason != CatchAllUnknown || at.Sub(now) < 15*time.Minute || at.Sub(now) > 17*time.Minute {
			t.Errorf("%s is asked again after %v", reason, at.Sub(now))
		}
		times[at] = true
	}
	if len(times) != 1 {
		t.Errorf("five addresses of one domain are asked again at %d times", len(times))
	}
}

func TestTheWaitThatAReplyNamesIsRespected(t *testing.T) {
	now := time.Now()
	at, _, _ := schedule(Task{}, now, evidence{reason: Greylisted, after: 5 * time.Minute})
	if got := at.Sub(now); got != 5*time.Minute+time.Second {
		t.Errorf("asked again after %v, want 5 minutes and a second", got)
	}
}
