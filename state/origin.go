package state

import (
	"slices"
	"strings"
	"time"

	"presend/verify/verdict"
)

// Origin is where an entry of the suppression list comes from, and so for how long it holds.
type Origin string

// The origins, the strongest first.
const (
	Person  Origin = "person"  // somebody asked for it: it never expires, and the address is never asked about
	Bounce  Origin = "bounce"  // a message came back: it stays, unless that was about the domain and the domain is back
	Verdict Origin = "verdict" // a result of this program that was read again: it is asked again at its shelf life
)

// hardBounce is the reason of an entry for a message that came back.
const hardBounce = "hard_bounce"

// OriginOf returns the origin of an entry with a reason. Words that are not known are somebody's.
func OriginOf(reason string) Origin {
	known := verdict.Reason(reason)
	switch {
	case reason == hardBounce:
		return Bounce
	case known != verdict.Suppressed && known.Verdict() != "" && slices.Contains(verdict.All(), known):
		return Verdict
	}
	return Person
}

// strength orders origins: an entry does not lose a stronger origin to a weaker one.
func (o Origin) strength() int { return slices.Index([]Origin{Verdict, Bounce, Person}, o) }

// aboutDomain are the enhanced codes of bounces that are about a domain, without their class: there is no such domain,
// and no way to it.
var aboutDomain = []string{".1.2", ".4.4"}

// AboutDomain reports whether the entry is a bounce that says that the address's domain cannot be reached.
func (s Suppressed) AboutDomain() bool {
	return s.Origin == Bounce && slices.ContainsFunc(aboutDomain, func(code string) bool {
		return strings.HasSuffix(s.Enhanced, code) && len(s.Enhanced) == len(code)+1
	})
}

// dueAt returns when the entry of an address is asked about again; zero: never. Entries for whole domains are not.
func (s Suppressed) dueAt() time.Time {
	if strings.HasPrefix(s.Name, "@") || s.Hashed() {
		return time.Time{}
	}
	m := verdict.Memory{At: s.At, Times: 1}
	switch {
	case s.Origin == Verdict:
		m.Reason = verdict.Reason(s.Reason)
	case s.AboutDomain():
		m.Reason = verdict.NoSuchDomain
	default:
		return time.Time{}
	}
	return m.DueAt(s.Name)
}

// refuted reports whether an answer that was found since says that the entry holds no more.
func (s Suppressed) refuted(reason verdict.Reason, code int, mx string) bool {
	switch {
	case s.Origin == Verdict:
		return code/100 == 2
	case s.AboutDomain():
		missing := []verdict.Reason{
			verdict.NoSuchDomain, verdict.NoMailHost, verdict.NullMX, verdict.DomainNotServed, verdict.DNSFailure,
		}
		return mx != "" && !slices.Contains(missing, reason)
	}
	return false
}
