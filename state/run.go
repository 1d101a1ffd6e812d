package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"presend/verify/syntax"
)

const day = 24 * time.Hour

const (
	factLife  = 7 * day  // how long it is not asked again whether a domain is a catch-all
	heardLife = 30 * day // how long an address that was accepted while that was open is not asked again
)

// Policy says which known results are good enough.
type Policy struct {
	Fresh   bool          // ignore what is known
	MaxAge  time.Duration // ask again about what is older and waits for no retry; 0: as long as its reason allows
	Probing bool          // ask about what was never probed, since this run probes

	Suppression *File // another file, whose suppression list holds, too; nil: none. It is open while the run is.
}

// slack is by how much a day is shorter here: a nightly run may begin earlier than the night before.
const slack = 4 * time.Hour

// oldest returns MaxAge in seconds; one of days begins some hours earlier.
func (p Policy) oldest() int64 {
	if p.MaxAge >= day {
		return int64((p.MaxAge - slack).Seconds())
	}
	return int64(p.MaxAge.Seconds())
}

// List describes a list before its rows are read.
type List struct {
	Name    string   // by which it is known from run to run; empty: addresses of no list
	Input   string   // its path
	Columns []string // its address columns
}

// Plan counts the addresses that a run has to ask about, and those that it takes from the file.
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
	source List
	last   *PastRun        // the list's last run that finished; nil: none
	also   *File           // whose suppression list holds, too
	begun  int64           // when the run began first, if it goes on with one that was broken off
	oldest int64           // what was heard before is not used
	facts  int64           // what was learned before of catch-all domains is not used
	all    bool            // the run is over retries of every list, not over rows
	list   suppressionList // as it was when the rows were added

	doubted atomic.Bool // facts have changed

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

// Begin begins a run over a list that is known by a name, which is empty for addresses of no list.
func (f *File) Begin(ctx context.Context, name string, policy Policy) (*Run, error) {
	return f.BeginList(ctx, List{Name: name, Input: name}, policy)
}

// BeginList begins a run over a list. If the last run over the list did not finish, the run goes on with it, so Add its
// rows again; results stay. The rows of the last run that finished stay until this one does.
//
// Runs over different lists may be open at the same time, and any number of runs over none. The error is [ErrUnderWay]
// until the run over the same list that is open is closed.
func (f *File) BeginList(ctx context.Context, list List, policy Policy) (*Run, error) {
	if f.lock == nil {
		return nil, fmt.Errorf("state: %s: %w", f.path, ErrShared)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.open {
		if list.Name != "" && other == list.Name {
			return nil, fmt.Errorf("state: %s: %w", list.Name, ErrUnderWay)
		}
	}
	r := &Run{file: f, source: list, policy: policy, also: policy.Suppression}
	r.reset()
	err := f.write(ctx, "beginning a run", func(tx *sql.Tx) error {
		if err := r.identify(ctx, tx); err != nil {
			return err
		}
		return f.makeRoom(ctx, tx, list.Name, r.last)
	})
	if err != nil {
		return nil, err
	}
	r.oldest, r.facts = r.now-int64(heardLife.Seconds()), r.now-int64(factLife.Seconds())
	if policy.MaxAge > 0 {
		oldest := r.begun - policy.oldest()
		r.oldest, r.facts = max(r.oldest, oldest), max(r.facts, oldest)
	}
	if policy.Fresh {
		r.oldest, r.facts = r.begun, r.begun
	}
	f.open[r.id] = list.Name
	return r, nil
}

// reset makes the run hand out its work from the start.
func (r *Run) reset() {
	r.now, r.cursor, r.next, r.ids = time.Now().Unix(), start, map[string]place{}, map[string]int64{}
}

// identify gives the run its id: that of the last run over its list if it was broken off, so that what was verified
// then counts as new, or that of a new run. A run over no list has nothing to go on with.
func (r *Run) identify(ctx context.Context, tx *sql.Tx) (err error) {
	columns, err := json.Marshal(r.source.Columns)
	if err != nil {
		return err
	}
	err = sql.ErrNoRows
	if r.source.Name != "" {
		if r.last, err = lastRun(ctx, tx, r.source.Name); err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `UPDATE runs SET input = $1, columns = $2
			WHERE id = (SELECT max(id) FROM runs WHERE list = $3) AND finished = 0 RETURNING id, started`,
			r.source.Input, string(columns), r.source.Name).Scan(&r.id, &r.begun)
	}
	if errors.Is(err, sql.ErrNoRows) {
		r.begun = r.now
		err = tx.QueryRowContext(ctx, `INSERT INTO runs (input, started, finished, list, columns)
			VALUES ($1, $2, 0, $3, $4) RETURNING id`, r.source.Input, r.now, r.source.Name, string(columns)).Scan(&r.id)
	}
	return err
}

// makeRoom removes the rows and the work of all runs over a list that are not open, but for the rows of the last one
// that finished, if there is one.
func (f *File) makeRoom(ctx context.Context, tx *sql.Tx, list string, last *PastRun) error {
	ids, err := column[int64](ctx, tx, `SELECT id FROM runs WHERE list = $1 AND (
		EXISTS (SELECT 1 FROM rows WHERE rows.run = runs.id) OR
		EXISTS (SELECT 1 FROM work WHERE work.run = runs.id) OR
		EXISTS (SELECT 1 FROM batches WHERE batches.run = runs.id))`, list)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, open := f.open[id]; open {
			continue
		}
		if last != nil && id == last.ID {
			err = removeWork(ctx, tx, id)
		} else {
			err = removeRows(ctx, tx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeRows removes the rows and the work of a run.
func removeRows(ctx context.Context, tx *sql.Tx, run int64) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM rows WHERE run = $1", run); err != nil {
		return err
	}
	return removeWork(ctx, tx, run)
}

// removeWork removes the work of a run.
func removeWork(ctx context.Context, tx *sql.Tx, run int64) error {
	for _, statement := range []string{"DELETE FROM work WHERE run = $1", "DELETE FROM batches WHERE run = $1"} {
		if _, err := tx.ExecContext(ctx, statement, run); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the use of a run. If it did not finish, the next run over the same list goes on with it. Closing a run
// again does nothing, and so does closing one after its file.
func (r *Run) Close() {
	r.file.mu.Lock()
	defer r.file.mu.Unlock()
	delete(r.file.open, r.id)
}

// Finish notes that the run is complete, with what it came to, and closes it. The rows of the list's earlier runs go.
func (r *Run) Finish(ctx context.Context, summary Summary) error {
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("state: ending the run: %w", err)
	}
	err = r.file.write(ctx, "ending the run", func(tx *sql.Tx) error {
		now := time.Now().Unix()
		_, err := tx.ExecContext(ctx, "UPDATE runs SET finished = $1, summary = $2 WHERE id = $3", now, string(text), r.id)
		if err != nil {
			return err
		}
		if err := r.noteLeaving(ctx, tx, now); err != nil || r.last == nil {
			return err
		}
		return removeRows(ctx, tx, r.last.ID)
	})
	if err == nil {
		r.Close()
	}
	return err
}

// Abandon forgets the run and its rows, as if it had never begun, and closes it. What it recorded stays.
func (r *Run) Abandon(ctx context.Context) error {
	err := r.file.write(ctx, "abandoning the run", func(tx *sql.Tx) error {
		if err := removeRows(ctx, tx, r.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE id = $1", r.id)
		return err
	})
	if err == nil {
		r.Close()
	}
	return err
}
