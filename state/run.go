package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"sync"
	"time"

	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/score"
	"presend/verify/syntax"
)

const day = 24 * time.Hour

// shelf is how long a result of a reason stands before it is due again. What is not listed stands for a month.
var shelf = map[verify.Reason]time.Duration{
	reply.MailboxUnknown:  3650 * day, // a mailbox that did not exist is not asked about again unless --fresh says so
	reply.MailboxDisabled: 3650 * day,
	reply.Suppressed:      3650 * day,
	reply.GaveUp:          90 * day,
	reply.NoSuchDomain:    90 * day,
	reply.SenderBlocked:   day, // about us: worth another look once it may have been mended
	reply.SenderAuth:      day,
	reply.Policy:          day,
	reply.ProtocolError:   day,
}

const defaultShelf = 30 * day

// Policy says which known results are good enough.
type Policy struct {
	Fresh   bool          // ignore what is known
	MaxAge  time.Duration // no result stands longer, whatever its reason; 0: as long as its reason allows
	Probing bool          // results that were never probed are due, since this run probes
}

// Plan says what a run has to do.
type Plan struct {
	Rows       int `json:"rows"`
	New        int `json:"new"`        // addresses never verified before
	Due        int `json:"due"`        // temporary answers whose time has come
	Stale      int `json:"stale"`      // results past their shelf life
	Reused     int `json:"reused"`     // results that stand
	Suppressed int `json:"suppressed"` // rows on the suppression list
}

// Pending is how many addresses are to be verified.
func (p Plan) Pending() int { return p.New + p.Due + p.Stale }

// Run is one pass over a list; a verify.Queue. Begin a run, Add its rows, hand it to the engine, read Results, Finish.
type Run struct {
	file   *File
	id     int64
	begun  int64 // when the run began first, if it goes on with one that was broken off
	now    int64
	policy Policy
	all    bool // the run is over retries of every list, not over rows

	mu     sync.Mutex
	cursor cursor           // where Domains goes on
	next   map[string]place // by domain: where Lease goes on
	ids    map[string]int64 // of the domains handed out
}

// place is a place in the order of a domain's work.
type place struct {
	folded  string
	address int64
}

// cursor is a place in the order of domains: most pending first, then by id.
type cursor struct{ pending, domain int64 }

// Begin starts a run over a list, input, which is empty for addresses of no list. The rows of the run before make room
// for it; results stay.
func (f *File) Begin(ctx context.Context, input string, policy Policy) (*Run, error) {
	return f.begin(ctx, input, policy, "DELETE FROM rows", "DELETE FROM work")
}

// BeginRetries starts a run over all temporary answers whose time has come, of whatever list. The newest list's rows
// stay.
func (f *File) BeginRetries(ctx context.Context) (*Run, error) {
	r, err := f.begin(ctx, "", Policy{}, "DELETE FROM work")
	if err != nil {
		return nil, err
	}
	r.all = true
	return r, r.planRetries(ctx)
}

// planRetries lays out the temporary answers whose time has come. Who was suppressed meanwhile is left alone.
func (r *Run) planRetries(ctx context.Context) error {
	list, err := r.file.suppressionList(ctx)
	if err != nil {
		return err
	}
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state: laying out retries: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO work (domain, folded, address, why) SELECT a.domain, lower(a.local), a.id, 1
		FROM results s JOIN addresses a ON a.id = s.address WHERE s.retry_at > 0 AND s.retry_at <= ?`, r.now); err != nil {
		return fmt.Errorf("state: laying out retries: %w", err)
	}
	if err := list.strike(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state: laying out retries: %w", err)
	}
	return nil
}

func (f *File) begin(ctx context.Context, input string, policy Policy, clear ...string) (*Run, error) {
	r := &Run{file: f, now: f.now().Unix(), policy: policy, next: map[string]place{}, ids: map[string]int64{}}
	r.cursor = cursor{pending: 1 << 62}
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("state: beginning a run: %w", err)
	}
	defer tx.Rollback()
	for _, statement := range clear {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("state: beginning a run: %w", err)
		}
	}
	// A run that was broken off goes on: what it has verified is fresh for it.
	err = tx.QueryRowContext(ctx, "SELECT id, started FROM runs WHERE id = (SELECT max(id) FROM runs) AND finished = 0 AND input = ?", input).Scan(&r.id, &r.begun)
	if errors.Is(err, sql.ErrNoRows) {
		r.begun = r.now
		var done sql.Result
		if done, err = tx.ExecContext(ctx, "INSERT INTO runs (input, started, finished) VALUES (?, ?, 0)", input, r.now); err == nil {
			r.id, err = done.LastInsertId()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("state: beginning a run: %w", err)
	}
	return r, tx.Commit()
}

const addBatch = 20000

// Add takes the list's rows, in order; nil stands for a row without an address to ask about. When it returns, the
// work of the run is laid out.
func (r *Run) Add(ctx context.Context, rows iter.Seq2[*syntax.Address, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	list, err := r.file.suppressionList(ctx)
	if err != nil {
		return err
	}
	domains := map[string]int64{}
	for n := int64(1); ; {
		read, err := r.addBatch(ctx, next, domains, list, n)
		if err != nil {
			return fmt.Errorf("state: adding rows: %w", err)
		}
		if n += int64(read); read < addBatch {
			break
		}
		if len(domains) > 1<<16 {
			clear(domains) // a cache, and bounded
		}
	}
	return r.plan(ctx)
}

func (r *Run) addBatch(ctx context.Context, next func() (*syntax.Address, error, bool), domains map[string]int64, list *suppressionList, n int64) (read int, err error) {
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var statements [5]*sql.Stmt
	for i, text := range []string{
		"SELECT id FROM domains WHERE name = ?",
		"INSERT INTO domains (name) VALUES (?)",
		"SELECT id FROM addresses WHERE domain = ? AND local = ?",
		"INSERT INTO addresses (domain, local) VALUES (?, ?)",
		"INSERT INTO rows (n, address, suppressed) VALUES (?, ?, ?)",
	} {
		if statements[i], err = tx.PrepareContext(ctx, text); err != nil {
			return 0, err
		}
		defer statements[i].Close()
	}
	forbids, err := list.prepare(ctx, tx)
	if err != nil {
		return 0, err
	}
	for read < addBatch {
		address, err, more := next()
		if !more {
			break
		}
		if err != nil {
			return read, err
		}
		var id, suppressed int64
		if address != nil {
			if suppressed, err = forbids(*address); err != nil {
				return read, err
			}
			domain, known := domains[address.Domain]
			if !known {
				if domain, err = findOrInsert(ctx, statements[0], statements[1], address.Domain); err != nil {
					return read, err
				}
				domains[address.Domain] = domain
			}
			if id, err = findOrInsert(ctx, statements[2], statements[3], domain, address.Local); err != nil {
				return read, err
			}
		}
		if _, err := statements[4].ExecContext(ctx, n+int64(read), id, suppressed); err != nil {
			return read, err
		}
		read++
	}
	return read, tx.Commit()
}

func findOrInsert(ctx context.Context, find, insert *sql.Stmt, key ...any) (id int64, err error) {
	err = find.QueryRowContext(ctx, key...).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	done, err := insert.ExecContext(ctx, key...)
	if err != nil {
		return 0, err
	}
	return done.LastInsertId()
}

// plan lays out the work: the addresses of the list that have no result, or one that is due.
func (r *Run) plan(ctx context.Context) error {
	why, args := r.why()
	_, err := r.file.db.ExecContext(ctx, `INSERT OR IGNORE INTO work (domain, folded, address, why)
		SELECT * FROM (SELECT a.domain, lower(a.local), a.id, `+why+` AS why
		FROM rows JOIN addresses a ON a.id = rows.address LEFT JOIN results s ON s.address = a.id WHERE rows.suppressed = 0) WHERE why >= 0`, args...)
	if err != nil {
		return fmt.Errorf("state: laying out the work: %w", err)
	}
	return nil
}

// why is an expression over a result s that says why its address is to be verified: 0 it has none, 1 its retry is
// due, 2 it is stale, -1 it stands.
func (r *Run) why() (expression string, args []any) {
	var e strings.Builder
	e.WriteString("CASE WHEN s.address IS NULL THEN 0")
	when := func(condition string, result int, values ...any) {
		fmt.Fprintf(&e, " WHEN %s THEN %d", condition, result)
		args = append(args, values...)
	}
	when("s.retry_at > 0 AND s.retry_at <= ?", 1, r.now)
	if r.policy.Fresh {
		when("s.checked_at < ?", 2, r.begun)
	}
	if r.policy.Probing {
		when("s.reason = ?", 2, string(reply.NotProbed))
	}
	if r.policy.MaxAge > 0 {
		when("s.retry_at = 0 AND s.checked_at < ?", 2, r.begun-int64(r.policy.MaxAge.Seconds()))
	}
	var life strings.Builder
	var lives []any
	for reason, d := range shelf {
		life.WriteString(" WHEN ? THEN ?")
		lives = append(lives, string(reason), int64(d.Seconds()))
	}
	when("s.retry_at = 0 AND s.checked_at + CASE s.reason"+life.String()+" ELSE ? END <= ?", 2, append(lives, int64(defaultShelf.Seconds()), r.now)...)
	e.WriteString(" ELSE -1 END")
	return e.String(), args
}

// Plan returns what the run has to do, as laid out when its rows were added or retries fell due.
func (r *Run) Plan(ctx context.Context) (p Plan, err error) {
	var addresses int
	err = r.file.db.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM rows), (SELECT count(*) FROM rows WHERE suppressed > 0), (SELECT count(DISTINCT address) FROM rows WHERE address > 0 AND suppressed = 0),
		(SELECT count(*) FROM work WHERE why = 0), (SELECT count(*) FROM work WHERE why = 1), (SELECT count(*) FROM work WHERE why = 2)`).
		Scan(&p.Rows, &p.Suppressed, &addresses, &p.New, &p.Due, &p.Stale)
	if err != nil {
		return p, fmt.Errorf("state: counting the work: %w", err)
	}
	p.Reused = max(0, addresses-p.Pending())
	return p, nil
}

// NextRetry returns when the first of the run's temporary answers is worth another try; zero for none.
func (r *Run) NextRetry(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	query := "SELECT min(s.retry_at) FROM rows JOIN results s ON s.address = rows.address WHERE s.retry_at > 0 AND rows.suppressed = 0"
	if r.all {
		query = "SELECT min(retry_at) FROM results WHERE retry_at > 0"
	}
	err := r.file.db.QueryRowContext(ctx, query).Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("state: looking for retries: %w", err)
	}
	return fromUnix(at.Int64), nil
}

// Again lays out what has fallen due since, for another pass of the engine over the same rows.
func (r *Run) Again(ctx context.Context) error {
	r.mu.Lock()
	r.cursor, r.next, r.ids = cursor{pending: 1 << 62}, map[string]place{}, map[string]int64{}
	r.mu.Unlock()
	r.now, r.policy = r.file.now().Unix(), Policy{}
	if r.all {
		return r.planRetries(ctx)
	}
	return r.plan(ctx)
}

// Domains implements verify.Queue.
func (r *Run) Domains(ctx context.Context, max int) (out []verify.Domain, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cursor.pending == 1<<62 {
		// The order is laid down once, so that work which is done meanwhile does not change it.
		for _, statement := range []string{
			"DROP TABLE IF EXISTS temp.plan",
			"CREATE TEMP TABLE plan (pending INTEGER, domain INTEGER, PRIMARY KEY (pending DESC, domain)) WITHOUT ROWID",
			"INSERT INTO temp.plan SELECT count(*), domain FROM work GROUP BY domain",
		} {
			if _, err := r.file.conn.ExecContext(ctx, statement); err != nil {
				return nil, fmt.Errorf("state: ordering the work: %w", err)
			}
		}
	}
	rows, err := r.file.conn.QueryContext(ctx, `SELECT p.pending, d.id, d.name, CASE WHEN d.checked_at > ? THEN d.catch_all ELSE '' END
		FROM temp.plan p JOIN domains d ON d.id = p.domain WHERE (p.pending < ? OR (p.pending = ? AND p.domain > ?))
		ORDER BY p.pending DESC, p.domain LIMIT ?`, r.now-int64(defaultShelf.Seconds()), r.cursor.pending, r.cursor.pending, r.cursor.domain, max)
	if err != nil {
		return nil, fmt.Errorf("state: taking domains: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d verify.Domain
		var known string
		if err := rows.Scan(&r.cursor.pending, &r.cursor.domain, &d.Name, &known); err != nil {
			return nil, fmt.Errorf("state: taking domains: %w", err)
		}
		d.Pending = int(r.cursor.pending)
		if c := catchall.Answer(known); !r.policy.Fresh && (c == catchall.Yes || c == catchall.No) {
			d.CatchAll = c
		}
		r.ids[d.Name] = r.cursor.domain
		out = append(out, d)
	}
	return out, rows.Err()
}

// Lease implements verify.Queue. Addresses that differ only in the case of the local part come together.
func (r *Run) Lease(ctx context.Context, domain string, max int) ([]verify.Task, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, known := r.ids[domain]
	if !known {
		return nil, nil
	}
	after := r.next[domain]
	rows, err := r.file.db.QueryContext(ctx, `SELECT a.id, a.local, w.folded, coalesce(s.tries, 0), coalesce(s.since, 0), coalesce(s.source, '')
		FROM work w JOIN addresses a ON a.id = w.address LEFT JOIN results s ON s.address = a.id
		WHERE w.domain = ? AND (w.folded, w.address) > (?, ?) ORDER BY w.folded, w.address LIMIT ?`, id, after.folded, after.address, max+1)
	if err != nil {
		return nil, fmt.Errorf("state: taking addresses: %w", err)
	}
	defer rows.Close()
	var tasks []verify.Task
	var places []place
	for rows.Next() {
		var t verify.Task
		var local, source string
		var at place
		var since int64
		if err := rows.Scan(&t.ID, &local, &at.folded, &t.Tries, &since, &source); err != nil {
			return nil, fmt.Errorf("state: taking addresses: %w", err)
		}
		if t.Address, err = syntax.Parse(local + "@" + domain); err != nil {
			return nil, fmt.Errorf("state: address %d: %w", t.ID, err)
		}
		t.Since, at.address = fromUnix(since), t.ID
		if t.Tries > 0 && source != "" {
			if t.Source, err = netip.ParseAddr(source); err != nil {
				return nil, fmt.Errorf("state: address %d: %w", t.ID, err)
			}
		}
		tasks, places = append(tasks, t), append(places, at)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("state: taking addresses: %w", err)
	}
	if len(tasks) <= max {
		delete(r.next, domain)
		delete(r.ids, domain)
		return tasks, nil
	}
	n := max
	for n > 1 && places[n-1].folded == places[n].folded {
		n--
	}
	if places[n-1].folded == places[n].folded {
		n = max // more spellings than a batch holds
	}
	r.next[domain] = places[n-1]
	return tasks[:n], nil
}

// Record implements verify.Queue.
func (r *Run) Record(ctx context.Context, done []verify.Done, facts []verify.Facts) error {
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	defer tx.Rollback()
	result, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO results (address, verdict, score, reason, detail, flags, suggestion, provider, mx,
		code, enhanced, text, command, checked_at, retry_at, tries, since, source) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	if err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	defer result.Close()
	changed, err := tx.PrepareContext(ctx, `INSERT OR REPLACE INTO history (address, at, run, verdict, reason) SELECT ?, ?, ?, ?, ?
		WHERE NOT EXISTS (SELECT 1 FROM results WHERE address = ? AND verdict = ? AND reason = ?)`)
	if err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	defer changed.Close()
	finished, err := tx.PrepareContext(ctx, "DELETE FROM work WHERE (domain, folded, address) = (SELECT domain, lower(local), id FROM addresses WHERE id = ?)")
	if err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	defer finished.Close()
	for _, d := range done {
		x, said, flags := d.Result, verify.Reply{}, make([]string, len(d.Result.Flags))
		if x.Reply != nil {
			said = *x.Reply
		}
		for i, flag := range x.Flags {
			flags[i] = string(flag)
		}
		if _, err := changed.ExecContext(ctx, d.Task.ID, x.CheckedAt.Unix(), r.id, string(x.Verdict), string(x.Reason), d.Task.ID, string(x.Verdict), string(x.Reason)); err != nil {
			return fmt.Errorf("state: recording a change: %w", err)
		}
		tries, since, source := 0, int64(0), ""
		if x.Source.IsValid() {
			source = x.Source.String()
		}
		if !x.RetryAt.IsZero() {
			tries, since = d.Task.Tries+1, x.CheckedAt.Unix()
			if !d.Task.Since.IsZero() {
				since = d.Task.Since.Unix()
			}
		}
		if _, err := result.ExecContext(ctx, d.Task.ID, string(x.Verdict), x.Score, string(x.Reason), x.Detail, strings.Join(flags, " "), x.Suggestion, x.Provider, x.MX,
			said.Code, said.Enhanced, said.Text, said.Command, x.CheckedAt.Unix(), toUnix(x.RetryAt), tries, since, source); err != nil {
			return fmt.Errorf("state: recording a result: %w", err)
		}
		if _, err := finished.ExecContext(ctx, d.Task.ID); err != nil {
			return fmt.Errorf("state: recording a result: %w", err)
		}
	}
	for _, f := range facts {
		// A look that did not put the catch-all question leaves what was known of it.
		_, err := tx.ExecContext(ctx, `UPDATE domains SET provider = ?, mx = ?, checked_at = CASE WHEN ? <> '' THEN ? ELSE checked_at END,
			catch_all = CASE WHEN ? <> '' THEN ? ELSE catch_all END WHERE name = ?`,
			f.Provider, f.MX, string(f.CatchAll), f.CheckedAt.Unix(), string(f.CatchAll), string(f.CatchAll), f.Name)
		if err != nil {
			return fmt.Errorf("state: recording a domain: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state: recording: %w", err)
	}
	return nil
}

// RowResult is what is known of a row of the list.
type RowResult struct {
	Result     *verify.Result // nil: none, since the row holds no address to ask about or the run was broken off
	Duplicate  bool           // an earlier row holds the same address
	Suppressed *Suppressed    // the entry that forbids the row's address; nil: none
}

// Results returns what is known of every row, in order.
func (r *Run) Results(ctx context.Context) iter.Seq2[RowResult, error] {
	return func(yield func(RowResult, error) bool) {
		rows, err := r.file.db.QueryContext(ctx, `SELECT rows.n, f.first, s.verdict, s.score, s.reason, s.detail, s.flags, s.suggestion, s.provider, s.mx,
			s.code, s.enhanced, s.text, s.command, s.checked_at, s.retry_at, a.local, d.name, x.name, x.reason, x.source, x.at
			FROM rows LEFT JOIN suppression x ON x.id = rows.suppressed LEFT JOIN addresses a ON a.id = rows.address LEFT JOIN domains d ON d.id = a.domain LEFT JOIN results s ON s.address = rows.address
			LEFT JOIN (SELECT address, min(n) AS first FROM rows WHERE address > 0 GROUP BY address HAVING count(*) > 1) f ON f.address = rows.address
			ORDER BY rows.n`)
		if err != nil {
			yield(RowResult{}, fmt.Errorf("state: reading results: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := scanRow(rows)
			if !yield(row, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(RowResult{}, fmt.Errorf("state: reading results: %w", err))
		}
	}
}

func scanRow(rows *sql.Rows) (RowResult, error) {
	var n int64
	var first, points, code, checked, retry, at sql.NullInt64
	var verdict, reason, detail, flags, suggestion, provider, mx, enhanced, text, command, local, domain, name, why, source sql.NullString
	err := rows.Scan(&n, &first, &verdict, &points, &reason, &detail, &flags, &suggestion, &provider, &mx, &code, &enhanced, &text, &command, &checked, &retry, &local, &domain, &name, &why, &source, &at)
	if err != nil {
		return RowResult{}, fmt.Errorf("state: reading results: %w", err)
	}
	row := RowResult{Duplicate: first.Valid && first.Int64 < n}
	if name.Valid {
		row.Suppressed = &Suppressed{Name: name.String, Reason: why.String, Source: source.String, At: fromUnix(at.Int64)}
	}
	if !verdict.Valid {
		return row, nil
	}
	x := &verify.Result{
		Normalized: local.String + "@" + domain.String, Verdict: verify.Verdict(verdict.String), Score: int(points.Int64), Reason: verify.Reason(reason.String),
		Detail: detail.String, Flags: []verify.Flag{}, Suggestion: suggestion.String, Provider: provider.String, MX: mx.String,
		CheckedAt: fromUnix(checked.Int64), RetryAt: fromUnix(retry.Int64),
	}
	for _, flag := range strings.Fields(flags.String) {
		x.Flags = append(x.Flags, score.Flag(flag))
	}
	if code.Int64 > 0 {
		x.Reply = &verify.Reply{Code: int(code.Int64), Enhanced: enhanced.String, Text: text.String, Command: command.String}
	}
	row.Result = x
	return row, nil
}

// Finish notes that the run is complete, with what it came to.
func (r *Run) Finish(ctx context.Context, summary Summary) error {
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	if _, err := r.file.db.ExecContext(ctx, "UPDATE runs SET finished = ?, summary = ? WHERE id = ?", r.file.now().Unix(), string(text), r.id); err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	return nil
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
