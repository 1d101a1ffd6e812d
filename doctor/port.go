package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"presend/verify/mx"
	"presend/verify/reply"
)

// greeting is what came of a connection from one of our addresses to a provider's mail host.
type greeting struct {
	source   int // index of the source
	provider string
	reply    reply.Reply // Code is 0 where there was none
	name     string      // that the host greets with; empty where there is none
	masked   bool        // something on the way hides what the host says
	at       time.Time   // when the greeting came
	err      error
}

// Why a mail host was not tried.
var (
	errNoAddress = errors.New("it has no address of this family")
	errNotPublic = errors.New("the resolver shows no public address for it")
	errLookup    = errors.New("its address could not be looked up")
)

// greetAll connects to every provider from every source, all at once.
func (e *exam) greetAll(ctx context.Context) []greeting {
	type addressed struct {
		addrs []netip.Addr
		err   error
	}
	hosts := each(len(e.facts.Providers), func(i int) addressed {
		addrs, err := e.addresses(ctx, e.facts.Providers[i].Host)
		return addressed{addrs, err}
	})
	sources := e.sources()
	return each(len(sources)*len(hosts), func(i int) greeting {
		s, h := i/len(hosts), i%len(hosts)
		g := greeting{source: s, provider: e.facts.Providers[h].Name}
		var addr netip.Addr
		switch {
		case sources[s].err != nil && e.Proxy == nil:
			g.err = sources[s].err
		case hosts[h].err != nil:
			g.err = fmt.Errorf("%w: %w", errLookup, hosts[h].err)
		default:
			if addr, g.err = e.pick(hosts[h].addrs, sources[s].v4); g.err == nil {
				e.greet(ctx, sources[s].bind, addr, &g)
			}
		}
		return g
	})
}

// pick returns a host's address of a family.
func (e *exam) pick(addrs []netip.Addr, v4 bool) (netip.Addr, error) {
	err := errNoAddress
	for _, a := range addrs {
		if a.Is4() != v4 {
			continue
		}
		if e.isPublic(a) {
			return a, nil
		}
		err = errNotPublic
	}
	return netip.Addr{}, err
}

func (e *exam) isPublic(a netip.Addr) bool { return e.AllowPrivate || mx.IsPublic(a) }

// greet connects, reads the greeting, and says QUIT.
func (e *exam) greet(ctx context.Context, source, host netip.Addr, g *greeting) {
	conn, err := e.connect(ctx, source, host)
	if err != nil {
		g.err = err
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if g.err = conn.SetDeadline(time.Now().Add(e.Timeout)); g.err != nil {
		return
	}
	lines := bufio.NewReaderSize(conn, reply.MaxLine)
	next := func() ([]byte, error) { return lines.ReadSlice('\n') }
	if g.reply, g.err = reply.Read(next); g.err != nil {
		return
	}
	g.at = e.now()
	g.name, g.masked = reply.GreetingName(g.reply)
	// What follows is politeness; the greeting is what was asked for.
	if conn.SetDeadline(time.Now().Add(min(e.Timeout, 2*time.Second))) == nil {
		if _, err := io.WriteString(conn, "QUIT\r\n"); err == nil {
			_, _ = reply.Read(next)
		}
	}
}

// port25 checks whether mail hosts can be connected to from each of our addresses.
func (e *exam) port25(context.Context) []Finding {
	sources := e.sources()
	findings := make([]Finding, 0, len(sources))
	worked := false // over another family or from another address
	for i := range sources {
		worked = worked || slices.ContainsFunc(e.from25(i), greeting.welcome)
	}
	for i, s := range sources {
		f := judgePort(e.from25(i), s, e.Port, e.Proxy != nil, worked)
		f.About = s.String()
		findings = append(findings, f)
	}
	return findings
}

// from25 returns the greetings that a source got.
func (e *exam) from25(source int) (its []greeting) {
	for _, g := range e.greetings() {
		if g.source == source {
			its = append(its, g)
		}
	}
	return its
}

func (g greeting) welcome() bool { return g.err == nil && g.reply.Code == 220 }

// closed is how connections fail where a port is closed.
type closed int

const (
	open     closed = iota
	noRoute         // this machine has no way there
	rejected        // somebody says no at once
	dropped         // nobody says anything
	untried         // there was no address to connect to
	other
)

func howClosed(err error) closed {
	var timeout net.Error
	switch {
	case err == nil:
		return open
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.EAFNOSUPPORT):
		return noRoute
	case errors.Is(err, errNoAddress), errors.Is(err, errNotPublic), errors.Is(err, errLookup):
		return untried
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES),
		errors.Is(err, syscall.EPERM):
		return rejected
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return dropped
	}
	return other
}

// failures are the hosts that could not be connected to, put together by the reason.
type failures struct {
	n       int
	reasons []string
	whose   map[string][]string
}

func (f *failures) add(whose, reason string) {
	if f.whose == nil {
		f.whose = map[string][]string{}
	}
	if f.whose[reason] == nil {
		f.reasons = append(f.reasons, reason)
	}
	f.whose[reason] = append(f.whose[reason], whose)
	f.n++
}

func (f failures) String() string {
	parts := make([]string, 0, len(f.reasons))
	for _, reason := range f.reasons {
		parts = append(parts, strings.Join(f.whose[reason], ", ")+": "+reason)
	}
	return strings.Join(parts, "; ")
}

// reason returns what an error says, without the addresses of a connection.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil && op.Op == "dial" {
		return op.Err.Error()
	}
	return err.Error()
}

// judgePort says what the greetings of one source mean. worked says that another source was greeted.
func judgePort(all []greeting, s source, port int, proxied, worked bool) Finding {
	var welcomed, refusing []string
	var failing failures
	greeters := map[string]string{} // provider by the name that it greeted with
	twice, masked := "", false
	kinds := map[closed]int{}
	for _, g := range all {
		switch {
		case g.welcome():
			welcomed = append(welcomed, g.provider)
			masked = masked || g.masked
			if before, ok := greeters[g.name]; ok && twice == "" {
				twice = fmt.Sprintf("the mail hosts of %s and %s both greet as %s", before, g.provider, g.name)
			}
			if g.name != "" {
				greeters[g.name] = g.provider
			}
		case g.err == nil:
			refusing = append(refusing, fmt.Sprintf("%s: %d %s", g.provider, g.reply.Code, strings.Join(g.reply.Lines, " ")))
		default:
			failing.add(g.provider, reason(g.err))
			kinds[howClosed(g.err)]++
		}
	}
	switch {
	case twice != "":
		return Finding{
			Level: Failure,
			Found: twice,
			Means: fmt.Sprintf("Another server answers on port %d in place of the mail hosts, so every answer would be its "+
				"answer.", port),
			Fix: "Ask the operator of the network to stop intercepting the port, or run this on a machine in another network; " +
				"until then use --no-smtp.",
		}
	case len(refusing) > 0:
		if failing.n > 0 {
			refusing = append(refusing, "not reached: "+failing.String())
		}
		f := Finding{
			Level: Warning,
			Found: fmt.Sprintf("%d of %d large providers greet this address; refused by %s",
				len(welcomed), len(all), strings.Join(refusing, "; ")),
			Means: "They refuse this machine, so their addresses stay unknown.",
			Fix: "Read what they say: `verify explain 'REPLY'` tells what to do about it. The lines on PTR and blocklists " +
				"below may name the reason.",
		}
		if len(welcomed) == 0 {
			f.Level = Failure
		}
		return f
	case masked:
		return Finding{
			Level: Warning,
			Found: "a firewall on the way masks what mail hosts say in their greetings",
			Means: "It may change their answers too, and hides what they offer, so that checks are slower and tell less.",
			Fix:   "Switch its SMTP inspection off (Cisco ASA: no inspect esmtp), or run this on a machine in another network.",
		}
	case len(welcomed) > 0:
		found := fmt.Sprintf("port %d is open: %d of %d large providers greet", port, len(welcomed), len(all))
		if failing.n > 0 {
			found += "; not " + failing.String()
		}
		return Finding{Level: OK, Found: found}
	}
	return judgeClosed(kinds, failing, s, port, proxied, worked)
}

// judgeClosed says what it means that no connection was had.
func judgeClosed(kinds map[closed]int, failing failures, s source, port int, proxied, worked bool) Finding {
	const none = "No mail host can be asked; every address would stay unknown."
	f := Finding{Level: Failure, Means: none}
	switch tried := failing.n - kinds[untried]; {
	case tried == 0:
		f.Level = Warning
		f.Found = "no mail host has an address that could be tried: " + failing.String()
		f.Means = "Whether the port is open is not known."
		f.Fix = "See the lines on the resolver. In a closed lab use --allow-private."
		return f
	case kinds[noRoute] == tried && worked && !s.asked:
		return Finding{
			Level: OK,
			Found: "this machine has no " + s.family() + ", and can do without it",
			Means: "Only the few mail hosts that have no other address cannot be asked.",
		}
	case kinds[noRoute] == tried:
		f.Found = "this machine has no way to the internet from here: " + failing.String()
		f.Fix = "Check the network (ip address, ip route), and --source-ip, -4 and -6 if they were given."
		return f
	case proxied:
		f.Found = fmt.Sprintf("no mail host answers on port %d through the proxy: %s", port, failing)
		f.Fix = "See the line on the proxy; its rules, or those of its network, may forbid the port."
	default:
		how := "the connections fail"
		switch tried {
		case kinds[dropped]:
			how = "connections get no answer, as where a firewall drops them"
		case kinds[rejected]:
			how = "connections are refused at once, as by a firewall"
		}
		f.Found = fmt.Sprintf("port %d is closed from this machine: %s (%s)", port, how, failing)
		f.Fix = "Many hosting companies and home lines close the port: ask for it to be opened, run this on a machine " +
			"where it is open, or connect with --proxy. Until then --no-smtp checks syntax and DNS only."
	}
	if worked && !s.asked {
		f.Level = Warning
		f.Means = "Mail hosts are asked over the other family; each attempt over this one costs time."
		f.Fix = "Use -4 or -6 for the family that works, or have the port opened."
	}
	return f
}
