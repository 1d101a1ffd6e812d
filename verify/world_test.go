package verify_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"presend/internal/lab"
	"presend/verify"
	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world starts a lab on sockets, and a Verifier that sees nothing else.
func world(t testing.TB, declaration string, change func(*verify.Config)) (*lab.Lab, *verify.Verifier) {
	t.Helper()
	l, err := lab.Start(context.WithoutCancel(t.Context()), declaration)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	resolver, err := mx.New(mx.Config{Servers: []string{l.DNS()}, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resolver.Close() })
	return l, verifier(t, l, resolver, change)
}

// memoryWorld starts a lab in memory, and a Verifier that sees nothing else. It is called inside synctest.Test, so that
// time takes no time. When the test ends, it waits until the Verifier has left all sessions and closes the lab.
func memoryWorld(t testing.TB, declaration string, change func(*verify.Config)) (*lab.Lab, *verify.Verifier) {
	t.Helper()
	l, err := lab.Start(context.WithoutCancel(t.Context()), declaration, lab.InMemory())
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, l, l.Resolver(), change)
	leaveAtEnd(t, l, v)
	return l, v
}

// leaveAtEnd waits, when the test ends, until the Verifier has left all sessions, and closes the lab.
func leaveAtEnd(t testing.TB, l *lab.Lab, v *verify.Verifier) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := v.Wait(ctx); err != nil {
			t.Errorf("the Verifier is not idle: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func verifier(t testing.TB, l *lab.Lab, resolver verify.Resolver, change func(*verify.Config)) *verify.Verifier {
	t.Helper()
	config := verify.Config{Resolver: resolver, Prober: prober(t, l, nil)}
	if change != nil {
		change(&config)
	}
	v, err := verify.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// prober returns a Prober that connects to the hosts of a lab.
func prober(t testing.TB, l *lab.Lab, change func(*smtpprobe.Config)) verify.Prober {
	t.Helper()
	config := smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Port: l.SMTPPort(), Dial: l.Dial}
	if change != nil {
		change(&config)
	}
	p, err := smtpprobe.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return verify.SMTP(p)
}

// bubbles runs a test for each case, each in a synctest bubble of its own, in the order of their names.
func bubbles[C any](t *testing.T, cases map[string]C, test func(*testing.T, C)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, cases[name]) })
		})
	}
}

// verifyAll runs addresses through the engine.
func verifyAll(t testing.TB, v *verify.Verifier, addresses []string) []verify.Result {
	t.Helper()
	queue := newNotebook(t, addresses)
	if err := v.Run(t.Context(), queue, verify.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	results := make([]verify.Result, len(addresses))
	for i, address := range addresses {
		r, ok := queue.results[int64(i)]
		if !ok {
			t.Fatalf("%s has no result", address)
		}
		results[i] = r
	}
	return results
}

// notebook is a Queue that keeps what a state file would: settled results, and those that are provisional or wait
// for the catch-all question, which the next run gets as heard before.
type notebook struct {
	*verify.MemoryQueue
	mu          sync.Mutex // guards what follows while a run is under way
	addresses   map[int64]syntax.Address
	results     map[int64]verify.Result
	provisional map[int64]verify.Result
	tries       map[int64]int
	memory      map[int64]verdict.Memory // in place of tries, where it is not nil
	since       map[int64]time.Time      // of the first try
	facts       map[string]verify.Facts
	records     int
	onRecord    func() // nil: nothing; called within each Record
}

func newNotebook(t testing.TB, addresses []string) *notebook {
	t.Helper()
	parsed := map[int64]syntax.Address{}
	for i, text := range addresses {
		a, err := syntax.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed[int64(i)] = a
	}
	n := &notebook{
		addresses: parsed, results: map[int64]verify.Result{}, provisional: map[int64]verify.Result{},
		tries: map[int64]int{}, since: map[int64]time.Time{}, facts: map[string]verify.Facts{},
	}
	n.again()
	return n
}

// again begins another run: it hands out what has no result, and what is to be retried.
func (n *notebook) again() {
	left := map[int64]syntax.Address{}
	for id, a := range n.addresses {
		if r, ok := n.results[id]; !ok || !r.RetryAt.IsZero() {
			left[id] = a
		}
	}
	n.MemoryQueue = verify.NewMemoryQueue(left)
}

// kept returns the tasks with a result, settled or not.
func (n *notebook) kept() map[int64]bool {
	ids := map[int64]bool{}
	for id := range n.results {
		ids[id] = true
	}
	for id := range n.provisional {
		ids[id] = true
	}
	return ids
}

// list returns the settled results by task.
func (n *notebook) list() (list []verify.Result) {
	for _, id := range slices.Sorted(maps.Keys(n.results)) {
		list = append(list, n.results[id])
	}
	return list
}

// Domains implements verify.Queue.
func (n *notebook) Domains(ctx context.Context, max int) ([]verify.Domain, error) {
	list, err := n.MemoryQueue.Domains(ctx, max)
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, d := range list {
		if c := n.facts[d.Name].CatchAll; c == catchall.Yes || c == catchall.No {
			list[i].CatchAll = c
		}
	}
	return list, err
}

// Lease implements verify.Queue.
func (n *notebook) Lease(ctx context.Context, domain string, max int) ([]verify.Task, error) {
	list, err := n.MemoryQueue.Lease(ctx, domain, max)
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, t := range list {
		r, ok := n.provisional[t.ID]
		if !ok {
			r, ok = n.results[t.ID]
			list[i].Memory.Tries, list[i].Memory.Since, list[i].Source = n.tries[t.ID], n.since[t.ID], r.Source
			ok = ok && r.Reason == "catch_all_unknown"
		}
		if m, remembered := n.memory[t.ID]; remembered {
			list[i].Memory = m
		}
		if ok {
			list[i].Heard = &r
		}
	}
	return list, err
}

// Record implements verify.Queue.
func (n *notebook) Record(ctx context.Context, done []verify.Done, facts []verify.Facts) error {
	n.keep(done, facts)
	if n.onRecord != nil {
		n.onRecord()
	}
	return n.MemoryQueue.Record(ctx, done, facts)
}

func (n *notebook) keep(done []verify.Done, facts []verify.Facts) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range done {
		if d.Provisional {
			n.provisional[d.Task.ID] = d.Result
			continue
		}
		delete(n.provisional, d.Task.ID)
		n.results[d.Task.ID] = d.Result
		if n.tries[d.Task.ID]++; n.tries[d.Task.ID] == 1 {
			n.since[d.Task.ID] = d.Result.CheckedAt
		}
	}
	for _, f := range facts {
		if f.CatchAll == catchall.Open { // nothing was learned of it
			f.CatchAll, f.CheckedAt = n.facts[f.Name].CatchAll, n.facts[f.Name].CheckedAt
		}
		n.facts[f.Name] = f
	}
	n.records++
}

// wantReasons reports results whose reason is another one than that of their address.
func wantReasons(t testing.TB, got []verify.Result, want map[string]string) {
	t.Helper()
	wrong := 0
	for _, r := range got {
		if reason := want[r.Normalized]; string(r.Reason) != reason {
			if wrong++; wrong <= 10 {
				t.Errorf("%s: %s (%s), want %s", r.Normalized, r.Reason, r.Detail, reason)
			}
		}
	}
	if wrong > 10 {
		t.Errorf("%d of %d results are wrong", wrong, len(got))
	}
}

// wantOwnReplies reports results that carry the reply to another address: the lab's replies name their recipient.
func wantOwnReplies(t testing.TB, results []verify.Result) {
	t.Helper()
	for _, r := range results {
		if r.Reply == nil {
			continue
		}
		ends := func(c rune) bool { return c == '<' || c == '>' || c == ' ' }
		for _, word := range strings.FieldsFunc(r.Reply.Text, ends) {
			if strings.Contains(word, "@") && strings.Trim(word, ":") != r.Normalized {
				t.Errorf("%s carries a reply that was given to %s: %s", r.Normalized, word, r.Reply.Text)
			}
		}
	}
}

// wantPoliteness reports violations of a host's rules.
func wantPoliteness(t testing.TB, l *lab.Lab) lab.Counts {
	t.Helper()
	if err := l.Settle(context.Background()); err != nil {
		t.Error(err)
	}
	c := l.Count()
	if len(c.Violations) > 0 {
		t.Errorf(
			"the verifier broke rules %d times, first %v",
			c.ViolationCount(),
			c.Violations[:min(5, len(c.Violations))],
		)
	}
	return c
}

// numbered returns addresses at a domain: name0@domain, name1@domain and so on.
func numbered(name, domain string, count int) []string {
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d@%s", name, i, domain)
	}
	return list
}

// all returns a map with the same reason for all addresses.
func all(reason string, lists ...[]string) map[string]string {
	m := map[string]string{}
	for _, list := range lists {
		for _, a := range list {
			m[a] = reason
		}
	}
	return m
}

// within reports whether a simulated duration is in a range.
func within(t testing.TB, what string, took, least, most time.Duration) {
	t.Helper()
	if took < least || took > most {
		t.Errorf("%s took %v, want %v to %v", what, took, least, cmp.Or(most, least))
	}
}

// addrs parses addresses.
func addrs(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}
