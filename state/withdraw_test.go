package state_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func TestWhatALyingResolverConcludedIsWithdrawn(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	began := time.Now().Truncate(time.Second)
	reasons := map[string]verify.Reason{
		"ann@gone.lab": verdict.NoSuchDomain, "ann@bare.lab": verdict.NoMailHost, "ann@null.lab": verdict.NullMX,
		"ann@good.lab": verdict.Accepted, "ann@bad.lab": verdict.MailboxUnknown, "ann@before.lab": verdict.NoSuchDomain,
	}
	list := []string{"ann@gone.lab", "ann@bare.lab", "ann@null.lab", "ann@good.lab", "ann@bad.lab", "ann@before.lab"}
	run := begin(t, f, state.Policy{}, list...)
	work(t, run, func(task verify.Task) verify.Result {
		reason := reasons[task.Address.String()]
		r := verify.Result{Reason: reason, Verdict: reason.Verdict(), CheckedAt: began, Detail: "as it was"}
		if strings.Contains(task.Address.String(), "before") {
			r.CheckedAt = began.Add(-time.Hour)
		}
		return r
	})
	n, err := f.WithdrawDomains(t.Context(), began, "the resolver cannot be believed")
	if err != nil || n != 2 {
		t.Fatalf("%d withdrawn, %v; want 2", n, err)
	}
	for i, row := range results(t, run) {
		withdrawn := i < 2
		want := reasons[list[i]]
		if withdrawn {
			want = verdict.DNSFailure
		}
		r := row.Result
		if r.Reason != want || r.Verdict != want.Verdict() || (r.Detail == "as it was") == withdrawn {
			t.Errorf("%s: %s, %s (%s)", list[i], r.Verdict, r.Reason, r.Detail)
		}
		if withdrawn && !r.RetryAt.Equal(began.Add(15*time.Minute)) || !withdrawn && !r.RetryAt.IsZero() {
			t.Errorf("%s is asked again at %v", list[i], r.RetryAt)
		}
		if !row.Since.IsZero() && withdrawn {
			t.Errorf("%s is missing since %v", list[i], row.Since)
		}
	}
	gone, err := syntax.Parse("ann@gone.lab")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := f.History(t.Context(), gone)
	if err != nil || len(changes) != 1 || changes[0].Reason != verdict.DNSFailure {
		t.Errorf("the history says %+v, %v", changes, err)
	}
}

func TestAnswersOfAServerInPlaceOfTheMailHostsAreWithdrawn(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "s.db"))
	defer f.Close()
	began := time.Now().Truncate(time.Second)
	var list []string
	reasons := map[string]verify.Reason{}
	for _, r := range verdict.All() {
		if r.Verdict() != "" && r != verdict.Suppressed { // of those that a run records
			address := "ann@" + strings.ReplaceAll(string(r), "_", "-") + ".lab"
			list, reasons[address] = append(list, address), r
		}
	}
	list = append(list, "ann@before.lab")
	reasons["ann@before.lab"] = verdict.MailboxUnknown
	run := begin(t, f, state.Policy{}, list...)
	work(t, run, func(task verify.Task) verify.Result {
		reason := reasons[task.Address.String()]
		r := verify.Result{Reason: reason, Verdict: reason.Verdict(), CheckedAt: began, Detail: "as it was"}
		if strings.Contains(task.Address.String(), "before") {
			r.CheckedAt = began.Add(-time.Hour)
		}
		return r
	})
	if _, err := f.WithdrawAnswers(t.Context(), began, "another server answers"); err != nil {
		t.Fatal(err)
	}
	kept := map[verify.Reason]bool{
		verdict.Syntax: true, verdict.SpecialUseDomain: true, verdict.NoSuchDomain: true, verdict.NullMX: true,
		verdict.NoMailHost: true, verdict.SpamTrapSuspect: true, verdict.DNSFailure: true, verdict.NotProbed: true,
	}
	for i, row := range results(t, run) {
		r, was := row.Result, reasons[list[i]]
		withdrawn := !kept[was] && list[i] != "ann@before.lab"
		again := r.RetryAt.Equal(began.Add(15 * time.Minute))
		if withdrawn && (r.Reason != verdict.NotProbed || r.Detail != "another server answers" || !again) ||
			!withdrawn && (r.Reason != was || r.Detail != "as it was") {
			t.Errorf("%s: %s (%s), asked again %v", list[i], r.Reason, r.Detail, r.RetryAt)
		}
	}
}
