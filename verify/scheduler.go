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
	circuitLimit = 3                     // refusals of us in a row, without an honest answer between them, that open a destination's circuit
	sessionCost  = 4                     // round trips to begin and end a session: the connection, the banner, EHLO, QUIT
	shareOf      = 200                   // addresses of which the share of refusals is taken
	known        = 4                     // addresses from which on that share is believed
	trialWorth   = 0.75                  // sessions, times the seconds of a round trip, for which a server's patience is tried
	partLeast    = 4                     // recipients that are worth the MAIL and RSET of a transaction of their own, one by one
	flightMost   = 200                   // recipients in a flight: the longest of addresses just fill a TCP window (RFC 2920 section 3.1)
	usualTrip    = 70 * time.Millisecond // a round trip to a host not met yet
	unmet        = 3 * time.Second       // what such a host may take beyond that, since it may never answer: better early than last
	surprise     = time.Second           // what one may take that is not known to be patient
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
	quiet    int           // flights since the last sign of strain
	trip     time.Duration // a round trip, as the last session measured it; 0: not met yet
	stepwise bool          // no PIPELINING: a round trip for each command
	asked    int           // addresses answered, lately
	refused  int           // of them refused
	slows    bool          // it was seen to take its time over refusals
	patient  bool          // it was seen not to
	tried    bool          // a session is trying that
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

// share is the part of the addresses that is refused, a fifth while little is known.
func (d *destination) share() float64 { return (float64(d.refused) + 1) / (float64(d.asked) + 5) }

// fills is in how many sessions what waits can be asked, by the refusals that a session bears, of which each catch-all
// question is one, and by its cap.
func (d *destination) fills(refusals int) float64 {
	waiting, questions := float64(d.waiting), float64(len(d.works))
	return max((waiting*d.share()+questions)/float64(refusals), (waiting+questions)/float64(d.limits.PerSession))
}

// trips is how many round trips what waits will take in one session after the other: some two flights in each, or one trip
// for each command.
func (d *destination) trips() float64 {
	sessions := math.Ceil(d.fills(d.bears(load{})))
	if d.stepwise || d.trip == 0 { // what is not known is taken for slow: better early than last
		return float64(d.waiting+3*len(d.works)) + sessionCost*sessions
	}
	return (sessionCost + 2) * sessions
}

// pays says whether one more session saves more time than it costs: n sessions need trips/n.
func (d *destination) pays() bool {
	return d.sessions == 0 || d.trip > 0 && d.trips() > sessionCost*float64(d.sessions*(d.sessions+1))
}

// left is how long what waits will take with one more session.
func (d *destination) left() time.Duration {
	trip, extra := d.trip, surprise
	switch {
	case d.trip == 0:
		trip, extra = usualTrip, unmet
	case d.patient:
		extra = 0
	}
	return time.Duration(d.trips()*float64(trip))/time.Duration(d.sessions+1) + extra
}

// bears is how many refusals a session is held to. Postfix takes a second over each from the 11th on and hangs up at the
// 20th, so a server that was not seen to do otherwise is taken for that, but for one session that tries it.
func (d *destination) bears(l load) int {
	switch {
	case d.patient:
		return 2*d.limits.Errors + 1
	case l.tries && !d.slows:
		return d.limits.Errors + 2
	}
	return d.limits.Errors + 1
}

// tries says whether a session is to try the patience of the server: one at a time, where fewer sessions would save more
// than the second that it costs.
func (d *destination) tries() bool {
	return !d.tried && !d.slows && !d.patient && d.fills(d.bears(load{}))*d.trip.Seconds() > trialWorth
}

// learn notes whether the server takes its time over refusals that are more than those that any server bears: so many,
// after some others in the session, took so long; for ever, if it hung up. What was taken for patient may yet turn out not
// to be.
func (d *destination) learn(trip time.Duration, before, refused int, took time.Duration) {
	excess := min(refused, before+refused-d.limits.Errors-1)
	if excess < 1 || d.slows {
		return
	}
	const slow = 500 * time.Millisecond // Postfix takes a second over each
	d.slows = took-trip > time.Duration(excess)*slow
	d.patient = !d.slows
}

// load is what a session has behind it, and what is in the flight that is being put together.
type load struct {
	served, refused      int  // recipients answered, and of them refused
	addresses, questions int  // recipients in the flight; a question is what cannot exist, to be refused
	tries                bool // the patience of the server
}

// room is how many more addresses a flight may hold, at least one if it holds none yet: while nothing is known of the
// destination as many as are all borne if refused, and then as many as two standard deviations allow. But where hanging up
// is feared there are always fewer than would bring that about, since a list may hold its bad addresses together.
func (d *destination) room(l load) int {
	recipients, least := l.addresses+l.questions, 0
	if l.addresses == 0 && l.questions < 2 {
		least = 1
	}
	most := min(flightMost-recipients, d.limits.PerSession-l.served-recipients)
	switch {
	case d.stepwise: // its answers are weighed one by one; each session takes its part of what waits
		part := (d.waiting + d.ceiling - 1) / d.ceiling
		return max(least, min(max(part, partLeast), most))
	case d.limits.Rate > 0:
		most = min(most, d.limits.Recipients-recipients) // what its limiter lets through at once
	}
	left := max(0, d.bears(l)-l.refused-l.questions)
	n := left
	if d.asked >= known {
		share := d.share()
		spread := 2 * math.Sqrt(share*(1-share))
		if d.patient {
			spread = 0
		}
		root := (math.Sqrt(spread*spread+4*share*float64(left)) - spread) / (2 * share) // of share n + spread sqrt(n) = left
		n = max(n, int(root*root))
		if !d.patient {
			n = min(n, 2*d.limits.Errors+1-l.refused-l.questions)
		}
	}
	return max(least, min(n-l.addresses, most))
}

// spent says that a new session would serve better than one with such a load.
func (d *destination) spent(l load) bool {
	next := d.room(l)
	return l.refused >= d.bears(l) || l.served >= d.limits.PerSession || (sessionCost+1)*next < min(d.waiting, d.room(load{}))
}

// forever is how long refusals took that a server hung up over.
const forever = time.Duration(math.MaxInt64)

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

// pause keeps a destination from being asked for a while that doubles each time, and halves its sessions; once for all
// that was under way.
func (s *scheduler) pause(d *destination) {
	if s.config.Now().Before(d.paused) {
		return
	}
	d.ceiling = max(1, d.ceiling/2)
	d.quiet = 0
	wait := min(time.Second<<min(d.pauses, 10), maxPause)
	d.pauses++
	d.paused = s.config.Now().Add(wait)
	time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.update(d)
		signal(s.wake)
	})
	s.update(d)
}

// calm counts a flight without a sign of strain; after some of these one more session is allowed.
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
