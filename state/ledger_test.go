package state_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/state"
	"presend/verify"
)

func TestWhatWasAskedInADayIsKeptFromRunToRun(t *testing.T) {
	path := restored(t, "version4.sql")
	day := time.Unix(946684800, 0).UTC()
	source := netip.MustParseAddr("192.0.2.1")
	spent := func(day time.Time, want ...verify.Spent) {
		t.Helper()
		f := open(t, path)
		defer f.Close()
		run := begin(t, f, state.Policy{}, "ann@x.lab")
		got, err := run.Spent(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		finish(t, run)
	}
	spend := func(list ...verify.Spent) {
		t.Helper()
		f := open(t, path)
		defer f.Close()
		run := begin(t, f, state.Policy{}, "ann@x.lab")
		if err := run.Spend(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		finish(t, run)
	}
	yahoo := verify.Spent{Day: day, Destination: "yahoo", Recipients: 7}
	spent(day, yahoo)
	smaller, larger, other := yahoo, yahoo, yahoo
	smaller.Recipients, larger.Recipients, other.Source = 3, 9, source
	spend(smaller)
	spent(day, yahoo)
	spend(larger, other)
	spent(day, larger, other)
	next := verify.Spent{Day: day.Add(24 * time.Hour), Destination: "yahoo", Recipients: 1}
	spend(next)
	spent(next.Day, next)
	spent(day) // a day that is over is forgotten
}

func TestAFileOfVersion3KnowsOfNothingAsked(t *testing.T) {
	f := open(t, restored(t, "version3.sql"))
	defer f.Close()
	run := begin(t, f, state.Policy{}, "ann@x.lab")
	defer finish(t, run)
	if list, err := run.Spent(t.Context(), time.Now().UTC().Truncate(24*time.Hour)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
