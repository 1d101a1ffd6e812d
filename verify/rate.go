package verify

import (
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"presend/verify/smtpprobe"
)

// A receiver that asks for a slower pace once may have had a bad moment. When it asks again, what passed in between
// tells the rate that it allows, and the lane stays just under that. One that lets nothing pass for minutes has a limit
// for an hour or so, whatever its words.

const (
	justUnder  = 0.9              // of the rate that passed
	strainFor  = 3 * time.Minute  // after which another request for a slower pace has nothing to do with the last
	nothingFor = 10 * time.Minute // after which a receiver that lets nothing pass is left to the next hour
	raiseAfter = 5 * time.Minute  // without strain, after which a learned rate is raised now and then
	raiseBy    = 1.25
	leastRate  = 1.0 / 60 // recipients a second
	fastRate   = 5        // a learned rate below which one session is as fast as several
)

// strain is what a lane knows of the pace that the receiver asked for.
type strain struct {
	first, last time.Time // the first of the requests in a row, and the last
	passed      int       // recipients answered since the first
	passedAt    time.Time // when one was last
	learned     bool      // the limiter is not the table's
	careful     bool      // nothing passed since the last: one recipient at a time finds out whether it does again

	minute      time.Time // when the count of this minute began
	now, before int       // recipients answered in this minute, and in the one before
}

// count notes recipients of a flight that were answered, other than by a request for a slower pace, and whether none
// of them met one. A flight that began before such a request tells nothing of what passes after it.
func (s *strain) count(now, begun time.Time, answered int, content bool) {
	if answered == 0 {
		return
	}
	if !begun.Before(s.first) {
		s.passed += answered
	}
	if !begun.Before(s.last) {
		s.passedAt = now
		s.careful = s.careful && !content
	}
	s.roll(now)
	s.now += answered
}

// roll begins another minute where one is over.
func (s *strain) roll(now time.Time) {
	switch since := now.Sub(s.minute); {
	case since >= 2*time.Minute:
		s.minute, s.before, s.now = now, 0, 0
	case since >= time.Minute:
		s.minute, s.before, s.now = s.minute.Add(time.Minute), s.now, 0
	}
}

// rate returns how many recipients a second pass: since the first request for a slower pace, or in the last minute as a
// whole, for a receiver may count by the minute and have let all of them pass at once.
func (s *strain) rate(now time.Time) float64 {
	s.roll(now)
	left := 1 - now.Sub(s.minute).Minutes()
	lately := (float64(s.now) + left*float64(s.before)) / 60
	return max(leastRate, justUnder*max(float64(s.passed)/now.Sub(s.first).Seconds(), lately))
}

// tableLimiter returns the limiter of a lane for which nothing was learned; nil is no limit.
func tableLimiter(l smtpprobe.Limits) *rate.Limiter {
	if l.Rate == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(l.Rate), l.Recipients)
}

// burst returns how many recipients may be asked at once at a learned rate: few enough that those of a second are
// under what passes in one, and enough for a test of the control experiment.
func burst(r float64) int { return max(testLeast, int(r/4)) }

// strained learns the rate of a receiver that asks for a slower pace, and reports whether it lets nothing pass at all.
func (p *plan) strained(s *session) (nothing bool) {
	l, st := s.lane(), &s.lane().strain
	again := p.now.Sub(st.last) < strainFor
	st.last, st.careful = p.now, true
	if !again {
		st.first, st.passed, st.passedAt = p.now, 0, p.now
		return false
	}
	if p.now.Sub(st.passedAt) >= nothingFor {
		return true
	}
	r := st.rate(p.now)
	if l.limiter != nil {
		r = min(r, float64(l.limiter.Limit()))
	}
	if st.learned && r == float64(l.limiter.Limit()) {
		return false
	}
	l.limiter = rate.NewLimiter(rate.Limit(r), burst(r))
	l.limiter.AllowN(p.now, burst(r)) // it has just had its fill
	st.learned = true
	if l.slow() {
		l.ceiling = 1
	}
	s.dest.learned(p.now)
	p.log(slog.LevelDebug, "rate learned", "destination", s.dest.name, "source", p.sourceName(s.source), "a minute", 60*r)
	return false
}

// heardMore corrects a rate that was learned just now by what other sessions heard meanwhile.
func (l *lane) heardMore(now time.Time, table smtpprobe.Limits) {
	if !l.strain.learned || !now.Before(l.paused) {
		return
	}
	if r := l.strain.rate(now); r > float64(l.limiter.Limit()) {
		l.setRate(now, r, table)
	}
}

// setRate changes a learned rate, which is never more than the table allows.
func (l *lane) setRate(now time.Time, r float64, table smtpprobe.Limits) {
	if table.Rate > 0 {
		r = min(r, table.Rate)
	}
	l.limiter.SetLimitAt(now, rate.Limit(r))
	l.limiter.SetBurstAt(now, burst(r))
}

// slow reports whether a rate was learned that one session uses up.
func (l *lane) slow() bool { return l.strain.learned && float64(l.limiter.Limit()) < fastRate }

// raise lets a learned rate grow, as long as the receiver is content with it.
func (l *lane) raise(now time.Time, table smtpprobe.Limits) {
	if !l.strain.learned || now.Sub(l.strain.last) < raiseAfter {
		return
	}
	l.setRate(now, raiseBy*float64(l.limiter.Limit()), table)
}
