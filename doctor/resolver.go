package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"presend/verify/mx"
)

func (e *exam) preflights(ctx context.Context) []error {
	return each(len(e.Servers), func(i int) error { return e.Network.Preflight(ctx, e.Servers[i]) })
}

// resolverHonesty checks whether each resolver answers, and answers truly.
func (e *exam) resolverHonesty(context.Context) (findings []Finding) {
	level := Failure
	if e.trusted() {
		level = Warning // the others are asked instead
	}
	for i, fault := range e.faults() {
		f := judgeFault(fault)
		f.About = e.Servers[i]
		if f.Level == Failure {
			f.Level = level
		}
		if level == Warning && f.Level == Warning {
			f.Means += " The other resolvers are asked instead."
		}
		findings = append(findings, f)
	}
	return findings
}

// judgeFault says what a preflight's error means. Of a resolver with a fault the level is Failure.
func judgeFault(err error) Finding {
	var fault *mx.PreflightError
	switch {
	case err == nil:
		return Finding{
			Level: OK, Found: "it resolves well-known names, and a name that does not exist does not resolve",
		}
	case !errors.As(err, &fault):
		return Finding{Level: Failure, Found: "it could not be tested: " + err.Error(), Fix: "Run this again."}
	case fault.Fault == mx.Rewrites:
		return Finding{
			Level: Failure,
			Found: "it has an address for a name that does not exist",
			Means: "Domains with a typing error look alive.",
			Fix: "Switch this off at the resolver (it may be called search help or error page), or use another one " +
				"with --dns.",
		}
	case fault.Fault == mx.Empty:
		return Finding{
			Level: Failure,
			Found: "it says that well-known domains do not exist or take no mail",
			Means: "Every domain would look dead. A captive portal, a VPN, a split DNS or a sandbox answers in place of the " +
				"internet.",
			Fix: "Connect this machine to the internet, or use another resolver with --dns.",
		}
	}
	return Finding{
		Level: Failure,
		Found: fmt.Sprintf("it does not answer: %v", fault.Err),
		Means: "No domain can be looked up there.",
		Fix:   "Check the network and /etc/resolv.conf, or name another resolver with --dns.",
	}
}

// signed is what a resolver says about a name that is signed, well or badly.
type signed struct {
	reply *dns.Msg
	err   error
}

// askSecurely asks each resolver one question with the flags of DNSSEC.
func (e *exam) askSecurely(ctx context.Context, name string, kind uint16) []signed {
	return each(len(e.Servers), func(i int) signed {
		m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
		m.AuthenticatedData = true
		reply, err := e.Network.Exchange(ctx, e.Servers[i], m.SetEdns0(1232, true))
		return signed{reply, err}
	})
}

// dnssec checks whether each resolver validates: it vouches for a good signature and withholds what has a bad one.
func (e *exam) dnssec(ctx context.Context) []Finding {
	broken := e.askSecurely(ctx, e.facts.DNSSEC.Broken, dns.TypeA)
	findings := make([]Finding, 0, len(e.Servers))
	for i, good := range e.signed() {
		f := judgeDNSSEC(good, broken[i])
		f.About = e.Servers[i]
		findings = append(findings, f)
	}
	return findings
}

// judgeDNSSEC says what the answers about both names mean. Nothing is concluded from a question without an answer.
func judgeDNSSEC(good, bad signed) Finding {
	unknown := func(why any) Finding {
		return Finding{
			Level: Warning, Found: fmt.Sprintf("it is not known whether it validates DNSSEC: %v", why), Fix: "Run this again.",
		}
	}
	const (
		means = "Anybody on the way between it and the domain can make up mail hosts."
		fix   = "Nothing breaks without it. A resolver of your own that validates is best: Unbound does as Debian installs " +
			"it."
	)
	switch {
	case good.err != nil:
		return unknown(good.err)
	case good.reply.Rcode != dns.RcodeSuccess:
		return unknown("it answers about a well-known name with " + dns.RcodeToString[good.reply.Rcode])
	case !good.reply.AuthenticatedData || len(good.reply.Answer) == 0:
		return Finding{Level: Warning, Found: "it does not validate DNSSEC", Means: means, Fix: fix}
	case bad.err != nil:
		return unknown(bad.err)
	case bad.reply.Rcode == dns.RcodeServerFailure:
		return Finding{Level: OK, Found: "it validates DNSSEC"}
	case bad.reply.Rcode == dns.RcodeSuccess:
		return Finding{
			Level: Warning, Found: "it says that it validates DNSSEC, and passes a bad signature on", Means: means, Fix: fix,
		}
	}
	return unknown("it answers about a name with a bad signature with " + dns.RcodeToString[bad.reply.Rcode])
}

// publicResolvers checks whether a resolver is one that anybody may use.
func (e *exam) publicResolvers(context.Context) []Finding {
	findings := make([]Finding, 0, len(e.Servers))
	for _, server := range e.Servers {
		f := Finding{About: server, Level: OK, Found: "it is none of the known public resolvers"}
		host, _, err := net.SplitHostPort(server)
		if err != nil {
			host = server
		}
		addr, err := netip.ParseAddr(host)
		if name := e.facts.publicName(addr); err == nil && name != "" {
			f.Level = Warning
			f.Found = "it is a public resolver, " + name
			f.Means = "DNS blocklists refuse what comes through it, and it may slow down a client that asks a lot."
			f.Fix = "Run a resolver of your own, such as Unbound, on this machine, and name it with --dns."
		}
		findings = append(findings, f)
	}
	return findings
}

// Burst is how many questions a resolver is asked at once. It is the most that a run has under way.
const Burst = 256

// burst checks how many questions at a time the resolvers take, one resolver after the other.
func (e *exam) burst(ctx context.Context) (findings []Finding) {
	limit, err := e.Network.OpenFiles()
	n := Burst
	if err == nil { // a socket each
		n = int(min(uint64(n), max(limit/2, 1)))
	}
	for i, server := range e.Servers {
		f := Finding{Level: Warning, Found: "not checked, because it fails the first check", Fix: "Fix that first."}
		if e.faults()[i] == nil {
			rcodes := each(n, func(int) int {
				reply, err := e.Network.Exchange(ctx, server, new(dns.Msg).SetQuestion(dns.Fqdn(mx.RandomName()), dns.TypeMX))
				if err != nil {
					return silent
				}
				return reply.Rcode
			})
			f = judgeBurst(rcodes)
		}
		f.About = server
		findings = append(findings, f)
	}
	return findings
}

// silent in place of a reply's code means that there was none.
const silent = -1

// judgeBurst says what the replies to questions that were asked at once mean.
func judgeBurst(rcodes []int) Finding {
	answered, refused, failed, lost := 0, 0, 0, 0
	for _, rcode := range rcodes {
		switch rcode {
		case dns.RcodeSuccess, dns.RcodeNameError:
			answered++
		case dns.RcodeRefused:
			refused++
		case silent:
			lost++
		default:
			failed++
		}
	}
	if answered == len(rcodes) {
		return Finding{Level: OK, Found: fmt.Sprintf("it answered %d questions asked at once", answered)}
	}
	var others []string
	for _, o := range []struct {
		n    int
		what string
	}{{refused, "refused"}, {failed, "answered with an error"}, {lost, "not answered"}} {
		if o.n > 0 {
			others = append(others, fmt.Sprintf("%d were %s", o.n, o.what))
		}
	}
	return Finding{
		Level: Warning,
		Found: fmt.Sprintf("of %d questions asked at once it answered %d; %s",
			len(rcodes), answered, strings.Join(others, ", ")),
		Means: "A run notices this and asks less at a time, so the look-ups of a long list take longer.",
		Fix: "Raise its limit (dnsmasq: dns-forward-max, 150 by default), or use a resolver of your own, such as Unbound, " +
			"with --dns.",
	}
}
