package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/verdict"
)

// questions returns how often an impossible address was asked, and how often alone.
func (w *sim) questions() (asked, alone int) {
	for _, f := range w.flights {
		for _, r := range f.recipients {
			if invented(r) {
				asked++
				if len(f.recipients) == 1 {
					alone++
				}
			}
		}
	}
	return asked, alone
}

func TestTheQuestionGoesLastInTheFirstTransaction(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(30, "good", "a.lab")...)
	first := w.flights[0].recipients
	if at := slices.IndexFunc(first, invented); at != len(first)-1 || at < 1 {
		t.Errorf("the question is recipient %d of %d in the first flight", at, len(first))
	}
	if asked, _ := w.questions(); asked != 1 {
		t.Errorf("the question was asked %d times, want once", asked)
	}
}

func TestALostQuestionCostsNoAddressAndNoHost(t *testing.T) {
	for _, end := range []string{"421 4.3.2 Service not available", hangsUp, stalls} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
			if invented(recipient) {
				return end
			}
			return "250 2.1.5 Ok"
		}
		r := w.begin(1)
		for i := range 12 {
			domain := fmt.Sprintf("d%d.lab", i)
			w.find(r, answerOf(domain, "10 mx.big.lab 10.0.0.1"), addresses(5, "good", domain)...)
		}
		w.feed(fed{1})
		w.run()
		if got := r.reasons(); got["catch_all_unknown"] != 60 {
			t.Errorf("%s: %v; want 60 catch_all_unknown", end, got)
		}
		for _, f := range r.results {
			if !f.evidence.open || f.evidence.reply == nil || f.evidence.reply.Code != 250 {
				t.Fatalf("%s: %+v; want an open question and the address's own reply", end, f.evidence)
			}
		}
		if asked, _ := w.questions(); asked > 12*8 {
			t.Errorf("%s: %d questions for 12 domains", end, asked)
		}
		if len(w.plan.troubles) > 0 {
			t.Errorf("%s: the host is in trouble: %v", end, w.plan.troubles)
		}
		for _, f := range w.flights {
			if len(f.recipients) == 1 && invented(f.recipients[0]) {
				for _, g := range w.flights {
					if g.session == f.session && g.at.Before(f.at) {
						t.Fatalf("%s: a question that is to go alone was asked in a session that had asked before", end)
					}
				}
			}
		}
	}
}

func TestALostQuestionIsAskedAloneAHandfulOfTimes(t *testing.T) {
	for _, end := range []string{"421 4.3.2 Service not available", hangsUp, stalls} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
			if invented(recipient) {
				return end
			}
			return "250 2.1.5 Ok"
		}
		w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(5, "good", "a.lab")...)
		for _, address := range addresses(5, "good", "a.lab") {
			if n := w.askedFor(address); n != 1 {
				t.Errorf("%s: %s was asked %d times", end, address, n)
			}
		}
		if asked, alone := w.questions(); asked > 5 || alone != asked-1 {
			t.Errorf("%s: %d questions, %d of them alone; want a handful, all but the first alone", end, asked, alone)
		}
	}
}

func TestALostQuestionIsAnsweredByTheWordsOfItsOwn421(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
		if invented(recipient) {
			return "421 4.3.0 Recipient not in route list"
		}
		return "250 2.1.5 Ok"
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(5, "good", "a.lab")...)
	if asked, _ := w.questions(); r.reasons()["accepted"] != 5 || asked != 2 {
		t.Errorf("%v after %d questions; want 5 accepted after 2", r.reasons(), asked)
	}
}

func TestAcceptedAddressesAreProvisionalOnceAndSettledOnce(t *testing.T) {
	for answer, want := range map[string]Reason{
		"250 2.1.5 Ok": "catch_all", "550 5.1.1 User unknown": "accepted", "450 4.1.1 User unknown": "accepted",
		"451 4.7.1 Greylisted, please try again in 60 seconds": "catch_all_unknown",
	} {
		w := newSim(t, func(r *rules) {
			r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 1\nsession = 500\nerrors = 9\n")
		})
		w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
			if invented(recipient) {
				return answer
			}
			return "250 2.1.5 Ok"
		}
		r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(8, "good", "a.lab")...)
		if got := r.reasons(); got[want] != 8 {
			t.Errorf("%s: %v; want 8 %s", answer, got, want)
		}
		if len(r.kept) == 0 { // the simulation fails at a second one of either kind
			t.Errorf("%s: no answer was reported while the question was open", answer)
		}
		for _, f := range r.kept {
			if f.evidence.reason != "catch_all_unknown" {
				t.Errorf("%s: provisional %s", answer, f.evidence.reason)
			}
		}
		for _, f := range r.results {
			if f.evidence.open != (want == "catch_all_unknown") {
				t.Errorf("%s: open %v", answer, f.evidence.open)
			}
		}
	}
}

func TestAQuestionThatTheHostsEndPreventsIsAskedAgainLater(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 1\nrecipients = 1\nsession = 2\nerrors = 9\n")
	})
	h := w.host("10.0.0.1")
	h.rcpt = func(s *simSession, recipient string) string {
		h.dead = errDown
		return ordinary(s, recipient)
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good1@a.lab", "good2@a.lab")
	for _, address := range []string{"good1@a.lab", "good2@a.lab"} {
		if e := r.of(t, address); e.reason == "catch_all_unknown" && !e.open {
			t.Errorf("%s: the question was never put, and nobody will put it again: %+v", address, e)
		}
	}
}

func TestWhatIsKnownIsNotAskedAgainUntilItExpires(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	x := answerOf("a.lab", "10 mx.a.lab 10.0.0.1")
	w.verifyAll(x, "good1@a.lab")
	w.verifyAll(x, "good2@a.lab")
	if asked, _ := w.questions(); asked != 1 {
		t.Errorf("%d questions in two runs, want 1", asked)
	}
	w.now = w.now.Add(factFor)
	w.verifyAll(x, "good3@a.lab")
	if asked, _ := w.questions(); asked != 2 {
		t.Errorf("%d questions after the answer expired, want 2", asked)
	}
	r := w.begin(9)
	r.handed, r.weight = 1, 5
	w.feed(found{
		run: 9, domain: "b.lab", answer: answerOf("b.lab", "10 mx.b.lab 10.0.0.1"), fact: catchall.Yes,
		tasks: []Task{simTask(t, 900, "good@b.lab")}, weight: 5,
	})
	w.feed(fed{9})
	w.run()
	if asked, _ := w.questions(); asked != 2 || r.of(t, "good@b.lab").reason != "catch_all" {
		t.Errorf("%d questions, %s; want what the Queue knows to be believed", asked, r.of(t, "good@b.lab").reason)
	}
}

func TestOfAddressesThatWereHeardOneIsAskedAgainNextToTheQuestion(t *testing.T) {
	for answer, want := range map[string]Reason{
		"250 2.1.5 Ok": "catch_all", "550 5.1.1 User unknown": "accepted", hangsUp: "catch_all_unknown",
	} {
		w := newSim(t, nil)
		w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
			if invented(recipient) {
				return answer
			}
			return "250 2.1.5 Ok"
		}
		r := w.begin(1)
		var list []Task
		for i, address := range addresses(120, "good", "a.lab") {
			x := simTask(t, int64(i+1000), address)
			x.Heard = &Result{Reason: "catch_all_unknown", Reply: &Reply{Code: 250}, MX: "mx.a.lab"}
			list = append(list, x)
		}
		w.findTasks(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), list...)
		w.feed(fed{1})
		w.run()
		if got := r.reasons(); got[want] != 120 {
			t.Errorf("%s: %v; want 120 %s", answer, got, want)
		}
		asked := 0
		for _, f := range w.flights {
			for _, recipient := range f.recipients {
				if !invented(recipient) {
					asked++
				}
			}
		}
		if asked != 1 {
			t.Errorf("%s: %d of the addresses were asked again, want one", answer, asked)
		}
		if len(r.kept) > 0 {
			t.Errorf("%s: %d provisional results of what was provisional already", answer, len(r.kept))
		}
	}
}

func TestOneQuestionServesAllChecksAtADomain(t *testing.T) {
	w := newSim(t, nil)
	h := w.host("10.0.0.1")
	for i := range 200 {
		w.check(runID(i+1), answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), fmt.Sprintf("good%d@a.lab", i%50))
	}
	w.run()
	for _, r := range w.list() {
		if got := r.reasons(); got["accepted"] != 1 {
			t.Errorf("check %d: %v", r.id, got)
		}
	}
	if asked, _ := w.questions(); asked != 1 || h.most > 4 {
		t.Errorf("%d questions, %d sessions at a time; want 1 and 4 at most", asked, h.most)
	}
}

func TestASoftWordAboutAMailboxIsNoUnknownMailbox(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1").rcpt = func(_ *simSession, recipient string) string {
		if strings.HasPrefix(recipient, "bad") {
			return "450 4.1.1 <" + recipient + ">: Recipient address rejected: unverified address: User unknown"
		}
		return ordinary(nil, recipient)
	}
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "bad@a.lab", "good@a.lab")
	if got := r.of(t, "bad@a.lab").reason; got == "mailbox_unknown" || got == "domain_not_served" {
		t.Errorf("%s from a 450, want a temporary reason", got)
	}
}

func TestManyAcceptedAddressesDoNotWaitForAQuestionForEver(t *testing.T) {
	w := newSim(t, func(r *rules) {
		r.pace = paced(t, "[default]\nsessions = 2\nrecipients = 1\nsession = 500\nerrors = 9\n")
	})
	w.host("10.0.0.1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), addresses(3000, "good", "a.lab")...)
	w.feed(fed{1})
	most := 0
	for w.busy() && w.step() {
		if d := w.plan.domains["a.lab"]; d != nil {
			for _, s := range d.shares {
				most = max(most, len(s.held))
			}
		}
	}
	if most > heldMost+flightMost || r.reasons()["accepted"] != 3000 {
		t.Errorf("%d addresses were held, %v", most, r.reasons())
	}
}

func TestARefusedRealAddressAnswersNothingWhileTheQuestionIsOut(t *testing.T) {
	w := newSim(t, nil)
	w.checked = false
	w.host("10.0.0.1")
	r := w.begin(1)
	w.find(r, answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), "good1@a.lab", "good2@a.lab")
	p := w.plan
	d, run := p.domains["a.lab"], p.runs[1]
	s := d.shares[0]
	for _, x := range s.ready {
		s.held = append(s.held, held{x, evidence{reason: verdict.Accepted, host: "mx.a.lab"}})
	}
	s.ready = nil
	settled := func() (n int) {
		for _, f := range run.outbox {
			if !f.provisional {
				n++
			}
		}
		return n
	}
	d.asking = true // another session has it
	d.inquiry.Real(reply.Meaning{
		Reason: verdict.MailboxUnknown, Kind: reply.Hard, Subject: reply.SubjectMailbox, Confidence: 0.99,
	})
	p.settle(d)
	if n := settled(); n != 0 || len(s.held) != 2 {
		t.Fatalf("%d results are settled and %d wait while an accepted question could overrule them; want 0 and 2",
			n, len(s.held))
	}
	d.asking = false
	p.settle(d)
	if n := settled(); n != 2 {
		t.Errorf("%d results are settled when the question is back, want 2", n)
	}
}
