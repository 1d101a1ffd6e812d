package verify

import (
	"cmp"
	"container/heap"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
)

// sim is a world around a plan: it answers orders with events at times of its own, without a goroutine.
type sim struct {
	t       testing.TB
	plan    *plan
	weigher weigher
	now     time.Time
	start   time.Time
	hosts   map[netip.Addr]*simHost
	runs    map[runID]*simRun
	said    []sayOrder
	open    map[sessionID]*simSession
	opens   []simOpen
	flights []simFlight
	quits   []string
	cancels []sessionID
	ends    []sessionID
	refills []refillOrder
	tests   []testOrder
	script  strings.Builder // orders, as text
	checked bool            // invariants are checked after each event

	coming   simEvents
	last     int
	mostOpen int
}

// simHost is a mail server at an address.
type simHost struct {
	trip     time.Duration
	dead     error  // no connection
	fault    fault  // of the failure
	banner   string // a refusal instead of a session
	stepwise bool
	utf8     bool
	mail     func(from netip.Addr, domain string) string // empty: MAIL is accepted
	rcpt     func(s *simSession, recipient string) string
	takes    func(s *simSession) time.Duration // over a refusal; nil: no time
	most     int                               // sessions seen at a time
	now      int
	garbled  bool
	closedTo netip.Addr // no connection from there
	blocks   netip.Addr // no session from there
}

const (
	hangsUp = "hangs up"
	stalls  = "stalls"
)

type simSession struct {
	id       sessionID
	host     *simHost
	addr     netip.Addr
	target   smtpprobe.Target
	asked    int // recipients
	refused  int // of them
	position int // in the transaction
	flights  int
	flying   bool
	ended    bool
	canceled bool
	quit     bool
}

type simOpen struct {
	at     time.Time
	target smtpprobe.Target
}

type simFlight struct {
	at         time.Time
	session    sessionID
	addr       netip.Addr
	recipients []string
}

type simRun struct {
	id        runID
	check     bool
	byHand    bool // results are not collected by themselves
	waits     bool // asked to collect
	pending   map[string][]Task
	results   map[int64]finding
	kept      map[int64]finding // provisional
	order     []finding
	facts     []Facts
	last      int
	weight    int // acquired and not released
	refilling int
	handed    int
	stopped   bool
}

type simEvent struct {
	at  time.Time
	seq int
	ev  event
	do  func()
}

type simEvents []simEvent

func (h simEvents) Len() int { return len(h) }
func (h simEvents) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].seq, h[j].seq)) < 0
}
func (h simEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *simEvents) Push(x any)   { *h = append(*h, x.(simEvent)) }
func (h *simEvents) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

var simEpoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// paced writes a pace table and loads it.
func paced(t testing.TB, rows string) *smtpprobe.Pace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pace.toml")
	if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	pace, err := smtpprobe.LoadPace(path)
	if err != nil {
		t.Fatal(err)
	}
	return pace
}

func newSim(t testing.TB, change func(*rules)) *sim {
	t.Helper()
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	classifier, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	r := rules{pace: pace, addrs: []netip.Addr{{}}, slots: 200, ipv4: true, ipv6: true, sender: "check@probe.lab"}
	if change != nil {
		change(&r)
	}
	return &sim{
		t: t, plan: newPlan(r), weigher: weigher{classifier}, now: simEpoch, start: simEpoch,
		hosts: map[netip.Addr]*simHost{}, runs: map[runID]*simRun{}, open: map[sessionID]*simSession{}, checked: true,
	}
}

// host returns the server at an address, and makes an ordinary one where there is none.
func (w *sim) host(addr string) *simHost {
	a := netip.MustParseAddr(addr)
	if w.hosts[a] == nil {
		w.hosts[a] = &simHost{trip: 20 * time.Millisecond, rcpt: ordinary}
	}
	return w.hosts[a]
}

// ordinary accepts what begins with "good", and refuses all else as unknown.
func ordinary(_ *simSession, recipient string) string {
	if strings.HasPrefix(recipient, "good") {
		return "250 2.1.5 Ok"
	}
	return "550 5.1.1 <" + recipient + ">: Recipient address rejected: User unknown in virtual mailbox table"
}

// answerOf returns where a domain's mail goes: each target is "preference name address...".
func answerOf(domain string, targets ...string) mx.Answer {
	a := mx.Answer{Domain: domain}
	for _, text := range targets {
		f := strings.Fields(text)
		h := mx.Host{Name: f[1]}
		_, _ = fmt.Sscan(f[0], &h.Preference)
		for _, addr := range f[2:] {
			h.Addrs = append(h.Addrs, netip.MustParseAddr(addr))
		}
		if len(h.Addrs) == 0 {
			h.Err = mx.ErrNoAddress
		}
		a.Hosts = append(a.Hosts, h)
	}
	a.Destination = a.Hosts[0].Name[strings.Index(a.Hosts[0].Name, ".")+1:]
	return a
}

func simTask(t testing.TB, id int64, address string) Task {
	t.Helper()
	a, err := syntax.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return Task{ID: id, Address: a}
}

// addresses returns n addresses whose local parts begin with a prefix.
func addresses(n int, prefix, domain string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d@%s", prefix, i, domain)
	}
	return list
}

// begin begins a run.
func (w *sim) begin(id runID) *simRun {
	r := &simRun{
		id: id, pending: map[string][]Task{}, results: map[int64]finding{}, kept: map[int64]finding{},
	}
	w.runs[id] = r
	w.feed(begin{run: id})
	w.feed(collect{id})
	return r
}

// find lets a run find a domain with addresses.
func (w *sim) find(r *simRun, answer mx.Answer, list ...string) {
	var all []Task
	for _, address := range list {
		w.last++
		all = append(all, simTask(w.t, int64(w.last), address))
	}
	w.findTasks(r, answer, all...)
}

func (w *sim) findTasks(r *simRun, answer mx.Answer, all ...Task) {
	first := min(len(all), firstTasks)
	r.pending[answer.Domain] = append(r.pending[answer.Domain], all[first:]...)
	cost := max(domainCost, first)
	r.weight += cost
	r.handed += len(all)
	w.feed(found{
		run: r.id, domain: answer.Domain, answer: answer, tasks: all[:first], more: len(all) - first, weight: cost,
	})
}

// check begins a single check.
func (w *sim) check(id runID, answer mx.Answer, address string) *simRun {
	r := &simRun{id: id, check: true, results: map[int64]finding{}, kept: map[int64]finding{}, handed: 1}
	w.runs[id] = r
	w.last++
	x := simTask(w.t, int64(w.last), address)
	w.feed(found{run: id, check: true, domain: answer.Domain, answer: answer, tasks: []Task{x}})
	return r
}

// later lets something happen after a while.
func (w *sim) later(after time.Duration, ev event, do func()) {
	w.last++
	heap.Push(&w.coming, simEvent{w.now.Add(after), w.last, ev, do})
}

// feed gives the plan an event, and carries its orders out.
func (w *sim) feed(ev event) {
	switch ev := ev.(type) {
	case opened:
		if s := w.open[ev.session]; s != nil {
			s.addr = ev.addr
		}
	case failed:
		delete(w.open, ev.session)
	case closed:
		s := w.open[ev.session]
		s.host.now--
		delete(w.open, ev.session)
	case heard:
		w.open[ev.session].flying = false
	}
	orders := w.plan.handle(w.now, ev)
	for _, o := range orders {
		fmt.Fprintf(&w.script, "%s %T%+v\n", w.now.Format("05.000"), o, scriptOf(o))
		w.carryOut(o)
	}
	if w.checked {
		w.invariants(ev)
	}
}

// scriptOf is an order without pointers, so that two scripts can be compared.
func scriptOf(o order) any {
	switch o := o.(type) {
	case resultsOrder:
		var b strings.Builder
		for _, f := range o.done {
			fmt.Fprintf(&b, "%d %s %v;", f.task.ID, f.evidence.reason, f.provisional)
		}
		return fmt.Sprint(o.run, b.String(), o.last)
	default:
		return o
	}
}

func (w *sim) carryOut(o order) {
	switch o := o.(type) {
	case openOrder:
		w.opens = append(w.opens, simOpen{w.now, o.target})
		w.openAt(o)
	case flyOrder:
		w.fly(o)
	case endOrder:
		w.ends = append(w.ends, o.session)
		w.open[o.session].ended = true
	case cancelOrder:
		w.cancels = append(w.cancels, o.session)
		w.open[o.session].canceled = true
	case quitOrder:
		w.quits = append(w.quits, o.why)
		s := w.open[o.session]
		if s.quit || s.flying {
			w.t.Fatalf("session %d: QUIT twice or in a flight", s.id)
		}
		s.quit = true
		w.later(s.host.trip, closed{o.session}, nil)
	case testOrder:
		w.tests = append(w.tests, o)
		w.later(time.Second, nil, func() { w.feed(tested{way: o.way, err: w.test(o), took: time.Second}) })
	case refillOrder:
		w.refill(o)
	case resultsOrder:
		w.results(o)
	case releaseOrder:
		if r := w.runs[o.run]; r != nil {
			r.weight -= o.weight
		}
	case sayOrder:
		w.said = append(w.said, o)
	}
}

// test answers a test as the hosts do now. No simulation has large hosts outside.
func (w *sim) test(o testOrder) error {
	for _, t := range o.targets {
		if w.hosts[t.Addrs[0]].dead == nil {
			return nil
		}
	}
	return errDown
}

func (w *sim) refill(o refillOrder) {
	r := w.runs[o.run]
	w.refills = append(w.refills, o)
	if r.refilling++; r.refilling > 1 {
		w.t.Fatalf("run %d: two refills at a time", o.run)
	}
	w.later(time.Millisecond, nil, func() {
		list := r.pending[o.domain]
		n := min(o.most, len(list))
		r.pending[o.domain] = list[n:]
		r.refilling--
		w.feed(tasks{run: o.run, domain: o.domain, tasks: list[:n], more: o.more - n})
	})
}

func (w *sim) results(o resultsOrder) {
	r := w.runs[o.run]
	r.waits = false
	if r.last > 0 {
		w.t.Fatalf("run %d: results after the last", o.run)
	}
	r.order = append(r.order, o.done...)
	r.facts = append(r.facts, o.facts...)
	for _, f := range o.done {
		into := r.results
		if f.provisional {
			into = r.kept
		}
		if _, twice := into[f.task.ID]; twice {
			w.t.Fatalf("%s: two results, provisional %v", f.task.Address, f.provisional)
		}
		if _, settled := r.results[f.task.ID]; settled && f.provisional {
			w.t.Fatalf("%s: provisional after it was settled", f.task.Address)
		}
		into[f.task.ID] = f
	}
	switch {
	case o.last:
		r.last++
	case !r.byHand:
		w.later(time.Millisecond, collect{r.id}, nil)
	}
}

func (w *sim) openAt(o openOrder) {
	s := &simSession{id: o.session, target: o.target}
	w.open[s.id] = s
	w.mostOpen = max(w.mostOpen, w.plan.slots)
	h, addr := w.hosts[o.target.Addrs[0]], o.target.Addrs[0]
	var failures []failure
	var lost error
	for _, a := range o.target.Addrs {
		h, addr = w.hosts[a], a
		if lost = cmp.Or(h.dead, h.closes(o.target.Source)); lost == nil {
			break
		}
		failures = append(failures, failure{
			addr: a, evidence: networkEvidence(o.target.Host, o.target.Source, lost), fault: h.fault,
		})
	}
	s.host = h
	w.later(3*h.trip, nil, func() {
		switch {
		case s.canceled:
			w.feed(failed{s.id, []failure{{addr: addr, fault: callersEnd}}})
		case lost != nil:
			w.feed(failed{s.id, failures})
		case h.banner != "", h.blocks.IsValid() && h.blocks == o.target.Source:
			words := cmp.Or(h.banner, "554 5.7.1 your address is blocked using zen.spamhaus.org")
			x := w.weigher.weigh(simReply(w.t, words), reply.Connect, o.provider, o.target.Host, o.target.Source).
				beforeRCPT()
			w.feed(failed{s.id, append(failures, failure{addr: addr, said: &x, evidence: x.evidence})})
		default:
			h.now++
			h.most = max(h.most, h.now)
			w.feed(opened{session: s.id, addr: addr, trip: h.trip, pipelines: !h.stepwise, smtputf8: h.utf8})
		}
	})
}

// closes returns the error of a connection from an address that does not get through.
func (h *simHost) closes(from netip.Addr) error {
	if h.closedTo.IsValid() && h.closedTo == from {
		return errDown
	}
	return nil
}

func simReply(t testing.TB, text string) reply.Reply {
	t.Helper()
	r, err := reply.Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

// fly asks a flight as a worker does.
func (w *sim) fly(o flyOrder) {
	s := w.open[o.session]
	if s.flying || s.quit {
		w.t.Fatalf("session %d: a flight in a flight, or after QUIT", s.id)
	}
	s.flying = true
	s.flights++
	var all []string
	for _, t := range o.transactions {
		all = append(all, t.recipients...)
	}
	w.flights = append(w.flights, simFlight{w.now, s.id, s.addr, all})
	took := 2 * s.host.trip
	if s.host.stepwise {
		took = s.host.trip * time.Duration(len(all)+1)
	}
	w.later(took, nil, func() { w.feed(w.answer(s, o, took)) })
}

func (w *sim) answer(s *simSession, o flyOrder, took time.Duration) heard {
	h := heard{session: s.id, took: took}
	if s.canceled {
		h.broken = &broken{kind: brokenByUs}
		return h
	}
	refused := o.refused
	for _, t := range o.transactions {
		source := s.target.Source
		if s.host.mail != nil {
			domain := t.recipients[0][strings.Index(t.recipients[0], "@")+1:]
			if text := s.host.mail(source, domain); text != "" {
				x := w.weigher.weigh(simReply(w.t, text), reply.MAIL, t.provider, t.host, source)
				h.transactions = append(h.transactions, saidTransaction{refused: &x})
				if strings.HasPrefix(text, "421") {
					x = x.beforeRCPT()
					h.transactions[len(h.transactions)-1].refused = nil
					h.broken = &broken{kind: brokenClosed, said: &x, command: reply.MAIL, evidence: x.evidence}
					return h
				}
				continue
			}
		}
		h.transactions = append(h.transactions, saidTransaction{})
		at := &h.transactions[len(h.transactions)-1]
		for i, recipient := range t.recipients {
			s.position = i
			text := s.host.rcpt(s, recipient)
			s.asked++
			switch {
			case text == hangsUp:
				h.broken = &broken{kind: brokenClosed, evidence: networkEvidence(t.host, source, smtpprobe.ErrClosed)}
				return h
			case text == stalls:
				h.broken = &broken{
					kind:     brokenTimeout,
					evidence: networkEvidence(t.host, source, os.ErrDeadlineExceeded),
				}
				return h
			case s.host.garbled:
				h.broken = &broken{
					kind:     brokenProtocol,
					evidence: networkEvidence(t.host, source, smtpprobe.ErrProtocol),
				}
			}
			x := w.weigher.weigh(simReply(w.t, text), reply.RCPT, t.provider, t.host, source)
			if strings.HasPrefix(text, "421") {
				h.broken = &broken{kind: brokenClosed, said: &x, command: reply.RCPT, evidence: x.evidence}
				return h
			}
			at.answers = append(at.answers, saidAnswer{said: x})
			if !x.ok() {
				if s.host.takes != nil {
					at.answers[len(at.answers)-1].took = s.host.takes(s)
				}
				refused++
				s.refused++
			}
			if s.ended || s.host.stepwise && refused >= o.most {
				return h
			}
		}
	}
	return h
}

// step lets the next thing happen, and reports whether there was one.
func (w *sim) step() bool {
	wake := w.plan.wake()
	switch {
	case len(w.coming) > 0 && (wake.IsZero() || !w.coming[0].at.After(wake)):
		x := heap.Pop(&w.coming).(simEvent)
		w.now = x.at
		if x.do != nil {
			x.do()
		} else {
			w.feed(x.ev)
		}
	case !wake.IsZero():
		if wake.After(w.now) {
			w.now = wake
		}
		w.feed(tick{})
	default:
		return false
	}
	return true
}

// busy reports whether anything is under way.
func (w *sim) busy() bool {
	return len(w.open) > 0 || slices.ContainsFunc(w.list(), func(r *simRun) bool { return r.last == 0 })
}

func (w *sim) list() []*simRun {
	var list []*simRun
	for _, r := range w.runs {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *simRun) int { return cmp.Compare(a.id, b.id) })
	return list
}

// run lets things happen until nothing is under way. It fails where nothing moves on, or for ever.
func (w *sim) run() {
	w.t.Helper()
	w.runFor(48 * time.Hour)
	if w.busy() {
		w.t.Fatalf(
			"after %v and %d sessions there is still work: %s",
			w.now.Sub(w.start),
			len(w.opens),
			w.plan.ahead(0).Words,
		)
	}
	if w.checked {
		w.empty()
	}
}

// runFor lets things happen for so long, or until nothing is under way.
func (w *sim) runFor(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for steps := 0; w.busy(); steps++ {
		wake := w.plan.wake()
		if (len(w.coming) == 0 || w.coming[0].at.After(end)) && (wake.IsZero() || wake.After(end)) {
			break
		}
		if steps > 3_000_000 || len(w.opens) > 30_000 {
			w.t.Fatalf("no end after %d steps and %d sessions", steps, len(w.opens))
		}
		if !w.step() {
			break
		}
	}
	if w.busy() && w.now.Before(end) {
		w.now = end
	}
}

// verifyAll runs one list of one domain.
func (w *sim) verifyAll(answer mx.Answer, list ...string) *simRun {
	w.t.Helper()
	r := w.begin(runID(len(w.runs) + 1))
	w.find(r, answer, list...)
	w.feed(fed{r.id})
	w.run()
	return r
}

// reasons counts the settled results of a run by reason.
func (r *simRun) reasons() map[Reason]int {
	n := map[Reason]int{}
	for _, f := range r.results {
		n[f.evidence.reason]++
	}
	return n
}

// of returns the settled result of an address.
func (r *simRun) of(t testing.TB, address string) evidence {
	t.Helper()
	for _, f := range r.results {
		if f.task.Address.String() == address {
			return f.evidence
		}
	}
	t.Errorf("%s has no result", address)
	return evidence{}
}

// askedFor counts how often an address was asked about.
func (w *sim) askedFor(address string) (n int) {
	for _, f := range w.flights {
		for _, r := range f.recipients {
			if r == address {
				n++
			}
		}
	}
	return n
}

// invented reports whether a recipient is an impossible address.
func invented(recipient string) bool {
	return !strings.HasPrefix(recipient, "good") && !strings.HasPrefix(recipient, "bad")
}

func (w *sim) warned(text string) bool {
	return slices.ContainsFunc(w.said, func(s sayOrder) bool {
		return s.level >= slog.LevelWarn && strings.Contains(s.text+fmt.Sprint(s.args...), text)
	})
}

// invariants compares what the plan counts with what is there.
func (w *sim) invariants(ev event) {
	w.t.Helper()
	p := w.plan
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("after %T%+v: %s", ev, scriptOf(ev), fmt.Sprintf(format, args...))
	}
	slots := 0
	lanes, unmet := map[*lane]int{}, map[*lane]int{}
	sessions := map[*budget]int{}
	servers := map[route]int{}
	for _, s := range p.sessions {
		if s.state != leavingSession {
			slots++
		}
		if !s.slow {
			sessions[&s.dest.budget]++
		}
		if l := s.lane(); !l.met {
			if unmet[l]++; unmet[l] > 1 {
				fail("two sessions from a source at %s, which was not met from there", s.dest.name)
			}
		}
		if s.tried != nil {
			lanes[s.lane()] += s.atOnce
			for _, a := range s.tried {
				servers[route{s.source, a}]++
			}
		} else {
			lanes[s.lane()]++
			servers[route{s.source, s.addr}]++
		}
		if p.destinations[s.dest.name] != s.dest {
			fail("session %d is at a destination that was forgotten", s.id)
		}
		if s.state == flyingSession != (s.flight != nil) {
			fail("session %d: state %d, flight %v", s.id, s.state, s.flight)
		}
		if s.state == parkedSession && !slices.Contains(p.parked, s) {
			fail("session %d waits for nothing", s.id)
		}
	}
	if slots != p.slots || slots > p.rules.slots {
		fail("%d slots counted as %d, of %d", slots, p.slots, p.rules.slots)
	}
	if len(p.parked) > 0 && p.wake().IsZero() {
		fail("sessions are parked without an alarm")
	}
	waiting, questions := map[*destination]int{}, map[*destination]int{}
	for _, d := range p.domains {
		waiting[d.dest] += d.waits
		questions[d.dest] += d.questions
		if p.destinations[d.dest.name] != d.dest {
			fail("%s is at a destination that was forgotten", d.name)
		}
		n := 0
		for _, s := range d.shares {
			n += s.waiting()
			if s.out < 0 || s.pending < 0 {
				fail("%s: out %d, pending %d", d.name, s.out, s.pending)
			}
		}
		if n != d.waits {
			fail("%s: %d wait, counted as %d", d.name, n, d.waits)
		}
	}
	for _, d := range p.destinations {
		if d.waiting != waiting[d] || d.questions != questions[d] || d.budget.sessions != sessions[&d.budget] {
			fail("%s counts %d, %d and %d, want %d, %d and %d", d.name, d.waiting, d.questions, d.budget.sessions,
				waiting[d], questions[d], sessions[&d.budget])
		}
		places, checks := make([]int, len(d.lanes)), 0
		for _, srv := range d.servers {
			for _, q := range srv.queues {
				if q.dest != d {
					continue
				}
				places[q.source] += q.domains.Len()
				if q.flow == p.checks {
					checks += q.domains.Len()
				}
			}
		}
		if checks != d.checks {
			fail("%s: %d places of checks, counted as %d", d.name, checks, d.checks)
		}
		for i := range d.lanes {
			l := &d.lanes[i]
			if l.sessions != lanes[l] || l.sessions > max(l.ceiling, d.table.Sessions) || l.waiting != places[i] {
				fail(
					"%s from %d: %d sessions counted as %d, cap %d; %d places counted as %d",
					d.name,
					i,
					lanes[l],
					l.sessions,
					d.table.Sessions,
					places[i],
					l.waiting,
				)
			}
		}
	}
	for addr, srv := range p.servers {
		for n, count := range srv.sessions {
			if count != servers[route{n, addr}] {
				fail("%s from %d: %d sessions counted as %d", addr, n, servers[route{n, addr}], count)
			}
		}
	}
	for _, r := range p.runs {
		if r.left < 0 {
			fail("run %d: %d left", r.id, r.left)
		}
	}
}

// empty fails where anything is left of what was under way.
func (w *sim) empty() {
	w.t.Helper()
	p := w.plan
	if !p.idle() || p.slots != 0 || len(p.domains) != 0 || len(p.servers) != 0 || len(p.parked) != 0 ||
		len(p.ready) != 0 {
		w.t.Fatalf("at the end: %d runs, %d sessions, %d slots, %d domains, %d servers, %d parked, %d ready",
			len(p.runs), len(p.sessions), p.slots, len(p.domains), len(p.servers), len(p.parked), len(p.ready))
	}
	for _, r := range w.list() {
		if r.last != 1 || r.weight != 0 && !r.stopped {
			w.t.Errorf("run %d: %d times last, %d of its room kept", r.id, r.last, r.weight)
		}
		if n := len(r.results); !r.stopped && n != r.handed {
			w.t.Errorf("run %d: %d results for %d addresses", r.id, n, r.handed)
		}
	}
}

func simRand(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(seed, 7))
}

// wantRate checks that from any flight on no more recipients are asked than a burst and what a rate a second allows.
func (w *sim) wantRate(burst, rate float64) {
	w.t.Helper()
	for i := range w.flights {
		n := 0
		for _, f := range w.flights[i:] {
			n += len(f.recipients)
			took := f.at.Sub(w.flights[i].at)
			if most := burst + rate*took.Seconds(); float64(n) > most {
				w.t.Fatalf("%v a second: %d recipients within %v, want %.2f at most", rate, n, took, most)
			}
		}
	}
}
