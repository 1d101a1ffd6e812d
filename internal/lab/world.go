package lab

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

// World is what a lab is made of. Make one with [Parse] or with [NewWorld] and its methods, then [World.Start] it.
type World struct {
	// Latency is how long a DNS answer takes.
	Latency time.Duration

	hosts   map[string]Host
	domains map[string]*Domain
	aliases map[string]string
	names   map[string][]string // names that have the addresses of these hosts
	records map[string][]dns.RR // more DNS records, by their names
	taken   map[netip.Addr]bool
	order   []string // addresses as declared
}

// NewWorld returns a world without hosts or domains.
func NewWorld() *World {
	return &World{
		hosts: map[string]Host{}, domains: map[string]*Domain{}, aliases: map[string]string{},
		names: map[string][]string{}, taken: map[netip.Addr]bool{}, records: map[string][]dns.RR{},
	}
}

// Host is a mail host. The zero value of every field but Name is a server without limits and without faults.
type Host struct {
	Name     string
	Addr     netip.Addr    // within 127.0.0.0/8; without Addr and Addr6 one of 127.77.0.0/16 is assigned
	Addr6    netip.Addr    // IPv6, in memory only; the host may have both addresses
	Latency  time.Duration // a round trip
	Sessions int           // at a time; 0: any number
	Rcpts    int           // a transaction; 0: any number
	Errors   int           // refusals that end a session; 0: any number

	STARTTLS     bool
	NoPipelining bool
	NoSMTPUTF8   bool
	ALabels      bool // a domain in U-labels is one it does not carry

	Greylist      time.Duration // since the first attempt
	GreylistFirst bool          // unknown recipients are greylisted too

	ClosesUnknown bool // 421 to a recipient that is not a mailbox, and the end of the session
	DropsUnknown  bool // the same without a word
	SoftUnknown   bool // 450 4.1.1 to an unknown mailbox
	MuteQuit      bool // never answers QUIT, and does not close before the client does
	TLSBroken     bool // STARTTLS is offered, and the handshake fails
	TwoReplies    bool // every tenth RCPT in its life gets two replies

	Crash      string        // a recipient with this local part makes it close without a word
	CutAfter   int           // a session falls silent, without a FIN, after so many answered RCPTs; 0: never
	CutIdle    time.Duration // the same when nothing was said for longer than this; 0: never
	Stall      int           // a write of more octets never arrives, nor what follows; in memory only; 0: all arrives
	BlocksFrom []netip.Addr  // clients that Blocks holds for
	ClosedFrom []netip.Addr  // clients whose connections never complete; in memory only

	Fault Fault
	After int // what BlocksAfter and DropsAfter count

	Limits string // what EHLO says of LIMITS (RFC 9422); empty: nothing

	Mails      int           // transactions a session; 0: any number
	FirstVisit bool          // the first session in its life is put off, as by postscreen
	Tarpits    time.Duration // over a refusal; twice as long over the next one in the session
	Rate       int           // recipients a minute; 0: any number
	Hourly     int           // recipients an hour; 0: any number
	Refusal    string        // of recipients that are no mailbox, with _ for spaces; empty: in clear words

	script Script // nil: none
}

// needsMemory names what a host has that sockets cannot play; empty: nothing.
func (h Host) needsMemory() string {
	switch {
	case h.Addr6.IsValid():
		return "an IPv6 address"
	case h.Fault == Blackhole:
		return string(Blackhole)
	case h.Stall > 0:
		return "stall"
	case len(h.ClosedFrom) > 0:
		return "closed-from"
	}
	return ""
}

// addrs returns the host's addresses.
func (h Host) addrs() []netip.Addr {
	return slices.DeleteFunc([]netip.Addr{h.Addr, h.Addr6}, func(a netip.Addr) bool { return !a.IsValid() })
}

// Fault is a way for a mail host to misbehave.
type Fault string

// The faults, by the words that declare them.
const (
	NoFault     Fault = ""             // none
	Dead        Fault = "dead"         // refuses connections
	Blackhole   Fault = "blackhole"    // connections never complete; in memory only
	NoAddress   Fault = "noaddress"    // has no address in DNS
	LostAddress Fault = "servfail"     // DNS says SERVFAIL in place of its addresses
	Silent      Fault = "silent"       // accepts connections and never says a word
	Tarpit      Fault = "tarpit"       // sends a line of its banner every second, without end
	Garbage     Fault = "garbage"      // speaks HTTP
	Banner421   Fault = "banner421"    // 421 4.3.2 to every connection
	Banner554   Fault = "banner554"    // 554 5.7.1 blocklisted to every connection
	HELOOnly    Fault = "helo-only"    // does not know EHLO
	NoPTR       Fault = "noptr"        // 550 5.7.25 to MAIL, because there is no PTR record
	Blocks      Fault = "blocks"       // 554 5.7.1 blocklisted to every RCPT
	BlocksAfter Fault = "blocks-after" // the same, after so many RCPTs in its life
	DropsAfter  Fault = "drops-after"  // closes a session without a word after so many RCPTs in it
)

// Faults lists every fault but NoFault.
func Faults() []Fault {
	return []Fault{
		Dead, Blackhole, NoAddress, LostAddress, Silent, Tarpit, Garbage, Banner421, Banner554, HELOOnly, NoPTR, Blocks,
		BlocksAfter, DropsAfter,
	}
}

// Domain is a mail domain.
type Domain struct {
	Name     string
	MX       []MX
	Implicit string // the host whose address the domain has, in place of MX
	Answer   Answer
	TCP      bool // DNS answers over UDP are truncated to nothing

	CatchAll   bool
	AcceptsAll bool
	NoRelay    bool

	boxes map[string]Temper
}

// MX is a mail host of a domain.
type MX struct {
	Preference uint16
	Host       string // a declared host, name or alias, or an IP literal, which is no host name and does not resolve
}

// Answer is what DNS says about a domain in place of its mail hosts.
type Answer string

// The answers, by the words that declare them.
const (
	MailHosts Answer = ""
	NullMX    Answer = "nullmx"
	NoMail    Answer = "nomail" // neither MX nor address
	NXDomain  Answer = "nxdomain"
	ServFail  Answer = "servfail"
	TimesOut  Answer = "timeout" // no answer at all
)

// Temper is how a mailbox takes an RCPT.
type Temper string

// The tempers, by the words that declare them.
const (
	Mailbox    Temper = "mailbox"    // 250 2.1.5
	Full       Temper = "full"       // 452 4.2.2
	OverQuota  Temper = "overquota"  // 552 5.2.2
	Disabled   Temper = "disabled"   // 550 5.2.1
	Restricted Temper = "restricted" // 550 5.7.124, members only
	Busy       Temper = "busy"       // 450 4.2.1, receives too much at the moment
	NoRelay    Temper = "norelay"    // 554 5.7.1, relay access denied
	Unknown    Temper = "unknown"    // 550 5.1.1, as every mailbox that is not declared
)

// Tempers lists every temper.
func Tempers() []Temper {
	return []Temper{Mailbox, Full, OverQuota, Disabled, Restricted, Busy, NoRelay, Unknown}
}

// AddHost adds a mail host.
func (w *World) AddHost(h Host) error {
	name, err := asciiName(h.Name)
	if err != nil {
		return err
	}
	if err := w.free(name); err != nil {
		return err
	}
	if len(h.addrs()) == 0 {
		h.Addr = w.nextAddr()
	}
	h.script = h.limiting()
	if h.Addr.IsValid() && (!h.Addr.Is4() || !h.Addr.IsLoopback() || w.taken[h.Addr]) {
		return fmt.Errorf("lab: host %s: %s is not a free address of 127.0.0.0/8", name, h.Addr)
	}
	if h.Addr6.IsValid() && (!h.Addr6.Is6() || h.Addr6.Is4In6() || w.taken[h.Addr6]) {
		return fmt.Errorf("lab: host %s: %s is not a free IPv6 address", name, h.Addr6)
	}
	if (h.Fault == BlocksAfter || h.Fault == DropsAfter) != (h.After > 0) {
		return fmt.Errorf(
			"lab: host %s: %s and %s need a number, and no other fault takes one",
			name,
			BlocksAfter,
			DropsAfter,
		)
	}
	if h.Fault != NoFault && !slices.Contains(Faults(), h.Fault) {
		return fmt.Errorf("lab: host %s: no fault is called %q", name, h.Fault)
	}
	h.Name = name
	w.hosts[name] = h
	for _, a := range h.addrs() {
		w.taken[a] = true
	}
	return nil
}

// nextAddr returns the first address of 127.77.0.0/16 that is likely free; the last octet is 1 to 250.
func (w *World) nextAddr() netip.Addr {
	for i := len(w.hosts); ; i++ {
		a := netip.AddrFrom4([4]byte{127, 77, byte(i / 250), byte(i%250 + 1)})
		if !w.taken[a] {
			return a
		}
	}
}

// AddDomain adds a mail domain, after its hosts.
func (w *World) AddDomain(d Domain) (err error) {
	if d.Name, err = asciiName(d.Name); err != nil {
		return err
	}
	if err := w.free(d.Name); err != nil {
		return err
	}
	ways := 0
	for _, way := range []bool{len(d.MX) > 0, d.Implicit != "", d.Answer != MailHosts} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return fmt.Errorf("lab: domain %s wants either mx=, or implicit=, or a word for what DNS says instead", d.Name)
	}
	d.MX = slices.Clone(d.MX)
	for i, mx := range d.MX {
		if d.MX[i].Host, err = w.mailHost(d.Name, mx.Host); err != nil {
			return err
		}
	}
	slices.SortStableFunc(d.MX, func(a, b MX) int { return int(a.Preference) - int(b.Preference) })
	if d.Implicit != "" {
		if d.Implicit, err = w.mailHost(d.Name, d.Implicit); err != nil {
			return err
		}
	}
	d.boxes = map[string]Temper{}
	w.domains[d.Name] = &d
	return nil
}

func (w *World) mailHost(domain, name string) (string, error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return name, nil
	}
	name, err := asciiName(name)
	if err != nil {
		return "", err
	}
	if len(w.servers(name)) == 0 {
		return "", fmt.Errorf("lab: domain %s: host %s is not declared before it", domain, name)
	}
	return name, nil
}

// AddName gives the addresses of hosts, which must exist, another name. Domains whose MX is that name are served by
// each of them.
func (w *World) AddName(name string, hosts ...string) (err error) {
	if name, err = asciiName(name); err != nil {
		return err
	}
	if err := w.free(name); err != nil {
		return err
	}
	if len(hosts) == 0 {
		return fmt.Errorf("lab: name %s wants hosts", name)
	}
	hosts = slices.Clone(hosts)
	for i, host := range hosts {
		if hosts[i], err = asciiName(host); err != nil {
			return err
		}
		if _, ok := w.hosts[hosts[i]]; !ok {
			return fmt.Errorf("lab: name %s: host %s is not declared before it", name, host)
		}
	}
	w.names[name] = hosts
	return nil
}

// AddAlias makes a name a CNAME of another, which must exist.
func (w *World) AddAlias(name, target string) (err error) {
	if name, err = asciiName(name); err != nil {
		return err
	}
	if target, err = asciiName(target); err != nil {
		return err
	}
	if err := w.free(name); err != nil {
		return err
	}
	if w.free(target) == nil {
		return fmt.Errorf("lab: alias %s: %s is not declared before it", name, target)
	}
	w.aliases[name] = target
	return nil
}

// AddMailbox adds a mailbox to a domain.
func (w *World) AddMailbox(address string, t Temper) error {
	local, domain, err := split(address)
	if err != nil {
		return err
	}
	d := w.domains[w.canonical(domain)]
	if d == nil {
		return fmt.Errorf("lab: %s: the domain is not declared before it", address)
	}
	if _, twice := d.boxes[local]; twice {
		return fmt.Errorf("lab: %s is declared twice", address)
	}
	if !slices.Contains(Tempers(), t) {
		return fmt.Errorf("lab: %s: no temper is called %q", address, t)
	}
	d.boxes[local] = t
	w.order = append(w.order, address)
	return nil
}

// Hosts returns the hosts by name.
func (w *World) Hosts() []Host {
	return slices.SortedFunc(maps.Values(w.hosts), func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
}

// free reports whether a name is not taken yet.
func (w *World) free(name string) error {
	if _, ok := w.hosts[name]; ok {
		return fmt.Errorf("lab: %s is a host already", name)
	}
	if _, ok := w.domains[name]; ok {
		return fmt.Errorf("lab: %s is a domain already", name)
	}
	if _, ok := w.aliases[name]; ok {
		return fmt.Errorf("lab: %s is an alias already", name)
	}
	if _, ok := w.names[name]; ok {
		return fmt.Errorf("lab: %s is a name already", name)
	}
	return nil
}

// canonical follows aliases. They cannot form a circle, since a target exists before its alias.
func (w *World) canonical(name string) string {
	for {
		target, ok := w.aliases[name]
		if !ok {
			return name
		}
		name = target
	}
}

// servers returns the names of the hosts whose addresses a name has: the host itself, or those that AddName gave it.
func (w *World) servers(name string) []string {
	name = w.canonical(name)
	if hosts, ok := w.names[name]; ok {
		return hosts
	}
	if h, ok := w.hosts[name]; ok {
		return []string{h.Name}
	}
	return nil
}

// temper returns how a domain's mailbox takes an RCPT.
func (d *Domain) temper(local string) Temper {
	if d.NoRelay {
		return NoRelay
	}
	if t, ok := d.boxes[local]; ok {
		return t
	}
	if d.CatchAll || d.AcceptsAll {
		return Mailbox
	}
	return Unknown
}

// hosts returns the names of the domain's mail hosts in the order of preference.
func (d *Domain) hosts() []string {
	if d.Implicit != "" {
		return []string{d.Implicit}
	}
	var names []string
	for _, mx := range d.MX {
		names = append(names, mx.Host)
	}
	return names
}

// split returns both parts of an address in the form in which they are compared: lower case, the domain in A-labels.
func split(address string) (local, domain string, err error) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "", "", fmt.Errorf("lab: %q is not an address", address)
	}
	if domain, err = asciiName(address[at+1:]); err != nil {
		return "", "", err
	}
	return strings.ToLower(address[:at]), domain, nil
}

// asciiName returns a host or domain name in lower-case A-labels without a trailing dot.
func asciiName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if isASCII(name) {
		if name == "" || strings.ContainsAny(name, " <>@,:") {
			return "", fmt.Errorf("lab: %q is not a name", name)
		}
		return name, nil
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("lab: %q: %w", name, err)
	}
	return ascii, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
