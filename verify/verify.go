// Package verify says whether mail can be sent to an address now: deliverable, risky, invalid or unknown, with the
// evidence.
//
// One address:
//
//	verifier, err := verify.New(verify.Config{Resolver: resolver, Prober: prober})
//	result, err := verifier.Check(ctx, "alice@corp.example")
//
// A list goes through [Verifier.Run] with a [Queue] that hands out the work and keeps the results. The pipeline has
// three stages, joined by bounded queues: domains are looked up ahead of need, a scheduler gives sessions to the
// destinations that need longest, and results are recorded in batches. A destination is what counts our
// sessions on its side: a provider, or the mail host's registrable domain. Its sessions serve one domain a
// transaction and many transactions a flight, within the caps of the pace table and what refusals the server bears; when
// it refuses us several times in a row its circuit opens, and the rest of its addresses stay unknown with that reason.
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
	"presend/verify/score"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
)

// Resolver finds the mail hosts of a domain; *mx.Resolver is one.
type Resolver interface {
	Lookup(ctx context.Context, domain string) (mx.Answer, error)
}

// Reference is what is known of names before anything is asked; *reference.Data is one.
type Reference interface {
	Disposable(domain string) bool
	Free(domain string) bool
	Role(local string) bool
	SpecialUse(domain string) bool
	TrapSuspect(local, domain string) bool
}

// Config is what a Verifier works with. Resolver is required; nil or zero for the rest means what its line says.
type Config struct {
	Resolver  Resolver
	Prober    *smtpprobe.Prober // nil: nothing is probed, and every address whose domain takes mail is not_probed
	Pace      *smtpprobe.Pace   // nil: the embedded table
	Reference Reference         // nil: no address is disposable, free, role, special-use or a suspected trap
	Sessions  int               // SMTP sessions at a time over all destinations; default 200
	Lookups   int               // DNS look-ups at a time; default 256
	Sources   []netip.Addr      // our addresses; none: the system's choice
	IPv4      bool              // use only IPv4 addresses of mail hosts
	IPv6      bool              // use only IPv6 addresses of mail hosts
	Logger    *slog.Logger      // nil: silence
	Now       func() time.Time  // nil: time.Now
	Stop      <-chan struct{}   // closed: a run ends politely; answers in flight are kept, sessions QUIT
}

// Verifier verifies addresses. Safe for concurrent use.
type Verifier struct {
	config     Config
	classifier *reply.Classifier
	table      *score.Table
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
	table, err := score.New()
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
	if len(config.Sources) == 0 {
		config.Sources = []netip.Addr{{}}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Verifier{config: config, classifier: classifier, table: table}, nil
}

// Check verifies one address. The error is the context's, or that of a broken set-up; whatever is the matter with
// the address or its servers is in the result.
func (v *Verifier) Check(ctx context.Context, address string) (Result, error) {
	parsed, result, final := v.Examine(address)
	if final {
		return result, nil
	}
	queue := NewMemoryQueue(map[int64]syntax.Address{0: parsed})
	if err := v.Run(ctx, queue, nil); err != nil {
		return Result{}, err
	}
	result, ok := queue.Results[0]
	if !ok {
		return Result{}, context.Canceled
	}
	result.Address = address
	return result, nil
}

// Examine is the first stage: syntax and what the name alone tells. Final says that the result stands; else the
// address is one to look up and probe.
func (v *Verifier) Examine(address string) (parsed syntax.Address, result Result, final bool) {
	parsed, err := syntax.Parse(address)
	if err != nil {
		var problem *syntax.Error
		detail := err.Error()
		if errors.As(err, &problem) {
			detail = problem.Problem
		}
		result = Result{Address: address, Reason: reply.Syntax, Detail: detail, Flags: []Flag{}, CheckedAt: v.config.Now()}
		result.Verdict, result.Score = v.table.Verdict(result.Reason), v.table.Score(score.Evidence{Reason: result.Reason})
		return parsed, result, true
	}
	if ref := v.config.Reference; ref != nil && ref.SpecialUse(parsed.Domain) {
		result = v.Conclude(parsed, reply.SpecialUseDomain, parsed.Domain+" is reserved and never carries mail on the internet")
		result.Address = address
		return parsed, result, true
	}
	return parsed, Result{}, false
}

// Conclude gives an address a result for a reason that others know of, such as a suppression list.
func (v *Verifier) Conclude(a syntax.Address, reason Reason, detail string) Result {
	return v.result(Task{Address: a}, evidence{reason: reason, detail: detail})
}

// Score returns the score of a result by its reason and flags, for a caller that changed these.
func (v *Verifier) Score(r Result) int {
	return v.table.Score(score.Evidence{Reason: r.Reason, Flags: r.Flags})
}

// evidence is what the later stages found out about an address.
type evidence struct {
	reason   Reason
	detail   string
	answer   mx.Answer
	host     string // the mail host that spoke; empty: the first of answer
	reply    *Reply
	after    time.Duration // the wait that the reply named
	source   netip.Addr    // our address that asked
	catchAll bool

	at         time.Time // when it was found out; zero: now
	suggestion *string   // what the domain was probably meant to be; nil: not looked for yet
}

// result puts evidence into a Result.
func (v *Verifier) result(t Task, e evidence) Result {
	now, address := e.at, t.Address.String()
	if now.IsZero() {
		now = v.config.Now()
	}
	r := Result{
		Address: address, Normalized: address, Reason: e.reason, Detail: e.detail, Reply: e.reply,
		Provider: e.answer.Provider.Name, MX: e.host, CheckedAt: now, Source: e.source,
	}
	if r.MX == "" && len(e.answer.Hosts) > 0 {
		r.MX = e.answer.Hosts[0].Name
	}
	suggested := e.suggestion
	if suggested == nil {
		domain := syntax.Suggest(t.Address.Domain)
		suggested = &domain
	}
	if *suggested != "" {
		r.Suggestion = t.Address.Local + "@" + *suggested
	}
	if retries(e.reason) {
		r.RetryAt, r.Reason, r.Detail = schedule(t, now, e)
	}
	r.Flags = v.flags(t.Address, e, r.Suggestion != "")
	r.Verdict = v.table.Verdict(r.Reason)
	r.Score = v.table.Score(score.Evidence{Reason: r.Reason, Flags: r.Flags})
	return r
}

func (v *Verifier) flags(a syntax.Address, e evidence, typo bool) []Flag {
	flags := []Flag{}
	add := func(f Flag, on bool) {
		if on {
			flags = append(flags, f)
		}
	}
	if ref := v.config.Reference; ref != nil {
		add(score.Role, ref.Role(a.Local))
		add(score.Free, ref.Free(a.Domain))
		add(score.Disposable, ref.Disposable(a.Domain))
	}
	add(score.CatchAll, e.catchAll)
	add(score.Quoted, a.Quoted)
	add(score.SMTPUTF8, a.SMTPUTF8)
	add(score.Subaddress, a.Subaddress)
	add(score.ImplicitMX, e.answer.Implicit)
	add(score.Typo, typo)
	return slices.Clip(flags)
}

// Treat turns a flag into a verdict, as the user asked for: an address with the flag gets the verdict, unless its
// own is worse for sending. It returns the result.
func Treat(r Result, rules map[Flag]Verdict) Result {
	severity := []Verdict{score.Deliverable, score.Unknown, score.Risky, score.Invalid}
	for _, f := range r.Flags {
		if verdict, ok := rules[f]; ok && slices.Index(severity, verdict) > slices.Index(severity, r.Verdict) {
			r.Verdict = verdict
			r.Detail = fmt.Sprintf("%s (treated as %s: %s)", r.Detail, verdict, f)
		}
	}
	return r
}
