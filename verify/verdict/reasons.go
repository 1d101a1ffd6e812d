package verdict

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
)

//go:embed reasons.toml
var embedded string

// Suppression tells whether an address belongs on a suppression list for a reason.
type Suppression string

// When a reason puts an address on a suppression list.
const (
	Never     Suppression = ""
	Always    Suppression = "always"
	OnTwoDays Suppression = "on_two_days" // once it was found on two calendar days at least 20 hours apart
)

// Facts is what is fixed for a reason: its row in reasons.toml.
type Facts struct {
	Name     Reason
	Bounces  bool         // only replies and bounces have this reason, never a result
	Verdict  Verdict      // empty: the row holds no address, or Bounces
	Score    int          // percent of messages that would not bounce, before Risk and flags
	Risk     int          // points of Score that are lost in a list of which every mailbox is missing
	Shelf    []Duration   // how long a result is good, by how often in a row the reason was found
	Retry    string       // the timetable of its retries; empty: it is not asked again on a clock
	Suppress Suppression  // whether the address belongs on a suppression list
	Action   Action       // what to do with the row
	Heard    bool         // it comes from what mail hosts answered, or from their silence
	Label    string       // the reason in a few words
	Evidence string       // what has to be known for the reason
	Advice   string       // one sentence that says what to do
	Reply    ReplyMeaning // what a reply with this reason means; zero: no reply has it
}

// ReplyMeaning is what the replies of one reason have in common.
type ReplyMeaning struct {
	Means   string // the reason in words
	Subject string // mailbox, domain, sender, message or server
	Kind    string // hard, soft or info, where neither code nor enhanced code tells
	Hard    string // what to do where repeating is useless
	Soft    string // what to do where it is worth it; empty: as Hard
}

// Duration is a length of time that reasons.toml writes as 15m, 2h or 7d.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	if days, isDays := strings.CutSuffix(string(text), "d"); isDays {
		n, err := strconv.Atoi(days)
		*d = Duration(n) * Duration(day)
		return err
	}
	t, err := time.ParseDuration(string(text))
	*d = Duration(t)
	return err
}

// timetable is how temporary answers are asked again.
type timetable struct {
	Gaps  []Duration
	End   string
	Daily bool
	Same  bool
}

// table is reasons.toml.
type table struct {
	Retry  map[string]timetable
	Reason []Facts

	byName map[Reason]*Facts
}

// facts reads the embedded file once. A file that cannot be read is a fault of the build, which the tests of the
// package find.
var facts = sync.OnceValue(func() *table {
	t, err := readTable(embedded)
	if err != nil {
		panic(err)
	}
	return t
})

func readTable(text string) (*table, error) {
	t := &table{byName: map[Reason]*Facts{}}
	meta, err := toml.Decode(text, t)
	if err != nil {
		return nil, fmt.Errorf("verdict: reasons.toml: %w", err)
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		return nil, fmt.Errorf("verdict: reasons.toml: unknown key %q", keys[0].String())
	}
	for i := range t.Reason {
		r := &t.Reason[i]
		if err := t.check(r); err != nil {
			return nil, fmt.Errorf("verdict: reasons.toml: %s: %w", r.Name, err)
		}
		t.byName[r.Name] = r
	}
	return t, nil
}

func (t *table) check(r *Facts) error {
	low, high := r.Verdict.Bounds()
	_, retried := t.Retry[r.Retry]
	switch {
	case t.byName[r.Name] != nil:
		return fmt.Errorf("there are two rows")
	case r.Bounces:
		return nil
	case r.Verdict != "" && !slices.Contains(Verdicts(), r.Verdict):
		return fmt.Errorf("no verdict is called %q", r.Verdict)
	case r.Risk == 0 && (r.Score < low || r.Score > high):
		return fmt.Errorf("score %d is outside %d to %d of verdict %q", r.Score, low, high, r.Verdict)
	case len(r.Shelf) == 0:
		return fmt.Errorf("shelf is missing")
	case r.Retry != "" && !retried:
		return fmt.Errorf("no timetable is called %q", r.Retry)
	case r.Action != "" && !slices.Contains(Actions(), r.Action):
		return fmt.Errorf("no action is called %q", r.Action)
	}
	return nil
}

// All returns every reason that a result can have, in the order of the verdict table.
func All() []Reason {
	var all []Reason
	for _, r := range facts().Reason {
		if !r.Bounces {
			all = append(all, r.Name)
		}
	}
	return all
}

// Facts returns what is fixed for a reason. For a word that is not in the table, such as one from a later version's
// database, it is an unknown result that is asked again the next day.
func (r Reason) Facts() *Facts {
	if f := facts().byName[r]; f != nil {
		return f
	}
	return &Facts{Name: r, Verdict: Unknown, Score: 50, Shelf: []Duration{Duration(day)}, Action: RetryLater}
}

// Verdict returns the verdict of a result with this reason.
func (r Reason) Verdict() Verdict { return r.Facts().Verdict }

// AboutSender reports whether the reason is about this client and not about the address. Retrying from the same place
// is useless until what it names is fixed, and nothing of it may count against the address.
func (r Reason) AboutSender() bool { return r.Facts().Action == FixSender }
