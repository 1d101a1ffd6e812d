package doctor

import (
	"context"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// tolerance is how far the clock may be off.
const tolerance = 5 * time.Minute

// clock compares this machine's clock with times that the other checks happened to hear: the date in a mail host's
// greeting, or the time in which a signature of the root zone is valid. It asks nobody for the time.
func (e *exam) clock(context.Context) []Finding {
	if e.trusted() {
		for _, g := range e.greetings() {
			if said, ok := dateIn(strings.Join(g.reply.Lines, " ")); ok {
				return []Finding{judgeClock(g.at.Sub(said), "the greeting of "+g.provider)}
			}
		}
		for _, s := range e.signed() {
			if s.err != nil {
				continue
			}
			for _, signature := range records[*dns.RRSIG](s.reply) {
				return []Finding{judgeValidity(signature, e.now())}
			}
		}
	}
	return []Finding{{
		Level: Warning,
		Found: "the clock could not be compared: nothing that answered told the time",
		Means: "Times of results and retries go by the clock.",
		Fix:   "Make sure that it is set by NTP (timedatectl).",
	}}
}

// date finds a date as in RFC 5322, which some greetings have.
var date = regexp.MustCompile(`[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}`)

func dateIn(greeting string) (time.Time, bool) {
	t, err := mail.ParseDate(date.FindString(greeting))
	return t, err == nil
}

const clockFix = "Set the clock, and let NTP keep it right (timedatectl set-ntp true)."

// judgeClock says what it means that the clock is ahead of another one.
func judgeClock(ahead time.Duration, whose string) Finding {
	direction, by := "ahead of", ahead.Abs().Round(time.Second)
	if ahead < 0 {
		direction = "behind"
	}
	if by <= tolerance {
		return Finding{Level: OK, Found: fmt.Sprintf("the clock agrees with %s (within %s)", whose, tolerance)}
	}
	f := Finding{
		Level: Warning,
		Found: fmt.Sprintf("the clock is %s %s %s", by, direction, whose),
		Means: "Results get a wrong time, and retries come too early or too late.",
		Fix:   clockFix,
	}
	if by > time.Hour {
		f.Level = Failure
	}
	return f
}

// judgeValidity says what it means that a signature, which is renewed all the time, is valid now or not.
func judgeValidity(signature *dns.RRSIG, now time.Time) Finding {
	begin, end := time.Unix(int64(signature.Inception), 0).UTC(), time.Unix(int64(signature.Expiration), 0).UTC()
	const form = "2006-01-02 15:04"
	if now.Before(begin) || now.After(end) {
		return Finding{
			Level: Failure,
			Found: fmt.Sprintf("the clock says %s, and the root zone's signature is valid from %s to %s",
				now.UTC().Format(form), begin.Format(form), end.Format(form)),
			Means: "Results get a wrong time, retries come at a wrong one, and DNSSEC fails on this machine.",
			Fix:   clockFix,
		}
	}
	return Finding{
		Level: OK,
		Found: fmt.Sprintf("the clock is within the time of the root zone's signature, which is %d days; "+
			"nothing told it more exactly", int(end.Sub(begin).Hours()/24)),
	}
}
