package reply

import (
	"time"

	"presend/verify/verdict"
)

// Subject is what a reply is evidence about.
type Subject string

// The subjects. Only mailbox and domain may count against an address.
const (
	SubjectMailbox Subject = "mailbox"
	SubjectDomain  Subject = "domain"
	SubjectSender  Subject = "sender" // this client: its IP address, names, records, pace
	SubjectMessage Subject = "message"
	SubjectServer  Subject = "server"
)

// Kind tells whether the same attempt can succeed later.
type Kind string

// The kinds.
const (
	Hard Kind = "hard" // repeating it is useless
	Soft Kind = "soft" // try again later
	Info Kind = "info" // nothing failed
)

// Meaning is what a reply says.
type Meaning struct {
	Reason     verdict.Reason
	Subject    Subject
	Kind       Kind
	Means      string        // the reason in words
	Action     string        // what to do, in words
	Confidence float64       // 0 to 1: how sure the reason is
	Rule       string        // the rule that decided, as "mailbox/unknown", "enhanced/X.1.1" or "code/421"
	RetryAfter time.Duration // the wait that a soft reply asks for; 0 where it names none
}

// Sure is the least confidence in a meaning that may make an address invalid.
const Sure = 0.9

// Sure reports whether the confidence is high enough to make an address invalid.
func (m Meaning) Sure() bool { return m.Confidence >= Sure }

// Suppresses reports whether nobody will ever get mail at the address, so that it belongs on a suppression list. A full
// mailbox and one that takes no mail from us exist.
func (m Meaning) Suppresses() bool {
	return m.Sure() && m.AgainstAddress() && m.Reason.Verdict() == verdict.Invalid
}

// AgainstAddress reports whether the reply is lasting evidence against the address itself: a hard failure of the
// mailbox or its domain. A soft one, as 450 4.1.1, is not yet.
func (m Meaning) AgainstAddress() bool {
	return m.Kind == Hard && (m.Subject == SubjectMailbox || m.Subject == SubjectDomain)
}
