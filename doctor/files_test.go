package doctor

import "testing"

func TestFewFilesMakeFewSessions(t *testing.T) {
	for _, test := range []struct {
		limit             uint64
		sessions, lookups int
		limited           bool
	}{
		{1 << 63, 200, 256, false},
		{1024, 200, 248, false},
		{256, 56, 56, true},
		{64, 8, 8, true},
		{40, 2, 2, true},
		{10, 1, 1, true},
	} {
		sessions, lookups, limited := room(test.limit, 200, 256)
		if sessions != test.sessions || lookups != test.lookups || limited != test.limited {
			t.Errorf("%d files: %d sessions, %d look-ups, %v", test.limit, sessions, lookups, limited)
		}
	}
	if sessions, _, limited := room(64, 5, 256); sessions != 5 || limited {
		t.Errorf("5 sessions become %d, %v", sessions, limited)
	}
}
