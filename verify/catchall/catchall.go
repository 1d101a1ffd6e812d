// Package catchall finds out whether a domain accepts mail for every address.
//
// If it does, a 2xx for a real address says nothing. So the server is asked about addresses that cannot exist. [Ask]
// puts the question in an open session:
//
//	answer, err := catchall.Ask(ctx, session, classifier, "", "corp.example", "check@example.com", "2026-03-02")
//
// A program that asks about real addresses too puts the question in the same transaction. An [Inquiry] keeps the state
// of the question for one domain:
//
//	inquiry := catchall.New("corp.example", "check@example.com", "2026-03-02")
//	recipient, ok := inquiry.Next() // send it as one more RCPT
//	inquiry.Answered(meaning)       // what the reply to it means
//	inquiry.Real(meaning)           // what a reply to a real address means
//	inquiry.Answer()                // Yes, No, Unanswered or Open
//
// There are two invented addresses, and they are unlike each other, because some servers accept by pattern.
//
//   - Both are accepted: Yes.
//   - One is refused as unknown, and none was accepted: No. A temporary refusal such as "450 4.1.1 User unknown" says
//     this too, and so does the cached answer of a mail host that asked another one, "550 Previous (cached) callout
//     verification failure".
//   - One is accepted and the other one refused as unknown: Unanswered, since the server contradicts itself.
//   - One is accepted and the other one meets a temporary answer, as at a server that greylists: Yes.
//   - Any other refusal is an evasion: greylisting, an overloaded server, a refusal of the client, or words that say
//     too little. After an evasion the other address is asked, and after the second evasion the question is Unanswered.
//   - A real address is refused as unknown: No, as long as no invented address is accepted. An invented address that
//     is accepted overrules this. If both are accepted the answer is Yes: the domain is a catch-all with exceptions.
//
// The invented addresses depend only on the domain, the sender and the run: a greylisting server must see the same
// addresses again on a retry, or it would never answer, and a server that keeps its answers must not see them again in
// the next run.
package catchall

import (
	"crypto/sha256"
	"strings"

	"presend/verify/reply"
	"presend/verify/verdict"
)

// Answer is what is known of a domain. The words are stored with the domain.
type Answer string

// The answers.
const (
	Open       Answer = ""           // the question has not been asked, or has no answer yet
	Yes        Answer = "yes"        // two unlike invented addresses were accepted
	No         Answer = "no"         // an invented address, or a real one, was refused as unknown
	Unanswered Answer = "unanswered" // the server would not say, or contradicted itself
)

const (
	// attempts is after how many evasions a question is given up.
	attempts = 2
	// lossesMost is from which loss on a lost question is an evasion: sessions are lost for other reasons too.
	lossesMost = 3
)

// Inquiry is the catch-all question for one domain. It is not safe for concurrent use.
type Inquiry struct {
	domain   string
	sender   string
	run      string
	answer   Answer
	next     int     // kind of the invented address that is asked next
	accepted [2]bool // invented addresses, by kind
	inferred bool    // the answer is No because a real address was refused

	remembered bool // the answer is from before, and may be another one now
	evasions   int
	losses     int
	soft       bool // the last evasion was temporary
}

// New opens the question for a domain. The sender is the MAIL FROM address of the client. The run names the run of a
// list: with another name the invented addresses are others.
func New(domain, sender, run string) *Inquiry {
	return &Inquiry{domain: domain, sender: sender, run: run}
}

// Known returns an inquiry whose answer is remembered from before. If that is Open, it is a new question.
func Known(domain, sender, run string, answer Answer) *Inquiry {
	return &Inquiry{domain: domain, sender: sender, run: run, answer: answer, remembered: answer != Open}
}

// Next returns the address to ask about next, and false if the question is settled. After an evasion it is the other
// address, so that a greylisting server has seen both when it is asked again.
func (q *Inquiry) Next() (recipient string, ok bool) {
	if q.answer != Open {
		return "", false
	}
	return q.Recipient(), true
}

// Accepts reports whether an invented address was accepted, or the domain is known to accept every address.
func (q *Inquiry) Accepts() bool { return q.answer == Yes || q.accepted != [2]bool{} }

// Recipient returns the address that was asked about last, or is asked about next, whether or not the question is
// settled.
func (q *Inquiry) Recipient() string {
	return Local(q.domain, q.sender, q.run, q.next) + "@" + q.domain
}

// Controlled settles the question with No: in two sessions the invented address was refused in words that nobody reads,
// and in one of them a real address was accepted after it.
func (q *Inquiry) Controlled() { q.answer, q.inferred, q.remembered = No, false, false }

// Answered takes the meaning of the reply to the address that Next or Recipient returned. The inquiry may have been
// settled by Real in the meantime. Where an answer is remembered from before, a refusal as unknown makes it No, and
// after an acceptance that contradicts it the question is open again.
func (q *Inquiry) Answered(m reply.Meaning) {
	accepted := m.Reason == verdict.Accepted
	unknown := m.Sure() && (m.AgainstAddress() || m.Reason == verdict.MailboxUnknown)
	if q.remembered && (accepted && q.answer != Yes || unknown && q.answer != No) { // it has changed since
		q.answer, q.remembered = Open, false
	} else if accepted || unknown { // it is as before
		q.remembered = false
	}
	switch {
	case q.answer != Open && !q.inferred:
	case accepted:
		q.accept()
	case unknown:
		q.inferred = false
		q.answer = No
		if q.accepted != [2]bool{} {
			q.answer, q.soft = Unanswered, false
		}
	case !q.inferred:
		q.evade(m.Kind == reply.Soft)
	}
}

func (q *Inquiry) accept() {
	q.answer, q.inferred = Open, false
	q.accepted[q.next] = true
	q.next = 1 - q.next
	if q.accepted[q.next] {
		q.answer = Yes
	}
}

func (q *Inquiry) evade(soft bool) {
	q.soft = soft
	if soft && q.accepted != [2]bool{} {
		q.answer = Yes // a greylisting server meets the second address for the first time when it lets the first one pass
		return
	}
	if q.evasions++; q.evasions == attempts {
		q.answer = Unanswered
	}
	if !q.accepted[1-q.next] {
		q.next = 1 - q.next
	}
}

// Lost notes that the address that Next returned got no answer, because the session was lost. The third loss, and every
// one after it, is a temporary evasion.
func (q *Inquiry) Lost() {
	if q.answer != Open {
		return
	}
	if q.losses++; q.losses >= lossesMost {
		q.evade(true)
	}
}

// Evaded reports whether the last evasion was temporary, so that an unanswered question is worth asking again later: a
// 4xx or a lost question. It is false if the server refused the client for good or contradicted itself, and if there
// was no evasion.
func (q *Inquiry) Evaded() (soft bool) { return q.soft }

// Real takes the meaning of the reply to a real address of the domain. If that is a clear and permanent "mailbox
// unknown", no invented address was accepted and the answer is not Yes, the domain does not accept every address.
func (q *Inquiry) Real(m reply.Meaning) {
	unknown := m.Reason == verdict.MailboxUnknown && m.Kind == reply.Hard && m.Sure()
	if unknown && q.accepted == [2]bool{} && (q.answer == Open || q.answer == Unanswered) {
		q.answer, q.inferred = No, true
	}
}

// Answer returns what is known so far.
func (q *Inquiry) Answer() Answer { return q.answer }

// Remembered reports whether the answer is from before, and nothing that was heard since confirms it.
func (q *Inquiry) Remembered() bool { return q.remembered }

// Close ends the question. If it is still open it becomes Unanswered.
func (q *Inquiry) Close() Answer {
	if q.answer == Open {
		q.answer = Unanswered
	}
	return q.answer
}

const (
	consonants = "bdfgklmnprstvz"
	vowels     = "aeiou"
)

// Local returns a local part that no person has and that does not look like an attack: pronounceable syllables with
// some 40 bits, which depend only on domain, sender and run. Kind 0 is one long word with two digits, and kind 1 is two
// words with a dot, so that a server that accepts by pattern does not accept both.
func Local(domain, sender, run string, kind int) string {
	random := sha256.Sum256([]byte{byte(kind)})
	random = sha256.Sum256(append(random[:], domain+"\x00"+sender+"\x00"+run...))
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
