package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"presend/verify/mx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// want is a finding: its level, and a part of what was found.
type want struct {
	level Level
	found string
}

func compare(t *testing.T, findings []Finding, wants []want) {
	t.Helper()
	if len(findings) != len(wants) {
		t.Fatalf("%d findings, want %d: %+v", len(findings), len(wants), findings)
	}
	for i, f := range findings {
		if f.Level != wants[i].level || !strings.Contains(f.Found, wants[i].found) {
			t.Errorf("finding %d is %s %q, want %s %q", i, f.Level, f.Found, wants[i].level, wants[i].found)
		}
	}
}

func fault(f mx.Fault) error {
	return &mx.PreflightError{Fault: f, Server: "192.0.2.53:53", Err: errBoom}
}

func servers(list ...string) func(*Config) {
	return func(c *Config) { c.Servers = list }
}

func from(address string) func(*Config) { return func(c *Config) { c.From = address } }

func v4(c *Config) { c.IPv4 = true }

// signedAs answers about the signed name and the broken one with this flag and this code.
func signedAs(vouches bool, broken int) func(*world) {
	return func(w *world) {
		w.exchange = func(_ context.Context, _ string, query *dns.Msg) (*dns.Msg, error) {
			m := validating(query)
			switch query.Question[0].Name {
			case ".":
				m.AuthenticatedData = vouches
			case "dnssec-failed.org.":
				m.Rcode = broken
			}
			return m, nil
		}
	}
}

// answersOnly answers about one name alone.
func answersOnly(name string) func(*world) {
	return func(w *world) {
		w.exchange = func(_ context.Context, _ string, query *dns.Msg) (*dns.Msg, error) {
			if query.Question[0].Name != name {
				return nil, errBoom
			}
			return validating(query), nil
		}
	}
}

// signedNameIs answers about the signed name with a code.
func signedNameIs(rcode int) func(*world) {
	return func(w *world) {
		w.exchange = func(_ context.Context, _ string, query *dns.Msg) (*dns.Msg, error) {
			if query.Question[0].Name == "." {
				return new(dns.Msg).SetRcode(query, rcode), nil
			}
			return validating(query), nil
		}
	}
}

// lastGreets lets the last of the providers greet with a text.
func lastGreets(text string) func(*world) {
	return func(w *world) {
		w.greeting = func(host netip.Addr) (string, error) {
			if host.As4()[3] == 5 {
				return text, nil
			}
			return fmt.Sprintf("220 mx%s.test ESMTP\r\n", strings.ReplaceAll(host.String(), ".", "-")), nil
		}
	}
}

// rcodes answers so many questions about random names, and the others with a code, or not at all.
func rcodes(answered, others int) func(*world) {
	return func(w *world) {
		n := 0
		w.exchange = func(_ context.Context, _ string, query *dns.Msg) (*dns.Msg, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			m := validating(query)
			if query.Question[0].Qtype != dns.TypeMX {
				return m, nil
			}
			if n++; n > answered {
				if others == silent {
					return nil, errBoom
				}
				m.Rcode = others
			}
			return m, nil
		}
	}
}

func greets(text string, err error) func(*world) {
	return func(w *world) { w.greeting = func(netip.Addr) (string, error) { return text, err } }
}

// family6 fails connections over IPv6.
func family6(err error) func(*world) {
	return func(w *world) {
		w.greeting = func(host netip.Addr) (string, error) {
			if host.Is6() {
				return "", err
			}
			return "220 " + host.String() + " ESMTP\r\n", nil
		}
	}
}

func without6(w *world) {
	w.local = func(target netip.Addr) (netip.Addr, error) {
		if target.Is6() {
			return netip.Addr{}, errnoError(syscall.ENETUNREACH)
		}
		return netip.MustParseAddr("198.51.100.7"), nil
	}
}

func failing(names ...string) func(*world) {
	return func(w *world) {
		w.failing = map[string]bool{}
		for _, name := range names {
			w.failing[name] = true
		}
	}
}

func TestEachCheckTellsWhatIsWrong(t *testing.T) {
	const ptr4 = "-7.100.51.198.in-addr.arpa. PTR\n"
	closed := func(w *world) { greets("", timeoutError{})(w) }
	dead := func(w *world) { w.faults = map[string]error{"192.0.2.53:53": fault(mx.Dead)} }
	for name, test := range map[string]struct {
		check   string
		records string
		world   func(*world)
		config  func(*Config)
		want    []want
	}{
		"a good resolver": {check: "resolver", want: []want{{OK, "well-known names"}}},
		"a dead resolver": {check: "resolver", world: dead, want: []want{{Failure, "does not answer: boom"}}},
		"a resolver says nothing": {
			check: "resolver",
			world: func(w *world) { w.faults = map[string]error{"192.0.2.53:53": fault(mx.Empty)} },
			want:  []want{{Failure, "well-known domains do not exist"}},
		},
		"a resolver rewrites": {
			check: "resolver",
			world: func(w *world) { w.faults = map[string]error{"192.0.2.53:53": fault(mx.Rewrites)} },
			want:  []want{{Failure, "a name that does not exist"}},
		},
		"a resolver cannot be tested": {
			check: "resolver", world: func(w *world) { w.faults = map[string]error{"192.0.2.53:53": errBoom} },
			want: []want{{Failure, "could not be tested: boom"}},
		},
		"one of two resolvers is dead": {
			check: "resolver", config: servers("192.0.2.53:53", "192.0.2.54:53"), world: dead,
			want: []want{{Warning, "does not answer"}, {OK, "well-known names"}},
		},

		"a resolver validates": {check: "dnssec", want: []want{{OK, "it validates DNSSEC"}}},
		"a resolver does not validate": {
			check: "dnssec", world: signedAs(false, dns.RcodeSuccess),
			want: []want{{Warning, "does not validate"}},
		},
		"a resolver only says that it does": {
			check: "dnssec", world: signedAs(true, dns.RcodeSuccess),
			want: []want{{Warning, "passes a bad signature on"}},
		},
		"SERVFAIL alone is no validation": {
			check: "dnssec", world: signedAs(false, dns.RcodeServerFailure),
			want: []want{{Warning, "does not validate"}},
		},
		"validation is not known": {
			check: "dnssec", world: func(w *world) { w.exchange = boomExchange },
			want: []want{{Warning, "not known whether it validates DNSSEC: boom"}},
		},
		"only the good name was answered": {
			check: "dnssec", world: answersOnly("."),
			want: []want{{Warning, "not known whether it validates DNSSEC: boom"}},
		},
		"only the bad name was answered": {
			check: "dnssec", world: answersOnly("dnssec-failed.org."),
			want: []want{{Warning, "not known whether it validates DNSSEC: boom"}},
		},
		"the good name has an error": {
			check: "dnssec", world: signedNameIs(dns.RcodeRefused),
			want: []want{{Warning, "not known whether it validates DNSSEC: it answers about a well-known name with REFUSED"}},
		},
		"the bad name has another error": {
			check: "dnssec", world: signedAs(true, dns.RcodeRefused),
			want: []want{{Warning, "not known whether it validates DNSSEC: it answers about a name with a bad signature " +
				"with REFUSED"}},
		},
		"a resolver of one's own": {check: "public-resolver", want: []want{{OK, "none of the known"}}},
		"a public resolver": {
			check: "public-resolver", config: servers("8.8.8.8:53", "[2620:fe::fe]:53"),
			want: []want{{Warning, "Google Public DNS"}, {Warning, "Quad9"}},
		},
		"a resolver takes all questions": {check: "questions-at-once", want: []want{{OK, "answered 256 questions"}}},
		"a resolver refuses beyond 150": {
			check: "questions-at-once", world: rcodes(150, dns.RcodeRefused),
			want: []want{{Warning, "answered 150; 106 were refused"}},
		},
		"a resolver fails beyond 10": {
			check: "questions-at-once", world: rcodes(10, dns.RcodeServerFailure),
			want: []want{{Warning, "answered 10; 246 were answered with an error"}},
		},
		"a resolver is silent beyond 200": {
			check: "questions-at-once", world: rcodes(200, silent),
			want: []want{{Warning, "answered 200; 56 were not answered"}},
		},
		"few open files make few questions": {
			check: "questions-at-once", world: func(w *world) { w.files = 40 },
			want: []want{{OK, "answered 20 questions"}},
		},
		"no burst at a resolver that is dead": {
			check: "questions-at-once", config: servers("192.0.2.53:53", "192.0.2.54:53"),
			world: dead, want: []want{{Warning, "not checked"}, {OK, "answered 256"}},
		},
		"no burst without a trusted resolver": {
			check: "questions-at-once", world: dead,
			want: []want{{Warning, "not checked"}},
		},
		"port 25 is open": {
			check: "port-25",
			want:  []want{{OK, "port 25 is open: 5 of 5"}, {OK, "5 of 5"}},
		},
		"port 25 is dropped": {
			check: "port-25", world: closed,
			want: []want{
				{Failure, "a firewall drops them (Gmail, Outlook.com, Yahoo, iCloud, GMX: i/o timeout)"},
				{Failure, "a firewall drops them"},
			},
		},
		"port 25 is rejected": {
			check: "port-25", config: v4, world: greets("", refusedConnection()),
			want: []want{{Failure, "refused at once, as by a firewall (Gmail, Outlook.com, Yahoo, iCloud, GMX: connect: " +
				"connection refused)"}},
		},
		"port 25 fails in different ways": {
			check: "port-25", config: v4, world: greets("", errBoom),
			want: []want{{Failure, "the connections fail"}},
		},
		"port 25 is closed over IPv6": {
			check: "port-25", world: family6(timeoutError{}),
			want: []want{{OK, "open"}, {Warning, "closed from this machine"}},
		},
		"closed IPv6 was asked for": {
			check: "port-25", world: family6(timeoutError{}),
			config: func(c *Config) { c.IPv6 = true }, want: []want{{Failure, "closed from this machine"}},
		},
		"no IPv6 here": {
			check: "port-25", world: without6,
			want: []want{{OK, "open"}, {OK, "has no IPv6"}},
		},
		"IPv6 is switched off": {
			check: "port-25", world: family6(errnoError(syscall.EAFNOSUPPORT)),
			want: []want{{OK, "open"}, {OK, "has no IPv6"}},
		},
		"no IPv6 here and it was asked for": {
			check: "port-25", world: without6, config: func(c *Config) { c.IPv6 = true },
			want: []want{{Failure, "no way to the internet"}},
		},
		"port 25 is intercepted": {
			check: "port-25", config: v4, world: greets("220 fw.isp.test ESMTP\r\n", nil),
			want: []want{{Failure, "both greet as fw.isp.test"}},
		},
		"all greet with one word": {
			check: "port-25", config: v4, world: greets("220 mailgw\r\n", nil),
			want: []want{{Failure, "the mail hosts of Gmail and Outlook.com both greet as mailgw"}},
		},
		"names in other letters are the same": {
			check: "port-25", config: v4,
			world: lastGreets("220 MX203-0-113-1.test ESMTP\r\n"),
			want:  []want{{Failure, "the mail hosts of Gmail and GMX both greet as mx203-0-113-1.test"}},
		},
		"no names in the greetings": {
			check: "port-25", config: v4, world: greets("220 \r\n", nil),
			want: []want{{OK, "5 of 5"}},
		},
		"no names but the protocol": {
			check: "port-25", config: v4, world: greets("220 ESMTP\r\n", nil),
			want: []want{{OK, "5 of 5"}},
		},
		"a firewall masks the greetings": {
			check: "port-25", config: v4, world: greets("220 **************\r\n", nil),
			want: []want{{Warning, "masks what mail hosts say"}},
		},
		"everybody refuses us": {
			check: "port-25", config: v4, world: greets("554 5.7.1 blocked\r\n", nil),
			want: []want{{Failure, "0 of 5"}},
		},
		"nobody speaks SMTP": {
			check: "port-25", config: v4, world: greets("HTTP/1.1 400 no\r\n", nil),
			want: []want{{Failure, "malformed"}},
		},
		"the hosts are not public": {
			check: "port-25", config: func(c *Config) { c.AllowPrivate = false },
			want: []want{{Warning, "could be tried"}, {Warning, "could be tried"}},
		},
		"port 25 needs a resolver": {check: "port-25", world: dead, want: []want{{Warning, "not checked"}}},
		"our own address": {
			check: "address",
			want:  []want{{OK, "receivers see 198.51.100.7: it is this machine's own"}, {OK, "2001:db8::7"}},
		},
		"an address that was given": {
			check: "address", config: sourceIP("198.51.100.9"),
			want: []want{{OK, "198.51.100.9: it was given"}},
		},
		"an address behind NAT": {
			check: "address", config: func(c *Config) { c.AllowPrivate, c.IPv4 = false, true },
			want: []want{{Warning, "198.51.100.7 is not a public address"}},
		},
		"an address behind NAT that has a name": {
			check: "address", records: "nat.example.com. A 185.12.64.1",
			want: []want{{OK, "receivers see 185.12.64.1: 198.51.100.7 is not a public address, and the EHLO name " +
				"nat.example.com has this one"}},
			config: func(c *Config) { c.AllowPrivate, c.IPv4, c.HELO = false, true, "nat.example.com" },
		},
		"an address behind a proxy": {
			check: "address", world: greets("", refusedConnection()), config: func(c *Config) {
				c.IPv4, c.HELO, c.Proxy = true, "proxy", &url.URL{Scheme: "socks5", Host: "192.0.2.1:1080"}
			},
			want: []want{{Warning, "receivers see the proxy's address"}},
		},
		"IPv6 is not in use": {
			check: "address", world: without6,
			want: []want{{OK, "198.51.100.7"}, {OK, "IPv6 is not in use"}},
		},
		"no address of either": {check: "address", world: func(w *world) {
			w.local = func(netip.Addr) (netip.Addr,
				error,
			) {
				return netip.Addr{}, errBoom
			}
		}, want: []want{{Failure, "no IPv4"}, {Failure, "no IPv6"}}},
		"a confirmed PTR": {check: "ptr", config: v4, want: []want{{OK, "its name is mail.example.com"}}},
		"no PTR":          {check: "ptr", config: v4, records: ptr4, want: []want{{Failure, "no PTR record"}}},
		"a PTR that leads away": {
			check: "ptr", config: v4, records: ptr4 + "7.100.51.198.in-addr.arpa. PTR " +
				"other.example.com.\nother.example.com. A 198.51.100.8",
			want: []want{{Failure, "other.example.com, and that name does not have"}},
		},
		"a PTR of two": {
			check: "ptr", config: v4, records: "7.100.51.198.in-addr.arpa. PTR aaa.example.com.",
			want: []want{{OK, "its name is mail.example.com"}},
		},
		"a PTR made of numbers": {
			check: "ptr", config: v4, records: ptr4 + "7.100.51.198.in-addr.arpa. PTR " +
				"host-7-100-51-198.isp.test.\nhost-7-100-51-198.isp.test. A 198.51.100.7",
			want: []want{{Warning, "made of its number"}},
		},
		"a PTR without an answer": {
			check: "ptr", config: v4, world: failing("7.100.51.198.in-addr.arpa."),
			want: []want{{Warning, "could not be looked up: servfail"}},
		},
		"a PTR whose name has no answer": {
			check: "ptr", config: v4, world: failing("mail.example.com."), want: []want{{Warning, "could not be looked up"}},
		},

		"a good EHLO name": {check: "ehlo", config: v4, want: []want{{OK, "a name of this address"}}},
		"an EHLO name without a domain": {
			check: "ehlo", config: helo("laptop"),
			want: []want{{Failure, "not a full domain name"}},
		},
		"a private EHLO name": {check: "ehlo", config: helo("laptop.local"), want: []want{{Failure, "private network"}}},
		"an address as EHLO name": {
			check: "ehlo", config: helo("[198.51.100.7]"),
			want: []want{{Failure, "an address, not a name"}},
		},
		"an unfit EHLO name without DNS": {
			check: "ehlo", config: helo("laptop"), world: dead, want: []want{{Failure, "not a full domain name"}},
		},
		"an EHLO name without DNS": {check: "ehlo", world: dead, want: []want{{Warning, "not checked"}}},
		"an EHLO name that does not exist": {
			check: "ehlo", config: helo("gone.example.com"),
			want: []want{{Failure, "no address in DNS"}},
		},
		"an EHLO name without an answer": {
			check: "ehlo", config: v4, world: failing("mail.example.com."),
			want: []want{{Warning, "could not be looked up"}},
		},
		"an EHLO name of another machine": {
			check: "ehlo", config: helo("other.example.com"),
			records: "other.example.com. A 198.51.100.8",
			want: []want{
				{Warning, "does not have this address (it has 198.51.100.8)"},
				{Warning, "does not have this address"},
			},
		},
		"an EHLO name that the PTR lacks": {
			check:  "ehlo",
			config: func(c *Config) { helo("alias.example.com")(c); v4(c) }, records: "alias.example.com. A 198.51.100.7",
			want: []want{{Warning, "whose PTR record says mail.example.com"}},
		},
		"an EHLO name of an unknown address": {
			check: "ehlo", config: func(c *Config) { c.AllowPrivate = false },
			want: []want{{OK, "whether that is ours is not known"}},
		},
		"a good sender":   {check: "from", want: []want{{OK, "goes to mail.example.com"}}},
		"the null sender": {check: "from", config: from(""), want: []want{{Warning, "null sender"}}},
		"the null sender without DNS": {
			check: "from", config: from(""), world: dead,
			want: []want{{Warning, "null sender"}},
		},
		"a sender without DNS": {check: "from", world: dead, want: []want{{Warning, "not checked"}}},
		"a sender whose domain does not exist": {
			check: "from", config: from("a@gone.test"),
			want: []want{{Failure, "does not exist"}},
		},
		"a sender with a null MX": {
			check: "from", config: from("a@null.test"), records: "null.test. MX 0 .",
			want: []want{{Failure, "null MX"}},
		},
		"a sender without mail host": {
			check: "from", config: from("a@txt.test"), records: `txt.test. TXT "x"`,
			want: []want{{Failure, "no mail host"}},
		},
		"a sender without MX": {
			check: "from", config: from("a@mail.example.com"),
			want: []want{{Warning, "no MX record"}},
		},
		"a sender without an answer": {
			check: "from", world: failing("example.com."),
			want: []want{{Warning, "could not be looked up"}},
		},

		"a DMARC record": {check: "dmarc", want: []want{{OK, "policy reject"}}},
		"the DMARC record above": {
			check: "dmarc", config: from("a@news.example.com"),
			want: []want{{OK, "policy reject (at example.com)"}},
		},
		"no DMARC record": {
			check: "dmarc", records: "-_dmarc.example.com. TXT",
			want: []want{{Warning, "no DMARC record"}},
		},
		"two DMARC records": {
			check: "dmarc", records: `_dmarc.example.com. TXT "v=DMARC1; p=none"`,
			want: []want{{Warning, "2 DMARC records"}},
		},
		"a DMARC without policy": {check: "dmarc", records: "-_dmarc.example.com. TXT\n" +
			`_dmarc.example.com. TXT "v=DMARC1; rua=mailto:a@example.com"`, want: []want{{Warning, "no policy"}}},
		"DMARC without an answer": {
			check: "dmarc", world: failing("_dmarc.example.com."),
			want: []want{{Warning, "could not be looked up"}},
		},
		"DMARC of the null": {check: "dmarc", config: from(""), want: nil},

		"enough files": {
			check: "open-files",
			want:  []want{{OK, "65536 files may be open, and 200 sessions need up to 464"}},
		},
		"too few files": {
			check: "open-files", world: func(w *world) { w.files = 463 },
			want: []want{{Failure, "463 files may be open, and 200 sessions need up to 464"}},
		},
		"just enough files": {
			check: "open-files", world: func(w *world) { w.files = 464 },
			want: []want{{OK, "464 files"}},
		},
		"fewer sessions": {
			check: "open-files", world: func(w *world) { w.files = 463 },
			config: func(c *Config) { c.Sessions = 100 }, want: []want{{OK, "100 sessions need up to 264"}},
		},
		"an unknown limit": {
			check: "open-files", world: func(w *world) { w.filesErr = errBoom },
			want: []want{{Warning, "not known: boom"}},
		},
		"a system without limit": {
			check: "open-files", world: func(w *world) { w.filesErr = errors.ErrUnsupported },
			want: nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.records)
			if test.world != nil {
				test.world(w)
			}
			findings, worst := w.examine(t, test.check, test.config)
			compare(t, findings, test.want)
			for _, f := range findings {
				checked := !strings.HasPrefix(f.Found, "not checked")
				if checked && f.Level != OK && f.Fix == "" {
					t.Errorf("%s does not say how to fix it", f.Found)
				}
				if f.Level == Failure && f.Means == "" && !strings.Contains(f.Found, "could not be tested") {
					t.Errorf("%s does not say what it means", f.Found)
				}
				if checked && f.About == "" && f.Check != "open-files" {
					t.Errorf("%s does not say what it is about", f.Found)
				}
				if f.Level.Worse(worst) {
					t.Errorf("the worst level is %s", worst)
				}
			}
		})
	}
}

func boomExchange(context.Context, string, *dns.Msg) (*dns.Msg, error) { return nil, errBoom }

func helo(name string) func(*Config) { return func(c *Config) { c.HELO = name } }

func sourceIP(list ...string) func(*Config) {
	return func(c *Config) {
		for _, one := range list {
			c.Sources = append(c.Sources, netip.MustParseAddr(one))
		}
	}
}

func TestNothingIsWrongWithAHealthyMachine(t *testing.T) {
	w := newWorld(t, "")
	findings, worst := w.examine(t, "", nil)
	for _, f := range findings {
		if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
	if worst != OK {
		t.Errorf("the worst level is %s", worst)
	}
}

func TestFindingsComeInTheOrderOfTheChecks(t *testing.T) {
	w := newWorld(t, "")
	findings, _ := w.examine(t, "", nil)
	last := 0
	for _, f := range findings {
		at := slices.Index(Checks(), f.Check)
		if at < last {
			t.Errorf("%s comes after %s", f.Check, Checks()[last])
		}
		last = at
	}
}

func TestNobodyIsToldMoreThanQuit(t *testing.T) {
	w := newWorld(t, "")
	w.examine(t, "", sourceIP("198.51.100.7", "198.51.100.9"))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dialled) != 2*5 {
		t.Errorf("%d connections, want one for each source and provider: %v", len(w.dialled), w.dialled)
	}
	for _, source := range []string{"198.51.100.7>", "198.51.100.9>"} {
		if n := strings.Count(strings.Join(w.dialled, " "), source); n != 5 {
			t.Errorf("%d connections from %s", n, source)
		}
	}
	for _, line := range w.heard {
		if line != "QUIT\r\n" {
			t.Errorf("a mail host heard %q", line)
		}
	}
}

func TestAResolverThatLiesIsNotConcludedFrom(t *testing.T) {
	w := newWorld(t, "")
	w.faults = map[string]error{"192.0.2.53:53": fault(mx.Empty)}
	_, worst := w.examine(t, "", nil)
	if worst != Failure {
		t.Errorf("the worst level is %s", worst)
	}
	if len(w.asked) > 0 || len(w.dialled) > 0 {
		t.Errorf("asked about %v, connected to %v", w.asked, w.dialled)
	}
}

func TestAnErrorOfShowEndsTheRun(t *testing.T) {
	w := newWorld(t, "")
	w.exchange = func(ctx context.Context, _ string, _ *dns.Msg) (*dns.Msg, error) {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Error("a check goes on after the run has failed")
		}
		return nil, errBoom
	}
	config := Config{DNS: w, Hosts: w, HELO: "mail.example.com", Servers: []string{"192.0.2.53:53"}, Network: w.network()}
	n := 0
	_, err := Run(t.Context(), config, func(Finding) error { n++; return errBoom })
	if !errors.Is(err, errBoom) || n != 1 {
		t.Errorf("%v after %d findings", err, n)
	}
}

func TestTheEndOfTheContextEndsTheRun(t *testing.T) {
	w := newWorld(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	w.exchange = func(ctx context.Context, _ string, _ *dns.Msg) (*dns.Msg, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	config := Config{DNS: w, Hosts: w, HELO: "mail.example.com", Servers: []string{"192.0.2.53:53"}, Network: w.network()}
	if _, err := Run(ctx, config, func(Finding) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSomeProvidersMayRefuseOrFail(t *testing.T) {
	said := func(refusing, failing int) func(netip.Addr) (string, error) {
		return func(host netip.Addr) (string, error) {
			switch n := int(host.As4()[3]); {
			case n <= refusing:
				return "554 5.7.1 [S3150] your IP is blocked\r\n", nil
			case n <= refusing+failing:
				return "", timeoutError{}
			}
			return fmt.Sprintf("220 %s ESMTP\r\n", host), nil
		}
	}
	for name, test := range map[string]struct {
		refusing, failing int
		want              want
	}{
		"one refuses": {
			1, 0,
			want{Warning, "4 of 5 large providers greet this address; refused by Gmail: 554 [S3150] your IP is blocked"},
		},
		"one fails":           {0, 1, want{OK, "4 of 5 large providers greet; not Gmail: i/o timeout"}},
		"only one is reached": {0, 4, want{OK, "1 of 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.greeting = said(test.refusing, test.failing)
			findings, _ := w.examine(t, "port-25", v4)
			compare(t, findings, []want{test.want})
		})
	}
}

func TestAnAddressThatWasGivenHasToWork(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want want
	}{
		"it is closed":          {timeoutError{}, want{Failure, "closed from this machine"}},
		"the machine lacks it":  {errnoError(syscall.EADDRNOTAVAIL), want{Failure, "no way to the internet from here"}},
		"both are as they were": {nil, want{OK, "open"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			findings, _ := w.examine(t, "port-25", func(c *Config) {
				sourceIP("198.51.100.7", "198.51.100.9")(c)
				c.Network.Dial = func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
					if test.err != nil && source == netip.MustParseAddr("198.51.100.9") {
						return nil, test.err
					}
					return w.dial(ctx, source, address)
				}
			})
			compare(t, findings, []want{{OK, "open"}, test.want})
		})
	}
}
