package state

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"presend/verify/syntax"
)

// Suppressed is an entry of the suppression list: an address or domain never to be written to.
type Suppressed struct {
	Name   string    // an address, or @domain for a whole domain; sha256:HASH where only hashes are kept
	Reason string    // hard_bounce, unsubscribe, complaint, manual, or a reason of a verdict
	Source string    // who said so: sendgrid, mailgun, ..., manual
	At     time.Time // zero in Suppress: now
}

// Hashed says whether the entry is kept as a hash only.
func (s Suppressed) Hashed() bool { return strings.HasPrefix(s.Name, hashMark) }

// ErrNotFound: there is no such entry.
var ErrNotFound = errors.New("not on the suppression list")

// hashMark begins the name of an entry that is kept as a hash only.
const hashMark = "sha256:"

// suppressionName returns the name under which an address or @domain is kept. Case does not matter, not even in the
// local part: who asked to be left alone meant every spelling.
func suppressionName(name string) (string, error) {
	if domain, ok := strings.CutPrefix(name, "@"); ok {
		a, err := syntax.Parse("postmaster@" + domain)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return "@" + a.Domain, nil
	}
	a, err := syntax.Parse(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return addressName(a), nil
}

func addressName(a syntax.Address) string { return strings.ToLower(a.Local) + "@" + a.Domain }

// Suppress puts entries on the list. An entry that is there already keeps its date and gets the newer reason and
// source. It returns how many were not there before.
func (f *File) Suppress(ctx context.Context, entries iter.Seq2[Suppressed, error]) (added int, err error) {
	salt, err := f.salt(ctx)
	if err != nil {
		return 0, err
	}
	err = f.write(ctx, "suppressing", func(tx *sql.Tx) error {
		before, err := countSuppressed(ctx, tx)
		if err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO suppression (name, reason, source, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, source = excluded.source`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for entry, err := range entries {
			if err != nil {
				return err
			}
			name := entry.Name
			if !strings.HasPrefix(name, hashMark) {
				if name, err = suppressionName(name); err != nil {
					return err
				}
				name = salt.name(name)
			}
			if entry.At.IsZero() {
				entry.At = time.Now()
			}
			if _, err := insert.ExecContext(ctx, name, entry.Reason, entry.Source, entry.At.Unix()); err != nil {
				return err
			}
		}
		after, err := countSuppressed(ctx, tx)
		added = after - before
		return err
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

func countSuppressed(ctx context.Context, tx *sql.Tx) (n int, err error) {
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM suppression").Scan(&n)
	return n, err
}

// Unsuppress takes an address or @domain off the list. The error is ErrNotFound where it is not on it.
func (f *File) Unsuppress(ctx context.Context, name string) error {
	salt, err := f.salt(ctx)
	if err != nil {
		return err
	}
	plain, err := suppressionName(name)
	if err != nil {
		return err
	}
	return f.write(ctx, "taking "+name+" off the suppression list", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM suppression WHERE name IN ($1, $2)", plain, salt.name(plain))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// SuppressionList returns the entries, by name.
func (f *File) SuppressionList(ctx context.Context) iter.Seq2[Suppressed, error] {
	return func(yield func(Suppressed, error) bool) {
		rows, err := f.db.QueryContext(ctx, "SELECT name, reason, source, at FROM suppression ORDER BY name")
		if err != nil {
			yield(Suppressed{}, fmt.Errorf("state: reading the suppression list: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var s Suppressed
			var at int64
			err := rows.Scan(&s.Name, &s.Reason, &s.Source, &at)
			s.At = fromUnix(at)
			if !yield(s, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Suppressed{}, fmt.Errorf("state: reading the suppression list: %w", err))
		}
	}
}

// salt makes names unreadable; empty: names are kept as they are.
type salt string

func (s salt) name(plain string) string {
	if s == "" {
		return plain
	}
	sum := sha256.Sum256([]byte(string(s) + plain))
	return hashMark + hex.EncodeToString(sum[:])
}

const saltName = "suppression_salt"

func (f *File) salt(ctx context.Context) (salt, error) {
	var value string
	err := f.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = $1", saltName).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("state: reading the salt: %w", err)
	}
	return salt(value), nil
}

// HashSuppression makes the list keep salted hashes only, from now on and of what is on it. There is no way back.
func (f *File) HashSuppression(ctx context.Context) error {
	have, err := f.salt(ctx)
	if err != nil || have != "" {
		return err
	}
	fresh := salt(rand.Text())
	var names []string
	for entry, err := range f.SuppressionList(ctx) {
		if err != nil {
			return err
		}
		names = append(names, entry.Name)
	}
	return f.write(ctx, "hashing the suppression list", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ($1, $2)", saltName, string(fresh))
		if err != nil {
			return err
		}
		rename, err := tx.PrepareContext(ctx, "UPDATE suppression SET name = $1 WHERE name = $2")
		if err != nil {
			return err
		}
		defer rename.Close()
		for _, name := range names {
			if _, err := rename.ExecContext(ctx, fresh.name(name), name); err != nil {
				return err
			}
		}
		return nil
	})
}

// suppressionList answers for a run's rows; empty lists cost nothing.
type suppressionList struct {
	empty bool
	salt  salt
}

func (f *File) suppressionList(ctx context.Context) (l suppressionList, err error) {
	var some bool
	if err := f.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM suppression)").Scan(&some); err != nil {
		return l, fmt.Errorf("state: reading the suppression list: %w", err)
	}
	l.empty = !some
	l.salt, err = f.salt(ctx)
	return l, err
}

// forbids returns which entry forbids an address; 0 for none.
func (l suppressionList) forbids(ctx context.Context, find *sql.Stmt, a syntax.Address) (id int64, err error) {
	if l.empty {
		return 0, nil
	}
	err = find.QueryRowContext(ctx, l.salt.name(addressName(a)), l.salt.name("@"+a.Domain)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// strike takes suppressed addresses out of the work of a run. They are not retried any more.
func (l suppressionList) strike(ctx context.Context, tx *sql.Tx, s statements, run int64) error {
	if l.empty {
		return nil
	}
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
	rows, err := tx.QueryContext(ctx, `SELECT w.address, a.local, d.name FROM work w JOIN addresses a ON a.id = w.address
		JOIN domains d ON d.id = w.domain WHERE w.run = $1`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var a syntax.Address
		if err := rows.Scan(&id, &a.Local, &a.Domain); err != nil {
			return nil, err
		}
		entry, err := l.forbids(ctx, s.forbids, a)
		if err != nil {
			return nil, err
		}
		if entry > 0 {
			ids = append(ids, id)
		}
	}
	return ids, rows.Err()
}
