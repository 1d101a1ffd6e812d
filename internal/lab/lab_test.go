package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"presend/internal/lab"
	"presend/verify/reply"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB, declaration string, options ...lab.Option) *lab.Lab {
	t.Helper()
	l, err := lab.Start(context.WithoutCancel(t.Context()), declaration, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// lookup asks the lab's name server.
func lookup(t testing.TB, l *lab.Lab, network, name string, qtype uint16) (*dns.Msg, error) {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 200 * time.Millisecond}
	m, _, err := c.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), l.DNS())
	return m, err
}

// addressOf resolves a host.
func addressOf(t testing.TB, l *lab.Lab, host string) string {
	t.Helper()
	m, err := lookup(t, l, "udp", host, dns.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			return net.JoinHostPort(a.A.String(), strconv.Itoa(l.SMTPPort()))
		}
	}
	t.Fatalf("%s has no address: %v", host, m)
	return ""
}

// dial opens a connection to a host.
func dial(t testing.TB, l *lab.Lab, host string) net.Conn {
	t.Helper()
	c, err := l.Dial(t.Context(), netip.Addr{}, addressOf(t, l, host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// talk is a client at the level of lines.
type talk struct {
	t    testing.TB
	conn net.Conn
	*textproto.Reader
}

func converse(t testing.TB, l *lab.Lab, host string) *talk {
	c := dial(t, l, host)
	return &talk{t: t, conn: c, Reader: textproto.NewReader(bufio.NewReader(c))}
}

func (c *talk) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads a reply that begins with want.
func (c *talk) expect(want string) string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.ReadLine()
		if err != nil {
			c.t.Fatalf("want %q: %v", want, err)
		}
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if got := strings.Join(lines, "\n"); !strings.HasPrefix(lines[len(lines)-1], want) {
		c.t.Fatalf("want %q, got %q", want, got)
	}
	return strings.Join(lines, "\n")
}

// expectEnd reads until the server has closed.
func (c *talk) expectEnd() {
	c.t.Helper()
	if line, err := c.ReadLine(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("want the end, got %q, %v", line, err)
	}
}

func (c *talk) exchange(line, want string) { c.t.Helper(); c.send(line); c.expect(want) }

func noViolations(t testing.TB, l *lab.Lab) {
	t.Helper()
	if v := l.Count().Violations; len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
}

// violated looks for a violation once every client has gone.
func violated(t testing.TB, l *lab.Lab, want string) {
	t.Helper()
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := l.Count().Violations; !slices.ContainsFunc(v, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("violations %q lack %q", v, want)
	}
}

const corp = `
	host    mx1.corp.lab starttls
	domain  corp.lab mx=10:mx1.corp.lab
	mailbox alice@corp.lab`

func TestNetSMTPFindsEveryTemper(t *testing.T) {
	l := start(t, corp+`
		full carol@corp.lab
		overquota oscar@corp.lab
		disabled dave@corp.lab
		restricted staff@corp.lab
		busy bee@corp.lab
		norelay roger@corp.lab`)
	c, err := smtp.NewClient(dial(t, l, "mx1.corp.lab"), "mx1.corp.lab")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("probe@here.lab"); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"alice@corp.lab":  "",
		"ALICE@Corp.Lab":  "",
		"nobody@corp.lab": "550 5.1.1",
		"carol@corp.lab":  "452 4.2.2",
		"oscar@corp.lab":  "552 5.2.2",
		"dave@corp.lab":   "550 5.2.1",
		"staff@corp.lab":  "550 5.7.124",
		"bee@corp.lab":    "450 4.2.1",
		"roger@corp.lab":  "554 5.7.1",
		"who@else.lab":    "554 5.7.1",
	} {
		err := c.Rcpt(address)
		var refused *textproto.Error
		got := ""
		if errors.As(err, &refused) {
			got = fmt.Sprint(refused.Code, " ", strings.Split(refused.Msg, " ")[0])
		}
		if got != want {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	noViolations(t, l)
	if n := l.Probes("alice@corp.lab"); n != 2 {
		t.Errorf("alice was asked about %d times, want 2", n)
	}
	if got := l.Count(); got.Connections != 1 || got.Sessions != 1 || got.Rcpts != 10 ||
		got.PeakSessions["mx1.corp.lab"] != 1 {
		t.Errorf("counts %+v", got)
	}
}

func TestGoSMTPSpeaksTLSAndSMTPUTF8(t *testing.T) {
	l := start(t, `
		host    mx1.corp.lab starttls latency=5ms
		domain  corp.lab mx=10:mx1.corp.lab
		mailbox jörg@corp.lab`)
	c, err := gosmtp.NewClientStartTLS(dial(t, l, "mx1.corp.lab"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("probe@here.lab", &gosmtp.MailOptions{UTF8: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("jörg@corp.lab", nil); err != nil {
		t.Error(err)
	}
	var refused *gosmtp.SMTPError
	if err := c.Rcpt("nobody@corp.lab", nil); !errors.As(err, &refused) ||
		refused.EnhancedCode != (gosmtp.EnhancedCode{5, 1, 1}) {
		t.Errorf("nobody: %v", err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	noViolations(t, l)
}

func TestRepliesMeanWhatTheTruthSays(t *testing.T) {
	classifier, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, `
		host mx.good.lab nosmtputf8
		host mx.grey.lab greylist=300s
		host mx.blocks.lab blocks
		domain good.lab mx=mx.good.lab
		domain grey.lab mx=mx.grey.lab
		domain blocks.lab mx=mx.blocks.lab
		domain left.lab mx=mx.good.lab norelay
		mailbox alice@good.lab alice@grey.lab alice@blocks.lab alice@left.lab
		full a@good.lab
		overquota b@good.lab
		disabled c@good.lab
		restricted d@good.lab
		busy e@good.lab
		norelay f@good.lab
		unknown g@good.lab g@grey.lab`)
	for _, truth := range l.Truth() {
		_, domain, _ := strings.Cut(truth.Address, "@")
		host := "mx." + strings.Replace(domain, "left", "good", 1)
		c := converse(t, l, host)
		c.expect("220")
		c.exchange("EHLO probe.lab", "250")
		c.exchange("MAIL FROM:<>", "250")
		c.send("RCPT TO:<" + truth.Address + ">")
		r, err := reply.Parse(c.expect("") + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if m := classifier.Classify(r, reply.RCPT, ""); string(m.Reason) != truth.Reason {
			t.Errorf("%s: %q means %s, truth is %s", truth.Address, r, m.Reason, truth.Reason)
		}
		c.exchange("QUIT", "221")
	}
	noViolations(t, l)
}

func TestBannersAndFaults(t *testing.T) {
	for fault, want := range map[string]string{
		"banner421": "421 4.3.2", "banner554": "554 5.7.1", "garbage": "HTTP", "tarpit": "220-", "helo-only": "220 ",
	} {
		t.Run(fault, func(t *testing.T) {
			l := start(t, "host mx.x.lab "+fault)
			c := converse(t, l, "mx.x.lab")
			line, err := c.ReadLine()
			if err != nil || !strings.HasPrefix(line, want) {
				t.Fatalf("%q, %v", line, err)
			}
			if fault == "helo-only" {
				c.exchange("EHLO x", "502")
				c.exchange("HELO x", "250")
				c.exchange("QUIT", "221")
			}
			c.conn.Close()
			noViolations(t, l)
		})
	}
}

func TestDeadHostRefusesConnections(t *testing.T) {
	for name, options := range map[string][]lab.Option{"addresses": nil, "ports": {lab.OnPorts()}} {
		t.Run(name, func(t *testing.T) {
			l := start(t, "host mx.dead.lab dead\nhost mx.live.lab", options...)
			if c, err := l.Dial(t.Context(), netip.Addr{}, addressOf(t, l, "mx.dead.lab")); err == nil {
				c.Close()
				t.Error("a dead host answered")
			}
			c := converse(t, l, "mx.live.lab")
			c.expect("220 mx.live.lab")
			c.exchange("QUIT", "221")
		})
	}
}

func TestBlocksAfterSoManyRecipients(t *testing.T) {
	l := start(t, "host mx.b.lab blocks-after=2\ndomain b.lab mx=mx.b.lab\nmailbox a@b.lab")
	c := converse(t, l, "mx.b.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	c.exchange("MAIL FROM:<>", "250")
	c.exchange("RCPT TO:<a@b.lab>", "250")
	c.exchange("RCPT TO:<a@b.lab>", "250")
	c.exchange("RCPT TO:<a@b.lab>", "554 5.7.1 Service unavailable")
	c.exchange("QUIT", "221")
}

func TestDropsAfterSoManyRecipients(t *testing.T) {
	l := start(t, "host mx.d.lab drops-after=1\ndomain d.lab mx=mx.d.lab\nmailbox a@d.lab")
	c := converse(t, l, "mx.d.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	c.send("MAIL FROM:<>", "RCPT TO:<a@d.lab>", "RCPT TO:<a@d.lab>", "RSET")
	c.expect("250 2.1.0")
	c.expect("250 2.1.5")
	c.expectEnd()
	noViolations(t, l)
}

func TestGreylistingGoesByTheLabsClock(t *testing.T) {
	l := start(t, `
		host mx.g.lab greylist=300s
		domain g.lab mx=mx.g.lab
		mailbox a@g.lab`)
	c := converse(t, l, "mx.g.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	c.exchange("MAIL FROM:<>", "250")
	c.exchange(
		"RCPT TO:<a@g.lab>",
		"451 4.7.1 <a@g.lab>: Recipient address rejected: Greylisted, please try again in 300 seconds",
	)
	c.exchange("RCPT TO:<nobody@g.lab>", "550 5.1.1")
	l.Advance(299 * time.Second)
	c.exchange("RCPT TO:<a@g.lab>", "451 4.7.1")
	l.Advance(time.Second)
	c.exchange("RCPT TO:<a@g.lab>", "250")
	c.exchange("QUIT", "221")
}

func TestCapsAreHeld(t *testing.T) {
	l := start(t, `
		host mx.c.lab sessions=1 rcpts=2 errors=3
		domain c.lab mx=mx.c.lab catchall`)
	c := converse(t, l, "mx.c.lab")
	c.expect("220")
	second := converse(t, l, "mx.c.lab")
	second.expect("421 4.7.0")
	second.expectEnd()
	c.exchange("EHLO x", "250")
	c.exchange("MAIL FROM:<>", "250")
	c.exchange("RCPT TO:<a@c.lab>", "250")
	c.exchange("RCPT TO:<b@c.lab>", "250")
	c.exchange("RCPT TO:<c@c.lab>", "452 4.5.3")
	c.exchange("RCPT TO:<d@c.lab>", "452 4.5.3")
	c.exchange("RCPT TO:<e@c.lab>", "452 4.5.3")
	c.expect("421 4.7.0")
	c.expectEnd()
	got := l.Count()
	if got.TooManyRcpts != 3 || got.ErrorLimits != 1 || got.PeakSessions["mx.c.lab"] != 2 {
		t.Errorf("counts %+v", got)
	}
	c.conn.Close()
	second.conn.Close()
	violated(t, l, "session cap of 1 exceeded")
}

func TestASessionGivesItsPlaceBackBeforeItsLastReply(t *testing.T) {
	l := start(t, "host mx.c.lab sessions=1")
	for range 50 {
		c := converse(t, l, "mx.c.lab")
		c.expect("220")
		c.exchange("QUIT", "221")
	}
	noViolations(t, l)
}

func TestRudenessIsNoticed(t *testing.T) {
	for name, test := range map[string]struct {
		host string
		talk func(c *talk)
		want string
	}{
		"pipelining that was not announced": {"nopipelining", func(c *talk) {
			c.exchange("EHLO x", "250")
			c.send("MAIL FROM:<>", "RCPT TO:<a@x.lab>", "QUIT")
			c.expect("250")
			c.expect("554")
			c.expect("221")
		}, "pipelined"},
		"closing without QUIT": {"", func(c *talk) { c.exchange("EHLO x", "250") }, "closed without QUIT"},
		"DATA":                 {"", func(c *talk) { c.exchange("DATA", "554"); c.exchange("QUIT", "221") }, "DATA"},
		"a command after 421": {"errors=1", func(c *talk) {
			c.exchange("NONSENSE", "502")
			c.expect("421")
			c.expectEnd()
			c.send("RSET")
		}, "RSET after 421"},
		"talking before the banner": {"latency=50ms", func(c *talk) {}, "pipelined after EHLO"},
		"a pipeline in two writes that was not announced": {"nopipelining latency=5ms", func(c *talk) {
			c.exchange("EHLO x", "250")
			c.send("MAIL FROM:<>")
			c.send("QUIT")
			c.expect("250")
			c.expect("221")
		}, "pipelined"},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, "host mx.x.lab "+test.host)
			c := converse(t, l, "mx.x.lab")
			if strings.HasSuffix(name, "before the banner") {
				c.send("EHLO x")
			}
			c.expect("220")
			test.talk(c)
			c.conn.Close()
			violated(t, l, test.want)
		})
	}
}

func TestWhatWasSentBeforeA421IsNotHeldAgainstItsSender(t *testing.T) {
	l := start(t, "host mx.far.lab latency=50ms errors=1")
	c := converse(t, l, "mx.far.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	c.send("MAIL FROM:<>", "NONSENSE")
	c.send("RSET")
	c.expect("250")
	c.expect("502")
	c.expect("421")
	c.expectEnd()
	c.conn.Close()
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	noViolations(t, l)
}

func TestAFlightCostsOneRoundTrip(t *testing.T) {
	const rtt = 40 * time.Millisecond
	l := start(t, "host mx.far.lab latency="+rtt.String()+"\ndomain far.lab mx=mx.far.lab catchall")
	began := time.Now()
	c := converse(t, l, "mx.far.lab")
	c.expect("220")
	c.exchange("EHLO x", "250")
	flight := []string{"MAIL FROM:<>"}
	for i := range 40 {
		flight = append(flight, fmt.Sprintf("RCPT TO:<a%d@far.lab>", i))
	}
	c.send(append(flight, "RSET")...)
	for range len(flight) + 1 {
		c.expect("250")
	}
	c.exchange("QUIT", "221")
	// Handshake and banner 2, EHLO, flight and QUIT 3. The lower bound is certain, an upper one would depend on the
	// machine.
	if took := time.Since(began); took < 5*rtt {
		t.Errorf("took %v, less than five round trips", took)
	}
	noViolations(t, l)
}

func TestDNSKeepsItsAnswersApart(t *testing.T) {
	l := start(t, `
		host mx1.corp.lab
		alias mail.corp.lab mx1.corp.lab
		domain corp.lab mx=20:mail.corp.lab,10:mx1.corp.lab
		domain null.lab nullmx
		domain tiny.lab implicit=mx1.corp.lab
		domain parked.lab nomail
		domain gone.lab nxdomain
		domain broken.lab servfail
		domain mute.lab timeout
		domain big.lab mx=mx1.corp.lab tcp
		domain bücher.lab mx=mx1.corp.lab
		domain literal.lab mx=192.0.2.1
		alias www.corp.lab corp.lab`)
	for _, test := range []struct {
		name, network string
		qtype         uint16
		rcode         int
		answers       string
	}{
		{"corp.lab", "udp", dns.TypeMX, dns.RcodeSuccess, "10 mx1.corp.lab. 20 mail.corp.lab."},
		{"CORP.lab", "tcp", dns.TypeMX, dns.RcodeSuccess, "10 mx1.corp.lab. 20 mail.corp.lab."},
		{"www.corp.lab", "udp", dns.TypeMX, dns.RcodeSuccess, "corp.lab. 10 mx1.corp.lab. 20 mail.corp.lab."},
		{"mail.corp.lab", "udp", dns.TypeA, dns.RcodeSuccess, "mx1.corp.lab. 127.77.0.1"},
		{"mx1.corp.lab", "udp", dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"null.lab", "udp", dns.TypeMX, dns.RcodeSuccess, "0 ."},
		{"tiny.lab", "udp", dns.TypeMX, dns.RcodeSuccess, ""},
		{"tiny.lab", "udp", dns.TypeA, dns.RcodeSuccess, "127.77.0.1"},
		{"parked.lab", "udp", dns.TypeA, dns.RcodeSuccess, ""},
		{"gone.lab", "udp", dns.TypeMX, dns.RcodeNameError, ""},
		{"never-declared.lab", "udp", dns.TypeMX, dns.RcodeNameError, ""},
		{"lab", "udp", dns.TypeMX, dns.RcodeSuccess, ""},
		{"broken.lab", "udp", dns.TypeMX, dns.RcodeServerFailure, ""},
		{"big.lab", "tcp", dns.TypeMX, dns.RcodeSuccess, "10 mx1.corp.lab."},
		{"xn--bcher-kva.lab", "udp", dns.TypeMX, dns.RcodeSuccess, "10 mx1.corp.lab."},
		{"literal.lab", "udp", dns.TypeMX, dns.RcodeSuccess, "10 192.0.2.1."},
	} {
		m, err := lookup(t, l, test.network, test.name, test.qtype)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var answers []string
		for _, rr := range m.Answer {
			answers = append(answers, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		if got := strings.Join(answers, " "); m.Rcode != test.rcode || got != test.answers {
			t.Errorf("%s %s: %s %q, want %s %q", test.name, dns.TypeToString[test.qtype],
				dns.RcodeToString[m.Rcode], got, dns.RcodeToString[test.rcode], test.answers)
		}
		if negative := len(m.Answer) == 0 && m.Rcode != dns.RcodeServerFailure; negative != (len(m.Ns) == 1) {
			t.Errorf("%s: SOA where it does not belong, or none: %v", test.name, m.Ns)
		}
	}
	if m, err := lookup(t, l, "udp", "big.lab", dns.TypeMX); err != nil || !m.Truncated || len(m.Answer) > 0 {
		t.Errorf("big.lab over UDP: %v %v", m, err)
	}
	if m, err := lookup(t, l, "udp", "mute.lab", dns.TypeMX); err == nil {
		t.Errorf("mute.lab answered %v", m)
	}
}

func TestMistakesInADeclarationAreNamed(t *testing.T) {
	for declaration, want := range map[string]string{
		"hots mx.lab":              "line 1",
		"\nhost mx.lab fast":       `line 2: lab: host mx.lab: no fault is called "fast"`,
		"host mx.lab latency=soon": "latency=soon",
		"host mx.lab 10.0.0.1":     "not a free address",
		"host mx.lab 2001:db8::1 2001:db8::1\nhost b.lab 2001:db8::1": "not a free IPv6 address",
		"host mx.lab blocks-from=here":                                "blocks-from=here",
		"name a.lab mx.lab":                                           "host mx.lab is not declared before it",
		"host mx.lab\nname mx.lab mx.lab":                             "a host already",
		"host mx.lab\nname a.lab mx.lab\nhost a.lab":                  "a name already",
		"host mx.lab\nhost mx.lab":                                    "a host already",
		"host mx.lab drops-after":                                     "need a number",
		"domain a.lab mx=mx.lab":                                      "host mx.lab is not declared before it",
		"domain a.lab":                                                "wants either mx=",
		"domain a.lab nullmx nomial":                                  "no such option",
		"mailbox a@a.lab":                                             "the domain is not declared",
		"domain a.lab nomail\nfull a b@a":                             "not an address",
		"domain a.lab nomail\nfull a,a@a.lab":                         "declared twice",
	} {
		if _, err := lab.Parse(declaration); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", declaration, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(lab.Demo)
	f.Add("host a b=c\ndomain d mx=1:a,2:b\nalias x d\nname n a\nmailbox a,b@d @d\ndns latency=1ms")
	f.Fuzz(func(t *testing.T, declaration string) {
		w, err := lab.Parse(declaration)
		if err != nil {
			return
		}
		for _, truth := range w.Truth() {
			if truth.Reason == "" || truth.Later == "" {
				t.Errorf("no truth about %q", truth.Address)
			}
		}
	})
}

func TestTheDemoHasEverything(t *testing.T) {
	w, err := lab.Parse(lab.Demo)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int{}
	for _, truth := range w.Truth() {
		reasons[truth.Reason]++
	}
	for _, reason := range []string{
		"accepted", "catch_all", "accepts_all_provider", "mailbox_full", "recipient_restricted", "smtputf8_unsupported",
		"no_such_domain", "null_mx", "no_mail_host", "mailbox_unknown", "mailbox_disabled", "domain_not_served", "greylisted",
		"rate_limited", "server_unavailable", "unreachable", "dns_failure", "sender_blocked", "sender_auth", "protocol_error",
	} {
		if reasons[reason] == 0 {
			t.Errorf("no address is %s", reason)
		}
	}
	if n := len(w.Truth()); n < 150 {
		t.Errorf("%d addresses, want 150", n)
	}
	t.Log(reasons)
	rows, err := csv.NewReader(bytes.NewReader(lab.DemoList())).ReadAll()
	if err != nil || len(rows) < len(w.Truth())+15 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestCloseCutsOpenSessions(t *testing.T) {
	l := start(t, "host mx.a.lab latency=1h\nhost mx.b.lab silent\nhost mx.c.lab tarpit\nhost mx.d.lab")
	for _, host := range []string{"mx.a.lab", "mx.b.lab", "mx.c.lab", "mx.d.lab"} {
		dial(t, l, host)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	noViolations(t, l)
}

func Example() {
	l, err := lab.Start(context.Background(), `
		host    mx1.corp.lab
		domain  corp.lab mx=10:mx1.corp.lab
		mailbox alice@corp.lab
		full    carol@corp.lab`)
	if err != nil {
		panic(err)
	}
	defer l.Close()
	for _, truth := range l.Truth() {
		fmt.Println(truth.Address, truth.Reason)
	}
	// Output:
	// alice@corp.lab accepted
	// carol@corp.lab mailbox_full
}
