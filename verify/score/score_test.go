package score

import (
	"math"
	"slices"
	"testing"
	"time"

	"presend/verify/verdict"
)

// lists are a list of which nothing is known, and the best and the worst there can be.
var lists = map[string]List{
	"no list": {},
	"clean":   {All: Answers{Accepted: 1 << 30}, Free: Answers{Accepted: 1 << 30}},
	"lost":    {All: Answers{Missing: 1 << 30}, Free: Answers{Missing: 1 << 30}},
}

func TestScoresKeepToTheBordersOfTheirVerdictWhateverTheFlagsAndTheList(t *testing.T) {
	flags := verdict.Flags()
	free := slices.Repeat([]verdict.Flag{verdict.FlagFree}, 50)
	for name, list := range lists {
		for _, reason := range verdict.All() {
			low, high := reason.Verdict().Bounds()
			for _, with := range [][]verdict.Flag{nil, flags, slices.Repeat(flags, 9), free} {
				if got := Of(Evidence{Reason: reason, Flags: with}, list); got < float64(low) || got > float64(high) {
					t.Errorf("%s: %s with %d flags scores %f, want %d to %d", name, reason, len(with), got, low, high)
				}
			}
		}
	}
}

func TestAFlagMovesTheScoreByItsPoints(t *testing.T) {
	open := Evidence{Reason: verdict.CatchAll}
	for flag, p := range points() {
		want := Of(open, List{}) + float64(p)
		if got := Of(Evidence{Reason: verdict.CatchAll, Flags: []verdict.Flag{flag}}, List{}); math.Abs(got-want) > 1e-9 {
			t.Errorf("catch_all with %s scores %f, want %f", flag, got, want)
		}
	}
}

func TestWhatTheEvidenceLeavesOpenComesFromTheList(t *testing.T) {
	half := List{}
	half.Add(verdict.Accepted, nil, 490)
	half.Add(verdict.MailboxDisabled, nil, 490)
	half.Add(verdict.CatchAll, nil, 1000) // says nothing about mailboxes
	free := half
	free.Add(verdict.Accepted, []verdict.Flag{verdict.FlagFree}, 980)
	q := 493.0 / 1000
	for _, test := range []struct {
		name   string
		reason verdict.Reason
		list   List
		want   float64
	}{
		{"a catch-all domain", verdict.CatchAll, half, 100 - 50*q},
		{"an open question", verdict.CatchAllUnknown, half, 98 - 5*q},
		{"an address that nobody was asked about", verdict.NotProbed, half, 100 - 100*q},
		{"a provider that accepts all, from the free-mail addresses", verdict.AcceptsAllProvider, free, 99},
		{"a provider that accepts all where no free-mail address answered", verdict.AcceptsAllProvider, half, 85},
		{"an address in no list", verdict.CatchAll, List{}, 92.5},
		{"a full mailbox does not depend on the list", verdict.MailboxFull, half, 10},
		{"free-mail addresses are part of the list", verdict.SenderBlocked, free, 100 - 100*493.0/1980},
	} {
		if got := Of(Evidence{Reason: test.reason}, test.list); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s scores %f, want %f", test.name, got, test.want)
		}
	}
}

func TestADeliverableAddressLosesWithItsAge(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, test := range []struct {
		reason verdict.Reason
		age    time.Duration
		want   float64
	}{
		{verdict.Accepted, 0, 99},
		{verdict.Accepted, year, 99 * 0.77},
		{verdict.Accepted, 2 * year, 99 * 0.77 * 0.77},
		{verdict.Accepted, -year, 99}, // a clock that was wrong once
		{verdict.CatchAll, year, 92.5},
		{verdict.MailboxUnknown, year, 1},
	} {
		if got := Aged(Of(Evidence{Reason: test.reason}, List{}), test.reason, test.age); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s after %v scores %f, want %f", test.reason, test.age, got, test.want)
		}
	}
}

func TestAMistakeInTheFileIsNamed(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown flag": "[flag]\ncolour = -3\n", "a flag that adds": "[flag]\nfree = 1\n", "no TOML": "[",
	} {
		if _, err := readPoints(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
