package catchall_test

import (
	"context"
	"errors"
	"testing"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

var _ catchall.Session = (*smtpprobe.Session)(nil)

// said is what a session says to one transaction.
type said struct {
	mail string // a refusal of MAIL
	rcpt string
	err  error
}

// replies is a session that says one thing after the other.
type replies struct {
	t     *testing.T
	says  []said
	asked []string
}

func (r *replies) Probe(_ context.Context, transactions [][]string, _ func(smtpprobe.Answer) bool) (
	[]smtpprobe.Transaction, error,
) {
	if len(transactions) != 1 || len(transactions[0]) != 1 {
		r.t.Fatalf("asked about %v, want one address", transactions)
	}
	recipient := transactions[0][0]
	r.asked = append(r.asked, recipient)
	if len(r.asked) > len(r.says) {
		r.t.Fatalf("asked about %v, which is too much", r.asked)
	}
	say := r.says[len(r.asked)-1]
	var transaction smtpprobe.Transaction
	if say.mail != "" {
		transaction.Refused = &smtpprobe.RefusedError{Command: reply.MAIL, Reply: parse(r.t, say.mail)}
	}
	if say.rcpt != "" {
		transaction.Answers = []smtpprobe.Answer{{Recipient: recipient, Reply: parse(r.t, say.rcpt)}}
	}
	return []smtpprobe.Transaction{transaction}, say.err
}

func parse(t *testing.T, text string) reply.Reply {
	t.Helper()
	r, err := reply.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAsk(t *testing.T) {
	const (
		yes  = "250 2.1.5 ok"
		no   = "550 5.1.1 user unknown"
		grey = "451 4.7.1 greylisted, please try again later"
	)
	gone := &smtpprobe.ClosingError{Command: reply.RCPT}
	tests := []struct {
		name string
		says []said
		want catchall.Answer
		err  error
	}{
		{"a refusal answers with No", []said{{rcpt: no}}, catchall.No, nil},
		{"a temporary refusal as unknown answers with No", []said{{rcpt: "450 4.1.1 user unknown"}}, catchall.No, nil},
		{"two acceptances answer with Yes", []said{{rcpt: yes}, {rcpt: yes}}, catchall.Yes, nil},
		{"one evasion leaves room for two acceptances", []said{{rcpt: grey}, {rcpt: yes}, {rcpt: yes}}, catchall.Yes, nil},
		{"two evasions are no answer", []said{{rcpt: grey}, {rcpt: grey}}, catchall.Unanswered, nil},
		{"a contradiction is no answer", []said{{rcpt: yes}, {rcpt: no}}, catchall.Unanswered, nil},
		{"a refusal of MAIL is an evasion whatever it says", []said{{mail: no}, {mail: no}}, catchall.Unanswered, nil},
		{"a session that ends gives its error", []said{{rcpt: yes}, {err: gone}}, catchall.Unanswered, gone},
		{"what was heard before the session ended counts", []said{{rcpt: no, err: gone}}, catchall.No, gone},
		{
			"replies that do not fit the commands do not count",
			[]said{{rcpt: no, err: smtpprobe.ErrProtocol}},
			catchall.Unanswered, smtpprobe.ErrProtocol,
		},
		{"a context that ends gives its error", []said{{err: context.Canceled}}, catchall.Unanswered, context.Canceled},
	}
	classifier, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			session := &replies{t: t, says: test.says}
			got, err := catchall.Ask(t.Context(), session, classifier, "", "corp.lab", "check@probe.lab", "run 1")
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q, %v; want %q, %v", got, err, test.want, test.err)
			}
			if len(session.asked) != len(test.says) {
				t.Errorf("asked about %v, want %d addresses", session.asked, len(test.says))
			}
		})
	}
}
