package job

import (
	"fmt"
	"strings"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// An address such as 'sam@outlook.com is legal, but it mostly means sam@outlook.com. Both are asked about in the same
// session, the literal one first, and the literal one counts unless its server refuses it: a second pass only for the
// few lists that have such addresses would take another session at each of their hosts, and a third one for the control
// experiment. So the engine knows nothing of it; to it these are two addresses.

// yieldEntries yields what there is to ask about an address, and about what it may mean. A nil address has a result.
func yieldEntries(row int64, column int, address *syntax.Address, yield func(state.Entry, error) bool) bool {
	if !yield(state.Entry{Row: row, Column: column, Address: address}, nil) {
		return false
	}
	if address == nil || address.Fallback == "" || column >= state.FallbackColumn {
		return true
	}
	at := strings.LastIndexByte(address.Fallback, '@')
	meant := syntax.Stored(address.Fallback[:at], address.Fallback[at+1:])
	return yield(state.Entry{Row: row, Column: column + state.FallbackColumn, Address: &meant}, nil)
}

// isRefused reports whether a server refuses the address as it is written.
func isRefused(r verify.Reason) bool {
	return r == verdict.MailboxUnknown || r == verdict.MailboxDisabled || r == verdict.Refused
}

// meantInstead returns the result of what an address may mean, as that of the address, if its server refuses the
// literal one and not this one. A reply that says nothing of the mailbox is no refusal: no address becomes invalid
// while what it may mean waits for an answer.
func meantInstead(literal, meant verify.Result) (verify.Result, bool) {
	if !isRefused(literal.Reason) || isRefused(meant.Reason) || meant.Verdict == verify.Invalid {
		return literal, false
	}
	sign := literal.Normalized[:len(literal.Normalized)-len(meant.Normalized)]
	meant.Address = literal.Address
	meant.Detail += fmt.Sprintf(" (repaired: leading %s, with which the server refuses it)", sign)
	return meant, true
}

// withMeant returns the result that counts for an address: its own, or that of what it may mean.
func withMeant(r rowResult, known state.RowResult) rowResult {
	if known.Result == nil {
		return r
	}
	if meant, ok := meantInstead(r.Result, *known.Result); ok {
		return rowResult{Result: meant, since: known.Since}
	}
	if isRefused(known.Result.Reason) {
		return r
	}
	return withSuggestion(r, known.Result.Normalized)
}

// withSuggestion suggests what an address may mean where the address is not known to exist.
func withSuggestion(r rowResult, meant string) rowResult {
	if meant != "" && r.Suggestion == "" && r.Verdict != verify.Deliverable {
		r.Suggestion = meant
	}
	return r
}

// rowResults reads the results that a state file has for the rows of a list, a row at a time.
type rowResults struct {
	next  func() (state.RowResult, error, bool)
	path  string // of the state file, for messages
	row   []state.RowResult
	ahead *state.RowResult // of the next row; nil: not read
}

// read reads all results of a row.
func (r *rowResults) read(n int64) error {
	r.row = r.row[:0]
	for {
		more, err := r.more()
		if err != nil {
			return err
		}
		switch {
		case !more && len(r.row) == 0:
			return fmt.Errorf("the list has more rows than the state file %s; run the command again", r.path)
		case !more, r.ahead.Row != n && len(r.row) > 0:
			return nil
		case r.ahead.Row != n:
			return fmt.Errorf("row %d: the state file %s has row %d here; run the command again", n, r.path, r.ahead.Row)
		}
		r.row = append(r.row, *r.ahead)
		r.ahead = nil
	}
}

// more reports whether there is a result that was not read.
func (r *rowResults) more() (bool, error) {
	if r.ahead != nil {
		return true, nil
	}
	known, err, more := r.next()
	if err != nil || !more {
		return false, err
	}
	r.ahead = &known
	return true, nil
}

// column returns the result of a column of the row.
func (r *rowResults) column(n int) (state.RowResult, bool) {
	if n < len(r.row) && r.row[n].Column == n {
		return r.row[n], true
	}
	for _, known := range r.row {
		if known.Column == n {
			return known, true
		}
	}
	return state.RowResult{}, false
}
