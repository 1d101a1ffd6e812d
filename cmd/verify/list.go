package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"presend/internal/atomicfile"
	"presend/lists"
	"presend/state"
	"presend/suppression"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// listFlags are those of verify list.
type listFlags struct {
	output   string
	state    string
	column   string
	wait     time.Duration
	failOver string
	split    string
	format   string
	fresh    bool
	maxAge   days
	keep     days
	// A contact without a sign of life for so long is flagged.
	unengaged       days
	unengagedColumn string
}

func listCommand(a *app) *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list IN.csv",
		Short: "Verify a list and write it again with verdicts",
		Long: `Verify a list and write it again with verdicts: every row and column as it was, in order, and 13 verify_ columns.

What is known is kept in a state file beside the output. Stopped at any moment, the same command goes on where it
was; run again later, it asks only about what is new, due or stale. With --no-smtp nothing is kept unless --state
names a file. IN.csv may be - for standard input.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return a.list(c.Context(), args[0], f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` to write (default IN.verified.csv; - for standard output)")
	flags.StringVar(&f.state, "state", "", "state `FILE` (default the output's name with .state)")
	flags.StringVar(&f.column, "column", "", "the address column: its name, or its number from 1")
	flags.DurationVar(&f.wait, "wait", 0, "wait this long for temporary answers that fall due")
	flags.StringVar(&f.failOver, "fail-over", "", "exit 6 if more than this share is expected to bounce, as 2%")
	flags.StringVar(&f.split, "split", "", "write deliverable.csv, risky.csv, invalid.csv, unknown.csv and suppress.csv into `DIR` too")
	flags.StringVar(&f.format, "format", "csv", "csv or jsonl")
	flags.BoolVar(&f.fresh, "fresh", false, "ask again about everything")
	flags.Var(&f.maxAge, "max-age", "ask again about what is known for longer than this, as 90d")
	f.keep = 400 * day
	flags.Var(&f.keep, "keep", "forget the history before this")
	f.unengaged = 180 * day
	flags.Var(&f.unengaged, "unengaged", "flag contacts whose last activity is longer ago; 0 for none")
	flags.StringVar(&f.unengagedColumn, "activity-column", "", "the column of the last activity: its name, or its number from 1 (default found by name)")
	return c
}

// names fills in where a list's output and state go.
func (f *listFlags) names(input string, noSMTP bool) error {
	if f.format != "csv" && f.format != "jsonl" {
		return usagef("--format is csv or jsonl, not %q", f.format)
	}
	if f.output == "" {
		if input == "-" {
			f.output = "-"
		} else {
			base := strings.TrimSuffix(input, ".gz")
			f.output = strings.TrimSuffix(base, filepath.Ext(base)) + ".verified." + f.format
		}
	}
	if same(f.output, input) {
		return usagef("the output would replace the list %s; give another -o", input)
	}
	if f.state == "" && noSMTP && f.wait == 0 {
		return nil // nothing is asked of anybody, and nothing needs to be remembered
	}
	if f.state == "" {
		if f.output == "-" {
			return usagef("with output on standard output, say with --state where the run is kept")
		}
		f.state = f.output + ".state"
	}
	return nil
}

// same says whether two paths lead to one file.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func (a *app) list(ctx context.Context, input string, f listFlags) (err error) {
	if err := f.names(input, a.flags.noSMTP); err != nil {
		return err
	}
	limit, err := percent(f.failOver)
	if err != nil {
		return err
	}
	rules, err := a.flags.treatRules()
	if err != nil {
		return err
	}
	reader, err := lists.Open(input, lists.Options{Column: f.column, Stdin: a.stdin})
	if err != nil {
		var ambiguous *lists.AmbiguousColumnError
		if errors.As(err, &ambiguous) {
			return usagef("%v", err)
		}
		return err
	}
	defer reader.Close() // read only
	verifier, resolver, err := a.verifier()
	if err != nil {
		return err
	}
	defer resolver.Close() // it only frees sockets
	activity, err := activityColumn(reader, f)
	if err != nil {
		return err
	}
	tally := newTally(activity, time.Now())
	if f.state == "" {
		err = a.survey(ctx, reader, verifier, f, rules, tally)
	} else {
		err = a.listWithState(ctx, input, reader, verifier, f, rules, tally)
	}
	if err != nil {
		return err
	}
	if !a.flags.quiet {
		tally.print(a.stderr, f)
	}
	if limit >= 0 && tally.expectedBounces() > limit {
		return &exitError{exitGate, fmt.Sprintf("%.1f %% of the list is expected to bounce, more than --fail-over %s allows", tally.expectedBounces(), f.failOver)}
	}
	return nil
}

// listWithState is the run whose spine is a state file.
func (a *app) listWithState(ctx context.Context, input string, reader *lists.Reader, verifier *verify.Verifier, f listFlags, rules map[verify.Flag]verify.Verdict, tally *tally) (err error) {
	file, err := state.Open(ctx, f.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	run, err := file.Begin(ctx, input, state.Policy{Fresh: f.fresh, MaxAge: time.Duration(f.maxAge), Probing: !a.flags.noSMTP})
	if err != nil {
		return err
	}
	if err := run.Add(ctx, addresses(reader, verifier)); err != nil {
		return err
	}
	if tally.plan, err = run.Plan(ctx); err != nil {
		return err
	}
	if tally.retried, err = a.pass(ctx, verifier, run, f.wait); err != nil {
		return err
	}
	if a.stopped() {
		fmt.Fprintf(a.stderr, "verify: stopped; what is known is kept in %s. To go on: verify list %s -o %s --state %s\n", f.state, input, f.output, f.state)
		return &exitError{code: exitInterrupted}
	}
	next, stop := iter.Pull2(run.Results(ctx))
	defer stop()
	known := results{of: func(row lists.Row) (rowResult, error) {
		known, err, more := next()
		if err != nil {
			return rowResult{}, err
		}
		if !more {
			return rowResult{}, fmt.Errorf("the list has more rows than the state file %s; run the command again", f.state)
		}
		r, err := knownRow(verifier, row.Address, known, f.state)
		if err != nil {
			return rowResult{}, fmt.Errorf("line %d: %w", row.Line, err)
		}
		return r, nil
	}, end: func() error {
		if _, err, more := next(); err != nil || more {
			return cmp.Or(err, fmt.Errorf("the state file %s has more rows than the list; run the command again", f.state))
		}
		return nil
	}}
	if err := a.write(reader, f, rules, tally, known, verifier); err != nil {
		return err
	}
	if err := run.Finish(ctx, tally.summary()); err != nil {
		return err
	}
	return file.Prune(ctx, time.Duration(f.keep))
}

func (a *app) stopped() bool {
	select {
	case <-a.stop:
		return true
	default:
		return false
	}
}

// pass runs the engine, and again for what falls due while the user is willing to wait. It returns how many temporary
// answers were asked about again.
func (a *app) pass(ctx context.Context, verifier *verify.Verifier, run *state.Run, wait time.Duration) (retried int, err error) {
	deadline := time.Now().Add(wait)
	for {
		plan, err := run.Plan(ctx)
		if err != nil {
			return retried, err
		}
		retried += plan.Due
		if plan.Pending() > 0 {
			shown := newProgress(a, plan.Pending())
			err := verifier.Run(ctx, run, verify.RunOptions{Observer: shown, Stop: a.stop})
			shown.finish()
			if err != nil {
				return retried, err
			}
		}
		due, err := run.NextRetry(ctx)
		if err != nil || wait == 0 || a.stopped() || due.IsZero() || due.After(deadline) {
			return retried, err
		}
		if !a.flags.quiet {
			fmt.Fprintf(a.stderr, "waiting until %s for temporary answers that fall due\n", due.Local().Format(time.TimeOnly))
		}
		select {
		case <-time.After(time.Until(due) + time.Second): // the state counts whole seconds
		case <-a.stop:
			return retried, nil
		case <-ctx.Done():
			return retried, ctx.Err()
		}
		if err := run.Again(ctx); err != nil {
			return retried, err
		}
	}
}

// addresses yields what each row has to verify; nil where its result is certain already.
func addresses(reader *lists.Reader, verifier *verify.Verifier) iter.Seq2[*syntax.Address, error] {
	return func(yield func(*syntax.Address, error) bool) {
		for row, err := range reader.Rows() {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(toVerify(verifier, row.Address), nil) {
				return
			}
		}
	}
}

func toVerify(verifier *verify.Verifier, address string) *syntax.Address {
	parsed, _, final := verifier.Examine(address)
	if final {
		return nil
	}
	return &parsed
}

// rowWriter is what lists' writers have in common.
type rowWriter interface {
	Write(lists.Row, lists.Record) error
	Blank(lists.Row) error
	Close() error
}

// sink is one output: a file that appears when it is whole, or standard output.
type sink struct {
	rowWriter
	file *atomicfile.File // nil: standard output
}

func (a *app) sink(path, format string, reader *lists.Reader) (*sink, error) {
	s := &sink{}
	var w io.Writer = a.stdout
	if path != "-" {
		file, err := atomicfile.Create(path)
		if err != nil {
			return nil, err
		}
		s.file, w = file, file
	}
	var err error
	if format == "jsonl" {
		s.rowWriter, err = lists.NewJSONWriter(w, reader)
	} else {
		s.rowWriter, err = lists.NewWriter(w, reader)
	}
	if err != nil {
		return nil, errors.Join(err, s.abort())
	}
	return s, nil
}

func (s *sink) abort() error {
	if s.rowWriter != nil {
		_ = s.Close() // it is to be thrown away; why is said elsewhere
	}
	if s.file == nil {
		return nil
	}
	return s.file.Abort()
}

// finish does everything that may fail for want of room. The file does not appear before commit.
func (s *sink) finish() error {
	if err := s.Close(); err != nil || s.file == nil {
		return err
	}
	return s.file.Finish()
}

func (s *sink) commit() error {
	if s.file == nil {
		return nil
	}
	return s.file.Commit()
}

// outputs are the files of a run.
type outputs struct {
	rows     map[verify.Verdict]*sink // by the verdict they take; "" takes every row
	suppress *suppressFile            // nil: none
}

func (a *app) outputs(reader *lists.Reader, f listFlags) (outputs, error) {
	paths := map[verify.Verdict]string{"": f.output}
	if f.split != "" {
		if err := os.MkdirAll(f.split, 0o755); err != nil {
			return outputs{}, fmt.Errorf("--split: %w", err)
		}
		for _, v := range []verify.Verdict{verdict.Deliverable, verdict.Risky, verdict.Invalid, verdict.Unknown} {
			paths[v] = filepath.Join(f.split, string(v)+"."+f.format)
		}
	}
	out := outputs{rows: map[verify.Verdict]*sink{}}
	for verdict, path := range paths {
		s, err := a.sink(path, f.format, reader)
		if err != nil {
			return out, errors.Join(err, out.abort())
		}
		out.rows[verdict] = s
	}
	if f.split != "" {
		var err error
		if out.suppress, err = newSuppressFile(filepath.Join(f.split, "suppress.csv")); err != nil {
			return out, errors.Join(err, out.abort())
		}
	}
	return out, nil
}

func (o outputs) abort() (err error) {
	for _, s := range o.rows {
		err = errors.Join(err, s.abort())
	}
	if o.suppress != nil {
		err = errors.Join(err, o.suppress.file.Abort())
	}
	return err
}

// commit lets the files appear: together, or none of them.
func (o outputs) commit() error {
	for _, s := range o.rows {
		if err := s.finish(); err != nil {
			return err
		}
	}
	if o.suppress != nil {
		if err := o.suppress.finish(); err != nil {
			return err
		}
	}
	for _, s := range o.rows {
		if err := s.commit(); err != nil {
			return err
		}
	}
	if o.suppress == nil {
		return nil
	}
	return o.suppress.file.Commit()
}

// rowResult is what is known of a row's address.
type rowResult struct {
	verify.Result
	final     bool // by syntax or the name of its domain alone
	duplicate bool // an earlier row holds the same address
}

// results are those of the rows of a list.
type results struct {
	of  func(lists.Row) (rowResult, error) // called for every row, in order
	end func() error                       // called after the last row
}

// write joins rows and results into the output.
func (a *app) write(reader *lists.Reader, f listFlags, rules map[verify.Flag]verify.Verdict, counts *tally, known results, verifier *verify.Verifier) error {
	out, err := a.outputs(reader, f)
	if err != nil {
		return err
	}
	if err := join(reader, out, counts, rules, known, verifier); err != nil {
		return errors.Join(err, out.abort())
	}
	if err := out.commit(); err != nil {
		return errors.Join(err, out.abort())
	}
	return nil
}

func join(reader *lists.Reader, out outputs, counts *tally, rules map[verify.Flag]verify.Verdict, from results, verifier *verify.Verifier) error {
	var checked stamps
	for row, err := range reader.Lines() {
		if err != nil {
			return err
		}
		if row.Blank {
			if err := out.rows[""].Blank(row); err != nil {
				return err
			}
			continue
		}
		known, err := from.of(row)
		if err != nil {
			return err
		}
		if out.suppress != nil {
			if err := out.suppress.add(known); err != nil {
				return err
			}
		}
		result := verify.Treat(known.ofRow(row, counts.activity, verifier), rules)
		counts.add(result)
		record := toRecord(result, &checked)
		if err := out.rows[""].Write(row, record); err != nil {
			return err
		}
		if part := out.rows[result.Verdict]; part != nil {
			if err := part.Write(row, record); err != nil {
				return err
			}
		}
	}
	return from.end()
}

// ofRow adds what is the row's own.
func (r rowResult) ofRow(row lists.Row, active activity, verifier *verify.Verifier) verify.Result {
	result := r.Result
	if r.duplicate {
		result.Flags = append(result.Flags, verdict.FlagDuplicate)
	}
	if active.unengaged(row) {
		result.Flags = append(result.Flags, verdict.FlagUnengaged)
		if !r.final {
			result.Score = verifier.Score(result)
		}
	}
	return result
}

// knownRow gives the address of a row its result: what the address alone tells, which is final, or what the state file knows. A row
// whose address has no result, or that of another address, is an error: the run was not stopped, so that something
// else changed the state file.
func knownRow(verifier *verify.Verifier, address string, known state.RowResult, path string) (rowResult, error) {
	parsed, result, final := verifier.Examine(address)
	r := rowResult{Result: result, final: final, duplicate: known.Duplicate}
	switch {
	case final:
		return r, nil
	case known.Suppressed != nil:
		s := known.Suppressed
		result = verifier.Conclude(parsed, verdict.Suppressed, fmt.Sprintf("on the suppression list since %s: %s (%s)", s.At.Format(time.DateOnly), s.Reason, s.Source))
	case known.Result == nil:
		return r, fmt.Errorf(
			"there is no result for %s in the state file %s, although the run was not stopped; run the command again, and with another --state if that does not help",
			printable(parsed.String()), path)
	case known.Result.Normalized != parsed.String():
		return r, fmt.Errorf(
			"the state file has %s where the list has %s; nothing else may use %s meanwhile; run the command again, and with another --state if that does not help",
			printable(known.Result.Normalized), printable(parsed.String()), path)
	default:
		result = *known.Result
	}
	r.Result = asGiven(result, address, parsed)
	return r, nil
}

// asGiven puts the address as it stands in the list into a result, and says what was repaired in it.
func asGiven(r verify.Result, address string, parsed syntax.Address) verify.Result {
	r.Address = address
	if len(parsed.Repairs) > 0 {
		r.Detail += " (repaired: " + strings.Join(parsed.Repairs, ", ") + ")"
	}
	return r
}

// stamps writes times. Many results in a row have the same one.
type stamps struct {
	at   time.Time
	text string
}

func (s *stamps) of(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !t.Equal(s.at) {
		s.at, s.text = t, t.UTC().Format(time.RFC3339)
	}
	return s.text
}

func toRecord(r verify.Result, checked *stamps) lists.Record {
	record := lists.Record{
		Verdict: string(r.Verdict), Score: strconv.Itoa(r.Score), Reason: string(r.Reason), Detail: r.Detail, Suggestion: r.Suggestion,
		Provider: r.Provider, MX: r.MX, Normalized: r.Normalized, CheckedAt: checked.of(r.CheckedAt),
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

// suppressFile is suppress.csv: the addresses that must never be written to again, those invalid for good.
type suppressFile struct {
	file *atomicfile.File
	w    *suppression.Writer
}

func newSuppressFile(path string) (*suppressFile, error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	w, err := suppression.NewWriter(file, suppression.CSV)
	if err != nil {
		return nil, errors.Join(err, file.Abort())
	}
	return &suppressFile{file, w}, nil
}

// add writes an address that DNS or its mail host called invalid.
func (s *suppressFile) add(r rowResult) error {
	if r.final || r.duplicate || r.Verdict != verdict.Invalid || r.Reason == verdict.Suppressed {
		return nil
	}
	return s.w.Write(suppression.Entry{Name: r.Normalized, Reason: string(r.Reason), At: r.CheckedAt})
}

func (s *suppressFile) finish() error {
	if err := s.w.Close(); err != nil {
		return err
	}
	return s.file.Finish()
}

// percent reads a share such as 2% or 2.5; -1 for none.
func percent(s string) (float64, error) {
	if s == "" {
		return -1, nil
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
	if err != nil || p < 0 || p > 100 {
		return 0, usagef("--fail-over %s: want a percentage from 0 to 100", s)
	}
	return p, nil
}
