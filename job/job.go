// Package job verifies one list: it opens the list, lays its rows out in a state file, runs the engine, writes the
// outputs and counts the results. It is what the command verify list does, without flags and without a terminal, so
// that a service can run many jobs at a time on one engine.
//
// [Run] does the whole job. It reports progress to an [Observer] and returns a [Summary].
package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"presend/lists"
	"presend/report"
	"presend/state"
	"presend/verify"
	"presend/verify/score"
	"presend/verify/verdict"
)

// Options configure a job. Input and Output are required.
type Options struct {
	Input  string    // path of the list; - is Stdin
	Stdin  io.Reader // may be nil where Input is a path
	Output string    // path of the list with verdicts; - is Stdout
	Stdout io.Writer
	Format Format
	Split  string // folder for a list per verdict and suppress.csv; empty: none

	Others []NamedPath // files that the caller writes or reads, of which no output may be one

	// State is the path of the state file. It is empty only for a job that asks no mail host and remembers nothing.
	State string
	// State, open already, for several jobs in one file; State must be set too; nil: it is opened
	File        *state.File
	Probing     bool          // the engine asks mail hosts
	Fresh       bool          // ask again about everything
	MaxAge      time.Duration // ask again about what is older and waits for no retry; 0: as long as its reason allows
	Keep        time.Duration // forget changes and runs that are older; 0: none
	ForgetAfter time.Duration // forget addresses that are in no list for longer; 0: none
	// the name by which the list is known from run to run; empty: that of its file, without digits
	List     string
	Suppress string        // path of a state file whose suppression list holds, too; empty: none
	Shrink   float64       // the smallest share of the last run's rows that is no error, of 1; 0: 0.8
	Changes  string        // path of a CSV with the rows whose verdict is not that of the last run; empty: none
	Wait     time.Duration // how long to wait for temporary answers that can be asked again
	Quick    bool          // of providers that accept any address, ask about a sample only

	Preflight Preflight     // tests DNS before and after the run; nil: it is not tested
	Patience  time.Duration // how long to wait for a network that goes down

	Columns        []string         // the address columns: names, or numbers from 1; none: found out
	AllColumns     bool             // every column that holds addresses
	Sheet          string           // of a workbook: its name, or its number from 1; empty: the first visible one
	Explode        bool             // with one address column: a row for each address; else one for the best of a cell
	Only           []verify.Verdict // write only rows of these verdicts into the output; none: all rows
	Unengaged      time.Duration    // flag contacts whose last activity is longer ago; 0: none
	ActivityColumn string           // the column of the last activity: its name, or its number from 1; empty: found out
	Treat          map[verify.Flag]verify.Verdict
}

// Format is how outputs are written.
type Format string

// The formats: that of the list, text in the dialect of the list, a JSON object a line, and a workbook: the one that
// the list is, or a new one.
const (
	Same      Format = "" // a workbook where the list is one, else text
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
	Workbook  Format = "xlsx"
)

// Observer learns of a job's progress. Its methods are called from several goroutines.
type Observer interface {
	verify.Observer
	// Estimated tells, before mail hosts are asked, how long that takes at least.
	Estimated(*report.Estimate)
	// Pass begins: that many addresses are to be asked. It ends with PassEnded.
	Pass(addresses int)
	// PassEnded says that the pass has ended.
	PassEnded()
	// WaitingUntil says that the job waits for temporary answers that can be asked again then.
	WaitingUntil(time.Time)
	// Opened says how the list was understood. It comes first.
	Opened(lists.Understood)
	// Note says something about the list that its user should know, in a sentence without a full stop.
	Note(string)
}

// Summary holds the figures of a job. A row counts once for each of its address columns, and with Explode for each
// address. The JSON names are a contract; docs/summary.schema.json describes them.
type Summary struct {
	Troubles []Trouble `json:"troubles,omitempty"` // what is wrong on our side; the error is a *TroubleError then
	report.Figures
	Plan    state.Plan `json:"plan"`    // what there was to do; zero without a state
	Retried int        `json:"retried"` // temporary answers that were to be asked about again

	Addresses int            `json:"addresses,omitempty"` // different ones; 0 without a state
	Changes   *state.Changes `json:"changes,omitempty"`   // since the list's last run; nil: there was none
	TakenOff  []TakenOff     `json:"taken_off,omitempty"` // the suppression list, since answers say so
}

// Text writes the summary for a person: first what is wrong on our side.
func (s Summary) Text(w io.Writer, now time.Time) error {
	for _, t := range s.Troubles {
		what, met, _ := strings.Cut(t.Text, ": ")
		what = strings.ToUpper(what[:1]) + what[1:]
		if s.nothingAsked() {
			what += ": no mail host was asked"
		}
		if met != "" {
			met = "The error was: " + met + ".\n"
		}
		if _, err := fmt.Fprintf(w, "%s.\n%s\n%s\n", what, t.Advice, met); err != nil {
			return err
		}
	}
	if err := s.Figures.Text(w, now); err != nil {
		return err
	}
	return s.changesText(w)
}

// nothingAsked reports whether no row has an answer of a mail host.
func (s Summary) nothingAsked() bool {
	for _, reasons := range s.Reasons {
		for reason := range reasons {
			switch reason {
			case verdict.NotProbed, verdict.DNSFailure, verdict.Syntax, verdict.SpecialUseDomain, verdict.NoSuchDomain,
				verdict.NullMX, verdict.NoMailHost, verdict.Disposable, verdict.SpamTrapSuspect, verdict.Suppressed:
			default:
				return false
			}
		}
	}
	return true
}

// ErrStopped is the error of a job that was stopped before its end. What is known is kept in its state file, if it has
// one.
var ErrStopped = errors.New("the job was stopped")

// OptionsError is returned when options do not fit each other or the list.
type OptionsError struct{ Problem string }

func (e *OptionsError) Error() string { return e.Problem }

// Run does a job with an engine. Several jobs may share one. Closing stop ends it soon: answers under way are kept, and
// the error is [ErrStopped]; no output is written then. The end of ctx ends it at once. Errors of the list are those of
// package lists, errors of the state those of package state. Where the fault is on our side, the error is a
// [*TroubleError].
func Run(
	ctx context.Context, verifier *verify.Verifier, o Options, observer Observer, stop <-chan struct{},
) (s Summary, err error) {
	if err := o.check(); err != nil {
		return s, err
	}
	reader, err := lists.Open(o.Input, lists.Options{
		Columns: o.Columns, AllColumns: o.AllColumns, Sheet: o.Sheet, Stdin: o.Stdin,
	})
	if err != nil {
		return s, err
	}
	defer reader.Close() // read only
	active, err := activityColumn(reader, o)
	if err != nil {
		return s, err
	}
	understood := reader.Understood()
	if o.Format == Same {
		o.Format = CSV
		if understood.Format == lists.Workbook {
			o.Format = Workbook
		}
	}
	if err := errors.Join(o.checkPaths(), o.checkSplit()); err != nil {
		return s, err
	}
	if o.Format == Workbook && understood.Format != lists.Workbook {
		if err := reader.FitsSheet(); err != nil {
			return s, err
		}
	}
	var spine *spine
	if o.State != "" {
		if spine, err = o.openSpine(ctx, reader); err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, spine.close()) }()
		understood = reader.Understood()
	}
	observer.Opened(understood)
	if spine != nil && spine.note != "" {
		observer.Note(spine.note)
	}
	j := &job{Options: o, verifier: verifier, observer: observer, stop: stop, reader: reader, active: active}
	j.watcher.observer = observer
	if o.State == "" {
		return j.survey(ctx)
	}
	return j.remembered(ctx, spine)
}

// NeedsState reports whether the job cannot be done without a State, and has none.
func (o Options) NeedsState() bool {
	return o.State == "" && (o.Probing || o.Wait > 0 || o.Suppress != "" || o.Changes != "")
}

// check finds options that cannot be.
func (o Options) check() error {
	if !slices.Contains([]Format{Same, CSV, JSONLines, Workbook}, o.Format) {
		return &OptionsError{fmt.Sprintf("the format is csv, jsonl or xlsx, not %q", o.Format)}
	}
	if err := o.checkPaths(); err != nil {
		return err
	}
	if o.NeedsState() {
		return &OptionsError{"a job that asks mail hosts needs a state file"}
	}
	if o.State != "" && o.Input == "-" && o.List == "" {
		return &OptionsError{"standard input has no name by which the list is known from run to run: give it one with --list"}
	}
	return nil
}

// job is a job under way.
type job struct {
	Options
	verifier *verify.Verifier
	observer Observer
	stop     <-chan struct{}
	reader   *lists.Reader
	active   activity
	watcher  watcher
	lies     *verify.Trouble // DNS cannot be believed; nil: it can

	previous *state.Previous // what the list's last run showed; nil: there was none
	changes  state.Changes   // since then
}

// isClosed reports whether a channel is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// remembered is the job whose spine is a state file.
func (j *job) remembered(ctx context.Context, spine *spine) (s Summary, err error) {
	file := spine.file
	run, err := spine.begin(ctx, j.Options, j.reader)
	if err != nil {
		return s, err
	}
	defer run.Close()
	if err := run.Add(ctx, j.entries()); err != nil {
		return s, err
	}
	if s.Plan, err = run.Plan(ctx); err != nil {
		return s, err
	}
	if s.Addresses, err = run.Addresses(ctx); err != nil {
		return s, err
	}
	if err := spine.last.size(s.Plan.Rows, s.Addresses, j.Shrink); err != nil {
		return s, errors.Join(err, run.Abandon(ctx))
	}
	if err := j.estimate(ctx, run); err != nil {
		return s, err
	}
	p := passes{j.verifier, &j.watcher, j.observer, j.Wait, j.Patience, j.Preflight, j.stop, j.Quick}
	if s.Retried, j.lies, err = p.tested(ctx, file, run); err != nil {
		return s, err
	}
	if err := j.output(ctx, run, &s); err != nil {
		return s, err
	}
	if err := run.Finish(ctx, s.forState()); err != nil {
		return s, err
	}
	if err := file.Prune(ctx, state.Retention{Changes: j.Keep, Left: j.ForgetAfter}); err != nil {
		return s, err
	}
	return s, j.ended(&s)
}

// output writes the outputs of a run whose answers are known.
func (j *job) output(ctx context.Context, run *state.Run, s *Summary) error {
	off, err := run.Resuppress(ctx)
	if err != nil {
		return err
	}
	s.TakenOff = takenOff(off)
	answers, err := run.Answers(ctx)
	if err != nil {
		return err
	}
	if j.previous, err = run.Previous(ctx); err != nil {
		return err
	}
	next, end := iter.Pull2(run.Results(ctx))
	defer end()
	from := &stateSource{job: j, rows: &rowResults{next: next, path: j.State}, seen: newSeen()}
	if s.Figures, err = j.write(from, answers); err != nil || j.previous == nil {
		return err
	}
	s.Changes = &j.changes
	s.Changes.Gone, err = run.Gone(ctx, j.previous)
	return err
}

// ended puts what is wrong on our side into the summary, and returns it as an error.
func (j *job) ended(s *Summary) error {
	err := j.watcher.err()
	var t *TroubleError
	if errors.As(err, &t) {
		s.Troubles = t.Troubles
	}
	return err
}

// forState is what the state keeps of the summary.
func (s Summary) forState() state.Summary {
	kept := state.Summary{
		Plan: s.Plan, Retried: s.Retried, Rows: s.Rows, Addresses: s.Addresses, Changes: s.Changes, Verdicts: s.Verdicts,
		Reasons:  map[verify.Reason]int{},
		Expected: s.Forecast(report.All).Bounces,
	}
	for _, reasons := range s.Reasons {
		for reason, n := range reasons {
			kept.Reasons[reason] += n
		}
	}
	return kept
}

// survey is the job that asks no mail host and remembers nothing: one pass over the list for its domains, which DNS is
// asked about, and one that writes.
func (j *job) survey(ctx context.Context) (s Summary, err error) {
	ctx, cancel := untilStop(ctx, j.stop)
	defer cancel()
	known, err := j.surveyed(ctx)
	if err == nil {
		s.Figures, err = j.write(&surveySource{ctx: ctx, job: j, known: known, seen: newSeen()}, score.List{})
	}
	if err != nil && isClosed(j.stop) {
		return s, ErrStopped
	}
	if err != nil {
		return s, err
	}
	return s, j.ended(&s)
}

// surveyed asks DNS about the domains of the list, unless it cannot be believed.
func (j *job) surveyed(ctx context.Context) (known *verify.Survey, err error) {
	if j.lies, err = j.watcher.preflight(ctx, j.Preflight); err != nil || j.lies != nil {
		return nil, err
	}
	if known, err = j.verifier.Survey(ctx, j.domains()); err != nil {
		return nil, err
	}
	for domain, reason := range known.Domains() {
		j.watcher.saw(domain, reason)
	}
	if t := known.Trouble(); t != nil {
		j.watcher.add(t)
		return known, nil
	}
	j.lies, err = j.watcher.after(ctx, j.Preflight)
	return known, err
}

// untilStop returns a context that ends when stop is closed, for work of which there is nothing to keep.
func untilStop(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
