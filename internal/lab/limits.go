package lab

import (
	"strings"
	"time"
)

// limiting returns the script of a host that has limits as receivers have them; nil for one that has none.
func (h Host) limiting() Script {
	if h.Mails == 0 && !h.FirstVisit && h.Tarpits == 0 && h.Rate == 0 && h.Hourly == 0 && h.Refusal == "" {
		return nil
	}
	minute, hour := passing(h.Rate, time.Minute), passing(h.Hourly, time.Hour)
	refusal := strings.ReplaceAll(h.Refusal, "_", " ")
	return func(v Visit) (string, time.Duration) {
		switch {
		case v.Command == "MAIL" && h.Mails > 0 && v.Mails > h.Mails:
			return "421 4.7.0 " + h.Name + " Max message per connection reached", 0
		case v.Command != "RCPT":
		case h.FirstVisit && v.Session == 1:
			return "450 4.3.2 Service currently unavailable", 0
		case !hour(v.Now):
			return "450 4.7.1 Error: hourly limit exceeded", 0
		case !minute(v.Now):
			return "450 4.7.1 Error: too much mail from your address, slow down", 0
		case !v.Known:
			return refusal, h.Tarpits << min(v.Refused, 10)
		}
		return "", 0
	}
}

// passing returns a function that lets so many recipients pass at once, and so many in each stretch of time after that;
// all of them where there is no limit.
func passing(most int, every time.Duration) func(time.Time) bool {
	if most == 0 {
		return func(time.Time) bool { return true }
	}
	left, at := float64(most), time.Time{}
	return func(now time.Time) bool {
		if !at.IsZero() {
			left = min(float64(most), left+float64(most)*now.Sub(at).Seconds()/every.Seconds())
		}
		at = now
		if left < 1 {
			return false
		}
		left--
		return true
	}
}
