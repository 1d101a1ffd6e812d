package catchall

import (
	"context"
	"errors"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// Session is an open SMTP session with a mail host of the domain, as *smtpprobe.Session is.
type Session interface {
	Probe(ctx context.Context, transactions [][]string, enough func(smtpprobe.Answer) bool) (
		[]smtpprobe.Transaction, error,
	)
}

// asksMost is how many addresses Ask asks about: two that are accepted and one evasion.
const asksMost = 3

// Ask asks a mail host whether a domain accepts mail for every address, in at most three transactions. The provider is
// the name of the host's provider as package reply knows it, or empty. The sender is the MAIL FROM address of the
// session, and the run is that of New.
//
// The answer is Yes, No or Unanswered. The error is the session's or the context's, and ends the question. The answer
// then holds what was heard before: a server may refuse an invented address and close the connection.
func Ask(ctx context.Context, session Session, classifier *reply.Classifier, provider, domain, sender, run string) (
	Answer, error,
) {
	q := New(domain, sender, run)
	for range asksMost {
		recipient, open := q.Next()
		if !open {
			break
		}
		said, err := session.Probe(ctx, [][]string{{recipient}}, nil)
		if !errors.Is(err, smtpprobe.ErrProtocol) { // those replies may be to something else
			for _, transaction := range said {
				q.heard(transaction, classifier, provider)
			}
		}
		if err != nil {
			return q.Close(), err
		}
	}
	return q.Close(), nil
}

func (q *Inquiry) heard(said smtpprobe.Transaction, classifier *reply.Classifier, provider string) {
	if said.Refused != nil { // before RCPT nothing is about an address
		q.evade(said.Refused.Reply.Code/100 == 4)
	}
	for _, answer := range said.Answers {
		q.Answered(classifier.Classify(answer.Reply, reply.RCPT, provider))
	}
}
