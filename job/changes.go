package job

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"presend/internal/atomicfile"
	"presend/lists"
	"presend/state"
	"presend/verify"
	"presend/verify/verdict"
)

// TakenOff is an entry that was taken off the suppression list, since answers say that it holds no more.
type TakenOff struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	Origin string `json:"origin"`
}

func takenOff(entries []state.Suppressed) (off []TakenOff) {
	for _, e := range entries {
		off = append(off, TakenOff{e.Name, e.Reason, string(e.Origin)})
	}
	return off
}

// namedMost is how many addresses the summary names.
const namedMost = 10

// changesText writes what is different from the list's last run, for a person.
func (s Summary) changesText(w io.Writer) error {
	if s.Changes != nil {
		if _, err := fmt.Fprintf(w, "\nSince the last run: %s\n", inWords(*s.Changes)); err != nil {
			return err
		}
	}
	if len(s.TakenOff) == 0 {
		return nil
	}
	var names []string
	for _, off := range s.TakenOff[:min(namedMost, len(s.TakenOff))] {
		names = append(names, fmt.Sprintf("%s (%s)", off.Name, off.Reason))
	}
	if more := len(s.TakenOff) - namedMost; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	_, err := fmt.Fprintf(w, "Removed from the suppression list, because the reason no longer applies: %s\n",
		strings.Join(names, ", "))
	return err
}

// inWords says what is different from the list's last run.
func inWords(c state.Changes) string {
	var parts []string
	for _, part := range []struct {
		n     int
		words string
	}{
		{c.NewlyInvalid, "newly invalid"},
		{c.NewlyDeliverable, "newly deliverable"},
		{c.New, "new"},
		{c.Gone, "gone from the list"},
		{c.Suppressed, "suppressed"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.words))
		}
	}
	if len(parts) == 0 {
		return "no address is newly invalid, deliverable, suppressed or new, and none is gone"
	}
	return strings.Join(parts, ", ")
}

// compare counts what is different from the list's last run, and returns the verdict that was shown then, as flags are
// treated now.
func (j *job) compare(known rowResult, now judged) (before verify.Verdict, changed bool) {
	if j.previous == nil || known.duplicate || now.result.Verdict == "" {
		return "", false
	}
	if known.before == nil {
		j.changes.New++
		return "", true
	}
	treated := verify.Treat(verify.Result{
		Verdict: known.before.Verdict, Reason: known.before.Reason, Flags: now.result.Flags,
	}, j.Treat)
	before, changed = treated.Verdict, treated.Verdict != now.result.Verdict
	switch suppressed := now.result.Reason == verdict.Suppressed; {
	case suppressed && known.before.Reason != verdict.Suppressed:
		j.changes.Suppressed++
	case suppressed:
	case changed && now.result.Verdict == verify.Invalid:
		j.changes.NewlyInvalid++
	case changed && now.result.Verdict == verify.Deliverable:
		j.changes.NewlyDeliverable++
	}
	return before, changed
}

// changesFile is the CSV with the rows whose verdict is not that of the list's last run, for an import into where the
// list came from: the list's own columns, and what is known now.
type changesFile struct {
	file    *atomicfile.File
	w       *csv.Writer
	columns []int // of the list
}

func newChangesFile(path string, reader *lists.Reader) (*changesFile, error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	c := &changesFile{file: file, w: csv.NewWriter(file)}
	var names []string
	for i, name := range reader.Columns() {
		if !strings.HasPrefix(name, "verify_") { // of an earlier output
			c.columns, names = append(c.columns, i), append(names, name)
		}
	}
	if len(names) == 0 { // no header: only the address
		names = []string{"email"}
	}
	err = c.w.Write(append(names, "verify_verdict", "verify_old_verdict", "verify_score", "verify_reason",
		"verify_normalized", "verify_checked_at", "verify_action"))
	return c, err // a csv.Writer fails when it is flushed
}

// add writes a row with what is known of an address now and was shown before. A nil file takes none.
func (c *changesFile) add(row lists.Row, now judged, before verify.Verdict) error {
	if c == nil {
		return nil
	}
	var cells []string
	for _, i := range c.columns {
		cell, _ := row.Field(i)
		cells = append(cells, cell)
	}
	if len(c.columns) == 0 {
		cells = []string{now.result.Address}
	}
	r := toRecord(now.result, &timeWriter{})
	return c.w.Write(append(cells, r.Verdict, string(before), strconv.Itoa(now.result.Score), r.Reason, r.Normalized,
		r.CheckedAt, r.Action))
}

func (c *changesFile) finish() error {
	c.w.Flush()
	if err := c.w.Error(); err != nil {
		return fmt.Errorf("the changes: %w", err)
	}
	return c.file.Finish()
}

// NewlyInvalid returns how many percent of the list became invalid since its last run; 0 where there was none.
func (s Summary) NewlyInvalid() float64 {
	if s.Changes == nil || s.Addresses == 0 {
		return 0
	}
	return 100 * float64(s.Changes.NewlyInvalid) / float64(s.Addresses)
}
