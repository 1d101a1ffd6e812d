package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

// source is one of our addresses: what connections leave from, and what receivers see.
type source struct {
	bind  netip.Addr // what to connect from; invalid: the system's choice
	v4    bool
	asked bool       // the user named it or its family
	local netip.Addr // what this machine sends from
	seen  netip.Addr // what receivers see; invalid: not known
	how   string     // how that was found
	err   error      // why there is no local address
}

func (s source) family() string {
	if s.v4 {
		return "IPv4"
	}
	return "IPv6"
}

// String names the source: the address that was asked for, or the family.
func (s source) String() string {
	if s.bind.IsValid() {
		return s.bind.String()
	}
	return s.family()
}

// findSources returns the addresses to connect from, with the ones that receivers see.
func (e *exam) findSources(ctx context.Context) []source {
	var sources []source
	for _, a := range e.Sources {
		sources = append(sources, source{bind: a.Unmap(), v4: a.Unmap().Is4(), asked: true})
	}
	if len(sources) == 0 {
		only := e.IPv4 != e.IPv6
		for _, v4 := range []bool{true, false} {
			if !only || v4 == e.IPv4 {
				sources = append(sources, source{v4: v4, asked: only})
			}
		}
	}
	var named []netip.Addr // of the EHLO name, which a machine behind NAT has in DNS
	if e.trusted() {
		named, _ = e.addresses(ctx, e.HELO) // without an answer the address stays unknown; the check of the name reports why
	}
	return each(len(sources), func(i int) source { return e.locate(ctx, sources[i], named) })
}

// locate finds what receivers see of a source.
func (e *exam) locate(ctx context.Context, s source, named []netip.Addr) source {
	if s.local = s.bind; !s.local.IsValid() {
		target := e.facts.Route.IPv6
		if s.v4 {
			target = e.facts.Route.IPv4
		}
		if s.local, s.err = e.Network.Local(ctx, target); s.err != nil {
			return s
		}
	}
	hidden := fmt.Sprintf("%s is not a public address", s.local)
	switch {
	case e.Proxy != nil:
		hidden = "receivers see the proxy's address"
	case e.isPublic(s.local):
		s.seen, s.how = s.local, "it is this machine's own address on the way to the internet"
		if s.bind.IsValid() {
			s.how = "it was given by --source-ip"
		}
		return s
	}
	for _, a := range named {
		if a.Is4() == s.v4 && e.isPublic(a) {
			s.seen, s.how = a, fmt.Sprintf("%s, and the EHLO name %s has this one", hidden, e.HELO)
			return s
		}
	}
	s.how = hidden
	return s
}

// ownAddresses shows what receivers see, and how that was found.
func (e *exam) ownAddresses(context.Context) (findings []Finding) {
	sources := e.sources()
	reachable := slices.ContainsFunc(sources, func(s source) bool { return s.err == nil })
	for _, s := range sources {
		f := Finding{About: s.String()}
		switch {
		case s.err != nil && reachable && !s.asked:
			f.Level, f.Found = OK, s.family()+" is not in use on this machine"
		case s.err != nil:
			f.Level = Failure
			f.Found = fmt.Sprintf("this machine has no %s address: %v", s.family(), s.err)
			f.Means = "Nothing can be reached over it."
			f.Fix = "Connect this machine to the internet, or choose the other family with -4 or -6."
		case s.seen.IsValid():
			f.Level, f.Found = OK, fmt.Sprintf("receivers see %s: %s", s.seen, s.how)
		default:
			f.Level = Warning
			f.Found = "it is not known which address receivers see: " + s.how
			f.Means = "Its PTR record, SPF and blocklists cannot be checked from here."
			f.Fix = "Give --helo a name that has the public address in DNS, or --source-ip where this machine has a public one."
		}
		findings = append(findings, f)
	}
	return findings
}

// seen returns the addresses that receivers see, each once.
func (e *exam) seen() (addrs []netip.Addr) {
	for _, s := range e.sources() {
		if s.seen.IsValid() && !slices.Contains(addrs, s.seen) {
			addrs = append(addrs, s.seen)
		}
	}
	return addrs
}

// named is one of our addresses with the names that its PTR records give it.
type named struct {
	addr      netip.Addr
	names     []string
	confirmed string // the first of them that has the address
	err       error  // of the PTR look-up, or where no name could be looked up
}

// maxNames is how many PTR names of an address are looked up.
const maxNames = 10

func (e *exam) findNames(ctx context.Context) []named {
	addrs := e.seen()
	return each(len(addrs), func(i int) named {
		n := named{addr: addrs[i]}
		reverse, err := dns.ReverseAddr(n.addr.String())
		if err != nil {
			n.err = err
			return n
		}
		reply, err := e.ask(ctx, reverse, dns.TypePTR)
		if err != nil {
			n.err = err
			return n
		}
		for _, r := range records[*dns.PTR](reply) {
			n.names = append(n.names, strings.ToLower(strings.TrimSuffix(r.Ptr, ".")))
		}
		slices.Sort(n.names)
		for _, name := range n.names[:min(len(n.names), maxNames)] {
			addrs, err := e.addresses(ctx, name)
			if slices.Contains(addrs, n.addr) {
				n.confirmed, n.err = name, nil
				break
			}
			if err != nil {
				n.err = err
			}
		}
		return n
	})
}

// ptr checks whether each of our addresses has a name that leads back to it.
func (e *exam) ptr(context.Context) (findings []Finding) {
	for _, n := range e.names() {
		f := judgePTR(n)
		f.About = n.addr.String()
		findings = append(findings, f)
	}
	return findings
}

func judgePTR(n named) Finding {
	const (
		means = "Many receivers, Gmail among them, refuse machines whose name and address do not fit each other."
		fix   = "Ask the company that provides the address to set its PTR record to a name whose A or AAAA record is this " +
			"address."
	)
	switch {
	case n.err != nil:
		return Finding{
			Level: Warning, Found: fmt.Sprintf("its name could not be looked up: %v", n.err), Fix: "Run this again later.",
		}
	case len(n.names) == 0:
		return Finding{Level: Failure, Found: "it has no PTR record", Means: means, Fix: fix}
	case n.confirmed == "":
		return Finding{
			Level: Failure,
			Found: fmt.Sprintf("its PTR record says %s, and that name does not have this address", strings.Join(n.names, ", ")),
			Means: means,
			Fix:   fix,
		}
	case isGeneric(n.confirmed, n.addr):
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("its name %s is made of its number", n.confirmed),
			Means: "Receivers take such names for home lines and rented machines, and some refuse them.",
			Fix:   "Set the PTR record to a name of yours, such as mail.example.com, whose A or AAAA record is this address.",
		}
	}
	return Finding{Level: OK, Found: fmt.Sprintf("its name is %s, which has this address", n.confirmed)}
}

// isGeneric reports whether a name holds the four numbers of an IPv4 address, in either order.
func isGeneric(name string, addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	octets := addr.As4()
	digits := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	has := func(order []int) bool {
		for at := 0; at+len(order) <= len(digits); at++ {
			same := true
			for i, o := range order {
				n, err := strconv.Atoi(digits[at+i])
				same = same && err == nil && n == int(octets[o])
			}
			if same {
				return true
			}
		}
		return false
	}
	return has([]int{0, 1, 2, 3}) || has([]int{3, 2, 1, 0})
}

// ehlo checks whether the EHLO name is one that our addresses have.
func (e *exam) ehlo(ctx context.Context) []Finding {
	f := Finding{About: e.HELO}
	if reason := unfit(e.HELO); reason != "" {
		f.Level = Failure
		f.Found = reason
		f.Means = "Many receivers refuse a name that is not a full domain name (RFC 5321 section 4.1.1.1)."
		f.Fix = "Say --helo NAME with the name that the PTR record gives this machine."
		return []Finding{f}
	}
	if !e.trusted() {
		return []Finding{unchecked(e.HELO)}
	}
	ascii, err := idna.Lookup.ToASCII(e.HELO)
	if err != nil {
		ascii = e.HELO
	}
	addrs, err := e.addresses(ctx, ascii)
	switch {
	case err != nil:
		f.Level, f.Found, f.Fix = Warning, fmt.Sprintf("it could not be looked up: %v", err), "Run this again later."
		return []Finding{f}
	case len(addrs) == 0:
		f.Level = Failure
		f.Found = "it has no address in DNS"
		f.Means = "Many receivers refuse an EHLO name that does not resolve."
		f.Fix = "Give the name an A or AAAA record, or say --helo NAME with the name that the PTR record gives this machine."
		return []Finding{f}
	}
	var findings []Finding
	for _, n := range e.names() {
		one := judgeEHLO(ascii, addrs, n)
		one.About = fmt.Sprintf("%s from %s", e.HELO, n.addr)
		findings = append(findings, one)
	}
	if len(findings) == 0 {
		f.Level, f.Found = OK, "it has an address in DNS; whether that is ours is not known"
		return []Finding{f}
	}
	return findings
}

// unfit says why a name cannot be said in EHLO; empty: it can.
func unfit(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "it is an address, not a name"
	}
	if !strings.Contains(name, ".") {
		return "it is not a full domain name"
	}
	for _, private := range []string{".localdomain", ".local", ".lan", ".internal", ".home.arpa", ".localhost"} {
		if strings.HasSuffix(name, private) {
			return "it is a name of a private network"
		}
	}
	return ""
}

// judgeEHLO says how a name that has addresses fits one of ours.
func judgeEHLO(helo string, addrs []netip.Addr, n named) Finding {
	helo = strings.ToLower(strings.TrimSuffix(helo, "."))
	better := ""
	if n.confirmed != "" {
		better = ": --helo " + n.confirmed
	}
	switch {
	case !slices.Contains(addrs, n.addr):
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("it does not have this address (it has %s)", join(addrs)),
			Means: "Receivers take it for somebody else's name.",
			Fix:   "Say the name that has the address" + better + ".",
		}
	case len(n.names) > 0 && !slices.Contains(n.names, helo):
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("it has this address, whose PTR record says %s", strings.Join(n.names, ", ")),
			Means: "Some receivers compare the two.",
			Fix:   "Say the name of the PTR record" + better + ", or change that record.",
		}
	}
	return Finding{Level: OK, Found: "it is a name of this address"}
}

func join(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}
