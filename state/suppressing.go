package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"presend/verify/syntax"
	"presend/verify/verdict"
)

// suppressionList answers for a run's rows from the file's own list and the joined one.
type suppressionList []suppressionPart

// suppressionPart is one of these lists; an empty one costs nothing.
type suppressionPart struct {
	file   *File
	joined bool // its entries have negative ids in rows
	salts  salts
	state  listState
}

// names returns the names that forbid an address.
func (p suppressionPart) names(a syntax.Address) []any {
	address, domain := addressName(a), "@"+a.Domain
	return []any{
		p.salts.all.name(address), p.salts.all.name(domain),
		p.salts.forgotten.name(address), p.salts.forgotten.name(domain),
	}
}

// listState tells whether a list has changed.
type listState struct{ entries, newest int64 }

func (r *Run) suppressionList(ctx context.Context) (list suppressionList, err error) {
	for _, file := range []*File{r.file, r.also} {
		if file == nil {
			continue
		}
		p := suppressionPart{file: file, joined: file != r.file}
		err := file.db.QueryRowContext(ctx, "SELECT count(*), coalesce(max(id), 0) FROM suppression").
			Scan(&p.state.entries, &p.state.newest)
		if err != nil {
			return nil, fmt.Errorf("state: reading the suppression list: %w", err)
		}
		if p.salts, err = file.salts(ctx); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// changed reports whether the lists are not those of another time.
func (l suppressionList) changed(before suppressionList) bool {
	for i, p := range l {
		if i >= len(before) || p.state != before[i].state {
			return true
		}
	}
	return false
}

// forbidden is an entry that forbids an address.
type forbidden struct {
	id  int64 // as in rows; 0: there is none
	ask int64 // when it is asked about again; 0: never
}

// forbids returns which entry forbids an address. A person's goes first, then the one that is never asked about.
func (l suppressionList) forbids(ctx context.Context, s statements, a syntax.Address) (found forbidden, err error) {
	for _, p := range l {
		if p.state.entries == 0 {
			continue
		}
		find := s.forbids
		if p.joined {
			find = p.file.prepared.forbids
		}
		var one forbidden
		err := find.QueryRowContext(ctx, p.names(a)...).Scan(&one.id, &one.ask)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return forbidden{}, err
		}
		if p.joined {
			one.id = -one.id
		}
		if found.id == 0 || found.ask > 0 && one.ask == 0 {
			found = one
		}
	}
	return found, nil
}

// entry returns an entry by its id as in rows; nil where it is not there any more.
func (l suppressionList) entry(ctx context.Context, id int64) (*Suppressed, error) {
	p, id := l.part(id)
	return p.file.suppressedByID(ctx, id)
}

// part returns the list that has an entry, and the entry's id there.
func (l suppressionList) part(id int64) (suppressionPart, int64) {
	if id < 0 && len(l) > 1 {
		return l[1], -id
	}
	return l[0], id
}

// strike takes suppressed addresses out of the work of a run. They are not retried any more.
func (l suppressionList) strike(ctx context.Context, tx *sql.Tx, s statements, run int64) error {
	struck, err := l.struck(ctx, tx, s, run)
	if err != nil {
		return err
	}
	for _, id := range struck {
		if _, err := s.finish.ExecContext(ctx, run, id); err != nil {
			return err
		}
		if _, err := s.forget.ExecContext(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// struck returns the addresses in the work of a run that are suppressed.
func (l suppressionList) struck(ctx context.Context, tx *sql.Tx, s statements, run int64) (ids []int64, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		var a syntax.Address
		if err := rows.Scan(&id, &a.Local, &a.Domain); err != nil {
			return err
		}
		entry, err := l.forbids(ctx, s, a)
		if entry.id != 0 {
			ids = append(ids, id)
		}
		return err
	}, `SELECT w.address, a.local, d.name FROM work w JOIN addresses a ON a.id = w.address
		JOIN domains d ON d.id = w.domain WHERE w.run = $1`, run)
	return ids, err
}

// rowPlace is one address of a row.
type rowPlace struct {
	row    int64
	column int
}

// Resuppress brings the run's rows up to date with the suppression list: what was put on it since the rows were added
// counts, and what the run's answers say holds no more is taken off, and returned. Call it before Results.
func (r *Run) Resuppress(ctx context.Context) (off []Suppressed, err error) {
	list, err := r.suppressionList(ctx)
	if err != nil {
		return nil, err
	}
	if list.changed(r.list) {
		if err := r.suppressAdded(ctx, list); err != nil {
			return nil, fmt.Errorf("state: looking for new entries of the suppression list: %w", err)
		}
	}
	r.list = list
	if off, err = r.unsuppressRefuted(ctx); err != nil {
		return nil, fmt.Errorf("state: looking for entries of the suppression list that hold no more: %w", err)
	}
	return off, nil
}

// suppressAdded marks the rows that a list forbids now.
func (r *Run) suppressAdded(ctx context.Context, list suppressionList) error {
	found := map[rowPlace]forbidden{}
	err := eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
		var at rowPlace
		var a syntax.Address
		if err := rows.Scan(&at.row, &at.column, &a.Local, &a.Domain); err != nil {
			return err
		}
		entry, err := list.forbids(ctx, r.file.prepared, a)
		if entry.id != 0 {
			found[at] = entry
		}
		return err
	}, `SELECT r.n, r.col, a.local, d.name FROM rows r
		JOIN addresses a ON a.id = r.address JOIN domains d ON d.id = a.domain WHERE r.run = $1 AND r.suppressed = 0`, r.id)
	if err != nil || len(found) == 0 {
		return err
	}
	return r.file.write(ctx, "suppressing rows", func(tx *sql.Tx) error {
		for at, entry := range found {
			_, err := tx.ExecContext(ctx, "UPDATE rows SET suppressed = $1, ask = $2 WHERE run = $3 AND n = $4 AND col = $5",
				entry.id, entry.ask, r.id, at.row, at.column)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// unsuppressRefuted takes off the list what was asked about again and holds no more.
func (r *Run) unsuppressRefuted(ctx context.Context) (off []Suppressed, err error) {
	refuted, off, err := r.refuted(ctx)
	if err != nil || len(refuted) == 0 {
		return nil, err
	}
	for _, id := range refuted {
		p, own := r.list.part(id)
		if err := p.file.unsuppressByID(ctx, own); err != nil {
			return nil, err
		}
	}
	return off, r.file.write(ctx, "taking rows off the suppression list", func(tx *sql.Tx) error {
		for _, id := range refuted {
			_, err := tx.ExecContext(ctx, "UPDATE rows SET suppressed = 0, ask = 0 WHERE run = $1 AND suppressed = $2", r.id, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// refuted returns the entries that answers say hold no more, and the same with their names readable.
func (r *Run) refuted(ctx context.Context) (ids []int64, entries []Suppressed, err error) {
	err = eachRow(ctx, r.file.db, func(rows *sql.Rows) error {
		var id int64
		var a syntax.Address
		var reason verdict.Reason
		var code int
		var mx string
		if err := rows.Scan(&id, &a.Local, &a.Domain, &reason, &code, &mx); err != nil {
			return err
		}
		entry, err := r.list.entry(ctx, id)
		if err != nil || entry == nil || !entry.refuted(reason, code, mx) {
			return err
		}
		if entry.Hashed() {
			entry.Name = addressName(a)
		}
		ids, entries = append(ids, id), append(entries, *entry)
		return nil
	}, `SELECT DISTINCT r.suppressed, a.local, d.name, s.reason, s.code, s.mx
		FROM rows r JOIN results s ON s.address = r.address JOIN addresses a ON a.id = r.address
		JOIN domains d ON d.id = a.domain
		WHERE r.run = $1 AND r.suppressed <> 0 AND r.ask > 0 AND s.checked_at >= r.ask AND s.tried_at = 0`, r.id)
	return ids, entries, err
}
