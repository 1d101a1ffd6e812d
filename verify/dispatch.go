package verify

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// message is an event on its way to the dispatcher, with the mailboxes of a run or check that begins.
type message struct {
	event event
	port  *port
}

// port is where the dispatcher puts what a run waits for. Each channel holds one, and a run asks for no second before
// it took the first, so the dispatcher never waits.
type port struct {
	results chan resultsOrder
	refills chan refillOrder
	texts   chan Ahead
	release func(weight int)
}

func newPort(release func(int)) *port {
	return &port{
		results: make(
			chan resultsOrder,
			1,
		), refills: make(chan refillOrder, 1), texts: make(chan Ahead, 1), release: release,
	}
}

// dispatcher is the one goroutine around the plan: it runs while a run, a check or a session is under way.
type dispatcher struct {
	prober  Prober
	outside Outside
	weigher weigher
	log     *slog.Logger
	events  chan message

	mu      sync.Mutex // guards what follows; the plan belongs to the goroutine while it runs, and to nobody else
	lastRun runID
	joining int           // that will send an event
	done    chan struct{} // closed when the goroutine ends; nil: it does not run
	plan    *plan
}

// join makes sure that the dispatcher runs, and sends the first event of a run or check.
func (d *dispatcher) join(first func(runID) event, p *port) runID {
	d.mu.Lock()
	d.joining++
	d.lastRun++
	id := d.lastRun
	if d.done == nil {
		d.done = make(chan struct{})
		go d.run(d.done)
	}
	d.mu.Unlock()
	d.events <- message{first(id), p}
	return id
}

// wait returns when nothing is under way any more, or ctx ends.
func (d *dispatcher) wait(ctx context.Context) error {
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hands is what the dispatcher holds of a session's worker.
type hands struct {
	mailbox chan any
	cancel  context.CancelFunc // of what the session does now
	end     chan struct{}      // of its flight
}

// carrier carries out orders.
type carrier struct {
	*dispatcher
	ports    map[runID]*port
	sessions map[sessionID]*hands
	tests    context.Context // ends with the dispatcher
	workers  sync.WaitGroup
}

func (d *dispatcher) run(done chan struct{}) {
	defer close(done)
	c := &carrier{dispatcher: d, ports: map[runID]*port{}, sessions: map[sessionID]*hands{}}
	defer c.workers.Wait()
	var endTests context.CancelFunc
	c.tests, endTests = context.WithCancel(context.Background())
	defer endTests()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if wake := d.plan.wake(); wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(wake))
		}
		m := message{event: tick{}}
		select {
		case m = <-d.events:
		case <-timer.C:
		}
		c.note(m)
		for _, o := range d.plan.handle(time.Now(), m.event) {
			c.carryOut(o)
		}
		if d.plan.idle() && d.ends() {
			return
		}
	}
}

// ends reports whether nobody is about to join, and gives the plan back then.
func (d *dispatcher) ends() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.joining > 0 {
		return false
	}
	d.done = nil
	return true
}

// note keeps the mailboxes of who joins, and forgets the worker that reports its end.
func (c *carrier) note(m message) {
	var id runID
	switch ev := m.event.(type) {
	case begin:
		id = ev.run
	case found:
		id = ev.run
	case closed:
		c.forget(ev.session)
	case failed:
		c.forget(ev.session)
	case heard:
		c.sessions[ev.session].cancel()
	case opened:
		c.sessions[ev.session].cancel()
	}
	if m.port != nil {
		c.ports[id] = m.port
		c.mu.Lock()
		c.joining--
		c.mu.Unlock()
	}
}

func (c *carrier) forget(id sessionID) {
	c.sessions[id].cancel()
	delete(c.sessions, id)
}

func (c *carrier) carryOut(o order) {
	switch o := o.(type) {
	case openOrder:
		ctx, cancel := context.WithCancel(context.Background())
		h := &hands{mailbox: make(chan any, 1), cancel: cancel}
		c.sessions[o.session] = h
		w := &worker{prober: c.prober, weigher: c.weigher, log: c.log, order: o, mailbox: h.mailbox, events: c.events}
		c.workers.Go(func() { w.run(ctx) })
	case flyOrder:
		h := c.sessions[o.session]
		ctx, cancel := context.WithCancel(context.Background())
		h.cancel, h.end = cancel, make(chan struct{})
		h.mailbox <- flyingOrder{o, ctx, h.end}
	case endOrder:
		h := c.sessions[o.session]
		select {
		case <-h.end:
		default:
			close(h.end)
		}
	case cancelOrder:
		c.sessions[o.session].cancel()
	case quitOrder:
		c.sessions[o.session].mailbox <- o
	case testOrder:
		c.workers.Go(func() { c.events <- message{event: c.test(c.tests, o)} })
	case refillOrder:
		c.ports[o.run].refills <- o
	case resultsOrder:
		c.ports[o.run].results <- o
		if o.last {
			delete(c.ports, o.run)
		}
	case releaseOrder:
		if p := c.ports[o.run]; p != nil {
			p.release(o.weight)
		}
	case describeOrder:
		if p := c.ports[o.run]; p != nil {
			p.texts <- o.ahead
		}
	case sayOrder:
		c.log.Log(context.Background(), o.level, o.text, o.args...)
	}
}
