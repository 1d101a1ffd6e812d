package catchall_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is something that an inquiry learns.
type step func(*catchall.Inquiry)

func invented(m reply.Meaning) step { return func(q *catchall.Inquiry) { q.Answered(m) } }
func genuine(m reply.Meaning) step  { return func(q *catchall.Inquiry) { q.Real(m) } }

func mailbox(reason verdict.Reason, kind reply.Kind, confidence float64) reply.Meaning {
	return reply.Meaning{Reason: reason, Kind: kind, Subject: reply.SubjectMailbox, Confidence: confidence}
}

var (
	accepts      = reply.Meaning{Reason: verdict.Accepted, Kind: reply.Info}
	unknown      = mailbox(verdict.MailboxUnknown, reply.Hard, 0.95)
	softUnknown  = mailbox(verdict.MailboxUnknown, reply.Soft, 0.95)
	vagueUnknown = mailbox(verdict.MailboxUnknown, reply.Hard, 0.6)
	disabled     = mailbox(verdict.MailboxDisabled, reply.Hard, 0.95)
	greylists    = reply.Meaning{Reason: verdict.Greylisted, Kind: reply.Soft, Subject: reply.SubjectServer}
	blocks       = reply.Meaning{Reason: verdict.SenderBlocked, Kind: reply.Hard, Subject: reply.SubjectSender}
	vague        = reply.Meaning{Reason: verdict.Unclear, Kind: reply.Hard, Subject: reply.SubjectServer}

	accepted, refused, softlyRefused = invented(accepts), invented(unknown), invented(softUnknown)
	greylisted, blocked              = invented(greylists), invented(blocks)
	realRefused, realAccepted        = genuine(unknown), genuine(accepts)
	lost                             = step(func(q *catchall.Inquiry) { q.Lost() })
	closed                           = step(func(q *catchall.Inquiry) { q.Close() })
)

func TestInquiry(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
		want  catchall.Answer
		soft  bool // worth another time
	}{
		{"one refusal of an invented address settles it", []step{refused}, catchall.No, false},
		{"one acceptance is not enough", []step{accepted}, catchall.Open, false},
		{"two acceptances make a catch-all", []step{accepted, accepted}, catchall.Yes, false},
		{"an acceptance and a refusal contradict each other", []step{accepted, refused}, catchall.Unanswered, false},
		{
			"an acceptance and a temporary refusal as unknown contradict each other",
			[]step{accepted, softlyRefused},
			catchall.Unanswered, false,
		},
		{"a temporary refusal as unknown settles it", []step{softlyRefused}, catchall.No, false},
		{"a disabled mailbox is a refusal too", []step{invented(disabled)}, catchall.No, false},

		{"greylisting leaves the question open at first", []step{greylisted}, catchall.Open, true},
		{
			"greylisting twice leaves it unanswered and worth a later time",
			[]step{greylisted, greylisted},
			catchall.Unanswered, true,
		},
		{"a refusal of us says nothing about the domain", []step{blocked, blocked}, catchall.Unanswered, false},
		{
			"a refusal in words that nobody reads says nothing about the domain",
			[]step{invented(vague), invented(vague)},
			catchall.Unanswered, false,
		},
		{
			"the last evasion decides whether another time is worth it",
			[]step{greylisted, blocked},
			catchall.Unanswered, false,
		},
		{
			"a temporary evasion after one for good is worth another time",
			[]step{blocked, greylisted},
			catchall.Unanswered, true,
		},
		{"an evasion between two acceptances changes nothing", []step{accepted, greylisted, accepted}, catchall.Yes, true},
		{
			"a contradiction after an evasion is not worth another time",
			[]step{greylisted, accepted, refused},
			catchall.Unanswered, false,
		},

		{
			"one that is accepted and another that is greylisted make a catch-all",
			[]step{accepted, greylisted},
			catchall.Yes, true,
		},
		{
			"greylisted at first and then accepted, the other one is asked still",
			[]step{greylisted, accepted},
			catchall.Open, true,
		},
		{"two losses are nothing", []step{lost, lost}, catchall.Open, false},
		{"a third loss is an evasion", []step{lost, lost, lost}, catchall.Open, true},
		{"a fourth loss is the second evasion", []step{lost, lost, lost, lost}, catchall.Unanswered, true},
		{"three losses and greylisting leave it unanswered", []step{greylisted, lost, lost, lost}, catchall.Unanswered, true},
		{"losses between two acceptances change nothing", []step{lost, accepted, lost, accepted}, catchall.Yes, false},

		{"a refused real address answers with No", []step{realRefused}, catchall.No, false},
		{
			"a refused real address answers with No after evasions",
			[]step{greylisted, greylisted, realRefused},
			catchall.No, true,
		},
		{"an accepted real address answers nothing", []step{realAccepted}, catchall.Open, false},
		{"a disabled real address answers nothing", []step{genuine(disabled)}, catchall.Open, false},
		{"a temporary refusal of a real address answers nothing", []step{genuine(softUnknown)}, catchall.Open, false},
		{"an unclear refusal of a real address answers nothing", []step{genuine(vagueUnknown)}, catchall.Open, false},
		{"an accepted invented address opens the question again", []step{realRefused, accepted}, catchall.Open, false},
		{
			"after an accepted invented address a refused real one answers nothing",
			[]step{accepted, realRefused},
			catchall.Open, false,
		},
		{
			"a catch-all with exceptions is a catch-all",
			[]step{realRefused, accepted, realRefused, accepted, realRefused},
			catchall.Yes, false,
		},
		{
			"a contradiction stays one when a real address is refused",
			[]step{accepted, refused, realRefused},
			catchall.Unanswered, false,
		},
		{
			"an evasion does not open what a real address answered",
			[]step{realRefused, greylisted, greylisted},
			catchall.No, false,
		},
		{
			"a loss does not open what a real address answered",
			[]step{realRefused, lost, lost, lost, lost},
			catchall.No, false,
		},
		{
			"a refused invented address confirms what a real one answered",
			[]step{realRefused, refused, accepted},
			catchall.No, false,
		},

		{"a question that is closed is unanswered", []step{closed}, catchall.Unanswered, false},
		{"closing changes no answer", []step{refused, closed}, catchall.No, false},
		{
			"what comes after the answer changes nothing",
			[]step{accepted, accepted, refused, greylisted, lost},
			catchall.Yes, false,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := catchall.New("corp.lab", "check@probe.lab", "run 1")
			for _, take := range test.steps {
				take(q)
			}
			if q.Answer() != test.want || q.Evaded() != test.soft {
				t.Errorf("answer %q, worth another time %v; want %q, %v", q.Answer(), q.Evaded(), test.want, test.soft)
			}
			if _, more := q.Next(); more != (test.want == catchall.Open) {
				t.Errorf("asks on: %v, with answer %q", more, test.want)
			}
		})
	}
}

func TestNextNeverAsksAboutAnAcceptedAddressAgain(t *testing.T) {
	const first, second = 0, 1
	tests := []struct {
		name  string
		steps []step
		want  int
	}{
		{"a new question begins with the first address", nil, first},
		{"after an acceptance comes the other address", []step{accepted}, second},
		{"after an evasion comes the other address, so that a greylisting server has seen both", []step{greylisted}, second},
		{"after an evasion and an acceptance the first address is asked again", []step{greylisted, accepted}, first},
		{"after one loss the same address is asked again", []step{lost}, first},
		{"an accepted address that overrules a refused real one leads to the other", []step{realRefused, accepted}, second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := catchall.New("corp.lab", "check@probe.lab", "run 1")
			for _, take := range test.steps {
				take(q)
			}
			want := catchall.Local("corp.lab", "check@probe.lab", "run 1", test.want) + "@corp.lab"
			if got, ok := q.Next(); got != want || !ok {
				t.Errorf("asks about %s, %v; want %s", got, ok, want)
			}
		})
	}
}

func TestAnAnswerThatIsRememberedIsNotAskedAgain(t *testing.T) {
	for answer, want := range map[catchall.Answer]catchall.Answer{
		catchall.Yes: catchall.Yes, catchall.No: catchall.No, catchall.Open: catchall.No, catchall.Unanswered: catchall.No,
	} {
		q := catchall.Known("corp.lab", "check@probe.lab", "run 1", answer)
		if _, asks := q.Next(); asks != (answer == catchall.Open) {
			t.Errorf("%q: asks %v", answer, asks)
		}
		if q.Real(unknown); q.Answer() != want {
			t.Errorf("%q becomes %q when a real address is refused, want %q", answer, q.Answer(), want)
		}
	}
}

func TestInventedLocalPartsAreUnlikeAndStayTheSameForARetry(t *testing.T) {
	seen := map[string]bool{}
	for i := range 1000 {
		domain := fmt.Sprintf("d%d.lab", i)
		a, b := catchall.Local(domain, "check@probe.lab", "run 1", 0), catchall.Local(domain, "check@probe.lab", "run 1", 1)
		if strings.Contains(a, ".") || !strings.Contains(b, ".") {
			t.Fatalf("%q and %q are of one kind", a, b)
		}
		if seen[a] || seen[b] {
			t.Fatalf("%q or %q came twice", a, b)
		}
		seen[a], seen[b] = true, true
		if catchall.Local(domain, "check@probe.lab", "run 1", 0) != a ||
			catchall.Local(domain, "other@probe.lab", "run 1", 0) == a ||
			catchall.Local(domain, "check@probe.lab", "run 2", 0) == a {
			t.Fatalf("%q must depend on domain and sender alone, and on both", a)
		}
	}
}

func TestARememberedAnswerIsReplacedByAClearOne(t *testing.T) {
	for name, test := range map[string]struct {
		was   catchall.Answer
		steps []step
		want  catchall.Answer
	}{
		"accepted, and it was no catch-all": {catchall.No, []step{accepted, accepted}, catchall.Yes},
		"accepted once":                     {catchall.No, []step{accepted}, catchall.Open},
		"refused, and it was a catch-all":   {catchall.Yes, []step{refused}, catchall.No},
		"accepted, as before":               {catchall.Yes, []step{accepted}, catchall.Yes},
		"refused, as before":                {catchall.No, []step{refused}, catchall.No},
		"an evasion":                        {catchall.Yes, []step{greylisted, greylisted}, catchall.Yes},
		"vague words":                       {catchall.No, []step{invented(vagueUnknown)}, catchall.No},
		"the control experiment": {
			catchall.Yes, []step{func(q *catchall.Inquiry) { q.Controlled() }}, catchall.No,
		},
	} {
		q := catchall.Known("corp.example", "", "run 1", test.was)
		for _, s := range test.steps {
			s(q)
		}
		if got := q.Answer(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
