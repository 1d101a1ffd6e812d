package state

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"presend/verify/verdict"
)

// BeginRetries begins a run over the temporary answers that are ready to retry, of the addresses in the newest run of
// each list. Of the policy only the suppression list holds.
func (f *File) BeginRetries(ctx context.Context, policy Policy) (*Run, error) {
	r, err := f.Begin(ctx, "", Policy{Suppression: policy.Suppression})
	if err != nil {
		return nil, err
	}
	r.all = true
	if err := r.plan(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// plan lays out the work of the run, and fixes the order of its domains, so that work which is done meanwhile does not
// change it. Work that an earlier pass left undone stays.
func (r *Run) plan(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.suppressionList(ctx)
	if err != nil {
		return err
	}
	return r.file.write(ctx, "laying out the work", func(tx *sql.Tx) error {
		if r.all {
			err = r.layOutRetries(ctx, tx, list)
		} else {
			err = r.layOutRows(ctx, tx)
		}
		if err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM batches WHERE run = $1", `INSERT INTO batches (run, pending, domain)
			SELECT run, -count(*), domain FROM work WHERE run = $1 GROUP BY run, domain`,
		} {
			if _, err := tx.ExecContext(ctx, statement, r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// layOutRows lays out the addresses of the list that have no result, or one that is to be asked again.
func (r *Run) layOutRows(ctx context.Context, tx *sql.Tx) error {
	why, args := r.why()
	_, err := tx.ExecContext(ctx, `INSERT INTO work (run, domain, folded, address, why)
		SELECT $1, domain, folded, address, why FROM (SELECT a.domain AS domain, lower(a.local) AS folded,
		a.id AS address, `+why+` AS why FROM rows r JOIN addresses a ON a.id = r.address
		LEFT JOIN results s ON s.address = a.id WHERE r.run = $1 AND (r.suppressed = 0 OR r.ask > 0)) planned
		WHERE why >= 0 ON CONFLICT DO NOTHING`, args...)
	return err
}

// listed are the addresses in the newest run of each list: of those that finished, or, where none did, of all.
const listed = `SELECT address FROM rows WHERE run IN (SELECT coalesce(max(CASE WHEN finished > 0 THEN id END), max(id))
	FROM runs WHERE list <> '' GROUP BY list)`

// layOutRetries lays out the temporary answers that can be asked again. Who was suppressed meanwhile is left alone.
func (r *Run) layOutRetries(ctx context.Context, tx *sql.Tx, list suppressionList) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO work (run, domain, folded, address, why)
		SELECT $1, a.domain, lower(a.local), a.id, 1 FROM results s JOIN addresses a ON a.id = s.address
		WHERE s.retry_at > 0 AND s.retry_at <= $2 AND a.id IN (`+listed+`) ON CONFLICT DO NOTHING`, r.id, r.now)
	if err != nil {
		return err
	}
	return list.strike(ctx, tx, r.file.prepared.in(ctx, tx), r.id)
}

// tomorrow is how far in the future a time may lie that is not taken for a mistake of a clock.
const tomorrow = 3600

// why is an expression over a result s that tells why its address is to be asked: 0 it has none, 1 it is a temporary
// answer that can be asked again, 2 it is older than its shelf life, -1 it is not. The first parameter is the run's id.
func (r *Run) why() (expression string, args []any) {
	args = []any{r.id}
	var e strings.Builder
	e.WriteString("CASE")
	when := func(condition string, result int, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		fmt.Fprintf(&e, " WHEN %s THEN %d", condition, result)
	}
	when("r.ask > ?", -1, r.now) // suppressed, and not asked yet
	when(`r.ask > 0 AND (s.address IS NULL OR s.checked_at < r.ask AND s.retry_at = 0 AND s.tried_at < ?)`, 2, r.begun)
	when("s.address IS NULL", 0)
	when("s.retry_at > 0 AND s.retry_at <= ?", 1, r.now)
	when("s.checked_at > ?", 2, r.now+tomorrow) // a clock was wrong once
	if r.policy.Fresh {
		when("s.checked_at < ? AND s.tried_at < ?", 2, r.begun, r.begun)
	}
	if r.policy.Probing {
		when("s.reason = ?", 2, string(verdict.NotProbed))
	}
	if r.policy.MaxAge > 0 {
		when("s.retry_at = 0 AND s.checked_at < ?", 2, r.begun-r.policy.oldest())
	}
	when("s.retry_at = 0 AND s.due_at <= ? AND s.tried_at < ?", 2, r.now, r.begun)
	e.WriteString(" ELSE -1 END")
	return e.String(), args
}

// Plan returns what is left to do of what was laid out when the rows were added or Again was called. What was done
// since counts as Reused.
func (r *Run) Plan(ctx context.Context) (p Plan, err error) {
	r.mu.Lock()
	now := r.now
	r.mu.Unlock()
	var addresses int
	err = r.file.db.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM (SELECT DISTINCT n FROM rows WHERE run = $1) AS a),
		(SELECT count(*) FROM (SELECT DISTINCT n FROM rows WHERE run = $1 AND suppressed <> 0 AND col < 32768) AS b),
		(SELECT count(DISTINCT r.address) FROM rows r WHERE r.run = $1 AND r.address > 0 AND
			(r.suppressed = 0 OR r.ask > 0 AND r.ask <= $2)),
		(SELECT count(*) FROM work WHERE run = $1 AND why = 0), (SELECT count(*) FROM work WHERE run = $1 AND why = 1),
		(SELECT count(*) FROM work WHERE run = $1 AND why = 2)`, r.id, now).
		Scan(&p.Rows, &p.Suppressed, &addresses, &p.New, &p.Due, &p.Stale)
	if err != nil {
		return p, fmt.Errorf("state: counting the work: %w", err)
	}
	p.Reused = max(0, addresses-p.Pending())
	return p, nil
}

// NextRetry returns when the first of the run's temporary answers can be asked again; zero for none.
func (r *Run) NextRetry(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	query := `SELECT min(s.retry_at) FROM rows r JOIN results s ON s.address = r.address
		WHERE r.run = $1 AND s.retry_at > 0 AND r.suppressed = 0`
	args := []any{r.id}
	if r.all {
		query, args = "SELECT min(retry_at) FROM results WHERE retry_at > 0 AND address IN ("+listed+")", nil
	}
	err := r.file.db.QueryRowContext(ctx, query, args...).Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("state: looking for retries: %w", err)
	}
	return fromUnix(at.Int64), nil
}

// Again lays out what can be asked again by now, for another pass of the engine over the same rows.
func (r *Run) Again(ctx context.Context) error {
	r.mu.Lock()
	r.reset()
	r.policy = Policy{}
	r.mu.Unlock()
	return r.plan(ctx)
}
