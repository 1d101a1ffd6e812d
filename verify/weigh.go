package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"presend/verify/mx"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// said is a reply with its meaning and what it is evidence of.
type said struct {
	reply    reply.Reply
	meaning  reply.Meaning
	evidence evidence
}

// ok reports whether the command succeeded.
func (s said) ok() bool { return s.reply.Code/100 == 2 }

// limit reports whether the reply is about how much or how fast is asked, and not about its recipient.
func (s said) limit() bool {
	return s.meaning.Reason == verdict.RateLimited && s.meaning.Subject != reply.SubjectMailbox
}

// The rules of package reply that read limits of a receiver.
const (
	recipientLimit = "sender/recipient-limit"
	errorLimit     = "sender/error-limit"
	hourlyLimit    = "sender/hourly-limit"
)

// tooManyRecipients reports whether the reply is the limit on a transaction (RFC 5321 section 4.5.3.1.10), as the
// answer to a recipient that was not the first, and how many recipients a transaction may have. Where others were
// accepted before it the code is enough, whatever the words say of null senders or of SPF.
func (s said) tooManyRecipients(position, accepted int) (most int, ok bool) {
	e := s.reply.Enhanced
	coded := e.Subject == 5 && e.Detail == 3
	if accepted > 0 && (coded || s.meaning.Rule == recipientLimit) {
		return accepted, true
	}
	return position, position > 0 && coded && e.Class == 4
}

// errorLimit reports whether the reply says that the session had too many refusals.
func (s *said) errorLimit() bool { return s != nil && s.meaning.Rule == errorLimit }

// weigher turns what a mail host says into evidence. It holds rules that nobody changes.
type weigher struct {
	classifier *reply.Classifier
}

// weigh returns what a reply of a host to a command means.
func (w weigher) weigh(r reply.Reply, command reply.Command, provider, host string, source netip.Addr) said {
	m := w.classifier.Classify(r, command, provider)
	e := evidence{
		host: host, source: source, after: m.RetryAfter,
		detail: fmt.Sprintf("%s answered %s with %s", host, command, r),
		reply:  &Reply{Code: r.Code, Text: r.Text(), Command: string(command)},
	}
	if r.Enhanced != (reply.Enhanced{}) {
		e.reply.Enhanced = r.Enhanced.String()
	}
	s := said{reply: r, meaning: m, evidence: e}
	s.evidence.reason = s.reason()
	return s
}

// reason returns what a reply is evidence of. Whatever it says of a domain, this domain exists and has a mail host, for
// that has just answered.
func (s said) reason() Reason {
	m, hard := s.meaning, s.reply.Code/100 == 5
	switch {
	case s.unread():
		return verdict.Refused
	case m.Reason == verdict.NoSuchDomain, m.Reason == verdict.NoMailHost, m.Reason == verdict.NullMX,
		m.Reason == verdict.DNSFailure:
		if hard && m.Kind == reply.Hard {
			return verdict.Refused
		}
		return verdict.ServerUnavailable
	case m.Reason == verdict.Unclear, m.Reason == verdict.MessageTooLarge, m.Reason == verdict.Refused && !hard,
		m.Reason.Verdict() == verdict.Invalid && !m.AgainstAddress():
		// A reply that says too little, or says it softly, is no evidence about the mailbox: another try may tell.
		return verdict.ServerUnavailable
	}
	return m.Reason
}

// unread reports whether the reply is a refusal for good that no rule reads for sure, and none reads as about us: it
// may be about the mailbox, and only the control experiment can tell.
func (s said) unread() bool {
	m := s.meaning
	about := m.Reason.AboutSender() || m.Reason == verdict.RateLimited || m.Reason == verdict.Greylisted
	return s.reply.Code/100 == 5 && !m.Sure() && !about && m.Reason != verdict.ProtocolError
}

// beforeRCPT corrects what a refusal before RCPT is evidence of: nobody has named a mailbox yet, so it cannot be about
// one.
func (s said) beforeRCPT() said {
	if s.evidence.reason == verdict.Refused || s.meaning.Subject == reply.SubjectMailbox ||
		s.meaning.Reason == verdict.Accepted {
		s.evidence.reason = verdict.ServerUnavailable
	}
	return s
}

// failure is why no session could be had with an address of a mail host.
type failure struct {
	addr     netip.Addr
	said     *said    // the host refused the session; nil: there was none to refuse
	evidence evidence // what is to be said of it
	fault    fault
	noTLS    bool // STARTTLS failed there
}

// fault reports whether a failed connection is about us.
type fault int

const (
	notOurs    fault = iota
	sourceGone       // this machine does not have the source address
	noFamily         // this machine has no route for the address's family
	callersEnd       // the session was given up by us, or our address is gone
	proxyFault       // the proxy failed, not the host
	proxyRule        // the proxy forbids the connection
)

// openFailures returns what a failed smtpprobe Open means, address by address.
func (w weigher) openFailures(err error, provider string, t smtpprobe.Target) []failure {
	var connect *smtpprobe.ConnectError
	var greet *smtpprobe.GreetError
	var failures []failure
	add := func(tried []smtpprobe.AddrError) {
		for _, x := range tried {
			failures = append(failures, failure{
				addr: x.Addr, evidence: networkEvidence(t.Host, t.Source, x.Err), fault: faultOf(x.Err),
			})
		}
	}
	switch {
	case errors.As(err, &connect):
		add(connect.Failures)
	case errors.As(err, &greet):
		add(greet.Failures)
		f := failure{
			addr: greet.Addr, evidence: networkEvidence(t.Host, t.Source, err), fault: faultOf(err), noTLS: greet.TLSFailed,
		}
		var refused *smtpprobe.RefusedError
		if errors.As(err, &refused) {
			s := w.weigh(refused.Reply, refused.Command, provider, t.Host, t.Source).beforeRCPT()
			f.said, f.evidence, f.fault = &s, s.evidence, notOurs
		}
		failures = append(failures, f)
	default:
		for _, addr := range t.Addrs {
			failures = append(
				failures,
				failure{addr: addr, evidence: networkEvidence(t.Host, t.Source, err), fault: faultOf(err)},
			)
		}
	}
	return failures
}

func faultOf(err error) fault {
	var proxy *ProxyError
	switch {
	case errors.As(err, &proxy) && proxy.Rule:
		return proxyRule
	case proxy != nil:
		return proxyFault
	case errors.Is(err, context.Canceled), errors.Is(err, smtpprobe.ErrAddressGone):
		return callersEnd
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return sourceGone
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EAFNOSUPPORT):
		return noFamily
	}
	return notOurs
}

// networkEvidence returns what a failed connection or a broken session is evidence of.
func networkEvidence(host string, source netip.Addr, err error) evidence {
	e := evidence{host: host, source: source, reason: verdict.Unreachable, detail: err.Error()}
	var timeout net.Error
	switch {
	case errors.Is(err, smtpprobe.ErrProtocol):
		e.reason = verdict.ProtocolError
	case errors.As(err, &timeout) && timeout.Timeout():
		e.reason = verdict.Timeout
	case errors.Is(err, smtpprobe.ErrClosed):
		e.reason = verdict.ServerUnavailable
	}
	return e
}

// dnsEvidence returns what a failed look-up of a domain's mail hosts is evidence of.
func dnsEvidence(domain string, err error) (Reason, string) {
	switch {
	case errors.Is(err, mx.ErrNoSuchDomain):
		return verdict.NoSuchDomain, domain + " does not exist"
	case errors.Is(err, mx.ErrNullMX):
		return verdict.NullMX, domain + " says that it takes no mail (null MX)"
	case errors.Is(err, mx.ErrNoMailHost):
		return verdict.NoMailHost, domain + " has no mail host"
	case errors.Is(err, mx.ErrNotPublic): // what this machine sees of DNS may be another view than the internet's
		return verdict.DNSFailure, domain + " has mail hosts on non-public addresses only, as this machine sees it"
	}
	var temporary *mx.TemporaryError
	if errors.As(err, &temporary) {
		err = temporary
	}
	return verdict.DNSFailure, fmt.Sprintf("DNS gave no answer about %s: %v", domain, err)
}

// trapEvidence is the result of an address that looks like a spam trap. It is never asked about: being asked is what a
// trap waits for.
func trapEvidence(answer mx.Answer) evidence {
	return evidence{
		answer: answer, reason: verdict.SpamTrapSuspect,
		detail: "it looks like a spam trap: an address that no person gave to anybody",
	}
}
