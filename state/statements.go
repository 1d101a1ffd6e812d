package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// statements are what every batch of a run needs. They are prepared once for the life of a file.
type statements struct {
	// Adding rows.
	forbids *sql.Stmt
	// Handing out work.
	domains, lease *sql.Stmt
	// Recording.
	keep, try, newest, change, finish, forget, fact, known, doubt *sql.Stmt
}

// each calls a function with each statement and its text.
func (s *statements) each(do func(statement **sql.Stmt, text string)) {
	do(&s.forbids, "SELECT id, due_at FROM suppression WHERE name IN ($1, $2, $3, $4) ORDER BY due_at > 0, name LIMIT 1")

	do(&s.domains, `SELECT b.pending, d.id, d.name, CASE WHEN d.checked_at > $2 THEN d.catch_all ELSE '' END
		FROM batches b JOIN domains d ON d.id = b.domain WHERE b.run = $1 AND (b.pending, b.domain) > ($3, $4)
		ORDER BY b.pending, b.domain LIMIT $5`)
	do(&s.lease, `SELECT a.id, a.local, w.folded, coalesce(s.heard = 1 AND s.checked_at >= $1, FALSE), `+resultColumns+`
		FROM work w JOIN addresses a ON a.id = w.address LEFT JOIN results s ON s.address = a.id
		WHERE w.run = $2 AND w.domain = $3 AND (w.folded, w.address) > ($4, $5) ORDER BY w.folded, w.address LIMIT $6`)

	// An answer that another run found since the work was laid out is not replaced by one that leaves a question open, or
	// by none. One whose time is an hour or more in the future was not found since.
	do(&s.keep, `INSERT INTO results (address, verdict, score, reason, detail, flags, suggestion, provider, mx,
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
		due_at = excluded.due_at, tried_at = 0, tried_reason = '', tried_detail = ''
		WHERE results.checked_at < $25 OR results.checked_at >= excluded.checked_at + 3600
		OR results.heard = 1 OR results.verdict = 'unknown'
		OR excluded.heard = 0 AND excluded.verdict <> 'unknown'`)
	do(&s.try, `UPDATE results SET tried_at = $2, tried_reason = $3, tried_detail = $4, retry_at = $5, source = $6,
		tries = $7, counted = $8, since = $9, last_try = $10
		WHERE address = $1 AND (checked_at < $11 OR checked_at >= $2 + 3600)`)
	do(&s.newest, "SELECT verdict, reason FROM history WHERE address = $1 ORDER BY at DESC LIMIT 1")
	do(&s.change, `INSERT INTO history (address, at, run, verdict, reason) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (address, at) DO UPDATE SET run = excluded.run, verdict = excluded.verdict, reason = excluded.reason`)
	do(&s.finish, `DELETE FROM work WHERE run = $1 AND (domain, folded, address) =
		(SELECT domain, lower(local), id FROM addresses WHERE id = $2)`)
	do(&s.forget, "UPDATE results SET retry_at = 0 WHERE address = $1")
	// Facts without an answer to the catch-all question leave what was known of it.
	do(&s.fact, `UPDATE domains SET provider = $2, mx = $3,
		catch_all = CASE WHEN $4 <> '' THEN $4 ELSE catch_all END,
		checked_at = CASE WHEN $4 <> '' THEN $5 ELSE checked_at END WHERE name = $1`)
	do(&s.known, "SELECT catch_all FROM domains WHERE name = $1")
	// What was accepted while another fact held is older than its shelf life now.
	do(&s.doubt, `UPDATE results SET due_at = $2 WHERE address IN
		(SELECT a.id FROM addresses a JOIN domains d ON d.id = a.domain WHERE d.name = $1)
		AND checked_at < $2 AND retry_at = 0 AND reason IN ($3, $4, $5)`)
}

// prepare prepares all statements. Those that it has prepared when it fails are closed by close.
func (s *statements) prepare(ctx context.Context, db *sql.DB) (err error) {
	s.each(func(statement **sql.Stmt, text string) {
		if err != nil {
			return
		}
		if *statement, err = db.PrepareContext(ctx, text); err != nil {
			err = fmt.Errorf("preparing statements: %w", err)
		}
	})
	return err
}

func (s *statements) close() (err error) {
	s.each(func(statement **sql.Stmt, _ string) {
		if *statement != nil {
			err = errors.Join(err, (*statement).Close())
		}
	})
	return err
}

// in returns the statements for use in a transaction.
func (s statements) in(ctx context.Context, tx *sql.Tx) statements {
	s.each(func(statement **sql.Stmt, _ string) { *statement = tx.StmtContext(ctx, *statement) })
	return s
}
