package job

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"presend/lists"
	"presend/report"
	"presend/verify"
	"presend/verify/score"
	"presend/verify/verdict"
)

// write joins rows and results into the outputs and counts them. The outputs appear together, or none of them.
func (j *job) write(from source, answers score.List) (report.Figures, error) {
	out, err := j.outputs()
	if err != nil {
		return report.Figures{}, err
	}
	figures, err := j.join(out, from, answers)
	if err == nil {
		err = out.commit()
	}
	if err != nil {
		return report.Figures{}, errors.Join(err, out.abort())
	}
	return figures, nil
}

func (j *job) join(out outputs, from source, answers score.List) (report.Figures, error) {
	w := &rowsWriter{job: j, out: out, from: from, answers: answers, now: time.Now()}
	for row, err := range j.reader.Lines() {
		if err == nil && row.Blank {
			err = out.rows[""].Blank(row)
		} else if err == nil {
			err = w.row(row)
		}
		if err != nil {
			return report.Figures{}, err
		}
	}
	figures := w.counter.Figures()
	figures.UnengagedDays = int(j.Unengaged / (24 * time.Hour))
	return figures, from.end()
}

// rowsWriter writes the rows of a list with their results, and counts them.
type rowsWriter struct {
	job     *job
	out     outputs
	from    source
	answers score.List
	now     time.Time
	counter report.Counter
	times   timeWriter
	changed bool // the row is in the file of changes

	// What a row needs, to be used again for the next one.
	cell    cellResult
	best    []judged
	records []lists.Record
}

// row writes a row with the result of each of its address columns. The first column decides where it goes.
func (w *rowsWriter) row(row lists.Row) error {
	cells := row.Addresses()
	explode := w.job.Explode && len(cells) == 1
	w.best = w.best[:0]
	w.changed = false
	n := 0
	for _, text := range cells {
		w.cell = w.cell[:0]
		for _, address := range split(text) {
			one, err := w.result(row, n, address)
			if err != nil {
				return err
			}
			w.cell = append(w.cell, one)
			n++
		}
		if !explode {
			w.best = append(w.best, w.cell.best())
		}
	}
	if !explode {
		return w.write(row, w.best)
	}
	for i := range w.cell {
		if err := w.write(row, w.cell[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// result returns the result of an address of a row.
func (w *rowsWriter) result(row lists.Row, column int, address string) (judged, error) {
	known, err := w.from.of(row, column, address)
	if err != nil {
		return judged{}, err
	}
	if err := w.out.suppress.add(known); err != nil {
		return judged{}, err
	}
	one := w.job.judge(known, row, w.answers, w.now)
	if before, changed := w.job.compare(known, one); changed && !w.changed {
		w.changed = true
		return one, w.out.changes.add(row, one, before)
	}
	return one, nil
}

// write writes a row and counts it.
func (w *rowsWriter) write(row lists.Row, columns []judged) error {
	w.records = w.records[:0]
	for _, c := range columns {
		w.counter.Add(c.counted)
		w.records = append(w.records, toRecord(c.result, &w.times))
	}
	first := columns[0].result.Verdict
	if w.job.writes(first) {
		if err := w.out.rows[""].WriteAll(row, w.records); err != nil {
			return err
		}
	}
	if part := w.out.rows[first]; first != "" && part != nil {
		return part.WriteAll(row, w.records)
	}
	return nil
}

// writes reports whether the output takes rows of a verdict.
func (j *job) writes(v verify.Verdict) bool {
	return len(j.Only) == 0 || slices.Contains(j.Only, v)
}

// judge adds what is the row's own to a result: flags, the score in this list and at this age, and how the user wants
// flags to be treated.
func (j *job) judge(r rowResult, row lists.Row, answers score.List, now time.Time) judged {
	result := r.Result
	result.Flags = slices.Clip(result.Flags)
	if r.duplicate {
		result.Flags = append(result.Flags, verdict.FlagDuplicate)
	}
	if r.mailbox {
		result.Flags = append(result.Flags, verdict.FlagDuplicateMailbox)
	}
	if j.active.unengaged(row) {
		result.Flags = append(result.Flags, verdict.FlagUnengaged)
	}
	evidence := score.Evidence{Reason: result.Reason, Flags: result.Flags}
	if result.LeftOut() { // an answer would have been this, and would have said nothing
		evidence.Reason = verdict.AcceptsAllProvider
	}
	counted := report.Row{Fresh: score.Of(evidence, answers), LeftOut: result.LeftOut()}
	counted.Score = score.Aged(counted.Fresh, result.Reason, now.Sub(result.CheckedAt))
	result.Score = score.Round(counted.Score)
	result = verify.Treat(result, j.Treat)
	counted.Verdict, counted.Reason, counted.Flags = result.Verdict, result.Reason, result.Flags
	counted.Action, counted.RetryAt = result.Action, result.RetryAt
	return judged{result, counted}
}

// timeWriter writes times. Many results in a row have the same one.
type timeWriter struct {
	at   time.Time
	text string
}

func (w *timeWriter) of(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !t.Equal(w.at) {
		w.at, w.text = t, t.UTC().Format(time.RFC3339)
	}
	return w.text
}

// toRecord puts a result into the columns of an output.
func toRecord(r verify.Result, times *timeWriter) lists.Record {
	record := lists.Record{
		Verdict: string(r.Verdict), Score: strconv.Itoa(r.Score), Reason: string(r.Reason), Detail: r.Detail,
		Suggestion: r.Suggestion, Provider: r.Provider, MX: r.MX, Normalized: r.Normalized, CheckedAt: times.of(r.CheckedAt),
		Action: string(r.Action), Advice: r.Advice,
	}
	if r.Verdict == "" {
		record.Score = ""
	}
	flags := make([]string, len(r.Flags))
	for i, f := range r.Flags {
		flags[i] = string(f)
	}
	record.Flags = strings.Join(flags, " ")
	if r.Reply != nil {
		record.SMTPCode, record.EnhancedCode = strconv.Itoa(r.Reply.Code), r.Reply.Enhanced
	}
	if !r.RetryAt.IsZero() {
		record.RetryAt = r.RetryAt.UTC().Format(time.RFC3339)
	}
	return record
}
