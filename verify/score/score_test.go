package score_test

import (
	"testing"

	"presend/verify/reply"
	"presend/verify/score"
)

func newTable(t testing.TB) *score.Table {
	t.Helper()
	table, err := score.New()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestVerdictsAreThoseOfTheContract(t *testing.T) {
	want := map[score.Verdict][]reply.Reason{
		score.Deliverable: {reply.Accepted},
		score.Risky: {
			reply.CatchAll, reply.AcceptsAllProvider, reply.CatchAllUnknown, reply.MailboxFull, reply.RecipientRestricted,
			reply.Disposable, reply.SpamTrapSuspect, reply.SMTPUTF8Unsupported,
		},
		score.Invalid: {
			reply.Syntax, reply.SpecialUseDomain, reply.NoSuchDomain, reply.NullMX, reply.NoMailHost, reply.MailboxUnknown,
			reply.MailboxDisabled, reply.DomainNotServed, reply.Suppressed, reply.GaveUp,
		},
		score.Unknown: {
			reply.Greylisted, reply.RateLimited, reply.ServerUnavailable, reply.Unreachable, reply.Timeout, reply.DNSFailure,
			reply.SenderBlocked, reply.SenderAuth, reply.Policy, reply.ProtocolError, reply.NotProbed,
		},
	}
	table := newTable(t)
	for verdict, reasons := range want {
		for _, reason := range reasons {
			if got := table.Verdict(reason); got != verdict {
				t.Errorf("%s is %s, want %s", reason, got, verdict)
			}
		}
	}
}

func TestScoresKeepToTheBordersOfTheirVerdictWhateverTheFlags(t *testing.T) {
	table := newTable(t)
	for _, flags := range [][]score.Flag{nil, {score.Typo, score.Disposable, score.Role, score.Unengaged, score.ImplicitMX}, {score.Free, score.Free, score.Free, score.Free, score.Free, score.Free}} {
		if got := table.Score(score.Evidence{Reason: reply.MailboxUnknown, Flags: flags}); got > 5 {
			t.Errorf("an invalid address with flags %v scores %d, want at most 5", flags, got)
		}
		if got := table.Score(score.Evidence{Reason: reply.Accepted, Flags: flags}); got < 90 || got > 100 {
			t.Errorf("a deliverable address with flags %v scores %d, want 90 to 100", flags, got)
		}
	}
}

func TestNewReturnsTheSameTableEveryTime(t *testing.T) {
	if first, second := newTable(t), newTable(t); first != second {
		t.Errorf("%p and %p, want one Table, which never changes", first, second)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := score.New(); err != nil {
			b.Fatal(err)
		}
	}
}
