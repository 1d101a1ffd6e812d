package job

import (
	"errors"
	"strings"
	"testing"
	"time"

	"presend/verify"
	"presend/verify/verdict"
)

func TestOptionsThatCannotBeAreRefusedBeforeAnythingIsOpened(t *testing.T) {
	for name, o := range map[string]Options{
		"the format":        {Input: "a.csv", Output: "b.csv", Format: "xml"},
		"would be one file": {Input: "job_test.go", Output: "./job_test.go", Format: CSV},
		"needs a state":     {Input: "a.csv", Output: "b.csv", Format: CSV, Probing: true},
		"needs a state ":    {Input: "a.csv", Output: "b.csv", Format: CSV, Wait: time.Second},
	} {
		_, err := Run(t.Context(), nil, o, nil, nil)
		var wrong *OptionsError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestWhatMayBeSuppressed(t *testing.T) {
	night := time.Date(2026, 1, 5, 23, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		r     verify.Result
		since time.Time
		want  bool
	}{
		{"a mailbox that does not exist", verify.Result{Reason: verdict.MailboxUnknown}, time.Time{}, true},
		{"a domain that takes no mail", verify.Result{Reason: verdict.NullMX}, time.Time{}, true},
		{"an address that was given up", verify.Result{Reason: verdict.GaveUp}, time.Time{}, false},
		{"a full mailbox", verify.Result{Reason: verdict.MailboxFull}, time.Time{}, false},
		{"a domain without mail hosts", verify.Result{Reason: verdict.NoMailHost}, time.Time{}, false},
		{
			"a domain that did not exist tonight",
			verify.Result{Reason: verdict.NoSuchDomain, CheckedAt: night},
			time.Time{},
			false,
		},
		{
			"a domain that did not exist on two days",
			verify.Result{Reason: verdict.NoSuchDomain, CheckedAt: night.Add(20 * time.Hour)},
			night, true,
		},
		{
			"a domain that did not exist before and after midnight",
			verify.Result{Reason: verdict.NoSuchDomain, CheckedAt: night.Add(2 * time.Hour)},
			night, false,
		},
		{
			"a domain that did not exist in the morning and in the night",
			verify.Result{Reason: verdict.NoSuchDomain, CheckedAt: night},
			night.Add(-22 * time.Hour), false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (rowResult{Result: test.r, since: test.since}).mayBeSuppressed(); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestWhatIsMeantCountsOnlyWhereTheLiteralAddressIsRefused(t *testing.T) {
	for _, test := range []struct {
		literal, meant verify.Reason
		want           bool
	}{
		{verdict.MailboxUnknown, verdict.Accepted, true},
		{verdict.MailboxDisabled, verdict.CatchAll, true},
		{verdict.Refused, verdict.Greylisted, true},
		{verdict.Accepted, verdict.Accepted, false},
		{verdict.CatchAll, verdict.Accepted, false},
		{verdict.Greylisted, verdict.Accepted, false},
		{verdict.MailboxUnknown, verdict.MailboxUnknown, false},
		{verdict.MailboxUnknown, verdict.Refused, false},
		{verdict.MailboxUnknown, verdict.GaveUp, false},
	} {
		literal := verify.Result{Address: " 'sam@x.lab", Normalized: "'sam@x.lab", Reason: test.literal}
		meant := verify.Result{Address: "sam@x.lab", Normalized: "sam@x.lab", Reason: test.meant}
		literal.Judge()
		meant.Judge()
		got, ok := meantInstead(literal, meant)
		if ok != test.want || got.Address != literal.Address ||
			(got.Reason == test.meant) != (ok || test.literal == test.meant) {
			t.Errorf("%s, meant %s: %+v, %v", test.literal, test.meant, got, ok)
		}
	}
}

func TestDatesOfALastActivity(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	cells := map[string]time.Time{
		"2025-03-04": day(2025, 3, 4), "04.03.2025": day(2025, 3, 4), "4.3.2025": day(2025, 3, 4),
		"3/4/2025":  day(2025, 4, 3),
		"25/3/2025": day(2025, 3, 25), "2025/03/04": day(2025, 3, 4), "1741046400": day(2025, 3, 4),
		"1741046400000": day(2025, 3, 4), "Mar 4, 2025": day(2025, 3, 4), "4 Mar 2025": day(2025, 3, 4), "never": {},
		"12345678": {}, "2025-03-04 00:00": day(2025, 3, 4), "2025-03-04T00:00:00Z": day(2025, 3, 4),
		"04.03.2025 00:00": day(2025, 3, 4), "Tue, 04 Mar 2025 00:00:00 GMT": day(2025, 3, 4),
	}
	for before := range cells { // what was read before changes nothing
		for cell, want := range cells {
			var dates dateReader
			dates.read(before)
			at, ok := dates.read(cell)
			if ok == want.IsZero() || ok && !at.UTC().Equal(want) {
				t.Errorf("%q after %q is %v, %v; want %v", cell, before, at, ok, want)
			}
		}
	}
}
