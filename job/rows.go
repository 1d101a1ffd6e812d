package job

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"presend/lists"
	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// rowResult is what is known of a row's address.
type rowResult struct {
	verify.Result
	duplicate bool      // an earlier row holds the same address
	mailbox   bool      // an earlier row holds another address of the same mailbox
	since     time.Time // when its reason was found first, in a row; zero: not known

	before *state.Before // what the list's last run showed of it; nil: it was not in it
}

// mayBeSuppressed reports whether the address belongs on a suppression list: nobody will get mail there.
func (r rowResult) mayBeSuppressed() bool {
	return r.Reason.Suppresses(r.since, r.CheckedAt) && !slices.Contains(r.Flags, verdict.FlagUnconfirmed) &&
		!slices.Contains(r.Flags, verdict.FlagDomainRefusesAll)
}

// source gives the addresses of a list their results.
type source interface {
	// of returns the result of an address of a row. It is called for every address of every row, in order.
	of(row lists.Row, column int, address string) (rowResult, error)
	end() error // called after the last row
}

// examine returns the result of a cell where it is certain already, which final reports; else the address to ask about.
func examine(verifier *verify.Verifier, cell string) (parsed syntax.Address, result verify.Result, final bool) {
	if !lists.NoAddress(cell) {
		return verifier.Examine(cell)
	}
	result = verify.Result{Address: cell, Reason: verdict.NoAddress, Flags: []verify.Flag{}}
	result.Judge()
	return syntax.Address{}, result, true
}

// toAsk returns the address of a cell to ask about; nil where its result is certain already.
func toAsk(verifier *verify.Verifier, cell string) *syntax.Address {
	parsed, _, final := examine(verifier, cell)
	if final {
		return nil
	}
	return &parsed
}

// split returns the addresses that a cell holds; of one that holds no address or one, the cell as it is.
func split(cell string) []string {
	if strings.Count(cell, "@") < 2 {
		return []string{cell}
	}
	if parts := lists.SplitCell(cell); len(parts) > 1 {
		return parts
	}
	return []string{cell}
}

// addressesOf yields the addresses of a row, numbered from 0 over all its address columns.
func addressesOf(row lists.Row) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for _, cell := range row.Addresses() {
			for _, address := range split(cell) {
				if !yield(n, address) {
					return
				}
				n++
			}
		}
	}
}

// entries yields what each row has to ask about; without an address where the result is certain already.
func (j *job) entries() iter.Seq2[state.Entry, error] {
	return func(yield func(state.Entry, error) bool) {
		for row, err := range j.reader.Rows() {
			if err != nil {
				yield(state.Entry{}, err)
				return
			}
			for n, address := range addressesOf(row) {
				if !yieldEntries(row.N, n, toAsk(j.verifier, address), yield) {
					return
				}
			}
		}
	}
}

// domains yields the domains of the list's addresses, each spelling once.
func (j *job) domains() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		written := map[string]bool{} // domains as they are written, of addresses that were read
		for row, err := range j.reader.Rows() {
			if err != nil {
				yield("", err)
				return
			}
			for _, text := range addressesOf(row) {
				domain := text[strings.LastIndexByte(text, '@')+1:]
				if written[domain] {
					continue
				}
				if address := toAsk(j.verifier, text); address != nil {
					if !yield(address.Domain, nil) {
						return
					}
					written[domain] = true
				}
			}
		}
	}
}

// stateSource takes results from a state file.
type stateSource struct {
	job  *job
	rows *rowResults
	seen *seen
}

func (s *stateSource) of(row lists.Row, column int, address string) (rowResult, error) {
	if column == 0 {
		if err := s.rows.read(row.N); err != nil {
			return rowResult{}, err
		}
	}
	known, ok := s.rows.column(column)
	if !ok {
		return rowResult{}, fmt.Errorf("line %d: the state file %s has another row here; run the command again",
			row.Line, s.job.State)
	}
	var r rowResult
	if s.job.lies != nil && known.Result == nil && known.Suppressed == nil {
		r = unasked(s.job.verifier, address, s.job.lies)
	} else {
		var err error
		if r, err = knownRow(s.job.verifier, address, known, s.job.State); err != nil {
			return rowResult{}, fmt.Errorf("line %d: %w", row.Line, err)
		}
	}
	if meant, ok := s.rows.column(column + state.FallbackColumn); ok {
		if r = withMeant(r, meant); r.Normalized == meant.Address {
			known = meant
		}
	}
	r.duplicate, r.mailbox = s.seen.before(r.Normalized)
	if s.job.previous != nil {
		if before, was := s.job.previous.Of(known); was {
			r.before = &before
		} else if known.Address == "" {
			r.before = &state.Before{Verdict: r.Verdict, Reason: r.Reason} // its verdict never changes
		}
	}
	return r, nil
}

func (s *stateSource) end() error {
	more, err := s.rows.more()
	if err == nil && more {
		err = fmt.Errorf("the state file %s has more rows than the list; run the command again", s.job.State)
	}
	return err
}

// surveySource takes results from a survey.
type surveySource struct {
	ctx   context.Context
	job   *job
	known *verify.Survey
	seen  *seen
}

func (s *surveySource) of(_ lists.Row, _ int, address string) (rowResult, error) {
	if err := s.ctx.Err(); err != nil {
		return rowResult{}, err
	}
	parsed, result, final := examine(s.job.verifier, address)
	if final {
		return rowResult{Result: result}, nil
	}
	if s.known != nil {
		var err error
		if result, err = s.known.Result(s.ctx, parsed); err != nil {
			return rowResult{}, err
		}
	}
	if s.known == nil || s.job.lies != nil && fromDNSAlone(result.Reason) {
		result = s.job.verifier.Conclude(parsed, verdict.DNSFailure, unbelieved(s.job.lies))
	}
	r := withSuggestion(rowResult{Result: asGiven(result, address, parsed)}, parsed.Fallback)
	r.duplicate, r.mailbox = s.seen.before(r.Normalized)
	return r, nil
}

func (s *surveySource) end() error { return nil }

// knownRow returns the result of an address of which a state file knows something: what the address alone tells, which
// is final, or what the file knows. An address that has no result there, or that of another address, is an error: the
// run was not stopped, so that something else changed the file, whose path is for the message.
func knownRow(verifier *verify.Verifier, address string, known state.RowResult, path string) (rowResult, error) {
	// An address that is written as it goes on the wire was parsed when it came in; that is enough.
	if known.Suppressed == nil && known.Result != nil && known.Result.Normalized == address {
		r := rowResult{Result: *known.Result, since: known.Since}
		r.Address = address
		return r, nil
	}
	parsed, result, final := examine(verifier, address)
	r := rowResult{Result: result, since: known.Since}
	switch {
	case final:
		return r, nil
	case known.Address != parsed.String():
		return r, fmt.Errorf("the state file has %q where the list has %q; nothing else may use %s meanwhile; "+
			"run the command again, and with another --state if that does not help", known.Address, parsed.String(), path)
	case known.Suppressed != nil:
		s := known.Suppressed
		result = verifier.Conclude(parsed, verdict.Suppressed, fmt.Sprintf(
			"on the suppression list since %s: %s (%s)", s.At.Format(time.DateOnly), s.Reason, s.Source))
	case known.Result == nil:
		return r, fmt.Errorf("there is no result for %q in the state file %s, although the run was not stopped; "+
			"run the command again, and with another --state if that does not help", parsed.String(), path)
	default:
		result = *known.Result
	}
	r.Result = asGiven(result, address, parsed)
	return r, nil
}

// unasked returns the result of an address that was not asked about, since DNS cannot be believed. Nothing of it is
// kept.
func unasked(verifier *verify.Verifier, address string, lies *verify.Trouble) rowResult {
	parsed, result, final := examine(verifier, address)
	if !final {
		result = asGiven(verifier.Conclude(parsed, verdict.DNSFailure, unbelieved(lies)), address, parsed)
	}
	return rowResult{Result: result}
}

// asGiven puts the address as it is written in the list into a result, and says what was repaired in it.
func asGiven(r verify.Result, address string, parsed syntax.Address) verify.Result {
	r.Address = address
	if len(parsed.Repairs) > 0 {
		r.Detail += " (repaired: " + strings.Join(parsed.Repairs, ", ") + ")"
	}
	return r
}
