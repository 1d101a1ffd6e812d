package state

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"presend/verify"
	"presend/verify/score"
	"presend/verify/verdict"
)

// RowResult is the result of one address of a row of the list.
type RowResult struct {
	Row        int64          // as it was added
	Column     int            // as it was added
	Address    string         // as it was added; empty: none
	Result     *verify.Result // nil: none, since there is nothing to ask about, it is suppressed or the run was broken off
	Since      time.Time      // when a missing domain was first found missing, in a row; zero: for other reasons
	Duplicate  bool           // an earlier row, or an earlier address of the row, is the same
	Suppressed *Suppressed    // the entry that forbids the row's address; nil: none

	id int64 // of the address; 0: none
}

// Results returns what is known of every row, in order. A result that is still provisional is catch_all_unknown with a
// time to retry.
func (r *Run) Results(ctx context.Context) iter.Seq2[RowResult, error] {
	return func(yield func(RowResult, error) bool) {
		// A row's place in the list is one number: 65,536 addresses fit into a row.
		rows, err := r.file.db.QueryContext(ctx, `SELECT r.n, r.col, f.first, a.local, d.name,
			r.address, r.suppressed, x.name, x.reason, x.source, x.at, x.origin, x.enhanced,
			CASE WHEN s.reason = $2 THEN (SELECT max(h.at) FROM history h WHERE h.address = s.address) END, `+resultColumns+`
			FROM rows r LEFT JOIN suppression x ON x.id = r.suppressed LEFT JOIN addresses a ON a.id = r.address
			LEFT JOIN domains d ON d.id = a.domain LEFT JOIN results s ON s.address = r.address
			LEFT JOIN (SELECT address, min(n * 65536 + col) AS first FROM rows WHERE run = $1 AND address > 0
			GROUP BY address HAVING count(*) > 1) f ON f.address = r.address
			WHERE r.run = $1 ORDER BY r.n, r.col`, r.id, string(verdict.NoSuchDomain))
		if err != nil {
			yield(RowResult{}, fmt.Errorf("state: reading results: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := r.scanRow(ctx, rows)
			if err != nil {
				err = fmt.Errorf("state: reading results: %w", err)
			}
			if !yield(row, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(RowResult{}, fmt.Errorf("state: reading results: %w", err))
		}
	}
}

// Answers counts the clear answers that the run's rows have, from which scores are made.
func (r *Run) Answers(ctx context.Context) (list score.List, err error) {
	rows, err := r.file.db.QueryContext(ctx, `SELECT s.reason, s.flags, count(*) FROM rows r
		JOIN results s ON s.address = r.address WHERE r.run = $1 AND r.suppressed = 0 GROUP BY s.reason, s.flags`, r.id)
	if err != nil {
		return list, fmt.Errorf("state: counting answers: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var reason, flags string
		var n int
		if err := rows.Scan(&reason, &flags, &n); err != nil {
			return list, fmt.Errorf("state: counting answers: %w", err)
		}
		list.Add(verdict.Reason(reason), flagsOf(flags), n)
	}
	return list, rows.Err()
}

// flagsOf reads flags as the database holds them.
func flagsOf(text string) []verdict.Flag {
	flags := []verdict.Flag{}
	for _, word := range strings.Fields(text) {
		flags = append(flags, verdict.Flag(word))
	}
	return flags
}

func (r *Run) scanRow(ctx context.Context, rows *sql.Rows) (row RowResult, err error) {
	var first, at, since, suppressed sql.NullInt64
	var local, domain, name, why, source, origin, enhanced sql.NullString
	var s storedResult
	targets := append([]any{
		&row.Row, &row.Column, &first, &local, &domain, &row.id, &suppressed, &name, &why, &source, &at, &origin,
		&enhanced, &since,
	}, s.targets()...)
	if err := rows.Scan(targets...); err != nil {
		return RowResult{}, err
	}
	row.Duplicate = first.Valid && first.Int64 < row.Row*65536+int64(row.Column)
	row.Since = fromUnix(since.Int64)
	switch {
	case name.Valid:
		row.Suppressed = &Suppressed{
			Name: name.String, Reason: why.String, Source: source.String, At: fromUnix(at.Int64),
			Origin: Origin(origin.String), Enhanced: enhanced.String,
		}
	case suppressed.Int64 < 0:
		if row.Suppressed, err = r.list.entry(ctx, suppressed.Int64); err != nil {
			return RowResult{}, err
		}
	}
	if local.Valid {
		row.Address = local.String + "@" + domain.String
	}
	row.Result, err = s.result(row.Address)
	if suppressed.Int64 != 0 && row.Suppressed == nil && row.Result == nil { // nobody asked, and now it is too late
		row.Suppressed = &Suppressed{Name: row.Address, Reason: "taken off during this run", At: fromUnix(r.begun)}
	}
	if row.Result != nil {
		s.unconfirmed(row.Result)
	}
	return row, err
}

// unconfirmed marks a result whose newest try gave no answer.
func (s *storedResult) unconfirmed(x *verify.Result) {
	if s.triedAt.Int64 == 0 {
		return
	}
	x.Flags = append(x.Flags, verdict.FlagUnconfirmed)
	x.Detail = fmt.Sprintf("%s (not confirmed on %s: %s)",
		x.Detail, fromUnix(s.triedAt.Int64).Format(time.DateOnly), s.triedDetail.String)
}

// resultColumns are the columns of a result s, in the order of storedResult's targets.
const resultColumns = `s.verdict, s.score, s.reason, s.detail, s.flags, s.suggestion, s.provider, s.mx,
	s.code, s.enhanced, s.text, s.command, s.checked_at, s.retry_at, s.source, s.action,
	s.times, s.tries, s.counted, s.since, s.last_try, s.tried_at, s.tried_reason, s.tried_detail`

// storedResult is a result as the database holds it. All is NULL where an address has none.
type storedResult struct {
	verdict, reason, detail, flags, suggestion, provider, mx, enhanced, text, command, source, action sql.NullString
	triedReason, triedDetail                                                                          sql.NullString
	score, code, checkedAt, retryAt, times, tries, counted, since, lastTry, triedAt                   sql.NullInt64
}

func (s *storedResult) targets() []any {
	return []any{
		&s.verdict, &s.score, &s.reason, &s.detail, &s.flags, &s.suggestion, &s.provider, &s.mx,
		&s.code, &s.enhanced, &s.text, &s.command, &s.checkedAt, &s.retryAt, &s.source, &s.action,
		&s.times, &s.tries, &s.counted, &s.since, &s.lastTry, &s.triedAt, &s.triedReason, &s.triedDetail,
	}
}

// sourceAddress returns our address that asked; the zero Addr where the system chose it.
func (s *storedResult) sourceAddress() (netip.Addr, error) {
	if s.source.String == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s.source.String)
}

// memory returns what is remembered of how the address was asked.
func (s *storedResult) memory() verdict.Memory {
	return verdict.Memory{
		Reason: verdict.Reason(s.reason.String), At: fromUnix(s.checkedAt.Int64), RetryAt: fromUnix(s.retryAt.Int64),
		Times: int(s.times.Int64), Tries: int(s.tries.Int64), Counted: int(s.counted.Int64),
		Since: fromUnix(s.since.Int64), LastTry: fromUnix(s.lastTry.Int64),
	}
}

// lastReason returns the reason of the newest try.
func (s *storedResult) lastReason() verdict.Reason {
	if s.triedAt.Int64 > 0 {
		return verdict.Reason(s.triedReason.String)
	}
	return verdict.Reason(s.reason.String)
}

// result returns the result for an address; nil where there is none.
func (s *storedResult) result(address string) (*verify.Result, error) {
	if !s.verdict.Valid {
		return nil, nil
	}
	source, err := s.sourceAddress()
	if err != nil {
		return nil, err
	}
	x := &verify.Result{
		Normalized: address, Reason: verify.Reason(s.reason.String), Detail: s.detail.String, Flags: flagsOf(s.flags.String),
		Suggestion: s.suggestion.String, Provider: s.provider.String, MX: s.mx.String, Source: source,
		CheckedAt: fromUnix(s.checkedAt.Int64), RetryAt: fromUnix(s.retryAt.Int64),
	}
	x.Judge()
	if s.action.String != "" {
		x.Action = verdict.Action(s.action.String)
	}
	if s.code.Int64 > 0 {
		x.Reply = &verify.Reply{
			Code: int(s.code.Int64), Enhanced: s.enhanced.String, Text: s.text.String, Command: s.command.String,
		}
	}
	return x, nil
}
