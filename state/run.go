package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

const day = 24 * time.Hour

// shelf is how long a result of a reason stands before it is due again. What is not listed stands for a month.
var shelf = map[verify.Reason]time.Duration{
	verdict.MailboxUnknown:  3650 * day, // a mailbox that did not exist is not asked about again unless --fresh says so
	verdict.MailboxDisabled: 3650 * day,
	verdict.Suppressed:      3650 * day,
	verdict.GaveUp:          90 * day,
	verdict.NoSuchDomain:    90 * day,
	verdict.SenderBlocked:   day, // about us: worth another look once it may have been mended
	verdict.SenderAuth:      day,
	verdict.Policy:          day,
	verdict.ProtocolError:   day,
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
	oldest int64 // what was learned before of catch-all domains and open questions is not used
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
	if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO work (domain, folded, address, why)
		SELECT a.domain, lower(a.local), a.id, 1
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
	r := &Run{file: f, now: time.Now().Unix(), policy: policy, next: map[string]place{}, ids: map[string]int64{}}
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
	err = tx.QueryRowContext(ctx, `SELECT id, started FROM runs
		WHERE id = (SELECT max(id) FROM runs) AND finished = 0 AND input = ?`, input).Scan(&r.id, &r.begun)
	if errors.Is(err, sql.ErrNoRows) {
		r.begun = r.now
		var done sql.Result
		done, err = tx.ExecContext(ctx, "INSERT INTO runs (input, started, finished) VALUES (?, ?, 0)", input, r.now)
		if err == nil {
			r.id, err = done.LastInsertId()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("state: beginning a run: %w", err)
	}
	r.oldest = r.now - int64(defaultShelf.Seconds())
	if policy.MaxAge > 0 {
		r.oldest = max(r.oldest, r.begun-int64(policy.MaxAge.Seconds()))
	}
	if policy.Fresh {
		r.oldest = r.begun
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

func (r *Run) addBatch(
	ctx context.Context, next func() (*syntax.Address, error, bool), domains map[string]int64,
	list *suppressionList, n int64,
) (read int, err error) {
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
		FROM rows JOIN addresses a ON a.id = rows.address LEFT JOIN results s ON s.address = a.id
		WHERE rows.suppressed = 0) WHERE why >= 0`, args...)
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
		when("s.reason = ?", 2, string(verdict.NotProbed))
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
	lives = append(lives, int64(defaultShelf.Seconds()), r.now)
	when("s.retry_at = 0 AND s.checked_at + CASE s.reason"+life.String()+" ELSE ? END <= ?", 2, lives...)
	e.WriteString(" ELSE -1 END")
	return e.String(), args
}

// Plan returns what the run has to do, as laid out when its rows were added or retries fell due.
func (r *Run) Plan(ctx context.Context) (p Plan, err error) {
	var addresses int
	err = r.file.db.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM rows), (SELECT count(*) FROM rows WHERE suppressed > 0),
		(SELECT count(DISTINCT address) FROM rows WHERE address > 0 AND suppressed = 0),
		(SELECT count(*) FROM work WHERE why = 0), (SELECT count(*) FROM work WHERE why = 1),
		(SELECT count(*) FROM work WHERE why = 2)`).
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
	query := `SELECT min(s.retry_at) FROM rows JOIN results s ON s.address = rows.address
		WHERE s.retry_at > 0 AND rows.suppressed = 0`
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
	r.now, r.policy = time.Now().Unix(), Policy{}
	if r.all {
		return r.planRetries(ctx)
	}
	return r.plan(ctx)
}

// Finish notes that the run is complete, with what it came to.
func (r *Run) Finish(ctx context.Context, summary Summary) error {
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	_, err = r.file.db.ExecContext(ctx, "UPDATE runs SET finished = ?, summary = ? WHERE id = ?",
		time.Now().Unix(), string(text), r.id)
	if err != nil {
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
