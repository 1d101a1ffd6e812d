package verify

import (
	"fmt"
	"strings"
	"time"
)

// TroubleKind is what kind of fault a [Trouble] is.
type TroubleKind string

// The kinds of trouble. A program may compare them; the words for people are those of the methods of [Trouble].
const (
	PortClosed  TroubleKind = "port_closed"  // no mail host can be connected to from here, not even a large provider's
	NetworkDown TroubleKind = "network_down" // nothing answers any more, not even what answered before
	NoAnswer    TroubleKind = "no_answer"    // nothing answered in the whole run, and why was not tested
	DNSDown     TroubleKind = "dns"          // DNS gives no answers, or answers that cannot be believed
	ProxyBroken TroubleKind = "proxy"        // the proxy connects to nothing
	// PortIntercepted: another server answers on port 25 in place of the mail hosts.
	PortIntercepted TroubleKind = "port_intercepted"
)

// Trouble is a fault on our side that kept addresses from being asked about. It is never held against them.
type Trouble struct {
	Kind   TroubleKind
	Where  string // the source address and the family, where several are in use; may be empty
	Detail string // what was met
	// Since is set where answers from this time on cannot be believed.
	Since time.Time
}

// String returns what is wrong in words, without a full stop.
func (t *Trouble) String() string {
	var what string
	switch t.Kind {
	case PortClosed:
		what = "port 25 is closed from this machine"
	case NetworkDown:
		what = "the network of this machine is down"
	case DNSDown:
		what = "DNS cannot be believed on this machine"
	case PortIntercepted:
		what = "another server answers on port 25 in place of the mail hosts"
	case ProxyBroken:
		what = "the proxy connects to no mail host"
	default:
		what = "no mail host answered in this run"
	}
	if t.Where != "" {
		what += " (" + t.Where + ")"
	}
	if t.Detail != "" {
		what += ": " + t.Detail
	}
	return what
}

// Advice returns sentences that say what to do about it.
func (t *Trouble) Advice() string {
	switch t.Kind {
	case NetworkDown:
		return "Connect this machine again and run the same command once more."
	case DNSDown:
		return "Correct the resolver of this machine, or name another one with --dns, and run the same command once more."
	case PortIntercepted:
		return "Ask the operator of your network to stop intercepting port 25, run it on a machine in another " +
			"network, or go " +
			"through one with --proxy; --no-smtp does what syntax and DNS can say."
	case ProxyBroken:
		return "Correct --proxy, its password or its rules, and run the same command once more."
	default:
		return "Run it on a machine whose provider leaves port 25 open, or go through one with --proxy; " +
			"--no-smtp does what syntax and DNS can say."
	}
}

// notAsked is how the detail of a row begins that was not asked about for a reason.
const notAsked = "not asked: "

// evidence returns what is to be said of an address that was not asked about because of the trouble.
func (t *Trouble) evidence() evidence {
	return evidence{reason: NotProbed, detail: notAsked + t.String(), ours: true, trouble: t}
}

// saysTrouble reports whether the detail of a result is that of a trouble. A state file keeps no more of it.
func saysTrouble(detail string) bool {
	text, unasked := strings.CutPrefix(detail, notAsked)
	if !unasked {
		return false
	}
	for _, kind := range []TroubleKind{PortClosed, NetworkDown, NoAnswer, ProxyBroken, DNSDown, PortIntercepted} {
		if strings.HasPrefix(text, (&Trouble{Kind: kind}).String()) {
			return true
		}
	}
	return false
}

// clock returns the time of day for a sentence.
func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly + " MST") }

// ProxyError is the error of a dialer that goes through a proxy, where it is the proxy that failed and not the mail
// host. A prober's Dial returns it wrapped or as it is.
type ProxyError struct {
	Rule bool // the proxy is well, and a rule of it forbids this connection, perhaps others too
	Err  error
}

func (e *ProxyError) Error() string { return fmt.Sprintf("the proxy failed: %v", e.Err) }

// Unwrap returns Err.
func (e *ProxyError) Unwrap() error { return e.Err }
