package state

import (
	"context"
	"database/sql"
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
	facts := verdict.DNSFailure.Facts()
	err = f.write(ctx, "withdrawing results", func(tx *sql.Tx) error {
		changed, err := tx.ExecContext(ctx,
			`UPDATE results SET verdict = $1, reason = $2, score = $3, detail = $4, action = '',
			times = 1, since = 0, tries = 0, counted = 0, last_try = 0, code = 0, enhanced = '', text = '', command = '',
			retry_at = $5 WHERE reason IN ($6, $7) AND checked_at >= $8 AND tried_at = 0`,
			string(facts.Verdict), string(facts.Name), facts.Score, detail, since.Add(withdrawnFor).Unix(),
			string(verdict.NoSuchDomain), string(verdict.NoMailHost), since.Unix())
		if err != nil {
			return err
		}
		withdrawn, err := changed.RowsAffected()
		if err != nil {
			return err
		}
		n = int(withdrawn)
		_, err = tx.ExecContext(ctx, "UPDATE history SET verdict = $1, reason = $2 WHERE reason IN ($3, $4) AND at >= $5",
			string(facts.Verdict), string(facts.Name), string(verdict.NoSuchDomain), string(verdict.NoMailHost), since.Unix())
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// fromElsewhere are the reasons that no mail host was asked about.
const fromElsewhere = `('syntax', 'special_use_domain', 'no_such_domain', 'null_mx', 'no_mail_host', 'suppressed',
	'spam_trap_suspect', 'dns_failure', 'not_probed', 'no_address')`

// WithdrawAnswers takes back what every run of the file heard from mail hosts since a time, and what it learned of
// their domains. It is for a run to which another server answered in place of the mail hosts. Such results become
// not_probed with this detail, are no try, and are asked again; their changes in the history say the same. It returns
// how many there were.
func (f *File) WithdrawAnswers(ctx context.Context, since time.Time, detail string) (n int, err error) {
	facts := verdict.NotProbed.Facts()
	err = f.write(ctx, "withdrawing results", func(tx *sql.Tx) error {
		changed, err := tx.ExecContext(ctx,
			`UPDATE results SET verdict = $1, reason = $2, score = $3, detail = $4, action = '',
			times = 1, since = 0, tries = 0, counted = 0, last_try = 0, code = 0, enhanced = '', text = '', command = '',
			heard = 0,
			retry_at = $5 WHERE reason NOT IN `+fromElsewhere+` AND checked_at >= $6 AND tried_at = 0`,
			string(facts.Verdict), string(facts.Name), facts.Score, detail, since.Add(withdrawnFor).Unix(), since.Unix())
		if err != nil {
			return err
		}
		withdrawn, err := changed.RowsAffected()
		if err != nil {
			return err
		}
		n = int(withdrawn)
		_, err = tx.ExecContext(ctx, `UPDATE history SET verdict = $1, reason = $2 WHERE at >= $3
			AND reason NOT IN `+fromElsewhere, string(facts.Verdict), string(facts.Name), since.Unix())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE domains SET catch_all = '', checked_at = 0 WHERE checked_at >= $1", since.Unix())
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
