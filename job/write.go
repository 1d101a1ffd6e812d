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
func (j *job) write(source rowSource, answers score.List) (report.Figures, error) {
	out, err := j.outputs()
	if err != nil {
		return report.Figures{}, err
	}
	figures, err := j.join(out, source, answers)
	if err == nil {
		err = out.commit()
	}
	if err != nil {
		return report.Figures{}, errors.Join(err, out.abort())
	}
	return figures, nil
}

func (j *job) join(out outputs, source rowSource, answers score.List) (report.Figures, error) {
	var counter report.Counter
	var times timeWriter
	now := time.Now()
	for row, err := range j.reader.Lines() {
		if err != nil {
			return report.Figures{}, err
		}
		if row.Blank {
			if err := out.rows[""].Blank(row); err != nil {
				return report.Figures{}, err
			}
			continue
		}
		known, err := source.of(row)
		if err != nil {
			return report.Figures{}, err
		}
		if err := out.suppress.add(known); err != nil {
			return report.Figures{}, err
		}
		result, counted := j.judge(known, row, answers, now)
		counter.Add(counted)
		record := toRecord(result, &times)
		if err := out.rows[""].Write(row, record); err != nil {
			return report.Figures{}, err
		}
		if part := out.rows[result.Verdict]; part != nil {
			if err := part.Write(row, record); err != nil {
				return report.Figures{}, err
			}
		}
	}
	return counter.Figures(), source.end()
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
