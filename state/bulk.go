package state

import (
	"context"
	"database/sql"
	"fmt"
)

// perStatement is how many rows a statement takes at once: a list has many rows, and each statement costs more than a
// row does.
const perStatement = 200

// bulk finds the ids of many keys of a table with one statement and adds those that the table lacks with another.
type bulk struct {
	columns int    // of a key
	find    string // with %s for a VALUES list of a number and a key; returns numbers and ids
	add     string // with %s for the same list; a key that is there already is no error
}

var (
	domainIDs = bulk{
		1, "SELECT v.column1, d.id FROM (%s) AS v JOIN domains d ON d.name = v.column2",
		"INSERT INTO domains (name) SELECT v.column2 FROM (%s) AS v WHERE TRUE ON CONFLICT (name) DO NOTHING",
	}
	addressIDs = bulk{
		2, "SELECT v.column1, a.id FROM (%s) AS v JOIN addresses a ON a.domain = v.column2 AND a.local = v.column3",
		`INSERT INTO addresses (domain, local) SELECT v.column2, v.column3 FROM (%s) AS v WHERE TRUE
			ON CONFLICT (domain, local) DO NOTHING`,
	}
)

// ids returns the ids of keys, in their order. A key has as many values as the bulk has columns; keys may be equal.
func (b bulk) ids(ctx context.Context, tx *sql.Tx, keys []any) ([]int64, error) {
	n := len(keys) / b.columns
	ids := make([]int64, n)
	if n == 0 {
		return ids, nil
	}
	numbered := make([]any, 0, n*(b.columns+1))
	for i := range n {
		numbered = append(append(numbered, int64(i)), keys[i*b.columns:(i+1)*b.columns]...)
	}
	lacking, err := b.look(ctx, tx, numbered, ids)
	if err != nil || len(lacking) == 0 {
		return ids, err
	}
	list := values(len(lacking)/(b.columns+1), b.columns+1)
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(b.add, list), lacking...); err != nil {
		return nil, err
	}
	_, err = b.look(ctx, tx, lacking, ids)
	return ids, err
}

// look sets the ids of the keys that the table has, and returns the numbered keys that it lacks.
func (b bulk) look(ctx context.Context, tx *sql.Tx, numbered []any, ids []int64) (lacking []any, err error) {
	width := b.columns + 1
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(b.find, values(len(numbered)/width, width)), numbered...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i, id int64
		if err := rows.Scan(&i, &id); err != nil {
			return nil, err
		}
		ids[i] = id
	}
	for k := 0; k < len(numbered); k += width {
		if ids[numbered[k].(int64)] == 0 {
			lacking = append(lacking, numbered[k:k+width]...)
		}
	}
	return lacking, rows.Err()
}
