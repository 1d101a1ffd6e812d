package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// statements are what every batch of a run needs. They are prepared once for the life of a file.
type statements struct{ domains, lease, keep, try, newest, change, finish, fact *sql.Stmt }

// prepare prepares all statements. Those that it has prepared when it fails are closed by close.
func (s *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	for _, each := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&s.domains, `SELECT b.pending, d.id, d.name, CASE WHEN d.checked_at > $2 THEN d.catch_all ELSE '' END
			FROM batches b JOIN domains d ON d.id = b.domain WHERE b.run = $1 AND (b.pending, b.domain) > ($3, $4)
			ORDER BY b.pending, b.domain LIMIT $5`},
		{&s.lease, `SELECT a.id, a.local, w.folded, coalesce(s.heard = 1 AND s.checked_at >= $1, FALSE), ` + resultColumns + `
			FROM work w JOIN addresses a ON a.id = w.address LEFT JOIN results s ON s.address = a.id
			WHERE w.run = $2 AND w.domain = $3 AND (w.folded, w.address) > ($4, $5) ORDER BY w.folded, w.address LIMIT $6`},
		{&s.keep, `INSERT INTO results (address, verdict, score, reason, detail, flags, suggestion, provider, mx,
			code, enhanced, text, command, checked_at, retry_at, source, heard, action,
			times, tries, counted, since, last_try, due_at, tried_at, tried_reason, tried_detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
			$24, 0, '', '')
			ON CONFLICT (address) DO UPDATE SET verdict = excluded.verdict, score = excluded.score, reason = excluded.reason,
			detail = excluded.detail, flags = excluded.flags, suggestion = excluded.suggestion, provider = excluded.provider,
			mx = excluded.mx, code = excluded.code, enhanced = excluded.enhanced, text = excluded.text,
			command = excluded.command, checked_at = excluded.checked_at, retry_at = excluded.retry_at,
			source = excluded.source, heard = excluded.heard, action = excluded.action, times = excluded.times,
			tries = excluded.tries, counted = excluded.counted, since = excluded.since, last_try = excluded.last_try,
			due_at = excluded.due_at, tried_at = 0, tried_reason = '', tried_detail = ''`},
		{&s.try, `UPDATE results SET tried_at = $2, tried_reason = $3, tried_detail = $4, retry_at = $5, source = $6,
			tries = $7, counted = $8, since = $9, last_try = $10 WHERE address = $1`},
		{&s.newest, "SELECT verdict, reason FROM history WHERE address = $1 ORDER BY at DESC LIMIT 1"},
		{&s.change, `INSERT INTO history (address, at, run, verdict, reason) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (address, at) DO UPDATE SET run = excluded.run, verdict = excluded.verdict, reason = excluded.reason`},
		{&s.finish, `DELETE FROM work WHERE run = $2 AND (domain, folded, address) =
			(SELECT domain, lower(local), id FROM addresses WHERE id = $1)`},
		// Facts without an answer to the catch-all question leave what was known of it.
		{&s.fact, `UPDATE domains SET provider = $2, mx = $3,
			catch_all = CASE WHEN $4 <> '' THEN $4 ELSE catch_all END,
			checked_at = CASE WHEN $4 <> '' THEN $5 ELSE checked_at END WHERE name = $1`},
	} {
		if *each.statement, err = db.PrepareContext(ctx, each.text); err != nil {
			return fmt.Errorf("preparing statements: %w", err)
		}
	}
	return nil
}

func (s *statements) close() (err error) {
	for _, statement := range []*sql.Stmt{
		s.domains, s.lease, s.keep, s.try, s.newest, s.change, s.finish, s.fact,
	} {
		if statement != nil {
			err = errors.Join(err, statement.Close())
		}
	}
	return err
}

// in returns the statements that record, for use in a transaction.
func (s *statements) in(ctx context.Context, tx *sql.Tx) statements {
	return statements{
		keep:   tx.StmtContext(ctx, s.keep),
		try:    tx.StmtContext(ctx, s.try),
		newest: tx.StmtContext(ctx, s.newest),
		change: tx.StmtContext(ctx, s.change),
		finish: tx.StmtContext(ctx, s.finish),
		fact:   tx.StmtContext(ctx, s.fact),
	}
}

// Domains implements verify.Queue.
func (r *Run) Domains(ctx context.Context, max int) (out []verify.Domain, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.file.prepared.domains.QueryContext(ctx, r.id, r.oldest, r.cursor.pending, r.cursor.domain, max)
	if err != nil {
		return nil, fmt.Errorf("state: taking domains: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d verify.Domain
		var known string
		if err := rows.Scan(&r.cursor.pending, &r.cursor.domain, &d.Name, &known); err != nil {
			return nil, fmt.Errorf("state: taking domains: %w", err)
		}
		d.Pending = -int(r.cursor.pending)
		if c := catchall.Answer(known); c == catchall.Yes || c == catchall.No {
			d.CatchAll = c
		}
		r.ids[d.Name] = r.cursor.domain
		out = append(out, d)
	}
	return out, rows.Err()
}

// Lease implements verify.Queue. Addresses that differ only in the case of the local part come together.
func (r *Run) Lease(ctx context.Context, domain string, max int) ([]verify.Task, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, known := r.ids[domain]
	if !known {
		return nil, nil
	}
	tasks, places, err := r.waiting(ctx, domain, id, max+1)
	if err != nil {
		return nil, fmt.Errorf("state: taking addresses: %w", err)
	}
	if len(tasks) <= max {
		delete(r.next, domain)
		delete(r.ids, domain)
		return tasks, nil
	}
	n := max
	for n > 1 && places[n-1].folded == places[n].folded {
		n--
	}
	if places[n-1].folded == places[n].folded {
		n = max // more spellings than a batch holds
	}
	r.next[domain] = places[n-1]
	return tasks[:n], nil
}

// waiting returns up to max tasks of a domain that were not yet handed out, with their places.
func (r *Run) waiting(
	ctx context.Context, domain string, id int64, max int,
) (tasks []verify.Task, places []place, err error) {
	after := r.next[domain]
	rows, err := r.file.prepared.lease.QueryContext(ctx, r.oldest, r.id, id, after.folded, after.address, max)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var s storedResult
	var t verify.Task
	var at place
	var local string
	var heard bool
	targets := append([]any{&t.ID, &local, &at.folded, &heard}, s.targets()...)
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, nil, err
		}
		t.Address, t.Memory, t.Source, t.Heard = syntax.Stored(local, domain), s.memory(), netip.Addr{}, nil
		// Only a server that greylists must meet the same client again.
		if t.Memory.Tries > 0 && (heard || s.lastReason() == verdict.Greylisted) {
			if t.Source, err = s.sourceAddress(); err != nil {
				return nil, nil, fmt.Errorf("address %d: %w", t.ID, err)
			}
		}
		if heard {
			if t.Heard, err = s.result(t.Address.String()); err != nil {
				return nil, nil, fmt.Errorf("address %d: %w", t.ID, err)
			}
		}
		at.address = t.ID
		tasks, places = append(tasks, t), append(places, at)
	}
	return tasks, places, rows.Err()
}

// Record implements verify.Queue. A provisional result is kept, but its address stays in the work of the run, and its
// history and tries change with the settled result.
func (r *Run) Record(ctx context.Context, done []verify.Done, facts []verify.Facts) error {
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	defer tx.Rollback()
	s := r.file.prepared.in(ctx, tx)
	for _, d := range done {
		replaced, err := s.record(ctx, d)
		if err != nil {
			return fmt.Errorf("state: recording a result: %w", err)
		}
		if d.Provisional {
			continue
		}
		if replaced {
			if err := r.noteChange(ctx, s, d.Task.ID, d.Result); err != nil {
				return fmt.Errorf("state: recording a change: %w", err)
			}
		}
		if _, err := s.finish.ExecContext(ctx, d.Task.ID, r.id); err != nil {
			return fmt.Errorf("state: recording a result: %w", err)
		}
	}
	for _, f := range facts {
		_, err := s.fact.ExecContext(ctx, f.Name, f.Provider, f.MX, string(f.CatchAll), f.CheckedAt.Unix())
		if err != nil {
			return fmt.Errorf("state: recording a domain: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	return nil
}

// noteChange adds a result to the history of an address unless the newest change there says the same. It does not
// compare with the result before, which may be provisional.
func (r *Run) noteChange(ctx context.Context, s statements, address int64, x verify.Result) error {
	var verdict verify.Verdict
	var reason verify.Reason
	err := s.newest.QueryRowContext(ctx, address).Scan(&verdict, &reason)
	if err == nil && verdict == x.Verdict && reason == x.Reason {
		return nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = s.change.ExecContext(ctx, address, x.CheckedAt.Unix(), r.id, string(x.Verdict), string(x.Reason))
	return err
}

// record stores a result in place of the one before. Where that was an answer and this is none, the answer stays, and
// replaced is false.
func (s *statements) record(ctx context.Context, d verify.Done) (replaced bool, err error) {
	x, address, source := d.Result, d.Task.Address.String(), ""
	if x.Source.IsValid() {
		source = x.Source.String()
	}
	memory := d.Task.Memory
	switch {
	case d.Provisional: // it changes neither tries nor times
	case x.Ours:
		memory = memory.AfterOurs(x.Reason, x.CheckedAt, x.RetryAt)
	default:
		memory = memory.After(x.Reason, x.CheckedAt, x.RetryAt)
	}
	answer := verdict.Answer{Reason: x.Reason, At: x.CheckedAt, Open: d.Provisional || !x.RetryAt.IsZero()}
	if d.Task.Memory.Outlasts(answer, address) {
		if d.Provisional {
			return false, nil // the settled result follows
		}
		_, err := s.try.ExecContext(ctx, d.Task.ID, x.CheckedAt.Unix(), string(x.Reason), x.Detail, toUnix(x.RetryAt), source,
			memory.Tries, memory.Counted, toUnix(memory.Since), toUnix(memory.LastTry))
		return false, err
	}
	said, flags, action := verify.Reply{}, make([]string, len(x.Flags)), ""
	if x.Reply != nil {
		said = *x.Reply
	}
	for i, flag := range x.Flags {
		flags[i] = string(flag)
	}
	if x.Action != x.Reason.Facts().Action {
		action = string(x.Action)
	}
	heard := d.Provisional || x.Reason == verdict.CatchAllUnknown && !x.RetryAt.IsZero()
	_, err = s.keep.ExecContext(ctx, d.Task.ID, string(x.Verdict), x.Score, string(x.Reason), x.Detail,
		strings.Join(flags, " "), x.Suggestion, x.Provider, x.MX, said.Code, said.Enhanced, said.Text, said.Command,
		x.CheckedAt.Unix(), toUnix(x.RetryAt), source, heard, action, max(1, memory.Times), memory.Tries, memory.Counted,
		toUnix(memory.Since), toUnix(memory.LastTry), toUnix(dueAt(x, memory.Times, address)))
	return true, err
}

// dueAt returns when a result is older than its shelf life.
func dueAt(x verify.Result, times int, address string) time.Time {
	return verdict.Memory{Reason: x.Reason, At: x.CheckedAt, Times: times}.DueAt(address)
}
