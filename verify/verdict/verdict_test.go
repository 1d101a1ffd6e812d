package verdict

import (
	"strings"
	"testing"
)

// TestEveryReasonHasAWholeRow walks reasons.toml; that it can be read is what readTable checks.
func TestEveryReasonHasAWholeRow(t *testing.T) {
	for _, reason := range All() {
		f := reason.Facts()
		if f.Label == "" || f.Evidence == "" {
			t.Errorf("%s lacks its label or its evidence", reason)
		}
		if f.Verdict != "" && (f.Action == "" || !strings.HasSuffix(f.Advice, ".")) {
			t.Errorf("%s: action %q, advice %q; want both, the advice a sentence", reason, f.Action, f.Advice)
		}
		if (f.Retry != "") != (f.Action == RetryLater || reason == CatchAllUnknown) {
			t.Errorf("%s: action %s, retry %q; what is retried later has a timetable and nothing else has", reason, f.Action,
				f.Retry)
		}
		if f.Suppress != Never && f.Verdict != Invalid {
			t.Errorf("%s is %s and would be suppressed", reason, f.Verdict)
		}
	}
}

func TestEveryScoreSaysWhereItComesFrom(t *testing.T) {
	for line := range strings.Lines(embedded) {
		if value, isScore := strings.CutPrefix(line, "score "); isScore && !strings.Contains(value, " # ") {
			t.Errorf("%q has no source", strings.TrimSpace(line))
		}
	}
}

func TestWhatMayBeSuppressedIsThatOfTheContract(t *testing.T) {
	want := map[Reason]Suppression{
		MailboxUnknown: Always, MailboxDisabled: Always, NullMX: Always, DomainNotServed: Always, NoSuchDomain: OnTwoDays,
	}
	for _, reason := range All() {
		if got := reason.Facts().Suppress; got != want[reason] {
			t.Errorf("%s: %q, want %q", reason, got, want[reason])
		}
	}
}

func TestAReasonThatTheTableLacksIsAnUnknownResult(t *testing.T) {
	if f := Reason("from_the_future").Facts(); f.Verdict != Unknown || f.Retry != "" || f.Suppress != Never {
		t.Errorf("%+v, want unknown, not retried and not suppressed", f)
	}
}

func TestAMistakeInTheFileIsNamed(t *testing.T) {
	for name, text := range map[string]string{
		"two rows":    "[[reason]]\nname = \"a\"\nbounces = true\n[[reason]]\nname = \"a\"\nbounces = true\n",
		"unknown key": "[[reason]]\nname = \"a\"\nbounces = true\ncolour = \"red\"\n",
		"no verdict":  "[[reason]]\nname = \"a\"\nverdict = \"good\"\nshelf = [\"1d\"]\n",
		"outside":     "[[reason]]\nname = \"a\"\nverdict = \"invalid\"\nscore = 50\nshelf = [\"1d\"]\n",
		"shelf":       "[[reason]]\nname = \"a\"\nverdict = \"invalid\"\n",
		"no timetable": "[[reason]]\nname = \"a\"\nverdict = \"unknown\"\nscore = 9\nshelf = [\"1d\"]\n" +
			"retry = \"often\"\n",
		"no action": "[[reason]]\nname = \"a\"\nverdict = \"unknown\"\nscore = 9\nshelf = [\"1d\"]\n" +
			"action = \"dance\"\n",
		"invalid syntax":  "[[reason]]\nname = \"a\"\nverdict = \"invalid\"\nshelf = [\"xd\"]\n",
		"time: unknown u": "[[reason]]\nname = \"a\"\nverdict = \"invalid\"\nshelf = [\"1w\"]\n",
	} {
		if _, err := readTable(text); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
