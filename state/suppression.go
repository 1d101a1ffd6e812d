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

// Suppressed is an entry of the suppression list: an address or domain that is not written to.
type Suppressed struct {
	Name     string    // an address, or @domain for a whole domain; sha256:HASH where only hashes are kept
	Reason   string    // hard_bounce, unsubscribe, complaint, manual, or a reason of a verdict
	Source   string    // who said so: sendgrid, mailgun, ..., manual
	At       time.Time // zero in Suppress: now
	Origin   Origin    // empty in Suppress: what the reason says
	Enhanced string    // of a bounce: its enhanced code; empty: not known
}

// Hashed reports whether the entry is kept as a hash only.
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

// Unsuppress takes an address or @domain off the list. The error is ErrNotFound where it is not on it.
func (f *File) Unsuppress(ctx context.Context, name string) error {
	salts, err := f.salts(ctx)
	if err != nil {
		return err
	}
	plain, err := suppressionName(name)
	if err != nil {
		return err
	}
	return f.write(ctx, "taking "+name+" off the suppression list", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM suppression WHERE name IN ($1, $2, $3)", salts.names(plain)...)
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
		rows, err := f.db.QueryContext(ctx,
			"SELECT name, reason, source, at, origin, enhanced FROM suppression ORDER BY name")
		if err != nil {
			yield(Suppressed{}, fmt.Errorf("state: reading the suppression list: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var s Suppressed
			var at int64
			err := rows.Scan(&s.Name, &s.Reason, &s.Source, &at, &s.Origin, &s.Enhanced)
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

// salts are those of a file's suppression list: of all names, and of those that were forgotten.
type salts struct{ all, forgotten salt }

// The names of the salts in meta.
const (
	saltName      = "suppression_salt"
	forgottenSalt = "forgotten_salt"
)

// Forgot is the reason of an entry that is the hash of a name that was forgotten.
const Forgot = "forgotten"

// names returns the three names under which a name may be kept: as it is, hashed as all are, and hashed as one that was
// forgotten.
func (s salts) names(plain string) []any {
	return []any{plain, s.all.name(plain), s.forgotten.name(plain)}
}

func (f *File) salts(ctx context.Context) (s salts, err error) {
	for name, into := range map[string]*salt{saltName: &s.all, forgottenSalt: &s.forgotten} {
		err := f.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = $1", name).Scan(into)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return s, fmt.Errorf("state: reading the salt: %w", err)
		}
	}
	return s, nil
}

// HashSuppression makes the list keep salted hashes only, from now on and of what is on it. There is no way back.
func (f *File) HashSuppression(ctx context.Context) error {
	have, err := f.salts(ctx)
	if err != nil || have.all != "" {
		return err
	}
	return f.hashSuppression(ctx, salt(rand.Text()))
}

// hashSuppression makes the list keep hashes with a salt.
func (f *File) hashSuppression(ctx context.Context, fresh salt) error {
	var names []string
	for entry, err := range f.SuppressionList(ctx) {
		if err != nil {
			return err
		}
		if !entry.Hashed() { // by another state file, whose salt is not known here
			names = append(names, entry.Name)
		}
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
			if strings.HasPrefix(name, hashMark) {
				continue // it was forgotten, or comes from another file
			}
			if _, err := rename.ExecContext(ctx, fresh.name(name), name); err != nil {
				return err
			}
		}
		return nil
	})
}
