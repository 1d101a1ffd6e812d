// Package doctor tells whether this machine can probe, and whether the sender is fit to send.
//
// [Run] does every check and shows what each found, in a fixed order:
//
//	worst, err := doctor.Run(ctx, doctor.Config{DNS: resolver, Hosts: resolver, Servers: resolver.Servers(),
//		HELO: "verify.example.com", From: "check@example.com"}, func(f doctor.Finding) error {
//		_, err := fmt.Println(f.Level, f.Check, f.About, f.Found)
//		return err
//	})
//
// The checks run concurrently. What costs the resolver most, many questions at once, comes when the others are done.
// A check that needs DNS concludes nothing where no resolver can be trusted, since a resolver that lies would make
// everything else look wrong. Every question and connection has a time limit, and so has every check.
//
// What it sends is little: some questions to the resolvers, [Burst] more at the end, and for each of our addresses one
// connection to one mail host of each of a few large providers, with no command but QUIT. Those providers, the
// blocklists and the rest of what it knows are stored in facts.toml.
package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/miekg/dns"

	"presend/verify/mx"
)

// Level is how good or bad a finding is.
type Level string

// The levels, from good to bad.
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, but something is missing, or could not be told
	Failure Level = "failure" // probes from here give wrong or no answers, or are refused
)

// Worse reports whether a level is worse than another one.
func (l Level) Worse(than Level) bool {
	rank := map[Level]int{OK: 0, Warning: 1, Failure: 2}
	return rank[l] > rank[than]
}

// Finding is what a check found about one thing.
type Finding struct {
	Check string `json:"check"`           // a name of Checks
	About string `json:"about,omitempty"` // what was checked: a resolver, an address of ours, a domain
	Level Level  `json:"level"`
	Found string `json:"found"`
	Means string `json:"means,omitempty"` // what follows from it for the addresses of a list
	Fix   string `json:"fix,omitempty"`   // of a warning and a failure: what to do
}

// DNS asks the resolvers in use. It is a *mx.Resolver. A reply is NOERROR or NXDOMAIN.
type DNS interface {
	Ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error)
}

// Hosts finds the mail hosts of a domain, as a *mx.Resolver does and with its errors.
type Hosts interface {
	Lookup(ctx context.Context, domain string) (mx.Answer, error)
}

// Config is what there is to check, and how to reach it. DNS, Hosts and HELO are needed. The zero value of another
// field means its default.
type Config struct {
	DNS     DNS
	Hosts   Hosts
	Servers []string // the resolvers that DNS asks, as host:port

	Port         int          // of mail hosts; default 25
	Sources      []netip.Addr // our addresses to connect from; default the system's choice for each family
	IPv4, IPv6   bool         // use only this family; neither means both
	AllowPrivate bool         // take private addresses for public ones, as in a closed lab
	Proxy        *url.URL     // of SOCKS5, for connections to mail hosts; nil: none
	HELO         string       // what is said in EHLO
	From         string       // the address of MAIL FROM; empty is the null sender
	Sessions     int          // how many sessions are to run at a time; default 200

	Timeout time.Duration // for a connection and for each reply; default 10 s

	// Network is how the outside is reached. The zero value of a field is this machine's network.
	Network Network
}

// Network is how doctor reaches the outside, apart from Config.DNS and Config.Hosts.
type Network struct {
	// Exchange sends a query to one resolver, once, and returns its reply whatever that is.
	Exchange func(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error)
	// Preflight tests one resolver. The error is a *mx.PreflightError, or that of the context.
	Preflight func(ctx context.Context, server string) error
	// Dial makes a TCP connection from a source address (invalid: the system's choice), not through the proxy.
	Dial func(ctx context.Context, source netip.Addr, address string) (net.Conn, error)
	// Local returns the address of this machine from which the system would send to a target.
	Local func(ctx context.Context, target netip.Addr) (netip.Addr, error)
	// OpenFiles returns how many files this process may have open, or errors.ErrUnsupported.
	OpenFiles func() (uint64, error)
}

const (
	checkTime  = 40 * time.Second // for one check
	lookupTime = 6 * time.Second  // for one question, with all its tries
)

// check is one check.
type check struct {
	name     string
	needsDNS bool // all its findings depend on answers that can be trusted
	last     bool // it runs when the others are done
	run      func(*exam, context.Context) []Finding
}

// checks are all checks, in the order in which they are shown.
var checks = []check{
	{name: "resolver", run: (*exam).resolverHonesty},
	{name: "dnssec", needsDNS: true, run: (*exam).dnssec},
	{name: "public-resolver", run: (*exam).publicResolvers},
	{name: "proxy", run: (*exam).proxy},
	{name: "port-25", needsDNS: true, run: (*exam).port25},
	{name: "address", run: (*exam).ownAddresses},
	{name: "ptr", needsDNS: true, run: (*exam).ptr},
	{name: "ehlo", run: (*exam).ehlo},
	{name: "from", run: (*exam).from},
	{name: "spf", needsDNS: true, run: (*exam).spf},
	{name: "dmarc", needsDNS: true, run: (*exam).dmarc},
	{name: "blocklist", needsDNS: true, run: (*exam).blocklists},
	{name: "clock", run: (*exam).clock},
	{name: "open-files", run: (*exam).openFiles},
	{name: "questions-at-once", needsDNS: true, last: true, run: (*exam).burst},
}

// Checks returns the names of all checks, in the order in which they are shown.
func Checks() []string {
	names := make([]string, 0, len(checks))
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// exam is one run of all checks: what is checked, and what several checks need to know.
type exam struct {
	Config
	facts facts
	now   func() time.Time

	faults    func() []error    // what the preflight says of each resolver
	sources   func() []source   // our addresses
	greetings func() []greeting // what the providers' mail hosts said
	signed    func() []signed   // what each resolver says about the signed name
	names     func() []named    // the PTR names of our addresses
}

// Run does all checks and shows each finding, in a fixed order and as soon as it is its turn. It returns the worst
// level. The error is one of show, or that of the context.
func Run(ctx context.Context, config Config, show func(Finding) error) (worst Level, err error) {
	known, err := loadFacts()
	if err != nil {
		return "", err
	}
	if config.DNS == nil || config.Hosts == nil || config.HELO == "" {
		return "", errors.New("doctor: the configuration lacks DNS, Hosts or HELO")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := newExam(ctx, config, known)
	worst = OK
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel() // before Wait
	found := make([]chan []Finding, len(checks))
	begin := func(i int) {
		found[i] = make(chan []Finding, 1)
		running.Go(func() { found[i] <- e.do(ctx, checks[i]) })
	}
	for i, c := range checks {
		if !c.last {
			begin(i)
		}
	}
	for i, c := range checks {
		if c.last { // those before it were waited for
			begin(i)
		}
		findings := <-found[i]
		if err := ctx.Err(); err != nil {
			return worst, err
		}
		for _, f := range findings {
			f.Check = c.name
			if f.Level.Worse(worst) {
				worst = f.Level
			}
			if err := show(f); err != nil {
				return worst, err
			}
		}
	}
	return worst, nil
}

func newExam(ctx context.Context, config Config, known facts) *exam {
	e := &exam{Config: config.withDefaults(), facts: known, now: time.Now}
	// What several checks need ends with the run, and not with the check that happened to ask first.
	e.faults = sync.OnceValue(func() []error { return e.preflights(ctx) })
	e.sources = sync.OnceValue(func() []source { return e.findSources(ctx) })
	e.greetings = sync.OnceValue(func() []greeting { return e.greetAll(ctx) })
	e.signed = sync.OnceValue(func() []signed { return e.askSecurely(ctx, known.DNSSEC.Signed, dns.TypeSOA) })
	e.names = sync.OnceValue(func() []named { return e.findNames(ctx) })
	return e
}

// do runs one check within its time.
func (e *exam) do(ctx context.Context, c check) []Finding {
	if c.needsDNS && !e.trusted() {
		return []Finding{unchecked("")}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return c.run(e, ctx)
}

// unchecked is the finding of a check that needs DNS where there is none to trust.
func unchecked(about string) Finding {
	return Finding{About: about, Level: Warning, Found: "not checked: it needs a resolver that can be trusted"}
}

// trusted reports whether a resolver passed the preflight.
func (e *exam) trusted() bool {
	for _, fault := range e.faults() {
		if fault == nil {
			return true
		}
	}
	return false
}

// each calls a function for every number below n, all at once, and returns what they return, in order.
func each[T any](n int, do func(i int) T) []T {
	all := make([]T, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { all[i] = do(i) })
	}
	running.Wait()
	return all
}
