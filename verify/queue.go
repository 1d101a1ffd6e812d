package verify

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"presend/verify/catchall"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// Task is one address to verify.
type Task struct {
	ID      int64 // the queue's own
	Address syntax.Address
	Memory  verdict.Memory // what is remembered of how it was asked before
	Source  netip.Addr     // our address that met a temporary answer, from which a retry should come; invalid: any
	doubted bool           // asked again in this run, since it was not known whose fault it was
	Heard   *Result        // its mail host accepted it before and the catch-all question stayed open; nil: not so
}

// Domain is a domain with addresses to verify, and the facts that are remembered about it.
type Domain struct {
	Name     string          // A-labels, lower case
	Pending  int             // how many of its addresses wait
	CatchAll catchall.Answer // catchall.Open where nothing fresh is known
}

// Facts hold what a run learned about a domain.
type Facts struct {
	Name      string
	Provider  string
	MX        string
	CatchAll  catchall.Answer
	CheckedAt time.Time
}

// Done is a task with its result.
type Done struct {
	Task   Task
	Result Result

	// Provisional: the address was accepted, and the catch-all question of its domain is still open. The result is kept
	// so that an interrupt does not lose it, and another Done follows with the settled one. A queue hands out an address
	// whose last result is provisional, or is catch_all_unknown with a time to retry, as a Task with Heard set.
	Provisional bool
}

// Queue is where a run's work comes from and where its results go. A Queue hands out each task once a run, and is safe
// for concurrent use. What was handed out and not recorded is handed out again in the next run.
type Queue interface {
	// Domains returns up to max domains with tasks to lease, those with the most first; none when the run has no more. It
	// may wait until there are some, or ctx ends.
	Domains(ctx context.Context, max int) ([]Domain, error)
	// Lease returns up to max tasks of a domain; none when there are no more. Addresses that differ only in the case of
	// the local part should come in one batch.
	Lease(ctx context.Context, domain string, max int) ([]Task, error)
	// Record keeps results and facts. What it returned nil for survives a crash.
	Record(ctx context.Context, done []Done, facts []Facts) error
}

// MemoryQueue is a Queue of a few addresses that remembers nothing.
type MemoryQueue struct {
	mu      sync.Mutex
	domains []Domain
	tasks   map[string][]Task
	Results map[int64]Result // by the key of the address given to NewMemoryQueue; to be read when the run is over
}

// NewMemoryQueue returns a queue of these addresses; task IDs are their keys.
func NewMemoryQueue(addresses map[int64]syntax.Address) *MemoryQueue {
	q := &MemoryQueue{tasks: map[string][]Task{}, Results: map[int64]Result{}}
	for id, address := range addresses {
		q.tasks[address.Domain] = append(q.tasks[address.Domain], Task{ID: id, Address: address})
	}
	for name, tasks := range q.tasks {
		slices.SortFunc(tasks, func(a, b Task) int {
			return cmp.Or(
				strings.Compare(strings.ToLower(a.Address.Local), strings.ToLower(b.Address.Local)),
				cmp.Compare(a.ID, b.ID),
			)
		})
		q.domains = append(q.domains, Domain{Name: name, Pending: len(tasks)})
	}
	slices.SortFunc(q.domains, func(a, b Domain) int {
		return cmp.Or(cmp.Compare(b.Pending, a.Pending), strings.Compare(a.Name, b.Name))
	})
	return q
}

// Domains implements Queue.
func (q *MemoryQueue) Domains(_ context.Context, max int) ([]Domain, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(max, len(q.domains))
	out := q.domains[:n:n]
	q.domains = q.domains[n:]
	return out, nil
}

// Lease implements Queue.
func (q *MemoryQueue) Lease(_ context.Context, domain string, max int) ([]Task, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	tasks := q.tasks[domain]
	n := min(max, len(tasks))
	q.tasks[domain] = tasks[n:]
	return tasks[:n:n], nil
}

// Record implements Queue.
func (q *MemoryQueue) Record(_ context.Context, done []Done, _ []Facts) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range done {
		q.Results[d.Task.ID] = d.Result
	}
	return nil
}
