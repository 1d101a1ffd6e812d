package verify

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"presend/verify/catchall"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

const (
	circuitLimit = 3                      // refusals of us in a row, without an honest answer between them, that open a destination's circuit
	sessionCost  = 4                      // round trips to begin and end a session: the connection, the banner, EHLO, QUIT
	shareOf      = 200                    // recipients of which the share of refusals is taken
	trialErrors  = 5                      // more refusals than Errors with which a server's patience is tried,
	trialSize    = 500                    // where so many recipients wait
	usualTrip    = 300 * time.Millisecond // a round trip to a host not met yet
	surprise     = 2 * time.Second        // what such a host may take beyond that: better early than last
	maxPause     = time.Minute
)

// scheduler gives sessions to destinations: to the one that needs longest with the sessions it has.
type scheduler struct {
	config   Config
	group    *errgroup.Group
	mu       sync.Mutex
	byName   map[string]*destination
	ready    destinationHeap // those that can use one more session now
	sessions int             // all destinations'
	domains  int             // added and not done
	looking  bool            // more domains may be added
	wake     chan struct{}   // something changed
	space    chan struct{}   // a domain is done
	troubles map[netip.Addr]hostTrouble
	finished chan struct{}
}

// destination is what counts our sessions on its side.
type destination struct {
	name     string
	limits   smtpprobe.Limits
	ceiling  int // sessions allowed now; adapts between 1 and the caps of the table
	sessions int
	sources  map[netip.Addr]int // sessions by our address
	bound    map[netip.Addr]int // tasks that wait for a session from one of our addresses
	waiting  int                // tasks that nobody has leased, and open catch-all questions
	works    []*domainWork
	limiter  *rate.Limiter
	paused   time.Time     // nothing is opened before
	pauses   int           // in a row
	refusals int           // of us, in a row
	open     *evidence     // the circuit: what the rest of the addresses get
	quiet    int           // transactions since the last sign of strain
	trip     time.Duration // a round trip, as the last session measured it; 0: not met yet
	stepwise bool          // no PIPELINING: a round trip for each command
	asked    int           // recipients answered, lately
	refused  int           // of them refused
	slows    bool          // it was seen to take its time over refusals
	patient  bool          // it was seen not to
	index    int           // in the heap, -1 outside
}

// domainWork is a domain on its way through probing. Guarded by scheduler.mu but for what is said otherwise.
type domainWork struct {
	domain   Domain
	answer   mx.Answer
	dest     *destination
	waiting  int    // tasks nobody has leased
	requeued []Task // leased before and not answered
	leased   int    // tasks, and catch-all questions, out with a session
	inquiry  *catchall.Inquiry
	asking   bool                // a session carries the catch-all question
	unheard  int                 // times the catch-all question got no answer
	held     []heldTask          // accepted, waiting for the catch-all answer
	down     map[string]evidence // hosts that failed for this domain, by name, with what is to be said if all do
	refusing map[string]bool     // hosts that do not serve the domain
	lost     int                 // sessions lost in a row without an answer
	counted  bool                // its unasked question stands in dest.waiting
}

type heldTask struct {
	task Task
	e    evidence
}

func newDomainWork(domain Domain, answer mx.Answer, config Config) *domainWork {
	w := &domainWork{domain: domain, answer: answer, waiting: domain.Pending, down: map[string]evidence{}, refusing: map[string]bool{}}
	w.inquiry = catchall.Known(domain.Name, config.Prober.Sender(), domain.CatchAll)
	for i, host := range w.answer.Hosts {
		w.answer.Hosts[i].Addrs = usable(host.Addrs, config)
	}
	return w
}

// usable keeps the addresses of the families asked for.
func usable(addrs []netip.Addr, config Config) []netip.Addr {
	if config.IPv4 == config.IPv6 {
		return addrs
	}
	var kept []netip.Addr
	for _, a := range addrs {
		if a.Unmap().Is4() == config.IPv4 {
			kept = append(kept, a)
		}
	}
	return kept
}

// idle says that a domain has nothing more to hand out and nothing out.
func (w *domainWork) idle() bool {
	return w.waiting == 0 && len(w.requeued) == 0 && w.leased == 0 && len(w.held) == 0
}

// hosts returns the mail hosts still worth trying, in order.
func (w *domainWork) hosts() []mx.Host {
	var hosts []mx.Host
	for _, h := range w.answer.Hosts {
		if _, down := w.down[h.Name]; !down && !w.refusing[h.Name] && len(h.Addrs) > 0 {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func newScheduler(config Config, group *errgroup.Group) *scheduler {
	return &scheduler{
		config: config, group: group, byName: map[string]*destination{}, looking: true,
		troubles: map[netip.Addr]hostTrouble{}, wake: make(chan struct{}, 1), space: make(chan struct{}, 1), finished: make(chan struct{}),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// room waits until one more domain may be looked up.
func (s *scheduler) room(ctx context.Context) error {
	for {
		s.mu.Lock()
		free := s.domains < ahead
		s.mu.Unlock()
		if free {
			return nil
		}
		select {
		case <-s.space:
		case <-s.config.Stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// add puts a domain to its destination.
func (s *scheduler) add(w *domainWork) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byName[w.answer.Destination]
	if d == nil {
		limits := s.config.Pace.For(w.answer.Destination)
		d = &destination{name: w.answer.Destination, limits: limits, index: -1, sources: map[netip.Addr]int{}, bound: map[netip.Addr]int{}}
		d.ceiling = limits.Sessions * len(s.config.Sources)
		d.limiter = rate.NewLimiter(rate.Inf, 1)
		if limits.Rate > 0 {
			d.limiter = rate.NewLimiter(rate.Limit(limits.Rate*float64(len(s.config.Sources))), limits.Recipients)
		}
		s.byName[d.name] = d
	}
	w.dest = d
	d.works = append(d.works, w)
	d.waiting += w.waiting
	s.domains++
	s.update(d)
}

// resolved says that no domain will be added any more.
func (s *scheduler) resolved() {
	s.mu.Lock()
	s.looking = false
	s.mu.Unlock()
	signal(s.wake)
}

// update puts a destination into its place among those that can use a session.
func (s *scheduler) update(d *destination) {
	wants := d.waiting > 0 && d.sessions < d.ceiling && d.pays() && !s.config.Now().Before(d.paused)
	switch {
	case wants && d.index < 0:
		heap.Push(&s.ready, d)
	case wants:
		heap.Fix(&s.ready, d.index)
	case d.index >= 0:
		heap.Remove(&s.ready, d.index)
	}
	if wants {
		signal(s.wake)
	}
}

// trips is how many round trips what waits will take in one session: one for each transaction, or for each command.
func (d *destination) trips() int {
	if d.stepwise {
		return d.waiting + 3*len(d.works)
	}
	return d.waiting/d.limits.Recipients + len(d.works)
}

// pays says whether one more session saves more time than it costs: n sessions need trips/n.
func (d *destination) pays() bool {
	return d.sessions == 0 || d.trips() > sessionCost*d.sessions*(d.sessions+1)
}

// left is how long what waits will take with one more session.
func (d *destination) left() time.Duration {
	if d.trip == 0 {
		return time.Duration(d.trips())*usualTrip/time.Duration(d.sessions+1) + surprise
	}
	return time.Duration(d.trips()) * d.trip / time.Duration(d.sessions+1)
}

// bears is how many refusals a server bears in a session. Postfix takes a second over each from the 11th on and hangs up
// at the 20th, so one that was not seen to do otherwise is taken for that. Where much waits, it is tried.
func (d *destination) bears() int {
	switch {
	case d.patient:
		return 2*d.limits.Errors + 1
	case !d.slows && d.waiting > trialSize:
		return d.limits.Errors + trialErrors
	}
	return d.limits.Errors + 1
}

// learn notes whether the server took its time over refusals that were more than those that any server bears: in a
// transaction that took so long, after some refusals in the session and with some.
func (d *destination) learn(trip time.Duration, pipelining bool, before, refused int, took time.Duration) {
	excess := min(refused, before+refused-d.limits.Errors-1)
	if excess < 1 || d.patient || d.slows {
		return
	}
	const slow = 500 * time.Millisecond // Postfix takes a second over each
	d.slows = took > trip+time.Duration(excess)*slow
	d.patient = !d.slows && excess > 1 && pipelining // one by one, time says too little
}

// room is how many recipients the next transaction of a session may hold that was served so many and refused so many
// of them, so that the refusals in it are borne: all of them while nothing is known of the destination, and else as
// many as two standard deviations allow, but fewer than what ends a session of Postfix, since a list may hold its bad
// addresses together.
func (d *destination) room(served, refused int) int {
	left := max(0, d.bears()-refused)
	n := left
	if d.asked >= d.limits.Errors {
		share := (float64(d.refused) + 1) / (float64(d.asked) + 2)
		spread := 2 * math.Sqrt(share*(1-share))
		root := (math.Sqrt(spread*spread+4*share*float64(left)) - spread) / (2 * share) // of share n + spread sqrt(n) = left
		most := 2*d.limits.Errors + 1 - refused
		if d.patient {
			most = 2 * left
		}
		n = max(n, min(int(root*root), most))
	}
	return max(1, min(n, d.limits.Recipients, d.limits.PerSession-served))
}

// spent says that a new session would serve better than one that was served so many and refused so many of them.
func (d *destination) spent(served, refused int) bool {
	next := d.room(served, refused)
	return refused >= d.bears() || served >= d.limits.PerSession || (sessionCost+1)*next < min(d.waiting, d.room(0, 0))
}

// dispatch opens sessions until all work is done.
func (s *scheduler) dispatch(ctx context.Context, session func(context.Context, *destination, netip.Addr) error) error {
	defer close(s.finished)
	for {
		stopping := false
		select {
		case <-s.config.Stop:
			stopping = true
		default:
		}
		s.mu.Lock()
		for !stopping && s.sessions < s.config.Sessions && len(s.ready) > 0 {
			d := s.ready[0]
			source := d.source(s.config.Sources)
			d.sessions++
			d.sources[source]++
			s.sessions++
			s.update(d)
			s.group.Go(func() error {
				err := session(ctx, d, source)
				s.mu.Lock()
				d.sessions--
				d.sources[source]--
				s.sessions--
				s.update(d)
				if d.sessions == 0 && len(d.works) == 0 && d.open == nil && d.refusals == 0 && d.pauses == 0 && d.ceiling == d.limits.Sessions*len(s.config.Sources) {
					delete(s.byName, d.name) // nothing learned that a later domain would need
				}
				s.mu.Unlock()
				signal(s.wake)
				return err
			})
		}
		over := s.sessions == 0 && (stopping || !s.looking && s.domains == 0)
		s.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-s.wake:
		case <-s.stopped(stopping):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stopped is Config.Stop until it has been seen.
func (s *scheduler) stopped(seen bool) <-chan struct{} {
	if seen {
		return nil
	}
	return s.config.Stop
}

// source returns the one of our addresses that has fewest sessions with the destination, but first one that retries
// wait for.
func (d *destination) source(sources []netip.Addr) netip.Addr {
	least := sources[0]
	for _, a := range sources {
		if d.bound[a] > 0 && d.sources[a] == 0 {
			return a
		}
	}
	for _, a := range sources[1:] {
		if d.sources[a] < d.sources[least] {
			least = a
		}
	}
	return least
}

// waitingFor says in words what holds the run up most.
func (s *scheduler) waitingFor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var slowest *destination
	for _, d := range s.byName {
		if len(d.works) > 0 && (slowest == nil || d.waiting > slowest.waiting) {
			slowest = d
		}
	}
	switch {
	case slowest == nil && s.looking:
		return "DNS"
	case slowest == nil:
		return ""
	}
	words := fmt.Sprintf("%s (%d to ask, %d sessions", slowest.name, slowest.waiting, slowest.sessions)
	if pause := slowest.paused.Sub(s.config.Now()); pause > 0 {
		words += fmt.Sprintf(", it asked for a pause of %s", pause.Round(time.Second))
	}
	return words + ")"
}

// pause keeps a destination from being asked for a while that doubles each time, and halves its sessions.
func (s *scheduler) pause(d *destination) {
	d.ceiling = max(1, d.ceiling/2)
	d.quiet = 0
	wait := min(time.Second<<min(d.pauses, 10), maxPause)
	d.pauses++
	if until := s.config.Now().Add(wait); until.After(d.paused) {
		d.paused = until
		time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.update(d)
			signal(s.wake)
		})
	}
	s.update(d)
}

// calm counts a transaction without a sign of strain; after some of these one more session is allowed.
func (d *destination) calm(sources int) {
	d.refusals, d.pauses = 0, 0
	d.quiet++
	if d.quiet%10 == 0 && d.ceiling < d.limits.Sessions*sources {
		d.ceiling++
	}
}

// destinationHeap orders destinations by the time that they still need, longest first.
type destinationHeap []*destination

func (h destinationHeap) Len() int           { return len(h) }
func (h destinationHeap) Less(i, j int) bool { return h[i].left() > h[j].left() }

func (h destinationHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *destinationHeap) Push(x any) {
	d := x.(*destination)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop implements heap.Interface.
func (h *destinationHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	d.index = -1
	return d
}
