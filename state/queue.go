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

// Domains implements verify.Queue.
func (r *Run) Domains(ctx context.Context, max int) (out []verify.Domain, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.file.prepared.domains.QueryContext(ctx, r.id, r.facts, r.cursor.pending, r.cursor.domain, max)
	if err != nil {
		return nil, fmt.Errorf("state: taking domains: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d verify.Domain
		var fact string
		if err := rows.Scan(&r.cursor.pending, &r.cursor.domain, &d.Name, &fact); err != nil {
			return nil, fmt.Errorf("state: taking domains: %w", err)
		}
		d.Pending = -int(r.cursor.pending)
		if c := catchall.Answer(fact); known(c) {
			d.CatchAll = c
		}
		r.ids[d.Name] = r.cursor.domain
		out = append(out, d)
	}
	return out, rows.Err()
}

// Lease implements verify.Queue. Addresses that differ only in the case of the local part come together, as
// far as max allows.
func (r *Run) Lease(ctx context.Context, domain string, max int) ([]verify.Task, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, out := r.ids[domain]
	if !out {
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

// Record implements verify.Queue. A provisional result is kept, unless an older answer outlasts it, but its address
// stays in the work of the run, and its history and tries change with the settled result. Where another run found an
// answer since the work was laid out, it is not replaced by less.
func (r *Run) Record(ctx context.Context, done []verify.Done, facts []verify.Facts) error {
	r.mu.Lock()
	laidOut := r.now
	r.mu.Unlock()
	return r.file.write(ctx, "recording", func(tx *sql.Tx) error {
		s := r.file.prepared.in(ctx, tx)
		for _, d := range done {
			if err := r.record(ctx, s, d, laidOut); err != nil {
				return fmt.Errorf("the result of %s: %w", d.Task.Address, err)
			}
		}
		for _, f := range facts {
			if err := r.learn(ctx, s, f, laidOut); err != nil {
				return fmt.Errorf("domain %s: %w", f.Name, err)
			}
		}
		return nil
	})
}

// learn keeps what was learned of a domain. Where it is no longer, or has become, a catch-all, what it accepted before
// is to be asked again in this run.
func (r *Run) learn(ctx context.Context, s statements, f verify.Facts, laidOut int64) error {
	if known(f.CatchAll) {
		var before catchall.Answer
		if err := s.known.QueryRowContext(ctx, f.Name).Scan(&before); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if known(before) && before != f.CatchAll {
			doubted, err := s.doubt.ExecContext(ctx, f.Name, laidOut,
				string(verdict.Accepted), string(verdict.CatchAll), string(verdict.CatchAllUnknown))
			if err != nil {
				return err
			}
			n, err := doubted.RowsAffected()
			if err != nil {
				return err
			}
			if n > 0 {
				r.doubted.Store(true)
			}
		}
	}
	_, err := s.fact.ExecContext(ctx, f.Name, f.Provider, f.MX, string(f.CatchAll), f.CheckedAt.Unix())
	return err
}

// known reports whether the catch-all question is answered.
func known(c catchall.Answer) bool { return c == catchall.Yes || c == catchall.No }

// Doubted reports whether facts of domains have changed since it was called last, so that results of this run's
// addresses are to be asked again in this run: call [Run.Again].
func (r *Run) Doubted() bool { return r.doubted.Swap(false) }

func (r *Run) record(ctx context.Context, s statements, d verify.Done, laidOut int64) error {
	replaced, err := s.record(ctx, d, laidOut)
	if err != nil || d.Provisional {
		return err
	}
	if replaced {
		if err := r.noteChange(ctx, s, d.Task.ID, d.Result); err != nil {
			return err
		}
	}
	_, err = s.finish.ExecContext(ctx, r.id, d.Task.ID)
	return err
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
func (s *statements) record(ctx context.Context, d verify.Done, laidOut int64) (replaced bool, err error) {
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
			memory.Tries, memory.Counted, toUnix(memory.Since), toUnix(memory.LastTry), laidOut)
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
	stored, err := s.keep.ExecContext(ctx, d.Task.ID, string(x.Verdict), x.Score, string(x.Reason), x.Detail,
		strings.Join(flags, " "), x.Suggestion, x.Provider, x.MX, said.Code, said.Enhanced, said.Text, said.Command,
		x.CheckedAt.Unix(), toUnix(x.RetryAt), source, heard, action, max(1, memory.Times), memory.Tries, memory.Counted,
		toUnix(memory.Since), toUnix(memory.LastTry), toUnix(dueAt(x, memory.Times, address)), laidOut)
	if err != nil {
		return false, err
	}
	n, err := stored.RowsAffected()
	return n > 0, err
}
