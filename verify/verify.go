// Package verify tells whether mail can be sent to an address now: deliverable, risky, invalid or unknown, with the
// evidence.
//
// A [Verifier] is a process's engine. One address goes through [Verifier.Check], many through [Verifier.CheckAll], and
// a list whose results are to be kept through [Verifier.Run] with a [Queue]. All of them may be used at the same time:
// the Verifier owns what is known of destinations (pace, limits, circuits, host troubles, catch-all answers), so that a
// program with two hundred goroutines is as polite as one. A destination is what counts our sessions on the other side:
// a provider, or the registrable domain of a mail host.
//
// The way of an address, file by file: pipeline.go looks its domain up and sends it to the dispatcher (dispatch.go),
// the one goroutine around the plan (plan.go), which is a pure state machine of domains (domain.go), destinations
// (destination.go) and sessions (sessions.go). The plan puts flights together (flight.go) within a budget (budget.go)
// and orders a worker (worker.go) to ask them. Replies come back weighed (weigh.go), and pipeline.go records the
// results.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// Resolver finds the mail hosts of a domain; *mx.Resolver is one.
type Resolver interface {
	Lookup(ctx context.Context, domain string) (mx.Answer, error)
}

// Reference tells what is known about names before anything is asked; *reference.Data is one.
type Reference interface {
	Disposable(domain string) bool
	Free(domain string) bool
	Role(local string) bool
	SpecialUse(domain string) bool
	TrapSuspect(local, domain string) bool
}

// Config configures a Verifier. Resolver is required; nil or zero for the rest means what its line says.
type Config struct {
	Resolver Resolver
	// SMTP(prober); nil: nothing is probed, every address whose domain takes mail is not_probed
	Prober    Prober
	Pace      *smtpprobe.Pace             // nil: the embedded table
	Reference Reference                   // nil: no address is disposable, free, role, special-use or a suspected trap
	Sessions  int                         // SMTP sessions at a time over all destinations; default 200
	Lookups   int                         // DNS look-ups at a time, for each Run and Survey; default 256
	Sources   []netip.Addr                // our addresses; none: the system's choice
	IPv4      bool                        // use IPv4 addresses of mail hosts; neither IPv4 nor IPv6: both
	IPv6      bool                        // use IPv6 addresses of mail hosts; neither IPv4 nor IPv6: both
	Preflight func(context.Context) error // tests DNS when many look-ups in a row have no answer; nil: it is not tested
	Outside   Outside                     // nil: whether port 25 is closed here is not tested
	Logger    *slog.Logger                // nil: silence. Level Debug: a line a session, and the reason of each pause
}

// Verifier verifies addresses. It is safe for concurrent use.
type Verifier struct {
	config Config
	engine *dispatcher
}

// New returns a Verifier.
func New(config Config) (*Verifier, error) {
	if config.Resolver == nil {
		return nil, errors.New("verify: Config.Resolver is missing")
	}
	classifier, err := reply.New()
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if config.Pace == nil {
		if config.Pace, err = smtpprobe.LoadPace(""); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	if config.Sessions == 0 {
		config.Sessions = 200
	}
	if config.Lookups == 0 {
		config.Lookups = 256
	}
	config.Sources = slices.Clone(config.Sources)
	if len(config.Sources) == 0 {
		config.Sources = []netip.Addr{{}}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	both := config.IPv4 == config.IPv6
	sender := "" // the addresses of the catch-all question depend on it
	if p, ok := config.Prober.(interface{ Sender() string }); ok {
		sender = p.Sender()
	}
	v := &Verifier{config: config}
	v.engine = &dispatcher{
		prober: config.Prober, outside: config.Outside, weigher: weigher{classifier}, log: config.Logger,
		events: make(chan message, 64),
		plan: newPlan(rules{
			pace: config.Pace, addrs: config.Sources, slots: config.Sessions,
			ipv4: both || config.IPv4, ipv6: both || config.IPv6, sender: sender, outside: config.Outside != nil,
		}),
	}
	return v, nil
}

// Check verifies one address. The error is that of ctx; whatever is the matter with the address or its servers is in
// the result. Result.Address is the address as given.
func (v *Verifier) Check(ctx context.Context, address string) (Result, error) {
	parsed, result, final := v.Examine(address)
	if final {
		return result, nil
	}
	e, worth := v.byName(ctx, parsed.Domain)
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("verify: %w", err)
	}
	if worth && v.config.Prober != nil && !v.isTrap(parsed) {
		var err error
		if result, err = v.check(ctx, parsed, e.answer); err != nil {
			return Result{}, fmt.Errorf("verify: %w", err)
		}
	} else {
		result = v.unprobed(Task{Address: parsed}, e)
	}
	result.Address = address
	return result, nil
}

// Pace returns the table of caps and rates in use, and from how many addresses of ours destinations are asked.
func (v *Verifier) Pace() (table *smtpprobe.Pace, sources int) {
	return v.config.Pace, len(v.config.Sources)
}

// Examine is the first stage: syntax and what the name alone tells. Final reports that the result is settled; else the
// address is one to look up and probe.
func (v *Verifier) Examine(address string) (parsed syntax.Address, result Result, final bool) {
	parsed, err := syntax.Parse(address)
	if err != nil {
		var problem *syntax.Error
		detail, meant := err.Error(), ""
		if errors.As(err, &problem) {
			detail, meant = problem.Problem, problem.Suggestion
		}
		result = Result{
			Address: address, Reason: verdict.Syntax, Detail: detail, Flags: []Flag{}, CheckedAt: time.Now(),
			Suggestion: meant,
		}
		result.Judge()
		return parsed, result, true
	}
	if ref := v.config.Reference; ref != nil && ref.SpecialUse(parsed.Domain) {
		result = v.Conclude(
			parsed,
			verdict.SpecialUseDomain,
			parsed.Domain+" is reserved and never carries mail on the internet",
		)
		result.Address = address
		return parsed, result, true
	}
	return parsed, Result{}, false
}

// Conclude gives an address a result for a reason that others know of, such as a suppression list.
func (v *Verifier) Conclude(a syntax.Address, reason Reason, detail string) Result {
	return v.result(Task{Address: a}, evidence{reason: reason, detail: detail})
}

// evidence is what the later stages found out about an address.
type evidence struct {
	reason   Reason
	detail   string
	answer   mx.Answer
	host     string // the mail host that spoke; empty: the first of answer
	reply    *Reply
	after    time.Duration // the wait that the reply named
	retryAt  time.Time     // when it is asked again; zero: as the timetable says
	source   netip.Addr    // our address that asked
	catchAll bool
	allGone  bool // every real address of the domain is said not to exist
	open     bool // the catch-all question met a temporary answer: worth another try

	at         time.Time  // when it was found out; zero: now
	ours       bool       // it may be our own doing, and counts as no try
	trouble    *Trouble   // what is wrong on our side; nil: nothing is known to be
	unanswered bool       // DNS gave no answer about the domain
	silent     bool       // no resolver said anything at all
	via        *way       // of a failure to connect or to resolve: where something must answer for it to count
	met        []evidence // of such a failure: what was met on each way, where there are several

	name *nameFacts // nil: not looked at yet
}

// nameFacts is what the name of a domain tells by itself.
type nameFacts struct {
	suggestion       string // what was probably meant; empty: nothing else
	free, disposable bool
}

func (v *Verifier) nameFacts(domain string) *nameFacts {
	facts := nameFacts{suggestion: syntax.Suggest(domain)}
	if ref := v.config.Reference; ref != nil {
		facts.free, facts.disposable = ref.Free(domain), ref.Disposable(domain)
	}
	if facts.free {
		facts.suggestion = "" // a provider in its own right is no slip
	}
	return &facts
}

// result puts evidence into a Result.
func (v *Verifier) result(t Task, e evidence) Result {
	now, address := e.at, t.Address.String()
	if now.IsZero() {
		now = time.Now()
	}
	r := Result{
		Address: address, Normalized: address, Reason: e.reason, Detail: e.detail, Reply: e.reply,
		Provider: e.answer.Provider.Name, MX: e.host, CheckedAt: now, Source: e.source, Ours: e.ours, Trouble: e.trouble,
	}
	if r.MX == "" && len(e.answer.Hosts) > 0 {
		r.MX = e.answer.Hosts[0].Name
	}
	if e.name == nil {
		e.name = v.nameFacts(t.Address.Domain)
	}
	if e.name.suggestion != "" && !isAtProvider(e.answer, e.name.suggestion) {
		r.Suggestion = t.Address.Local + "@" + e.name.suggestion
	}
	r.RetryAt, r.Reason, r.Detail = schedule(t, now, e)
	if !e.retryAt.IsZero() && r.Reason == e.reason {
		r.RetryAt = e.retryAt
	}
	r.Flags = v.flags(t.Address, e)
	r.Judge()
	return r
}

func (v *Verifier) flags(a syntax.Address, e evidence) []Flag {
	flags := []Flag{}
	add := func(f Flag, on bool) {
		if on {
			flags = append(flags, f)
		}
	}
	if ref := v.config.Reference; ref != nil {
		add(verdict.FlagRole, ref.Role(a.Local))
	}
	add(verdict.FlagFree, e.name.free)
	add(verdict.FlagDisposable, e.name.disposable)
	add(verdict.FlagCatchAll, e.catchAll)
	add(verdict.FlagQuoted, a.Quoted)
	add(verdict.FlagSMTPUTF8, a.SMTPUTF8)
	add(verdict.FlagSubaddress, a.Subaddress)
	add(verdict.FlagImplicitMX, e.answer.Implicit)
	add(verdict.FlagTypo, e.name.suggestion != "" && !isAtProvider(e.answer, e.name.suggestion))
	add(verdict.FlagParked, e.answer.Provider.Parked)
	add(verdict.FlagDomainRefusesAll, e.allGone)
	return slices.Clip(flags)
}

// Treat turns a flag into a verdict, as the user asked for: an address with the flag gets the verdict, unless its own
// is as bad or worse, in the order deliverable, unknown, risky, invalid. It returns the result, whose score stays.
func Treat(r Result, rules map[Flag]Verdict) Result {
	severity := []Verdict{verdict.Deliverable, verdict.Unknown, verdict.Risky, verdict.Invalid}
	for _, f := range r.Flags {
		if verdict, ok := rules[f]; ok && r.Verdict != "" &&
			slices.Index(severity, verdict) > slices.Index(severity, r.Verdict) {
			r.Verdict, r.Action = verdict, verdict.Action()
			r.Detail = fmt.Sprintf("%s (treated as %s: %s)", r.Detail, verdict, f)
			r.Advice = fmt.Sprintf("You asked to treat addresses with the flag %s as %s.", f, verdict)
		}
	}
	return r
}
