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

// RowResult is what is known of an address of the list, and where it is.
type RowResult struct {
	Row        int64          // from 1
	Column     int            // which of the row's addresses, from 0
	Address    string         // as it was added; empty: none
	Result     *verify.Result // nil: none, since there is no address to ask about or the run was broken off
	Duplicate  bool           // an earlier row, or an earlier column of the row, holds the same address
	Suppressed *Suppressed    // the entry that forbids the address; nil: none
}

// Results returns what is known of every address of the list, by row and column. A result that is still provisional is
// catch_all_unknown with a time to retry.
func (r *Run) Results(ctx context.Context) iter.Seq2[RowResult, error] {
	return func(yield func(RowResult, error) bool) {
		rows, err := r.file.db.QueryContext(ctx, `SELECT rows.n, rows.col, rows.n * 65536 + rows.col > f.first,
			a.local, d.name, x.name, x.reason, x.source, x.at, `+resultColumns+`
			FROM rows LEFT JOIN suppression x ON x.id = rows.suppressed LEFT JOIN addresses a ON a.id = rows.address
			LEFT JOIN domains d ON d.id = a.domain LEFT JOIN results s ON s.address = rows.address
			LEFT JOIN (SELECT address, min(n * 65536 + col) AS first FROM rows WHERE run = $1 AND address > 0
				GROUP BY address HAVING count(*) > 1) f ON f.address = rows.address
			WHERE rows.run = $1 ORDER BY rows.n, rows.col`, r.id)
		if err != nil {
			yield(RowResult{}, fmt.Errorf("state: reading results: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := scanRow(rows)
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
	rows, err := r.file.db.QueryContext(ctx, `SELECT s.reason, s.flags, count(*) FROM rows
		JOIN results s ON s.address = rows.address WHERE rows.run = $1 AND rows.suppressed = 0
		GROUP BY s.reason, s.flags`, r.id)
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

func scanRow(rows *sql.Rows) (row RowResult, err error) {
	var later sql.NullBool
	var at sql.NullInt64
	var local, domain, name, why, origin sql.NullString
	var s storedResult
	targets := append([]any{&row.Row, &row.Column, &later, &local, &domain, &name, &why, &origin, &at}, s.targets()...)
	if err := rows.Scan(targets...); err != nil {
		return RowResult{}, err
	}
	row.Duplicate = later.Bool
	if local.Valid {
		row.Address = local.String + "@" + domain.String
	}
	if name.Valid {
		row.Suppressed = &Suppressed{Name: name.String, Reason: why.String, Source: origin.String, At: fromUnix(at.Int64)}
	}
	row.Result, err = s.result(row.Address)
	return row, err
}

// resultColumns are the columns of a result s, in the order of storedResult's targets.
const resultColumns = `s.verdict, s.score, s.reason, s.detail, s.flags, s.suggestion, s.provider, s.mx,
	s.code, s.enhanced, s.text, s.command, s.checked_at, s.retry_at, s.source`

// storedResult is a result as the database holds it. All is NULL where an address has none.
type storedResult struct {
	verdict, reason, detail, flags, suggestion, provider, mx, enhanced, text, command, source sql.NullString
	score, code, checkedAt, retryAt                                                           sql.NullInt64
}

func (s *storedResult) targets() []any {
	return []any{
		&s.verdict, &s.score, &s.reason, &s.detail, &s.flags, &s.suggestion, &s.provider, &s.mx,
		&s.code, &s.enhanced, &s.text, &s.command, &s.checkedAt, &s.retryAt, &s.source,
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
func (s *storedResult) memory(tries int, since time.Time) verdict.Memory {
	m := verdict.Memory{
		Reason: verdict.Reason(s.reason.String), At: fromUnix(s.checkedAt.Int64), RetryAt: fromUnix(s.retryAt.Int64),
		Times: 1, Tries: tries, Counted: tries, Since: since,
	}
	if tries > 0 {
		m.LastTry = m.At
	}
	return m
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
	if s.code.Int64 > 0 {
		x.Reply = &verify.Reply{
			Code: int(s.code.Int64), Enhanced: s.enhanced.String, Text: s.text.String, Command: s.command.String,
		}
	}
	return x, nil
}
