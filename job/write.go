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
	return w.counter.Figures(), from.end()
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
}

// row writes a row with the result of each of its address columns. The first column decides where it goes.
func (w *rowsWriter) row(row lists.Row) error {
	n := 0
	var columns []cellResult
	for _, cell := range row.Addresses() {
		var c cellResult
		for _, address := range split(cell) {
			known, err := w.from.of(row, n, address)
			if err != nil {
				return err
			}
			if err := w.out.suppress.add(known); err != nil {
				return err
			}
			result, counted := w.job.judge(known, row, w.answers, w.now)
			c = append(c, judged{result, counted})
			n++
		}
		columns = append(columns, c)
	}
	if len(columns) == 1 && w.job.Explode {
		for _, one := range columns[0] {
			if err := w.write(row, []judged{one}); err != nil {
				return err
			}
		}
		return nil
	}
	best := make([]judged, len(columns))
	for i, c := range columns {
		best[i] = c.best()
	}
	return w.write(row, best)
}

// write writes a row and counts it.
func (w *rowsWriter) write(row lists.Row, columns []judged) error {
	records := make([]lists.Record, len(columns))
	for i, c := range columns {
		w.counter.Add(c.counted)
		records[i] = toRecord(c.result, &w.times)
	}
	first := columns[0].result.Verdict
	if w.job.writes(first) {
		if err := w.out.rows[""].WriteAll(row, records); err != nil {
			return err
		}
	}
	if part := w.out.rows[first]; first != "" && part != nil {
		return part.WriteAll(row, records)
	}
	return nil
}

// writes reports whether the output takes rows of a verdict.
func (j *job) writes(v verify.Verdict) bool {
	return len(j.Only) == 0 || slices.Contains(j.Only, v)
}

// judge adds what is the row's own to a result: flags, the score in this list and at this age, and how the user wants
// flags to be treated.
func (j *job) judge(r rowResult, row lists.Row, answers score.List, now time.Time) (verify.Result, report.Row) {
	result := r.Result
	result.Flags = slices.Clip(result.Flags)
	if r.duplicate {
		result.Flags = append(result.Flags, verdict.FlagDuplicate)
	}
	if j.active.unengaged(row) {
		result.Flags = append(result.Flags, verdict.FlagUnengaged)
	}
	evidence := score.Evidence{Reason: result.Reason, Flags: result.Flags}
	counted := report.Row{Fresh: score.Of(evidence, answers)}
	if !r.final {
		evidence.Age = now.Sub(result.CheckedAt)
	}
	counted.Score = score.Of(evidence, answers)
	result.Score = score.Round(counted.Score)
	result = verify.Treat(result, j.Treat)
	counted.Verdict, counted.Reason, counted.Flags = result.Verdict, result.Reason, result.Flags
	counted.Action, counted.RetryAt = result.Action, result.RetryAt
	return result, counted
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
