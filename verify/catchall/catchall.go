// Package catchall asks whether a domain accepts everybody.
//
// A server that accepts every recipient says nothing with a 2xx. The question is put with recipients that cannot
// exist, in the same transaction as the first real ones. An [Inquiry] is the state of the question for one domain:
//
//	inquiry := catchall.New("corp.example", "check@example.com")
//	recipient, ok := inquiry.Next() // send it as one more RCPT
//	inquiry.Answered(meaning)       // what the reply means
//	inquiry.Real(meaning)           // what the replies to real recipients mean
//	inquiry.Answer()                // Yes, No, Unanswered or Open
//
// The invented recipients depend on the domain and the sender and on nothing else: a greylisting server must meet the
// same ones again on a retry, or it would never answer.
//
// One random recipient is asked first. If it is refused as unknown the domain is no catch-all, at the price of a
// single unknown recipient. If it is accepted a second, unlike one is asked, and both must be accepted for Yes. A
// domain that accepts both and yet refuses a real mailbox is not called catch-all: its answers stay Unanswered.
package catchall

import (
	"crypto/sha256"
	"strings"

	"presend/verify/reply"
)

// Answer is what is known of a domain. The words are stored with the domain.
type Answer string

// The answers.
const (
	Open       Answer = ""           // the question is still to be put, or under way
	Yes        Answer = "yes"        // two unlike random recipients were accepted
	No         Answer = "no"         // a random recipient was refused as unknown
	Unanswered Answer = "unanswered" // the server would not say, or contradicted itself
)

// attempts is how often a question that met a temporary answer or an answer about us is put before it is let go.
const attempts = 2

// Inquiry is the catch-all question for one domain. It is not safe for concurrent use.
type Inquiry struct {
	domain      string
	sender      string
	answer      Answer
	accepted    int
	evaded      int
	realRefused bool
}

// New opens the question for a domain. The sender is the MAIL FROM address of whoever asks.
func New(domain, sender string) *Inquiry { return &Inquiry{domain: domain, sender: sender} }

// Known returns an inquiry whose answer is remembered from before; one that is Open is put as by New.
func Known(domain, sender string, answer Answer) *Inquiry {
	return &Inquiry{domain: domain, sender: sender, answer: answer}
}

// Next returns the next recipient to ask about, and false once the question is settled. After an evasion it is the
// other one of the two, so that a greylisting server has met both when it is asked again.
func (q *Inquiry) Next() (recipient string, ok bool) {
	if q.answer != Open {
		return "", false
	}
	return Local(q.domain, q.sender, (q.accepted+q.evaded)%2) + "@" + q.domain, true
}

// Answered takes what the server said to the recipient that Next returned.
func (q *Inquiry) Answered(m reply.Meaning) {
	switch {
	case q.answer != Open:
	case m.Reason == reply.Accepted:
		q.accepted++
		if q.accepted == 2 {
			q.settle()
		}
	case m.AgainstAddress():
		// Accepting one random recipient and refusing another is neither the one nor the other.
		if q.accepted > 0 {
			q.answer = Unanswered
		} else {
			q.answer = No
		}
	default:
		q.evaded++
		if q.evaded == attempts {
			q.answer = Unanswered
		}
	}
}

// Real takes what the server said to a real recipient of the domain.
func (q *Inquiry) Real(m reply.Meaning) {
	if m.Reason == reply.MailboxUnknown {
		q.realRefused = true
		if q.answer == Yes {
			q.answer = Unanswered
		}
	}
}

// Answer returns what is known so far.
func (q *Inquiry) Answer() Answer { return q.answer }

// Close ends the question: what is still open stays unanswered.
func (q *Inquiry) Close() Answer {
	if q.answer == Open {
		q.answer = Unanswered
	}
	return q.answer
}

func (q *Inquiry) settle() {
	q.answer = Yes
	if q.realRefused {
		q.answer = Unanswered
	}
}

const (
	consonants = "bdfgklmnprstvz"
	vowels     = "aeiou"
)

// Local returns a local part that no person has and that does not look like an attack: pronounceable syllables, some
// 40 bits that only domain and sender decide. Kind 0 is one long word with two digits, kind 1 two words with a dot, so
// that a server that accepts by pattern does not accept both.
func Local(domain, sender string, kind int) string {
	random := sha256.Sum256([]byte{byte(kind)})
	random = sha256.Sum256(append(random[:], domain+"\x00"+sender...))
	var b strings.Builder
	for i := range 6 {
		if kind == 1 && i == 3 {
			b.WriteByte('.')
		}
		b.WriteByte(consonants[int(random[2*i])%len(consonants)])
		b.WriteByte(vowels[int(random[2*i+1])%len(vowels)])
	}
	if kind == 0 {
		b.WriteByte('2' + random[12]%8)
		b.WriteByte('2' + random[13]%8)
	}
	return b.String()
}
