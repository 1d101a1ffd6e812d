package state

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"presend/verify/verdict"
)

// withdrawnFor is how long after that time a withdrawn domain can be looked up again.
const withdrawnFor = 15 * time.Minute

// WithdrawDomains takes back what every run of the file concluded from DNS alone since a time: that a domain does not
// exist or has no mail host. It is for a run whose resolver turned out to be one that cannot be believed. Such results
// become dns_failure with this detail, are no try, and are asked again; their changes in the history say the same. It
// returns how many there were.
func (f *File) WithdrawDomains(ctx context.Context, since time.Time, detail string) (n int, err error) {
	fromDNS := func(r verdict.Reason) bool { return r == verdict.NoSuchDomain || r == verdict.NoMailHost }
	err = f.write(ctx, "withdrawing results", func(tx *sql.Tx) error {
		n, err = withdraw(ctx, tx, fromDNS, since, verdict.DNSFailure, detail)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// WithdrawAnswers takes back what every run of the file heard from mail hosts since a time, and what it learned of
// their domains. It is for a run to which another server answered in place of the mail hosts. Such results become
// not_probed with this detail, are no try, and are asked again; their changes in the history say the same. It returns
// how many there were.
func (f *File) WithdrawAnswers(ctx context.Context, since time.Time, detail string) (n int, err error) {
	heard := func(r verdict.Reason) bool { return r.Facts().Heard }
	err = f.write(ctx, "withdrawing results", func(tx *sql.Tx) error {
		if n, err = withdraw(ctx, tx, heard, since, verdict.NotProbed, detail); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE domains SET catch_all = '', checked_at = 0 WHERE checked_at >= $1",
			since.Unix())
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// withdraw replaces results since a time that have one of some reasons, and returns how many there were.
func withdraw(
	ctx context.Context, tx *sql.Tx, which func(verdict.Reason) bool, since time.Time, now verdict.Reason, detail string,
) (int, error) {
	reasons := slices.DeleteFunc(slices.Clone(verdict.All()), func(r verdict.Reason) bool { return !which(r) })
	in := " reason IN (SELECT column1 FROM (" + values(len(reasons), 1) + "))"
	arguments := func(args ...any) []any {
		for _, r := range reasons {
			args = append(args, string(r))
		}
		return args
	}
	facts := now.Facts()
	changed, err := tx.ExecContext(ctx,
		`UPDATE results SET verdict = ?, reason = ?, score = ?, detail = ?, retry_at = ?, action = '', heard = 0,
		times = 1, since = 0, tries = 0, counted = 0, last_try = 0, code = 0, enhanced = '', text = '', command = ''
		WHERE checked_at >= ? AND tried_at = 0 AND`+in,
		arguments(string(facts.Verdict), string(now), facts.Score, detail, since.Add(withdrawnFor).Unix(), since.Unix())...)
	if err != nil {
		return 0, err
	}
	n, err := changed.RowsAffected()
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE history SET verdict = ?, reason = ? WHERE at >= ? AND"+in,
		arguments(string(facts.Verdict), string(now), since.Unix())...)
	return int(n), err
}
