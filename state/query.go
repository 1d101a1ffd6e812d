package state

import (
	"context"
	"database/sql"
)

// querier is the database or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// eachRow calls a function with every row that a query finds, until it returns an error.
func eachRow(ctx context.Context, q querier, do func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// column returns what a query of one column finds.
func column[T any](ctx context.Context, q querier, query string, args ...any) (found []T, err error) {
	err = eachRow(ctx, q, func(rows *sql.Rows) error {
		var value T
		err := rows.Scan(&value)
		found = append(found, value)
		return err
	}, query, args...)
	return found, err
}

// listedIn returns the addresses of the rows that meet a condition.
func listedIn(ctx context.Context, q querier, condition string, args ...any) (s set, err error) {
	err = eachRow(ctx, q, func(rows *sql.Rows) error {
		var address int64
		err := rows.Scan(&address)
		s.add(address)
		return err
	}, "SELECT address FROM rows WHERE address > 0 AND "+condition, args...)
	return s, err
}
