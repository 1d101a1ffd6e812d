package state

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"time"
)

// The files are the steps of the schema: N.sql makes version N out of the one before. A file that was released is never
// changed; a new version is a new file, with a file of that version in testdata.
//
//go:embed schema/*.sql
var steps embed.FS

// version is the newest version of the schema.
const version = 5

// filling is what a step of the schema does that SQL alone cannot.
var filling = map[int]func(context.Context, *sql.Tx) error{
	3: computeDueAt,
	5: func(ctx context.Context, tx *sql.Tx) error {
		if err := findOrigins(ctx, tx); err != nil {
			return err
		}
		if err := nameLists(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx,
			"UPDATE addresses SET left_at = $1 WHERE id NOT IN (SELECT address FROM rows)", time.Now().Unix())
		return err
	},
}

// schema returns which version of the schema a file has; 0 for an empty file.
func (f *File) schema(ctx context.Context) (have int, err error) {
	err = f.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have)
	if err == nil && have == 0 {
		var tables int
		if err = f.db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err == nil && tables > 0 {
			return 0, fmt.Errorf("%w: it is a database of another program", ErrNotState)
		}
	}
	switch {
	case err != nil && isDamage(err):
		return 0, fmt.Errorf("%w: %w", ErrNotState, err)
	case err != nil:
		return 0, err
	case have > version:
		return 0, fmt.Errorf("%w: its schema is %d, this program knows %d; update this program", ErrNewer, have, version)
	}
	return have, nil
}

// migrate brings the schema up to date from a version. Nobody else may use the file.
func (f *File) migrate(ctx context.Context, have int) error {
	if have == version {
		return nil
	}
	return f.write(ctx, "bringing the schema up to date", func(tx *sql.Tx) error {
		for v := have + 1; v <= version; v++ {
			step, err := steps.ReadFile(fmt.Sprintf("schema/%d.sql", v))
			if err == nil {
				_, err = tx.ExecContext(ctx, string(step))
			}
			if fill := filling[v]; err == nil && fill != nil {
				err = fill(ctx, tx)
			}
			if err != nil {
				return fmt.Errorf("version %d: %w", v, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// findOrigins tells the origins of entries that have none yet.
func findOrigins(ctx context.Context, tx *sql.Tx) error {
	entries, err := allSuppressed(ctx, tx)
	if err != nil {
		return err
	}
	for _, s := range entries {
		s.Origin = OriginOf(s.Reason)
		if _, err := tx.ExecContext(ctx, "UPDATE suppression SET origin = $1, due_at = $2 WHERE name = $3",
			string(s.Origin), toUnix(s.dueAt()), s.Name); err != nil {
			return err
		}
	}
	return nil
}

// allSuppressed returns the entries as version 4 has them.
func allSuppressed(ctx context.Context, tx *sql.Tx) (entries []Suppressed, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var s Suppressed
		var at int64
		err := rows.Scan(&s.Name, &s.Reason, &s.Source, &at)
		s.At = fromUnix(at)
		entries = append(entries, s)
		return err
	}, "SELECT name, reason, source, at FROM suppression")
	return entries, err
}

// nameLists gives runs over a list the list's name.
func nameLists(ctx context.Context, tx *sql.Tx) error {
	inputs, err := column[string](ctx, tx, "SELECT DISTINCT input FROM runs WHERE input <> ''")
	if err != nil {
		return err
	}
	for _, input := range inputs {
		if _, err := tx.ExecContext(ctx, "UPDATE runs SET list = $1 WHERE input = $2", ListName(input), input); err != nil {
			return err
		}
	}
	return nil
}
