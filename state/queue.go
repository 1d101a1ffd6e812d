package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// statements are what every batch of a run needs. They are prepared once for the life of a file.
type statements struct{ lease, keep, newest, change, finish, fact *sql.Stmt }

// prepare prepares all statements. Those that it has prepared when it fails are closed by close.
func (s *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	for _, each := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&s.lease, `SELECT a.id, a.local, w.folded, coalesce(s.tries, 0), coalesce(s.since, 0),
			coalesce(s.heard = 1 AND s.checked_at >= $1, FALSE), ` + resultColumns + `
			FROM work w JOIN addresses a ON a.id = w.address LEFT JOIN results s ON s.address = a.id
			WHERE w.domain = $2 AND (w.folded, w.address) > ($3, $4) ORDER BY w.folded, w.address LIMIT $5`},
		{&s.keep, `INSERT OR REPLACE INTO results (address, verdict, score, reason, detail, flags, suggestion, provider, mx,
			code, enhanced, text, command, checked_at, retry_at, source, tries, since, heard)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.newest, "SELECT verdict, reason FROM history WHERE address = $1 ORDER BY at DESC LIMIT 1"},
		{&s.change, "INSERT OR REPLACE INTO history (address, at, run, verdict, reason) VALUES ($1, $2, $3, $4, $5)"},
		{&s.finish, `DELETE FROM work WHERE (domain, folded, address) =
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
	for _, statement := range []*sql.Stmt{s.lease, s.keep, s.newest, s.change, s.finish, s.fact} {
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
	if r.cursor.pending == 1<<62 {
		// The order is fixed once, so that work which is done meanwhile does not change it.
		for _, statement := range []string{
			"DROP TABLE IF EXISTS temp.plan",
			"CREATE TEMP TABLE plan (pending INTEGER, domain INTEGER, PRIMARY KEY (pending DESC, domain)) WITHOUT ROWID",
			"INSERT INTO temp.plan SELECT count(*), domain FROM work GROUP BY domain",
		} {
			if _, err := r.file.conn.ExecContext(ctx, statement); err != nil {
				return nil, fmt.Errorf("state: ordering the work: %w", err)
			}
		}
	}
	rows, err := r.file.conn.QueryContext(ctx, `SELECT p.pending, d.id, d.name,
		CASE WHEN d.checked_at > $1 THEN d.catch_all ELSE '' END
		FROM temp.plan p JOIN domains d ON d.id = p.domain WHERE p.pending < $2 OR (p.pending = $2 AND p.domain > $3)
		ORDER BY p.pending DESC, p.domain LIMIT $4`, r.oldest, r.cursor.pending, r.cursor.domain, max)
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
		d.Pending = int(r.cursor.pending)
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
	rows, err := r.file.prepared.lease.QueryContext(ctx, r.oldest, id, after.folded, after.address, max)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var s storedResult
	var t verify.Task
	var at place
	var local string
	var tries int
	var since int64
	var heard bool
	targets := append([]any{&t.ID, &local, &at.folded, &tries, &since, &heard}, s.targets()...)
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, nil, err
		}
		t.Address, t.Source, t.Heard = syntax.Stored(local, domain), netip.Addr{}, nil
		t.Memory = s.memory(tries, fromUnix(since))
		// Only a server that greylists must meet the same client again.
		if tries > 0 && (heard || verify.Reason(s.reason.String) == verdict.Greylisted) {
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
		if err := keep(ctx, s.keep, d); err != nil {
			return fmt.Errorf("state: recording a result: %w", err)
		}
		if d.Provisional {
			continue
		}
		if err := r.noteChange(ctx, s, d.Task.ID, d.Result); err != nil {
			return fmt.Errorf("state: recording a change: %w", err)
		}
		if _, err := s.finish.ExecContext(ctx, d.Task.ID); err != nil {
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

// keep stores a result in place of the one before.
func keep(ctx context.Context, statement *sql.Stmt, d verify.Done) error {
	x, said, flags, source := d.Result, verify.Reply{}, make([]string, len(d.Result.Flags)), ""
	if x.Reply != nil {
		said = *x.Reply
	}
	for i, flag := range x.Flags {
		flags[i] = string(flag)
	}
	if x.Source.IsValid() {
		source = x.Source.String()
	}
	memory := memoryAfter(d)
	heard := d.Provisional || x.Reason == verdict.CatchAllUnknown && !x.RetryAt.IsZero()
	_, err := statement.ExecContext(ctx, d.Task.ID, string(x.Verdict), x.Score, string(x.Reason), x.Detail,
		strings.Join(flags, " "), x.Suggestion, x.Provider, x.MX, said.Code, said.Enhanced, said.Text, said.Command,
		x.CheckedAt.Unix(), toUnix(x.RetryAt), source, memory.Tries, toUnix(memory.Since), heard)
	return err
}

// memoryAfter returns what is remembered of an address once a result is recorded. A provisional result changes nothing.
func memoryAfter(d verify.Done) verdict.Memory {
	if d.Provisional {
		return d.Task.Memory
	}
	return d.Task.Memory.After(d.Result.Reason, d.Result.CheckedAt, d.Result.RetryAt)
}
