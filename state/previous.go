package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// lastRun returns the newest run over a list that finished; nil where there is none.
func lastRun(ctx context.Context, tx interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, list string,
) (*PastRun, error) {
	r, err := scanRun(tx.QueryRowContext(ctx, "SELECT "+runColumns+
		" FROM runs WHERE id = (SELECT max(id) FROM runs WHERE list = $1 AND finished > 0)", list))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

const runColumns = "id, list, input, columns, started, finished, summary"

func scanRun(row interface{ Scan(...any) error }) (r PastRun, err error) {
	var started, finished int64
	var columns, summary string
	if err := row.Scan(&r.ID, &r.List, &r.Input, &columns, &started, &finished, &summary); err != nil {
		return r, err
	}
	r.Started, r.Finished = fromUnix(started), fromUnix(finished)
	if columns != "" {
		if err := json.Unmarshal([]byte(columns), &r.Columns); err != nil {
			return r, err
		}
	}
	if summary != "" {
		err = json.Unmarshal([]byte(summary), &r.Summary)
	}
	return r, err
}

// LastRun returns the newest run over a list that finished; nil where there is none.
func (f *File) LastRun(ctx context.Context, list string) (*PastRun, error) {
	last, err := lastRun(ctx, f.db, list)
	if err != nil {
		return nil, fmt.Errorf("state: looking for the last run over %s: %w", list, err)
	}
	return last, nil
}

// Before is the result that the list's last run showed for an address.
type Before struct {
	Verdict verify.Verdict
	Reason  verify.Reason
}

// Previous holds the results that the list's last run showed.
type Previous struct {
	listed, suppressed set
	changed            map[int64]Before // of addresses of which something else was found since
}

// Previous returns what the list's last run showed; nil where there was none.
func (r *Run) Previous(ctx context.Context) (*Previous, error) {
	if r.last == nil {
		return nil, nil
	}
	p := &Previous{changed: map[int64]Before{}}
	err := eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
		var address, suppressed int64
		if err := rows.Scan(&address, &suppressed); err != nil {
			return err
		}
		p.listed.add(address)
		if suppressed != 0 {
			p.suppressed.add(address)
		}
		return nil
	}, "SELECT address, suppressed FROM rows WHERE run = $1 AND address > 0", r.last.ID)
	if err == nil {
		err = eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
			var address int64
			var verdict, reason sql.NullString
			if err := rows.Scan(&address, &verdict, &reason); err != nil {
				return err
			}
			before := Before{Verdict: verify.Unknown, Reason: verify.Reason(reason.String)}
			if verdict.Valid {
				before.Verdict = verify.Verdict(verdict.String)
			}
			p.changed[address] = before
			return nil
		}, `SELECT c.address, b.verdict, b.reason FROM (SELECT DISTINCT address FROM history WHERE at > $1) c
			LEFT JOIN history b ON b.address = c.address AND b.at =
			(SELECT max(at) FROM history o WHERE o.address = c.address AND o.at <= $1)`, toUnix(r.last.Finished))
	}
	if err != nil {
		return nil, fmt.Errorf("state: reading what the last run showed: %w", err)
	}
	return p, nil
}

// Of returns what the last run showed of a row's address, and false where it did not have it.
func (p *Previous) Of(row RowResult) (Before, bool) {
	switch {
	case !p.listed.has(row.id):
		return Before{}, false
	case p.suppressed.has(row.id):
		return Before{verify.Invalid, verdict.Suppressed}, true
	}
	if before, changed := p.changed[row.id]; changed {
		return before, true
	}
	if row.Result == nil {
		return Before{Verdict: verify.Unknown}, true
	}
	return Before{row.Result.Reason.Verdict(), row.Result.Reason}, true
}

// Gone returns how many addresses of the list's last run are not in this one.
func (r *Run) Gone(ctx context.Context, p *Previous) (int, error) {
	if p == nil {
		return 0, nil
	}
	now, err := r.file.listed(ctx, r.id)
	if err != nil {
		return 0, err
	}
	return p.listed.without(now).size(), nil
}

// Addresses returns how many different addresses the run's rows hold.
func (r *Run) Addresses(ctx context.Context) (int, error) {
	s, err := r.file.listed(ctx, r.id)
	return s.size(), err
}

// listed returns the addresses in the rows of a run.
func (f *File) listed(ctx context.Context, run int64) (s set, err error) {
	if s, err = listedIn(ctx, f.db, "run = $1", run); err != nil {
		err = fmt.Errorf("state: reading the addresses of a run: %w", err)
	}
	return s, err
}

// Share returns how many of some addresses, each counted once, were in a past run, and how many there are.
func (f *File) Share(ctx context.Context, past *PastRun, addresses []syntax.Address) (in, all int, err error) {
	listed, err := f.listed(ctx, past.ID)
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{}
	for _, a := range addresses {
		if seen[a.String()] {
			continue
		}
		seen[a.String()] = true
		var id int64
		err := f.db.QueryRowContext(ctx, `SELECT a.id FROM addresses a JOIN domains d ON d.id = a.domain
			WHERE d.name = $1 AND a.local = $2`, a.Domain, a.Local).Scan(&id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, 0, fmt.Errorf("state: looking for %s: %w", a, err)
		}
		if err == nil && listed.has(id) {
			in++
		}
	}
	return in, len(seen), nil
}
