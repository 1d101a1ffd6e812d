package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"presend/verify/mx"
)

// domain returns the domain of MAIL FROM in A-labels; empty for the null sender.
func (e *exam) domain() string {
	at := strings.LastIndexByte(e.From, '@')
	if at < 0 {
		return ""
	}
	domain := strings.ToLower(e.From[at+1:])
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}

// spfDomain returns the domain whose SPF record receivers read: that of the sender, or the EHLO name of the null sender
// (RFC 7208 section 2.4).
func (e *exam) spfDomain() string {
	if domain := e.domain(); domain != "" {
		return domain
	}
	return strings.ToLower(strings.TrimSuffix(e.HELO, "."))
}

// from checks whether the sender is a real one, whose domain takes mail.
func (e *exam) from(ctx context.Context) []Finding {
	domain := e.domain()
	if domain == "" {
		return []Finding{{
			About: "<>",
			Level: Warning,
			Found: "the sender is the null sender",
			Means: "Many mail hosts allow it one recipient a message, and some refuse it, so a list takes much longer.",
			Fix:   "Say --from ADDRESS with an address of yours that takes mail.",
		}}
	}
	if !e.trusted() {
		return []Finding{unchecked(e.From)}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	answer, err := e.Hosts.Lookup(ctx, domain)
	f := judgeFrom(answer, err)
	f.About = e.From
	return []Finding{f}
}

func judgeFrom(answer mx.Answer, err error) Finding {
	const (
		means = "Many receivers refuse a sender whose domain takes no mail."
		fix   = "Give the domain an MX record, or use a sender at a domain that takes mail."
	)
	f := Finding{Level: Failure, Means: means, Fix: fix}
	switch {
	case err == nil && len(answer.Hosts) > 0:
		found := "mail to its domain goes to " + answer.Hosts[0].Name
		if answer.Implicit {
			return Finding{
				Level: Warning,
				Found: found + ", which the domain is itself, since it has no MX record",
				Means: "Some receivers ask for an MX record.",
				Fix:   "Give the domain an MX record.",
			}
		}
		return Finding{Level: OK, Found: found}
	case errors.Is(err, mx.ErrNoSuchDomain):
		f.Found = "its domain does not exist"
	case errors.Is(err, mx.ErrNullMX):
		f.Found = "its domain says that it takes no mail (null MX)"
	case errors.Is(err, mx.ErrNoMailHost):
		f.Found = "its domain has no mail host"
	case errors.Is(err, mx.ErrNotPublic):
		f.Level = Warning
		f.Found = "the mail hosts of its domain have addresses of a private network only, as seen from here"
		f.Means = "Receivers that see the same refuse the sender."
	default:
		return Finding{
			Level: Warning, Found: fmt.Sprintf("its domain could not be looked up: %v", err), Fix: "Run this again later.",
		}
	}
	return f
}

// SPF's limit of look-ups (RFC 7208 section 4.6.4), and how many are counted at most beyond it.
const (
	spfLimit   = 10
	spfCounted = 50
)

// spf checks whether the SPF record of the sender's domain allows each of our addresses.
func (e *exam) spf(ctx context.Context) (findings []Finding) {
	domain, helo := e.spfDomain(), strings.TrimSuffix(e.HELO, ".")
	sender := e.From
	if e.domain() == "" {
		sender = "postmaster@" + domain
	}
	resolver := &spfResolver{exam: e, known: map[string]spfAnswer{}}
	for _, addr := range e.seen() {
		result, err := spf.CheckHostWithSender(addr.AsSlice(), helo, sender, spf.WithContext(ctx), spf.WithResolver(resolver))
		f := judgeSPF(result, err)
		f.About = fmt.Sprintf("%s from %s", domain, addr)
		findings = append(findings, f)
	}
	count, err := countLookups(ctx, resolver, helo, sender)
	f := judgeLookups(count, err)
	f.About = domain
	if f.Found != "" {
		findings = append(findings, f)
	}
	return findings
}

func judgeSPF(result spf.Result, err error) Finding {
	f := Finding{
		Level: Warning,
		Fix:   "Add this address to the record, as ip4: or ip6:, or use a sender of a domain whose record has it.",
	}
	switch result {
	case spf.Pass:
		return Finding{Level: OK, Found: "SPF allows this address"}
	case spf.Fail:
		f.Level = Failure
		f.Found, f.Means = "SPF forbids this address", "Receivers refuse this sender from here."
	case spf.SoftFail:
		f.Found = "SPF says that this address is probably not allowed (~all)"
		f.Means = "Receivers trust this sender less from here."
	case spf.None:
		f.Found, f.Means = "there is no SPF record", "Receivers trust a sender less without one, and some refuse it."
		f.Fix = "Publish a TXT record such as \"v=spf1 ip4:ADDRESS -all\" with this address."
	case spf.Neutral:
		f.Found, f.Means = "SPF says nothing about this address", "Receivers trust this sender less from here."
	case spf.TempError:
		f.Found, f.Fix = fmt.Sprintf("SPF could not be looked up: %v", err), "Run this again later."
	default:
		f.Level = Failure
		f.Found = fmt.Sprintf("the SPF record is in error: %v", err)
		f.Means = "Receivers may refuse this sender wherever it sends from."
		f.Fix = "Correct the record (RFC 7208); there must be one only."
	}
	return f
}

// stranger is an address that no record allows, so every look-up of a record is made for it.
var stranger = netip.MustParseAddr("240.0.0.1")

// countLookups returns how many of the look-ups that SPF counts a record can take; zero where there is no record. What
// the resolver has looked up once it does not ask again, so the limit can be tried until it is high enough.
func countLookups(ctx context.Context, resolver spf.DNSResolver, helo, sender string) (int, error) {
	for limit := range spfCounted {
		result, err := spf.CheckHostWithSender(stranger.AsSlice(), helo, sender, spf.WithContext(ctx),
			spf.WithResolver(resolver), spf.OverrideLookupLimit(uint(limit)), spf.OverrideVoidLookupLimit(spfCounted))
		switch {
		case errors.Is(err, spf.ErrLookupLimitReached):
			continue
		case result == spf.TempError:
			return 0, err
		}
		return limit, nil
	}
	return spfCounted, nil
}

// judgeLookups returns nothing where there is nothing to say, or where another line says it.
func judgeLookups(count int, err error) Finding {
	const fix = "Take out includes that are not needed, or replace them by ip4: and ip6:."
	switch {
	case err != nil || count == 0:
		return Finding{}
	case count > spfLimit:
		return Finding{
			Level: Failure,
			Found: fmt.Sprintf("its SPF record takes %d look-ups, and %d are allowed", count, spfLimit),
			Means: "Receivers treat a record that takes more as an error.",
			Fix:   fix,
		}
	case count == spfLimit:
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("its SPF record takes %d look-ups, all that are allowed", count),
			Means: "It becomes an error as soon as a record that it includes needs one more.",
			Fix:   fix,
		}
	}
	return Finding{Level: OK, Found: fmt.Sprintf("its SPF record takes %d of %d allowed look-ups", count, spfLimit)}
}

// dmarc checks whether the sender's domain, or the one above it, has a DMARC record (RFC 7489).
func (e *exam) dmarc(ctx context.Context) []Finding {
	domain := e.domain()
	if domain == "" {
		return nil // the check of the sender asks for a real one
	}
	f := Finding{About: domain}
	places := []string{domain}
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil && org != domain {
		places = append(places, org)
	}
	for _, place := range places {
		texts, err := e.texts(ctx, "_dmarc."+place)
		if err != nil {
			f.Level, f.Found, f.Fix = Warning, fmt.Sprintf("DMARC could not be looked up: %v", err), "Run this again later."
			return []Finding{f}
		}
		texts = slices.DeleteFunc(texts, func(t string) bool { return !strings.HasPrefix(t, "v=DMARC1") })
		if len(texts) > 0 {
			f = judgeDMARC(texts)
			f.About = domain
			if place != domain {
				f.Found += fmt.Sprintf(" (at %s)", place)
			}
			return []Finding{f}
		}
	}
	f.Level = Warning
	f.Found = "there is no DMARC record"
	f.Means = "Gmail and Yahoo require one from senders of many messages."
	f.Fix = fmt.Sprintf(`Publish a TXT record at _dmarc.%s, at least "v=DMARC1; p=none".`, domain)
	return []Finding{f}
}

func judgeDMARC(texts []string) Finding {
	const (
		means = "Receivers ignore it."
		fix   = "Publish one record, such as \"v=DMARC1; p=none\"."
	)
	if len(texts) > 1 {
		return Finding{Level: Warning, Found: fmt.Sprintf("there are %d DMARC records", len(texts)), Means: means, Fix: fix}
	}
	policy := ""
	for tag := range strings.SplitSeq(texts[0], ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) == "p" {
			policy = strings.ToLower(strings.TrimSpace(value))
		}
	}
	if !slices.Contains([]string{"none", "quarantine", "reject"}, policy) {
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("its DMARC record has no policy that is known: %q", texts[0]),
			Means: means,
			Fix:   fix,
		}
	}
	return Finding{Level: OK, Found: "it has a DMARC record with the policy " + policy}
}
