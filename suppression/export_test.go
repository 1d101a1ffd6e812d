package suppression_test

import (
	"strings"
	"testing"

	"presend/suppression"
)

func TestOnlyEntriesWithAReasonThatIsAskedForAreExported(t *testing.T) {
	entries := func(yield func(suppression.Entry, error) bool) {
		_ = yield(suppression.Entry{Name: "ann@x.lab", Reason: suppression.Complaint}, nil) &&
			yield(suppression.Entry{Name: "bob@x.lab", Reason: suppression.HardBounce}, nil)
	}
	var b strings.Builder
	if _, err := suppression.Export(&b, suppression.Plain, entries, suppression.Complaint); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != "ann@x.lab\n" {
		t.Errorf("%q is exported, want only the complaint", got)
	}
}
