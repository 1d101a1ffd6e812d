package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/lists"
	"presend/report"
	"presend/verify"
	"presend/verify/score"
)

var now = time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC)

// accepted is a result of an hour ago.
func accepted() verify.Result {
	r := verify.Result{
		Address: " Ann <ann@corp.lab>", Normalized: "ann@corp.lab", Reason: verify.Accepted, Detail: "fine",
		Flags: []verify.Flag{verify.FlagRole}, Suggestion: "ann@corp.com", Provider: "google", MX: "mx.corp.lab",
		Reply: &verify.Reply{Code: 250, Enhanced: "2.1.5"}, CheckedAt: now.Add(-time.Hour),
	}
	r.Judge()
	return r
}

func TestWhatARowAddsToAResult(t *testing.T) {
	year := rowResult{Result: accepted()}
	year.CheckedAt = now.AddDate(-1, 0, 0)
	for _, test := range []struct {
		name  string
		known rowResult
		treat map[verify.Flag]verify.Verdict
		flags []verify.Flag
		score int
		want  report.Row // without the scores
	}{
		{
			"nothing",
			rowResult{Result: accepted()},
			nil,
			[]verify.Flag{verify.FlagRole},
			97,
			report.Row{Verdict: verify.Deliverable, Reason: verify.Accepted, Action: "send"},
		},
		{
			"that it is a duplicate",
			rowResult{Result: accepted(), duplicate: true},
			nil,
			[]verify.Flag{verify.FlagRole, verify.FlagDuplicate},
			97,
			report.Row{Verdict: verify.Deliverable, Reason: verify.Accepted, Action: "send"},
		},
		{
			"its age", year, nil,
			[]verify.Flag{verify.FlagRole},
			75,
			report.Row{Verdict: verify.Deliverable, Reason: verify.Accepted, Action: "send"},
		},
		{
			"what the user asked for",
			rowResult{Result: accepted()},
			map[verify.Flag]verify.Verdict{verify.FlagRole: verify.Risky},
			[]verify.Flag{verify.FlagRole},
			97,
			report.Row{Verdict: verify.Risky, Reason: verify.Accepted, Action: "send_with_care"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := &job{Options: Options{Treat: test.treat}, active: activity{column: -1}}
			got := j.judge(test.known, lists.Row{}, score.List{}, now)
			if diff := cmp.Diff(test.flags, got.result.Flags); diff != "" || got.result.Score != test.score {
				t.Errorf("score %d, want %d; flags (-want +got) %s", got.result.Score, test.score, diff)
			}
			if fresh := got.counted.Fresh; score.Round(fresh) != 97 || score.Round(got.counted.Score) != test.score {
				t.Errorf("counted with %f and %f if it were fresh; want %d and 97", got.counted.Score, fresh, test.score)
			}
			got.counted.Score, got.counted.Fresh, test.want.Flags = 0, 0, test.flags
			if diff := cmp.Diff(test.want, got.counted); diff != "" {
				t.Errorf("counted (-want +got): %s", diff)
			}
			if len(test.known.Flags) != 1 {
				t.Errorf("the flags of the result itself became %v", test.known.Flags)
			}
		})
	}
}

func TestTheColumnsOfAResult(t *testing.T) {
	retried, none := accepted(), verify.Result{Reason: verify.NoAddress}
	retried.RetryAt = now.Add(time.Hour)
	retried.Flags = append(retried.Flags, verify.FlagFree)
	none.Judge()
	whole := lists.Record{
		Verdict: "deliverable", Score: "97", Reason: "accepted", Detail: "fine", Suggestion: "ann@corp.com",
		Flags: "role free", Provider: "google", MX: "mx.corp.lab", SMTPCode: "250", EnhancedCode: "2.1.5",
		Normalized: "ann@corp.lab", CheckedAt: "2026-01-05T02:00:00Z", RetryAt: "2026-01-05T04:00:00Z", Action: "send",
		Advice: "Send to it: its mail server accepts the address.",
	}
	var times timeWriter
	for range 2 { // the second time from what it remembers
		if diff := cmp.Diff(whole, toRecord(retried, &times)); diff != "" {
			t.Errorf("(-want +got): %s", diff)
		}
	}
	if diff := cmp.Diff(lists.Record{Reason: "no_address"}, toRecord(none, &times)); diff != "" {
		t.Errorf("a row without an address (-want +got): %s", diff)
	}
}

func TestEachTroubleIsKeptOnce(t *testing.T) {
	var w watcher
	for _, trouble := range []*verify.Trouble{
		{Kind: verify.DNSDown, Detail: "one"}, {Kind: verify.DNSDown, Detail: "two"}, {Kind: verify.NoAnswer, Detail: "one"},
	} {
		w.Done(verify.Result{Trouble: trouble})
		w.Done(verify.Result{Trouble: trouble})
	}
	var kinds []verify.TroubleKind
	for _, t := range w.troubles {
		kinds = append(kinds, t.Kind)
	}
	if diff := cmp.Diff([]verify.TroubleKind{verify.DNSDown, verify.NoAnswer}, kinds); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}

func TestTheBestAddressStandsForACell(t *testing.T) {
	of := func(address string, reason verify.Reason, points float64) judged {
		r := verify.Result{Normalized: address, Reason: reason, Detail: "why " + address}
		r.Judge()
		return judged{r, report.Row{Verdict: r.Verdict, Score: points}}
	}
	for _, test := range []struct {
		name string
		cell cellResult
		want string
	}{
		{"the only one", cellResult{of("a", verify.MailboxUnknown, 1)}, "a"},
		{"the better verdict", cellResult{of("a", verify.MailboxUnknown, 99), of("b", verify.CatchAll, 2)}, "b"},
		{"risky before unknown", cellResult{of("a", verify.Timeout, 99), of("b", verify.CatchAll, 2)}, "b"},
		{"unknown before invalid", cellResult{of("a", verify.MailboxUnknown, 99), of("b", verify.Timeout, 2)}, "b"},
		{"of one verdict the better score", cellResult{of("a", verify.CatchAll, 50), of("b", verify.CatchAll, 51)}, "b"},
		{"of equals the first", cellResult{of("a", verify.CatchAll, 50), of("b", verify.CatchAll, 50)}, "a"},
		{"anything before no address", cellResult{of("", verify.NoAddress, 0), of("b", verify.MailboxUnknown, 0)}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.cell.best().result.Normalized; got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	two := cellResult{of("a@x.lab", verify.MailboxUnknown, 1), of("b@x.lab", verify.Accepted, 99)}
	want := "the best of 2 addresses: a@x.lab invalid (mailbox_unknown), b@x.lab deliverable (accepted). why b@x.lab"
	if got := two.best().result.Detail; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
