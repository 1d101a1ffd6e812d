package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
)

const addBatch = 20000

// FallbackColumn is the first of the columns that hold what an address may mean, and no address of the list. They are no
// rows of the plan.
const FallbackColumn = 1 << 15

// Add takes the entries of a list, in order. When it returns, the work of the run is laid out.
func (r *Run) Add(ctx context.Context, entries iter.Seq2[Entry, error]) error {
	next, stop := iter.Pull2(entries)
	defer stop()
	list, err := r.file.suppressionList(ctx)
	if err != nil {
		return err
	}
	domains := map[string]int64{}
	for {
		read, err := r.addBatch(ctx, next, domains, list)
		if err != nil {
			return fmt.Errorf("state: adding rows: %w", err)
		}
		if read < addBatch {
			break
		}
		if len(domains) > 1<<16 {
			clear(domains) // a cache, and bounded
		}
	}
	return r.plan(ctx)
}

// adder puts entries into the tables within a transaction.
type adder struct {
	findDomain, addDomain, findAddress, addAddress, addRow *sql.Stmt
}

func (a *adder) prepare(ctx context.Context, tx *sql.Tx) (err error) {
	for _, each := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&a.findDomain, "SELECT id FROM domains WHERE name = $1"},
		{&a.addDomain, "INSERT INTO domains (name) VALUES ($1) RETURNING id"},
		{&a.findAddress, "SELECT id FROM addresses WHERE domain = $1 AND local = $2"},
		{&a.addAddress, "INSERT INTO addresses (domain, local) VALUES ($1, $2) RETURNING id"},
		{&a.addRow, "INSERT INTO rows (run, n, col, address, suppressed) VALUES ($1, $2, $3, $4, $5)"},
	} {
		if *each.statement, err = tx.PrepareContext(ctx, each.text); err != nil {
			return err
		}
	}
	return nil
}

func (a *adder) close() (err error) {
	for _, statement := range []*sql.Stmt{a.findDomain, a.addDomain, a.findAddress, a.addAddress, a.addRow} {
		if statement != nil {
			err = errors.Join(err, statement.Close())
		}
	}
	return err
}

func (r *Run) addBatch(
	ctx context.Context, next func() (Entry, error, bool), domains map[string]int64, list *suppressionList,
) (read int, err error) {
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var a adder
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.prepare(ctx, tx); err != nil {
		return 0, err
	}
	forbids, err := list.prepare(ctx, tx)
	if err != nil {
		return 0, err
	}
	for read < addBatch {
		entry, err, more := next()
		if !more {
			break
		}
		if err != nil {
			return read, err
		}
		var id, suppressed int64
		if address := entry.Address; address != nil {
			if suppressed, err = forbids(*address); err != nil {
				return read, err
			}
			domain, known := domains[address.Domain]
			if !known {
				if domain, err = findOrAdd(ctx, a.findDomain, a.addDomain, address.Domain); err != nil {
					return read, err
				}
				domains[address.Domain] = domain
			}
			if id, err = findOrAdd(ctx, a.findAddress, a.addAddress, domain, address.Local); err != nil {
				return read, err
			}
		}
		if _, err := a.addRow.ExecContext(ctx, r.id, entry.Row, entry.Column, id, suppressed); err != nil {
			return read, err
		}
		read++
	}
	return read, tx.Commit()
}

// findOrAdd returns the id of a row with a key, which it adds if need be.
func findOrAdd(ctx context.Context, find, add *sql.Stmt, key ...any) (id int64, err error) {
	err = find.QueryRowContext(ctx, key...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = add.QueryRowContext(ctx, key...).Scan(&id)
	}
	return id, err
}
