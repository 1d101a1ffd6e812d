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
	MaxAge  time.Duration // ask again about what is older and waits for no retry; 0: as long as its reason allows
	Probing bool          // ask about what was never probed, since this run probes
}

// Plan says what a run has to do.
type Plan struct {
	Rows       int `json:"rows"`
	New        int `json:"new"`        // addresses never asked before
	Due        int `json:"due"`        // temporary answers that can be asked again
	Stale      int `json:"stale"`      // results older than their shelf life, or not good enough for the Policy
	Reused     int `json:"reused"`     // results that are known
	Suppressed int `json:"suppressed"` // rows on the suppression list
}

// Pending returns how many addresses are to be asked.
func (p Plan) Pending() int { return p.New + p.Due + p.Stale }

// Entry is one address of a row of a list.
type Entry struct {
	Row     int64           // from 1
	Column  int             // which of the row's addresses, from 0 to 65535
	Address *syntax.Address // nil: there is nothing to ask about
}

// Run is one pass over a list; a verify.Queue. Begin a run, Add its entries, hand it to the engine, read Results,
// Finish. Several runs over different lists may be under way in one File. Close it.
type Run struct {
	file   *File
	id     int64
	input  string
	begun  int64 // when the run began first, if it goes on with one that was broken off
	oldest int64 // what was learned before of catch-all domains and open questions is not used
	all    bool  // the run is over retries of every list, not over rows

	mu     sync.Mutex
	now    int64 // when the work was laid out
	policy Policy
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

// Begin begins a run over a list, input, which is empty for addresses of no list. If the last run over the list did
// not finish, Begin goes on with it. The rows of earlier runs over it are removed, those of the run that goes on too,
// so Add them; results stay.
//
// Runs over different lists may be open at the same time, and any number of runs over none. The error is [ErrUnderWay]
// until the run over the same list that is open is closed.
func (f *File) Begin(ctx context.Context, input string, policy Policy) (*Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.open {
		if input != "" && other == input {
			return nil, fmt.Errorf("state: %s: %w", input, ErrUnderWay)
		}
	}
	r := &Run{file: f, input: input, policy: policy}
	r.reset()
	err := f.write(ctx, "beginning a run", func(tx *sql.Tx) error {
		if err := r.identify(ctx, tx); err != nil {
			return err
		}
		return f.makeRoom(ctx, tx, input)
	})
	if err != nil {
		return nil, err
	}
	r.oldest = r.now - int64(factLife.Seconds())
	if policy.MaxAge > 0 {
		r.oldest = max(r.oldest, r.begun-int64(policy.MaxAge.Seconds()))
	}
	if policy.Fresh {
		r.oldest = r.begun
	}
	f.open[r.id] = input
	return r, nil
}

// reset makes the run hand out its work from the start.
func (r *Run) reset() {
	r.now, r.cursor, r.next, r.ids = time.Now().Unix(), start, map[string]place{}, map[string]int64{}
}

// identify gives the run its id: that of the last run over its list if it was broken off, so that what was verified
// then counts as new, or that of a new run. A run over no list has nothing to go on with.
func (r *Run) identify(ctx context.Context, tx *sql.Tx) error {
	err := sql.ErrNoRows
	if r.input != "" {
		err = tx.QueryRowContext(ctx, `SELECT id, started FROM runs
			WHERE id = (SELECT max(id) FROM runs WHERE input = $1) AND finished = 0`, r.input).Scan(&r.id, &r.begun)
	}
	if errors.Is(err, sql.ErrNoRows) {
		r.begun = r.now
		err = tx.QueryRowContext(ctx, "INSERT INTO runs (input, started, finished) VALUES ($1, $2, 0) RETURNING id",
			r.input, r.now).Scan(&r.id)
	}
	return err
}

// makeRoom removes the rows and the work of all runs over a list that are not open.
func (f *File) makeRoom(ctx context.Context, tx *sql.Tx, input string) error {
	ids, err := queryIDs(ctx, tx, `SELECT id FROM runs WHERE input = $1 AND (
		EXISTS (SELECT 1 FROM rows WHERE rows.run = runs.id) OR
		EXISTS (SELECT 1 FROM work WHERE work.run = runs.id) OR
		EXISTS (SELECT 1 FROM batches WHERE batches.run = runs.id))`, input)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, open := f.open[id]; open {
			continue
		}
		if err := removeRows(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// removeRows removes the rows and the work of a run.
func removeRows(ctx context.Context, tx *sql.Tx, run int64) error {
	for _, statement := range []string{
		"DELETE FROM rows WHERE run = $1", "DELETE FROM work WHERE run = $1", "DELETE FROM batches WHERE run = $1",
	} {
		if _, err := tx.ExecContext(ctx, statement, run); err != nil {
			return err
		}
	}
	return nil
}

// queryIDs returns the ids that a query finds.
func queryIDs(ctx context.Context, tx *sql.Tx, query string, args ...any) (ids []int64, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Close ends the use of a run. If it did not finish, the next run over the same list goes on with it. Closing a run
// again does nothing, and so does closing one after its file.
func (r *Run) Close() {
	r.file.mu.Lock()
	defer r.file.mu.Unlock()
	delete(r.file.open, r.id)
}

// Finish notes that the run is complete, with what it came to, and closes it.
func (r *Run) Finish(ctx context.Context, summary Summary) error {
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	err = r.file.write(ctx, "ending the run", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE runs SET finished = $1, summary = $2 WHERE id = $3",
			time.Now().Unix(), string(text), r.id)
		return err
	})
	if err == nil {
		r.Close()
	}
	return err
}
