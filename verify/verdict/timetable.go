package verdict

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"time"
)

const (
	day = 24 * time.Hour
	// slack is how much earlier than a whole day "after a day" begins: a nightly run may start some minutes earlier
	// than the night before.
	slack = 4 * time.Hour
	// apart is how far two findings lie apart at least to be two.
	apart = day - slack
	// wrongClock is how far ahead a time lies that a clock got wrong; by less, clocks differ.
	wrongClock = time.Hour
	// patience is how long after the first try an address is given up at the earliest.
	patience = 72 * time.Hour
	// longestNamed is the longest wait of a reply that is respected.
	longestNamed = 48 * time.Hour
	// firstSpread is the shortest life that is spread more widely where a reason was found for the first time.
	firstSpread = 30 * day
	// countedTries is how many tries have to count before an address is given up.
	countedTries = 5
)

// Memory is what is remembered of how an address was asked. The zero Memory is that of an address that never was.
type Memory struct {
	Reason  Reason    // of the last result
	At      time.Time // of the last result
	RetryAt time.Time // when the last result was to be asked again; zero: not on a clock
	Times   int       // how often in a row Reason was found, at least 20 hours apart

	// Temporary answers in a row, without those that were asked sooner than the timetable says or may be our own doing.
	Tries   int
	Counted int       // of them, those that count towards giving up
	Since   time.Time // the first of them
	LastTry time.Time // the last one that counted
}

// Answer is a result as the timetable sees it.
type Answer struct {
	Reason Reason
	At     time.Time
	Named  time.Duration // the wait that the reply named; 0: none
	Open   bool          // the address was accepted and the question about its domain is worth another try
	Ours   bool          // the failure may be our own: nothing else answered from this source in this run
	Spread float64       // 0 to 1: how much of a tenth of the wait is added, so that not all come back at once
}

// timetable returns by which timetable an answer is asked again.
func (a Answer) timetable() (t timetable, retried bool) {
	name := a.Reason.Facts().Retry
	if name == "" || a.Reason == CatchAllUnknown && !a.Open {
		return timetable{}, false
	}
	return facts().Retry[name], true
}

// Retry returns when an answer is to be asked again; zero for one that is not asked on a clock, or not any more.
// GaveUp reports that the address has had its last try: its reason is [GaveUp] from now on.
//
// A try that came sooner than it was asked for changes nothing: the time stays as it was. One that may have failed
// because of us does not count: the same wait begins again, and the address is not given up for it.
func (m Memory) Retry(a Answer) (at time.Time, gaveUp bool) {
	t, retried := a.timetable()
	if !retried {
		return time.Time{}, false
	}
	if m.tooSoon(a.At) {
		return m.RetryAt, false
	}
	step, last := m.step(t, a.Reason), len(t.Gaps)-1
	if step > last && !a.Ours {
		switch {
		case t.End == "stop":
			return time.Time{}, false
		case t.End == "gave_up" && m.tried(a).exhausted(t, a.At):
			return time.Time{}, true
		}
	}
	gap := time.Duration(t.Gaps[min(step, last)])
	if step == 0 && a.Named > 0 && a.Named <= longestNamed {
		return a.At.Add(a.Named + time.Second), false // servers round down
	}
	return a.At.Add(gap + time.Duration(a.Spread*float64(gap)/10)), false
}

// step returns which gap of a timetable comes next; one past the last where there is none.
func (m Memory) step(t timetable, reason Reason) int {
	switch {
	case !t.Same:
		return m.Tries
	case m.Reason == reason:
		return m.Times
	}
	return 0
}

// tooSoon reports whether a try comes before the time that the last one set.
func (m Memory) tooSoon(at time.Time) bool { return m.Tries > 0 && at.Before(m.RetryAt) }

// exhausted reports whether the tries, the last of them at a time, were enough to give the address up.
func (m Memory) exhausted(t timetable, at time.Time) bool {
	return t.Same || m.Counted >= countedTries && at.Sub(m.Since) >= patience-slack
}

// tried returns the memory with one more temporary answer.
func (m Memory) tried(a Answer) Memory {
	if a.Ours || m.tooSoon(a.At) {
		return m
	}
	if m.Tries == 0 {
		m.Since = a.At
	}
	m.Tries++
	t, _ := a.timetable()
	if t.End == "gave_up" && !t.Same && (!t.Daily || m.LastTry.IsZero() || a.At.Sub(m.LastTry) >= apart) {
		m.Counted++
		m.LastTry = a.At
	}
	return m
}

// AfterOurs returns the memory once a result is recorded that may be our own doing, and so is no try: the tries of
// before stay as they were.
func (m Memory) AfterOurs(reason Reason, at, retryAt time.Time) Memory {
	next := m.After(reason, at, time.Time{})
	next.RetryAt = retryAt
	next.Tries, next.Counted, next.Since, next.LastTry = m.Tries, m.Counted, m.Since, m.LastTry
	return next
}

// After returns the memory once a result is recorded: its reason, when it was found, and when it is asked again, which
// is zero for one that is not.
func (m Memory) After(reason Reason, at, retryAt time.Time) Memory {
	next := Memory{Reason: reason, At: at, RetryAt: retryAt, Times: 1}
	switch {
	case reason == m.Reason && at.Sub(m.At) >= apart:
		next.Times = m.Times + 1
	case reason == m.Reason:
		next.Times = max(1, m.Times)
	}
	if retryAt.IsZero() {
		return next
	}
	tried := m.tried(Answer{Reason: reason, At: at, Open: true})
	next.Tries, next.Counted, next.Since, next.LastTry = tried.Tries, tried.Counted, tried.Since, tried.LastTry
	return next
}

// Suppresses reports whether an address belongs on a suppression list because a reason was found: first since some
// time, in a row, and last at another. A zero since is not known.
func (r Reason) Suppresses(since, at time.Time) bool {
	switch r.Facts().Suppress {
	case Always:
		return true
	case OnTwoDays:
		return !since.IsZero() && at.Sub(since) >= apart &&
			at.UTC().Format(time.DateOnly) != since.UTC().Format(time.DateOnly)
	}
	return false
}

// Conclusive reports whether a reason is an answer about the address, and not a failure to get one.
func (r Reason) Conclusive() bool {
	v := r.Verdict()
	return v != "" && v != Unknown && r != GaveUp
}

// Outlasts reports whether what is remembered of an address stays although a newer try had another outcome, because
// that was no answer: a temporary failure, a fault of ours, or an open question about the domain. The older verdict
// stays until it is twice as old as its shelf life; against [GaveUp], and [GaveUp] itself, until it is as old as that.
// What is remembered of the future counts as unknown.
func (m Memory) Outlasts(a Answer, address string) bool {
	answered := a.Reason.Conclusive() && !(a.Reason == CatchAllUnknown && a.Open)
	if answered || !m.Reason.Conclusive() && (m.Reason != GaveUp || a.Reason == GaveUp) {
		return false
	}
	if m.At.After(a.At.Add(wrongClock)) {
		return false
	}
	life := m.spread(address, 3)
	if m.Reason != GaveUp && a.Reason != GaveUp {
		life *= 2
	}
	return a.At.Before(m.At.Add(life))
}

// DueAt returns when what is remembered of an address counts as older than its shelf life: four hours before that
// ends, since a nightly run may start earlier than the night before. Lives of a week or more are spread over 75 to 125
// % of their length, by the address and by when it was asked, so that those that fall due together do not always. A
// life of a month is spread over 25 to 125 % where its reason was found for the first time: a list's first import comes
// in one night, and would be asked again within two weeks, with none asked before.
func (m Memory) DueAt(address string) time.Time {
	least := 3
	if m.Times <= 1 && m.life() >= firstSpread {
		least = 1
	}
	return m.At.Add(m.spread(address, least))
}

// life returns for how long what is remembered is good.
func (m Memory) life() time.Duration {
	shelf := m.Reason.Facts().Shelf
	return time.Duration(shelf[min(max(m.Times, 1), len(shelf))-1])
}

// spread returns the life, which lies between some quarters and five quarters of its length if it is a week or more.
func (m Memory) spread(address string, quarters int) time.Duration {
	life := m.life()
	if life < 7*day {
		return life - slack
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, address) // never fails, nor does the next
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(m.At.Unix())))
	least, most := life*time.Duration(quarters)/4, life*5/4
	return least + time.Duration(float64(most-least)*float64(h.Sum32())/(1<<32)) - slack
}
