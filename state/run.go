package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"presend/verify/syntax"
)

const day = 24 * time.Hour

// factLife is how long what is known of a catch-all domain is used.
const factLife = 30 * day

// Policy says which known results are good enough.
type Policy struct {
	Fresh   bool          // ignore what is known
	MaxAge  time.Duration // ask again about what is older, whatever its reason; 0: as long as its reason allows
	Probing bool          // ask about what was never probed, since this run probes
}

// Plan says what a run has to do.
type Plan struct {
	Rows       int `json:"rows"`
	New        int `json:"new"`        // addresses never asked before
	Due        int `json:"due"`        // temporary answers that can be asked again
	Stale      int `json:"stale"`      // results older than their shelf life
	Reused     int `json:"reused"`     // results that are known
	Suppressed int `json:"suppressed"` // rows on the suppression list
}

// Pending returns how many addresses are to be asked.
func (p Plan) Pending() int { return p.New + p.Due + p.Stale }

// Entry is one address of a row of a list.
type Entry struct {
	Row     int64           // from 1
	Column  int             // which of the row's addresses, from 0
	Address *syntax.Address // nil: there is nothing to ask about
}

// Run is one pass over a list; a verify.Queue. Begin a run, Add its entries, hand it to the engine, read Results, Finish.
// Several runs over different lists may be under way in one File. Close it.
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

// cursor is a place in the order of domains: most pending first, then by id. Pending is negative, so that the first
// comes first.
type cursor struct{ pending, domain int64 }

// start is the cursor before all domains.
var start = cursor{pending: -1 << 62}

// ErrUnderWay is returned when another run over the same list is under way in this File.
var ErrUnderWay = errors.New("a run over this list is under way")

// Begin starts a run over a list, input, which is empty for addresses of no list. A run over it that was broken off goes
// on. Rows of finished runs over it are removed; results stay.
func (f *File) Begin(ctx context.Context, input string, policy Policy) (*Run, error) {
	r := &Run{file: f, now: time.Now().Unix(), policy: policy, cursor: start}
	r.next, r.ids = map[string]place{}, map[string]int64{}
	f.mu.Lock()
	defer f.mu.Unlock()
	if input != "" && f.underWay[input] != 0 {
		return nil, fmt.Errorf("state: %s: %w", input, ErrUnderWay)
	}
	if err := r.enter(ctx, input); err != nil {
		return nil, fmt.Errorf("state: beginning a run: %w", err)
	}
	if input != "" {
		f.underWay[input] = r.id
	}
	r.oldest = r.now - int64(factLife.Seconds())
	if policy.MaxAge > 0 {
		r.oldest = max(r.oldest, r.begun-int64(policy.MaxAge.Seconds()))
	}
	if policy.Fresh {
		r.oldest = r.begun
	}
	return r, nil
}

// enter finds the run that goes on, or notes a new one, and makes room for its rows.
func (r *Run) enter(ctx context.Context, input string) error {
	tx, err := r.file.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	err = sql.ErrNoRows
	if input != "" {
		// What a run that was broken off has verified is fresh for the one that goes on.
		err = tx.QueryRowContext(ctx, `SELECT id, started FROM runs
			WHERE id = (SELECT max(id) FROM runs WHERE input = $1) AND finished = 0`, input).Scan(&r.id, &r.begun)
	}
	if errors.Is(err, sql.ErrNoRows) {
		r.begun = r.now
		err = tx.QueryRowContext(ctx, "INSERT INTO runs (input, started, finished) VALUES ($1, $2, 0) RETURNING id",
			input, r.now).Scan(&r.id)
	}
	if err != nil {
		return err
	}
	for _, table := range []string{"rows", "work", "batches"} {
		if input == "" { // a run of no list removes what finished ones left behind, never another one's that is under way
			_, err = tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE run IN (SELECT id FROM runs WHERE input = '' AND finished > 0)")
		} else {
			_, err = tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE run IN (SELECT id FROM runs WHERE input = $1)", input)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Close lets another run over the list begin. A run that was not finished goes on then.
func (r *Run) Close() {
	r.file.mu.Lock()
	defer r.file.mu.Unlock()
	for input, id := range r.file.underWay {
		if id == r.id {
			delete(r.file.underWay, input)
		}
	}
}

// Finish notes that the run is complete, with what it came to.
func (r *Run) Finish(ctx context.Context, summary Summary) error {
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	_, err = r.file.db.ExecContext(ctx, "UPDATE runs SET finished = $1, summary = $2 WHERE id = $3",
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
