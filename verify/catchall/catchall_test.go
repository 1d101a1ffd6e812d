package catchall_test

import (
	"fmt"
	"strings"
	"testing"

	"presend/verify/catchall"
	"presend/verify/reply"
)

var (
	accepted = reply.Meaning{Reason: reply.Accepted, Kind: reply.Info}
	refused  = reply.Meaning{Reason: reply.MailboxUnknown, Kind: reply.Hard, Subject: reply.SubjectMailbox}
	greylist = reply.Meaning{Reason: reply.Greylisted, Kind: reply.Soft, Subject: reply.SubjectServer}
	blocked  = reply.Meaning{Reason: reply.SenderBlocked, Kind: reply.Hard, Subject: reply.SubjectSender}
)

func TestInquiry(t *testing.T) {
	tests := []struct {
		name    string
		answers []reply.Meaning
		real    []reply.Meaning
		want    catchall.Answer
	}{
		{"one refusal of a random recipient settles it", []reply.Meaning{refused}, nil, catchall.No},
		{"one acceptance is not enough", []reply.Meaning{accepted}, nil, catchall.Open},
		{"two acceptances make a catch-all", []reply.Meaning{accepted, accepted}, nil, catchall.Yes},
		{"an acceptance and a refusal contradict each other", []reply.Meaning{accepted, refused}, nil, catchall.Unanswered},
		{"greylisting leaves the question open at first", []reply.Meaning{greylist}, nil, catchall.Open},
		{"greylisting twice leaves it unanswered", []reply.Meaning{greylist, greylist}, nil, catchall.Unanswered},
		{"a refusal of us says nothing about the domain", []reply.Meaning{blocked, blocked}, nil, catchall.Unanswered},
		{"a domain that refuses a real mailbox is not called catch-all", []reply.Meaning{accepted, accepted}, []reply.Meaning{refused}, catchall.Unanswered},
		{"an accepted real mailbox changes nothing", []reply.Meaning{accepted, accepted}, []reply.Meaning{accepted}, catchall.Yes},
	}
	for _, test := range tests {
		for _, order := range []string{"real first", "random first"} {
			t.Run(test.name+", "+order, func(t *testing.T) {
				q := catchall.New("corp.lab", "check@probe.lab")
				feed := func(to func(reply.Meaning), ms []reply.Meaning) {
					for _, m := range ms {
						to(m)
					}
				}
				if order == "real first" {
					feed(q.Real, test.real)
					feed(q.Answered, test.answers)
				} else {
					feed(q.Answered, test.answers)
					feed(q.Real, test.real)
				}
				if got := q.Answer(); got != test.want {
					t.Errorf("answer %q, want %q", got, test.want)
				}
				if _, more := q.Next(); more != (test.want == catchall.Open) {
					t.Errorf("asks on: %v, with answer %q", more, test.want)
				}
			})
		}
	}
}

func TestInventedLocalPartsAreUnlikeAndStayTheSameForARetry(t *testing.T) {
	seen := map[string]bool{}
	for i := range 1000 {
		domain := fmt.Sprintf("d%d.lab", i)
		a, b := catchall.Local(domain, "check@probe.lab", 0), catchall.Local(domain, "check@probe.lab", 1)
		if strings.Contains(a, ".") || !strings.Contains(b, ".") {
			t.Fatalf("%q and %q are of one kind", a, b)
		}
		if seen[a] || seen[b] {
			t.Fatalf("%q or %q came twice", a, b)
		}
		seen[a], seen[b] = true, true
		if catchall.Local(domain, "check@probe.lab", 0) != a || catchall.Local(domain, "other@probe.lab", 0) == a {
			t.Fatalf("%q must depend on domain and sender alone, and on both", a)
		}
	}
}

func TestAGreylistingServerMeetsBothRecipientsOnTheFirstRun(t *testing.T) {
	q := catchall.New("corp.lab", "check@probe.lab")
	first, _ := q.Next()
	q.Answered(greylist)
	second, _ := q.Next()
	if first == second {
		t.Errorf("asks %s twice", first)
	}
}

func Example() {
	inquiry := catchall.New("corp.example", "check@example.com")
	for {
		recipient, ok := inquiry.Next()
		if !ok {
			break
		}
		_ = recipient // send it as one more RCPT of the transaction; here the server accepts everything
		inquiry.Answered(reply.Meaning{Reason: reply.Accepted, Kind: reply.Info})
	}
	fmt.Println(inquiry.Answer())
	// Output: yes
}
