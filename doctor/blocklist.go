package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// refusals are answers that refuse the question instead of listing an address.
var refusals = netip.MustParsePrefix("127.255.255.0/24")

// loopback is where the answers of a blocklist are (RFC 5782 section 2.1). Another address is that of a zone which was
// given up or taken over.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// listing is what a blocklist says about an address.
type listing struct {
	codes []netip.Addr // that list it; none: it is not listed
	fault string       // why the answer cannot be used; empty: it can
}

// look asks a blocklist about an address.
func (e *exam) look(ctx context.Context, zone string, addr netip.Addr) listing {
	reverse, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return listing{fault: err.Error()}
	}
	reverse = strings.TrimSuffix(strings.TrimSuffix(reverse, "in-addr.arpa."), "ip6.arpa.")
	reply, err := e.ask(ctx, reverse+zone+".", dns.TypeA)
	if err != nil {
		return listing{fault: fmt.Sprintf("it does not answer: %v", err)}
	}
	return readListing(reply)
}

func readListing(reply *dns.Msg) (l listing) {
	for _, a := range records[*dns.A](reply) {
		code, ok := netip.AddrFromSlice(a.A)
		code = code.Unmap()
		switch {
		case !ok:
		case refusals.Contains(code):
			return listing{fault: fmt.Sprintf("it refuses this resolver (%s)", code)}
		case !loopback.Contains(code):
			return listing{fault: fmt.Sprintf("it answers %s, which is no answer of a blocklist", code)}
		default:
			l.codes = append(l.codes, code)
		}
	}
	return l
}

// blocklists checks whether our addresses are on blocklists, after each list has shown that it works.
func (e *exam) blocklists(ctx context.Context) (findings []Finding) {
	addrs := e.seen()
	for _, of := range each(len(e.facts.Blocklists), func(i int) []Finding {
		return e.askBlocklist(ctx, e.facts.Blocklists[i], addrs)
	}) {
		findings = append(findings, of...)
	}
	return findings
}

// The test points of RFC 5782 section 5.
var (
	mustList    = netip.MustParseAddr("127.0.0.2")
	mustNotList = netip.MustParseAddr("127.0.0.1")
)

func (e *exam) askBlocklist(ctx context.Context, list blocklist, addrs []netip.Addr) []Finding {
	tests := each(2, func(i int) listing { return e.look(ctx, list.Zone, []netip.Addr{mustList, mustNotList}[i]) })
	if fault := faultOf(tests[0], tests[1]); fault != "" {
		fix := "Blocklists refuse public resolvers and those that ask a lot: use a resolver of your own, such as Unbound, " +
			"with --dns."
		if list.Note != "" {
			fix += " " + list.Note
		}
		return []Finding{{
			About: list.Zone,
			Level: Warning,
			Found: fmt.Sprintf("%s cannot be asked: %s", list.Name, fault),
			Means: "Whether it lists this machine is not known.",
			Fix:   fix,
		}}
	}
	if len(addrs) == 0 {
		return []Finding{{
			About: list.Zone, Level: OK, Found: list.Name + " can be asked; which address to ask about is not known",
		}}
	}
	return each(len(addrs), func(i int) Finding {
		f := Finding{Level: OK, Found: fmt.Sprintf("%s lists IPv4 addresses only", list.Name)}
		if addrs[i].Is4() || list.IPv6 {
			f = judgeListing(e.look(ctx, list.Zone, addrs[i]), list)
		}
		f.About = fmt.Sprintf("%s at %s", addrs[i], list.Zone)
		return f
	})
}

// faultOf says why a blocklist cannot be used, from its test points; empty: it can.
func faultOf(listed, unlisted listing) string {
	switch {
	case listed.fault != "":
		return listed.fault
	case unlisted.fault != "":
		return unlisted.fault
	case len(listed.codes) == 0:
		return "it does not list its test point 127.0.0.2"
	case len(unlisted.codes) > 0:
		return "it lists 127.0.0.1, as a list does that lists everything"
	}
	return ""
}

func judgeListing(l listing, list blocklist) Finding {
	switch {
	case l.fault != "":
		return Finding{
			Level: Warning,
			Found: fmt.Sprintf("%s does not say: %s", list.Name, l.fault),
			Means: "Whether it lists this machine is not known.",
			Fix:   "Run this again later.",
		}
	case len(l.codes) == 0:
		return Finding{Level: OK, Found: list.Name + " does not list it"}
	}
	reasons := make([]string, len(l.codes))
	for i, code := range l.codes {
		reasons[i] = code.String()
		if words := list.Codes[reasons[i]]; words != "" {
			reasons[i] += ", " + words
		}
	}
	return Finding{
		Level: Failure,
		Found: fmt.Sprintf("%s lists it (%s)", list.Name, strings.Join(reasons, "; ")),
		Means: "Receivers that ask this list refuse this machine, so their addresses stay unknown.",
		Fix:   "Find out why and ask to be removed at " + list.Lookup + ", or send from another address.",
	}
}
