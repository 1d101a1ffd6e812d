package verdict

import (
	"slices"
	"testing"
	"time"
)

var begin = time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)

// answers lets an address meet an answer again and again, each time when it is asked again, up to most times. It
// returns how long after the first each try came, and the reason at the end.
func answers(a Answer, most int) (tries []time.Duration, end Reason) {
	m, now := Memory{}, begin
	for range most {
		tries = append(tries, now.Sub(begin))
		a.At = now
		at, gaveUp := m.Retry(a)
		if gaveUp {
			return tries, GaveUp
		}
		m = m.After(a.Reason, now, at)
		if at.IsZero() {
			break
		}
		now = at
	}
	return tries, a.Reason
}

// TestTheTimetableOfEveryReason walks the whole of reasons.toml.
func TestTheTimetableOfEveryReason(t *testing.T) {
	const m, h = time.Minute, time.Hour
	server := []time.Duration{0, 15 * m, 135 * m, 855 * m, 3735 * m}
	type walk struct {
		tries []time.Duration
		end   Reason
	}
	// Five tries within 62 hours are too few hours: the last wait is waited once more.
	gaveUp := walk{append(slices.Clone(server), 6615*m), GaveUp}
	slowly := walk{append(slices.Clone(server), 6615*m, 9495*m, 12375*m), GaveUp}
	patient := walk{append(slices.Clone(server), 3735*m+24*h, 3735*m+8*24*h, 3735*m+38*24*h, 3735*m+68*24*h), ""}
	full := walk{[]time.Duration{0, 7 * day, 37 * day, 127 * day}, GaveUp}
	want := map[Reason]walk{
		Greylisted: patient, RateLimited: patient, ServerUnavailable: gaveUp, Unreachable: slowly, Timeout: slowly,
		DNSFailure: slowly, MailboxFull: full, CatchAllUnknown: {server, CatchAllUnknown},
	}
	for _, reason := range All() {
		t.Run(string(reason), func(t *testing.T) {
			w, retried := want[reason]
			if !retried {
				w = walk{[]time.Duration{0}, reason}
			}
			if w.end == "" {
				w.end = reason
			}
			tries, end := answers(Answer{Reason: reason, Open: true}, 9)
			if !slices.Equal(tries, w.tries) || end != w.end {
				t.Errorf("asked after %v, at last %s; want %v, %s", tries, end, w.tries, w.end)
			}
		})
	}
	t.Run("an accepted address whose question is settled is not asked again", func(t *testing.T) {
		if tries, _ := answers(Answer{Reason: CatchAllUnknown}, 9); len(tries) != 1 {
			t.Errorf("asked after %v", tries)
		}
	})
}

func TestTheShelfLifeOfEveryReason(t *testing.T) {
	month, mailbox := []int{30, 30, 30, 30}, []int{7, 30, 180, 180}
	domain, night := []int{1, 7, 30, 30}, []int{1, 1, 1, 1}
	want := map[Reason][]int{
		MailboxUnknown: mailbox, MailboxDisabled: mailbox, DomainNotServed: mailbox, Refused: mailbox,
		NoSuchDomain: domain, NullMX: domain, NoMailHost: domain, MailboxFull: {7, 30, 90, 90},
		SenderBlocked: night, SenderAuth: night, Policy: night, ProtocolError: night, NotProbed: night,
	}
	for _, reason := range All() {
		t.Run(string(reason), func(t *testing.T) {
			days, ok := want[reason]
			if !ok {
				days = month
			}
			m, now := Memory{}, begin
			for i, d := range days {
				m = m.After(reason, now, time.Time{})
				due, length := m.DueAt("ann@corp.lab"), time.Duration(d)*day
				low, high := length*3/4-slack, length*5/4-slack
				if i == 0 && d >= 30 {
					low = length/4 - slack
				}
				if d < 7 {
					low, high = length-slack, length-slack
				}
				if life := due.Sub(now); life < low || life > high {
					t.Errorf("found %d times it is good for %v, want %v to %v", i+1, life, low, high)
				}
				now = due
			}
		})
	}
}

func TestWhatWasImportedOnOneDayFallsDueOverManyNights(t *testing.T) {
	m := Memory{}.After(Accepted, begin, time.Time{})
	nights := map[int]int{}
	for i := range 5000 {
		nights[int(m.DueAt(string(rune('a'+i%26))+time.Duration(i).String()+"@corp.lab").Sub(begin)/day)]++
	}
	for night, n := range nights {
		if night < 7 || night > 37 || n > 250 {
			t.Errorf("%d of 5000 are due on night %d, want at most 250 on each of nights 7 to 37", n, night)
		}
	}
}

func TestARepetitionThatComesTooSoonIsNoTry(t *testing.T) {
	m := Memory{}
	first, _ := m.Retry(Answer{Reason: Timeout, At: begin})
	m = m.After(Timeout, begin, first)
	for i := range 5 { // five runs with --fresh within ten seconds
		now := begin.Add(time.Duration(i+1) * 2 * time.Second)
		at, gaveUp := m.Retry(Answer{Reason: Timeout, At: now})
		if m = m.After(Timeout, now, at); gaveUp || !at.Equal(first) || m.Tries != 1 || m.Counted != 1 || m.Times != 1 {
			t.Fatalf("run %d: again at %v, gave up %v, %+v; want one try and the first time %v", i+2, at, gaveUp, m, first)
		}
	}
}

func TestTheNextNightMayBeginEarlier(t *testing.T) {
	m := Memory{}.After(SenderBlocked, begin, time.Time{})
	if due := m.DueAt("ann@corp.lab"); due.After(begin.Add(day - 3*time.Hour)) {
		t.Errorf("due at %v, want by the next night, three hours earlier", due)
	}
}

func TestTheWaitThatAReplyNames(t *testing.T) {
	for _, test := range []struct {
		name  string
		named time.Duration
		want  time.Duration
	}{
		{"is respected", 5 * time.Minute, 5*time.Minute + time.Second},
		{"of more than two days is not", 72 * time.Hour, 15 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			at, _ := Memory{}.Retry(Answer{Reason: Greylisted, At: begin, Named: test.named})
			if got := at.Sub(begin); got != test.want {
				t.Errorf("asked again after %v, want %v", got, test.want)
			}
		})
	}
}

func TestGreylistingDoesNotHelpToGiveAnAddressUp(t *testing.T) {
	m, now := Memory{}, begin
	for range 5 {
		at, _ := m.Retry(Answer{Reason: Greylisted, At: now})
		m, now = m.After(Greylisted, now, at), at
	}
	if _, gaveUp := m.Retry(Answer{Reason: ServerUnavailable, At: now}); gaveUp {
		t.Error("the first trouble after five times of greylisting gave the address up")
	}
}

func TestAMailboxThatIsFullAfterOtherTroubleBeginsItsOwnTimetable(t *testing.T) {
	m, now := Memory{}, begin
	for range 4 {
		at, _ := m.Retry(Answer{Reason: Greylisted, At: now})
		m, now = m.After(Greylisted, now, at), at
	}
	at, gaveUp := m.Retry(Answer{Reason: MailboxFull, At: now})
	if gaveUp || at.Sub(now) != 7*day {
		t.Errorf("asked again after %v, gave up %v; want after a week", at.Sub(now), gaveUp)
	}
}

func TestAnAnswerEndsTheTemporaryOnes(t *testing.T) {
	at, _ := Memory{}.Retry(Answer{Reason: Timeout, At: begin})
	m := Memory{}.After(Timeout, begin, at).After(Accepted, at, time.Time{})
	if m.Tries != 0 || m.Counted != 0 || !m.Since.IsZero() || !m.RetryAt.IsZero() {
		t.Errorf("%+v, want no tries", m)
	}
}

func TestTheSpreadAddsAtMostATenth(t *testing.T) {
	at, _ := Memory{}.Retry(Answer{Reason: Timeout, At: begin, Spread: 1})
	if got, want := at.Sub(begin), 16*time.Minute+30*time.Second; got != want {
		t.Errorf("asked again after %v, want %v", got, want)
	}
}

func TestAFailureThatMayBeOursIsNoTry(t *testing.T) {
	tried := Memory{
		Tries: 4, Counted: 4, Since: begin.Add(-5 * day), LastTry: begin.Add(-day), RetryAt: begin, Reason: Timeout,
	}
	for _, reason := range []Reason{Unreachable, Timeout, DNSFailure} {
		t.Run(string(reason), func(t *testing.T) {
			if _, gaveUp := tried.Retry(Answer{Reason: reason, At: begin}); !gaveUp {
				t.Fatal("the fifth try gives the address up where it is not ours; the case proves nothing")
			}
			m, now := tried, begin
			for range 20 {
				at, gaveUp := m.Retry(Answer{Reason: reason, At: now, Ours: true})
				if gaveUp || !at.After(now) {
					t.Fatalf("gave up %v, next try %v after %v", gaveUp, at, now)
				}
				m = m.AfterOurs(reason, now, at)
				if m.Tries != 4 || m.Counted != 4 || !m.Since.Equal(tried.Since) || !m.LastTry.Equal(tried.LastTry) {
					t.Fatalf("it counted: %+v", m)
				}
				if m.Reason != reason || !m.At.Equal(now) || !m.RetryAt.Equal(at) {
					t.Fatalf("the result was not noted: %+v", m)
				}
				now = at
			}
		})
	}
	t.Run("a result that is not asked again on a clock keeps the tries of before", func(t *testing.T) {
		if m := tried.AfterOurs(NotProbed, begin, time.Time{}); m.Tries != 4 || m.Counted != 4 || !m.RetryAt.IsZero() {
			t.Errorf("%+v", m)
		}
	})
}

func TestANonAnswerDoesNotReplaceAnAnswer(t *testing.T) {
	const address = "ann@corp.lab"
	accepted := Memory{}.After(Accepted, begin, time.Time{})
	known := accepted
	known.Times = 2 // a first life may be shorter, and is no reason to forget sooner
	life := known.DueAt(address).Sub(begin)
	for _, test := range []struct {
		name   string
		before Memory
		a      Answer
		after  time.Duration
		want   bool
	}{
		{"a time-out", accepted, Answer{Reason: Timeout}, life, true},
		{"a time-out once the answer is twice as old as its shelf life", accepted, Answer{Reason: Timeout}, 2 * life, false},
		{"our own fault", accepted, Answer{Reason: SenderBlocked}, life, true},
		{"an address that nobody was asked about", accepted, Answer{Reason: NotProbed}, life, true},
		{"an open question about the domain", accepted, Answer{Reason: CatchAllUnknown, Open: true}, life, true},
		{"a question that stays open", accepted, Answer{Reason: CatchAllUnknown}, life, false},
		{"an answer", accepted, Answer{Reason: MailboxUnknown}, time.Hour, false},
		{"the same answer", accepted, Answer{Reason: Accepted}, time.Hour, false},
		{"giving up within the shelf life", accepted, Answer{Reason: GaveUp}, life - time.Hour, true},
		{"giving up after it", accepted, Answer{Reason: GaveUp}, life, false},
		{
			"a non-answer after a non-answer", Memory{}.After(Timeout, begin, begin.Add(time.Hour)),
			Answer{Reason: DNSFailure},
			time.Hour, false,
		},
		{"a try after giving up", Memory{}.After(GaveUp, begin, time.Time{}), Answer{Reason: Timeout}, time.Hour, true},
		{
			"a try once giving up is older than its shelf life", Memory{}.After(GaveUp, begin, time.Time{}),
			Answer{Reason: Timeout},
			40 * day, false,
		},
		{"the first try", Memory{}, Answer{Reason: Timeout}, 0, false},
		{"a time-out a little before the answer", accepted, Answer{Reason: Timeout}, -time.Minute, true},
		{"a time-out, and the answer is of the future", accepted, Answer{Reason: Timeout}, -2 * time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.a.At = begin.Add(test.after)
			if got := test.before.Outlasts(test.a, address); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
