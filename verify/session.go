package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/score"
	"presend/verify/smtpprobe"
)

const (
	lostLimit  = 3  // sessions lost in a row, without one answer, after which a host counts as down for the domain
	againLimit = 2  // times an address that met a limit is asked again within a run
	scanLimit  = 64 // domains looked through for one that the session at hand can serve
)

// batch is what a session asks in one transaction.
type batch struct {
	work     *domainWork
	tasks    []Task    // asked before and not answered
	fresh    int       // tasks still to be leased from the queue
	ask      string    // the recipient of the catch-all question that it carries; empty: none
	askFirst bool      // before the real recipients
	rest     *evidence // ask nothing: this is the answer, since the circuit is open or no host is left
}

// take hands a session its next batch, of a domain that the session at hand can serve if there is one; nil when the
// destination has nothing more for it. A batch that is to join others in a flight is of such a domain, or nil.
func (s *scheduler) take(asker *worker) *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, source, session := asker.dest, asker.source, asker.session
	if session != nil && d.tries() {
		asker.load.tries, d.tried = true, true
	}
	l := asker.load
	joins := l.addresses+l.questions > 0
	if d.sessions > d.ceiling || s.config.Now().Before(d.paused) && d.open == nil || joins && d.open != nil {
		return nil
	}
	var chosen *domainWork
	for i, w := range d.works {
		if w.waiting == 0 && !w.unasked() && !slices.ContainsFunc(w.requeued, s.mayAsk(source)) {
			continue
		}
		if session == nil || w.reaches(session.Addr()) {
			chosen = w
			break
		}
		if chosen == nil && !joins {
			chosen = w
		}
		if i >= scanLimit {
			break
		}
	}
	if chosen == nil {
		return nil
	}
	b := &batch{work: chosen}
	question, open := chosen.inquiry.Next()
	asks := open && !chosen.asking && !chosen.answer.Provider.AcceptsAll
	if asks {
		l.questions++
	}
	most := d.room(l)
	if most < 1 {
		return nil
	}
	if scraps := chosen.waiting - most; d.stepwise && scraps > 0 && scraps < partLeast {
		most = max(most, min(chosen.waiting, d.limits.PerSession-l.served-l.questions))
	}
	most = min(most, d.limits.Recipients)
	if asks {
		most = min(most, d.limits.Recipients-1) // the question is a recipient too
	}
	if d.open != nil {
		b.rest = d.open
	} else if len(chosen.hosts()) == 0 {
		e := chosen.verdictOfHosts()
		b.rest = &e
	} else if asks {
		b.ask, b.askFirst, chosen.asking = question, chosen.unheard > 0, true
		chosen.leased++
	}
	b.tasks = s.again(chosen, source, most)
	n := len(b.tasks)
	b.fresh = min(most-n, chosen.waiting)
	chosen.waiting -= b.fresh
	d.waiting -= n + b.fresh
	chosen.leased += n + b.fresh
	s.update(d)
	return b
}

// mayAsk returns whether a task can be asked from one of our addresses: a retry comes from the address that met the
// temporary answer, since greylisting knows the client by it.
func (s *scheduler) mayAsk(source netip.Addr) func(Task) bool {
	return func(t Task) bool {
		return t.Source == source || !t.Source.IsValid() || !slices.Contains(s.config.Sources, t.Source)
	}
}

// again takes tasks that were leased before and can be asked from an address.
func (s *scheduler) again(w *domainWork, source netip.Addr, most int) (tasks []Task) {
	may := s.mayAsk(source)
	w.requeued = slices.DeleteFunc(w.requeued, func(t Task) bool {
		if len(tasks) == most || !may(t) {
			return false
		}
		tasks = append(tasks, t)
		if t.Source == source {
			w.dest.bound[source]--
		}
		return true
	})
	return tasks
}

// unasked says that accepted addresses wait for a catch-all question that no session carries.
func (w *domainWork) unasked() bool {
	return len(w.held) > 0 && !w.asking && w.inquiry.Answer() == catchall.Open
}

// reaches says whether a session with this address can serve the domain: the address is one of its most preferred
// hosts still worth trying.
func (w *domainWork) reaches(addr netip.Addr) bool {
	hosts := w.hosts()
	for _, h := range hosts {
		if h.Preference != hosts[0].Preference {
			break
		}
		if slices.Contains(h.Addrs, addr) {
			return true
		}
	}
	return false
}

// verdictOfHosts is what is to be said of a domain when no mail host is left to try.
func (w *domainWork) verdictOfHosts() evidence {
	if len(w.refusing) > 0 && len(w.down) == 0 {
		return evidence{answer: w.answer, reason: reply.DomainNotServed, detail: "none of its mail hosts carries mail for " + w.domain.Name}
	}
	for _, h := range w.answer.Hosts {
		if e, ok := w.down[h.Name]; ok {
			return e
		}
	}
	return evidence{answer: w.answer, reason: reply.Unreachable, detail: "no mail host has an address of a family in use"}
}

// worker is one session's goroutine at a destination: it opens a session where it needs one and asks batch after
// batch.
type worker struct {
	*run
	dest    *destination
	source  netip.Addr
	session *smtpprobe.Session
	load    load
}

func (r *run) session(ctx context.Context, d *destination, source netip.Addr) error {
	w := &worker{run: r, dest: d, source: source}
	defer w.hangUp(ctx)
	for !r.stopping() {
		b := r.sched.take(w)
		if b == nil {
			return nil
		}
		if err := w.serve(ctx, b); err != nil {
			return err
		}
		if w.session != nil && (w.session.Over() || w.spent()) {
			return nil // the next session is whoever's needs longest
		}
	}
	return nil
}

// spent says that a new session would serve better than this one.
func (w *worker) spent() bool {
	w.sched.mu.Lock()
	defer w.sched.mu.Unlock()
	return w.dest.spent(w.load)
}

func (w *worker) hangUp(ctx context.Context) {
	if w.session == nil {
		return
	}
	if err := w.session.Close(context.WithoutCancel(ctx)); err != nil {
		w.config.Logger.Debug("closing a session", "destination", w.dest.name, "error", err)
	}
	w.sched.ended(w.dest, w.load)
	w.session, w.load = nil, load{}
}

// serve asks a batch, and what else of the destination can fly with it. The error ends the run; whatever a server does
// is in the results.
func (w *worker) serve(ctx context.Context, b *batch) error {
	first, err := w.lease(ctx, b)
	switch {
	case err != nil:
		return err
	case b.rest != nil:
		e := *b.rest
		e.answer = b.work.answer
		for _, t := range first.tasks {
			first.finish(t, e)
		}
		first.close = true
		return w.settle(ctx, first)
	case !w.connect(ctx, b.work):
		first.requeue = append(first.requeue, first.tasks...)
		return errors.Join(w.settle(ctx, first), ctx.Err())
	}
	flight, err := w.fill(ctx, first)
	if err != nil {
		return err
	}
	return w.fly(ctx, flight)
}

// lease gets the tasks of a batch that can be asked from our address.
func (w *worker) lease(ctx context.Context, b *batch) (*outcome, error) {
	out := &outcome{batch: b, tasks: b.tasks}
	if b.fresh > 0 {
		fresh, err := w.queue.Lease(ctx, b.work.domain.Name, b.fresh)
		if err != nil {
			return nil, err
		}
		w.sched.leased(b, len(fresh))
		out.tasks = append(out.tasks, fresh...)
	}
	may := w.sched.mayAsk(w.source)
	out.tasks = slices.DeleteFunc(out.tasks, func(t Task) bool {
		if !may(t) {
			out.requeue = append(out.requeue, t)
		}
		return !may(t)
	})
	return out, nil
}

// fill puts batches of further domains beside the first while the server takes commands without waiting and bears more
// recipients.
func (w *worker) fill(ctx context.Context, first *outcome) (flight []*outcome, err error) {
	w.load.addresses, w.load.questions = 0, 0
	for next := first; ; {
		w.group(next)
		if len(next.asked) == 0 {
			err = w.settle(ctx, next)
		} else {
			flight = append(flight, next)
			w.load.addresses += len(next.asked)
			if next.batch.ask != "" {
				w.load.addresses--
				w.load.questions++
			}
		}
		if err != nil || len(flight) == 0 || !w.session.Pipelining() {
			return flight, err
		}
		b := w.sched.take(w)
		if b == nil {
			return flight, nil
		}
		if next, err = w.lease(ctx, b); err != nil {
			return flight, err
		}
	}
}

// fly asks the batches of a flight, a transaction each.
func (w *worker) fly(ctx context.Context, flight []*outcome) error {
	if len(flight) == 0 {
		return nil
	}
	transactions, recipients := make([][]string, len(flight)), 0
	for i, out := range flight {
		transactions[i] = out.recipients()
		recipients += len(transactions[i])
	}
	if w.dest.limits.Rate > 0 {
		if err := w.dest.limiter.WaitN(ctx, min(recipients, w.dest.limiter.Burst())); err != nil {
			return err
		}
	}
	begun := time.Now()
	said, broken := w.session.Probe(ctx, transactions, w.enough())
	took := time.Since(begun)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(said) == 0 { // the session broke before the first reply
		said = make([]smtpprobe.Transaction, 1)
	}
	before, mood := w.load.refused, outcome{}
	w.load.addresses, w.load.questions = 0, 0
	for i, out := range flight {
		if i >= len(said) {
			out.unreached = true
			out.requeue = append(out.requeue, slices.Concat(out.asked...)...)
			continue
		}
		w.hear(out, said[i])
		if broken != nil && i == len(said)-1 {
			w.stumbled(out, broken, len(said[i].Answers) > 0)
		}
		mood.answered, mood.strain = mood.answered || out.answered, mood.strain || out.strain
		mood.refusal = cmp.Or(mood.refusal, out.refusal)
	}
	if broken != nil {
		took = forever
	}
	if broken != nil || w.session.Pipelining() { // else enough has seen them one by one
		w.sched.tried(w.dest, w.session, before, w.load.refused-before, took)
	}
	w.sched.felt(w.dest, &mood)
	for _, out := range flight {
		if err := w.settle(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// enough returns what says, answer by answer, that a session is to ask no more: the server has borne as many refusals as
// it should, or the run is stopping.
func (w *worker) enough() func(smtpprobe.Answer) bool {
	refused := w.load.refused
	return func(a smtpprobe.Answer) bool {
		if a.Reply.Code/100 != 2 {
			w.sched.tried(w.dest, w.session, refused, 1, a.Took)
			refused++
		}
		return refused >= w.sched.bears(w.dest, w.load) || w.stopping()
	}
}

// hear weighs what the server said to a transaction.
func (w *worker) hear(out *outcome, said smtpprobe.Transaction) {
	provider := out.batch.work.answer.Provider.Name
	for i, a := range said.Answers {
		m := w.classifier.Classify(a.Reply, reply.RCPT, provider)
		refused := a.Reply.Code/100 != 2
		w.load.served++
		if refused {
			w.load.refused++
		}
		switch {
		case len(out.asked[i]) > 0:
			out.heard++
			if refused {
				out.refused++
			}
		case w.answers(out, a.Reply, m, i):
			out.question = &m
		}
		for _, t := range out.asked[i] {
			w.weigh(out, t, a.Reply, m, i)
		}
	}
	out.requeue = append(out.requeue, slices.Concat(out.asked[len(said.Answers):]...)...)
	if said.Refused != nil {
		m := w.classifier.Classify(said.Refused.Reply, said.Refused.Command, provider)
		w.refusedBeforeRCPT(out, w.evidence(out.batch.work, said.Refused.Reply, m, said.Refused.Command), m)
	}
}

// group puts tasks that are one mailbox together, a group a recipient, with an empty group for the catch-all question:
// behind the real recipients, but first once it was lost on the way, and where recipients are asked one by one, so that
// nothing accepted is left without it when enough has been asked. Tasks that cannot be asked have their result here.
func (w *worker) group(out *outcome) {
	b := out.batch
	first := b.askFirst || !w.session.Pipelining()
	if b.ask != "" && first {
		out.asked = append(out.asked, nil)
	}
	for _, t := range out.tasks {
		if w.isTrap(t) {
			out.finish(t, trapEvidence(b.work.answer))
			continue
		}
		if t.Address.SMTPUTF8 && !w.session.SMTPUTF8() {
			out.finish(t, evidence{answer: b.work.answer, host: w.session.Host(), reason: reply.SMTPUTF8Unsupported, detail: w.session.Host() + " takes no addresses with letters outside ASCII"})
			continue
		}
		if last := len(out.asked) - 1; last >= 0 && len(out.asked[last]) > 0 && b.work.answer.Provider.IgnoresCase && strings.EqualFold(out.asked[last][0].Address.Local, t.Address.Local) {
			out.asked[last] = append(out.asked[last], t) // one mailbox in two spellings: one question
			continue
		}
		out.asked = append(out.asked, []Task{t})
	}
	if b.ask != "" && !first {
		out.asked = append(out.asked, nil)
	}
}

// outcome collects what a batch came to, before the scheduler's books are brought up to date.
type outcome struct {
	batch     *batch
	tasks     []Task   // that it has
	asked     [][]Task // by recipient
	done      []Done
	proof     []evidence // of done, by index
	accepted  []heldTask
	requeue   []Task
	question  *reply.Meaning
	unknowns  int // real recipients refused as unknown
	heard     int // addresses answered
	refused   int // of them refused
	answered  bool
	unreached bool      // the session broke before its turn came
	refusal   *evidence // the server refused us
	strain    bool      // the server asks for a slower pace
	notHere   bool      // the host does not serve the domain
	down      *evidence // the host is to be left alone for this domain
	lost      *evidence // the session broke without an answer
	close     bool      // nothing more will be asked: an open catch-all question stays unanswered
}

// recipients returns what is asked: a mailbox for each group, the catch-all question for the empty one.
func (o *outcome) recipients() []string {
	recipients := make([]string, len(o.asked))
	for i, group := range o.asked {
		if recipients[i] = o.batch.ask; len(group) > 0 {
			recipients[i] = group[0].recipient()
		}
	}
	return recipients
}

func (o *outcome) finish(t Task, e evidence) {
	o.done = append(o.done, Done{Task: t})
	o.proof = append(o.proof, e)
}

// weigh decides what the answer to one real recipient means for it and for the destination.
func (w *worker) weigh(out *outcome, t Task, r reply.Reply, m reply.Meaning, position int) {
	e := w.evidence(out.batch.work, r, m, reply.RCPT)
	switch {
	case m.Reason == reply.Accepted && out.batch.work.answer.Provider.AcceptsAll:
		e.reason, e.detail = reply.AcceptsAllProvider, fmt.Sprintf("accepted, but %s accepts every recipient at this step", e.answer.Provider.Name)
		out.answered = true
		out.finish(t, e)
	case m.Reason == reply.Accepted:
		out.answered = true
		out.accepted = append(out.accepted, heldTask{t, e})
	case m.AgainstAddress() && t.recipient() != t.Address.String():
		// The server may hold the domain in A-labels only: nothing is said of the address, still less of the domain.
		t.aLabels = true
		out.requeue = append(out.requeue, t)
	case m.Reason == reply.DomainNotServed:
		out.notHere = true
		out.requeue = append(out.requeue, t)
	case m.Reason == reply.RateLimited && m.Subject != reply.SubjectMailbox && t.again < againLimit:
		t.again++
		out.requeue = append(out.requeue, t)
		if r.Enhanced == (reply.Enhanced{Class: 4, Subject: 5, Detail: 3}) && position > 0 {
			w.sched.shrink(w.dest, position) // a limit on the transaction, not on the pace
		} else {
			out.strain = true
		}
	case m.Reason.AboutSender():
		out.refusal = &e
		out.finish(t, e)
	default:
		if e.reason == reply.MailboxUnknown {
			out.unknowns++
		}
		out.answered = out.answered || m.Subject == reply.SubjectMailbox
		out.finish(t, e)
	}
}

// answers says whether a reply is an answer to its recipient. One about too many recipients or too fast a pace is none:
// it is met by asking less at a time, or later.
func (w *worker) answers(out *outcome, r reply.Reply, m reply.Meaning, position int) bool {
	if m.Reason != reply.RateLimited || m.Subject == reply.SubjectMailbox {
		return true
	}
	if r.Enhanced == (reply.Enhanced{Class: 4, Subject: 5, Detail: 3}) && position > 0 {
		w.sched.shrink(w.dest, position) // a limit on the transaction, not on the pace
	} else {
		out.strain = true
	}
	return false
}

// evidence puts a reply and its meaning into evidence.
func (w *worker) evidence(work *domainWork, r reply.Reply, m reply.Meaning, command reply.Command) evidence {
	e := evidence{reason: m.Reason, answer: work.answer, after: m.RetryAfter, source: w.source, detail: fmt.Sprintf("%s answered %s with %s", w.hostName(work), command, r)}
	if w.session != nil {
		e.host = w.session.Host()
	}
	switch {
	case e.reason == reply.Unknown, e.reason == reply.MessageTooLarge,
		w.table.Verdict(e.reason) == score.Invalid && !m.AgainstAddress():
		// A reply that says too little, or says it softly, is no evidence about the mailbox: another try may tell.
		e.reason = reply.ServerUnavailable
	}
	e.reply = &Reply{Code: r.Code, Text: r.Text(), Command: string(command)}
	if r.Enhanced != (reply.Enhanced{}) {
		e.reply.Enhanced = r.Enhanced.String()
	}
	return e
}

func (w *worker) hostName(work *domainWork) string {
	if w.session != nil {
		return w.session.Host()
	}
	return work.answer.Hosts[0].Name
}

// stumbled weighs the error that ended a session in a transaction.
func (w *worker) stumbled(out *outcome, err error, progress bool) {
	work := out.batch.work
	var closing *smtpprobe.ClosingError
	switch {
	case errors.As(err, &closing):
		m := w.classifier.Classify(closing.Reply, reply.RCPT, work.answer.Provider.Name)
		e := w.evidence(work, closing.Reply, m, reply.RCPT)
		out.strain = m.Reason == reply.RateLimited
		if m.Reason.AboutSender() {
			out.refusal = &e
		}
		if !progress {
			out.lost = &e
		}
	case progress:
	default:
		e := w.networkEvidence(work, w.session.Host(), err)
		if e.reason == reply.ServerUnavailable {
			out.lost = &e
		} else {
			out.down = &e
		}
	}
}

// refusedBeforeRCPT weighs a refusal of the connection, of EHLO or of MAIL.
func (w *worker) refusedBeforeRCPT(out *outcome, e evidence, m reply.Meaning) {
	switch {
	case m.Reason.AboutSender():
		out.refusal, out.down = &e, &e
	case m.Reason == reply.RateLimited:
		out.strain, out.lost = true, &e
	case m.Reason == reply.DomainNotServed:
		out.notHere = true
	case m.Subject == reply.SubjectMailbox || m.Reason == reply.Accepted:
		// Nobody has named a mailbox yet: this cannot be about one.
		e.reason = reply.ServerUnavailable
		out.down = &e
	default:
		out.down = &e
	}
}

// networkEvidence says what a failed connection or a broken session means.
func (w *worker) networkEvidence(work *domainWork, host string, err error) evidence {
	e := evidence{answer: work.answer, host: host, source: w.source, reason: reply.Unreachable, detail: err.Error()}
	var timeout net.Error
	switch {
	case errors.Is(err, smtpprobe.ErrProtocol):
		e.reason = reply.ProtocolError
	case errors.Is(err, smtpprobe.ErrClosed):
		e.reason = reply.ServerUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.reason = reply.Timeout
	}
	return e
}

// connect makes sure that the worker has a session that serves the domain. False: it has none, and the scheduler's
// books say why.
func (w *worker) connect(ctx context.Context, work *domainWork) bool {
	w.sched.mu.Lock()
	hosts := work.hosts()
	usable := w.session != nil && work.reaches(w.session.Addr())
	w.sched.mu.Unlock()
	if usable {
		return true
	}
	w.hangUp(ctx)
	for _, host := range hosts {
		out := outcome{batch: &batch{work: work}}
		for _, addr := range host.Addrs {
			session, err := w.open(ctx, host, addr)
			if err == nil {
				w.session = session
				w.sched.met(w.dest, session)
				return true
			}
			if ctx.Err() != nil {
				return false
			}
			w.config.Logger.Debug("no session", "host", host.Name, "address", addr, "error", err)
			out = outcome{batch: out.batch}
			var refused *smtpprobe.RefusedError
			if errors.As(err, &refused) {
				m := w.classifier.Classify(refused.Reply, refused.Command, work.answer.Provider.Name)
				e := w.evidence(work, refused.Reply, m, refused.Command)
				e.host = host.Name
				w.refusedBeforeRCPT(&out, e, m)
				break // the host has spoken; its other addresses are the same machine or say the same
			}
			e := w.networkEvidence(work, host.Name, err)
			out.down = &e
		}
		if stop := w.sched.hostFailed(w.dest, work, host.Name, &out); stop {
			return false
		}
	}
	return false
}

// open opens a session, in plain text where TLS fails.
func (w *worker) open(ctx context.Context, host mx.Host, addr netip.Addr) (*smtpprobe.Session, error) {
	if e, dead := w.sched.dead(addr); dead {
		return nil, e
	}
	target := smtpprobe.Target{Host: host.Name, Addrs: []netip.Addr{addr}, Source: w.source, Plain: w.sched.isPlain(addr)}
	session, err := w.config.Prober.Open(ctx, target)
	if err == nil && session.TLSFailed() {
		w.sched.markPlain(addr)
	}
	var refused *smtpprobe.RefusedError
	if err != nil && ctx.Err() == nil && !errors.As(err, &refused) {
		w.sched.markDead(addr, err)
	}
	return session, err
}

// settle brings the books up to date with what a batch came to, and records what is certain by now.
func (w *worker) settle(ctx context.Context, out *outcome) error {
	finished, facts := w.sched.settle(w.dest, out, w.session)
	for i, d := range out.done {
		if err := w.finish(ctx, d.Task, out.proof[i]); err != nil {
			return err
		}
	}
	for _, h := range finished {
		if err := w.finish(ctx, h.task, h.e); err != nil {
			return err
		}
	}
	if facts {
		work := out.batch.work
		return w.emit(ctx, recorded{facts: w.facts(work.domain.Name, work.answer, work.inquiry.Answer())})
	}
	return nil
}

// deadFor is how long a mail host that could not be connected to is left alone.
const deadFor = 5 * time.Minute
