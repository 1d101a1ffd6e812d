package job_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
	"presend/job"
	"presend/state"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// office is a place from which lists are verified: a lab behind a network and a resolver that may fail.
type office struct {
	*testing.T
	lab       *lab.Lab
	directory string
	closed    atomic.Bool // no connection to port 25 gets an answer
	lies      atomic.Bool // the resolver says that nothing exists
	after     atomic.Bool // the resolver begins to lie with the first look-up
	fw        atomic.Bool // fw.isp.lab, at 127.0.99.99, answers for all hosts
}

func newOffice(t *testing.T, declaration string) *office {
	t.Helper()
	l, err := lab.Start(context.WithoutCancel(t.Context()), declaration, lab.InMemory())
	if err != nil {
		t.Fatal(err)
	}
	o := &office{T: t, lab: l, directory: t.TempDir()}
	t.Cleanup(func() { l.Close() })
	return o
}

// Lookup implements verify.Resolver.
func (o *office) Lookup(ctx context.Context, domain string) (mx.Answer, error) {
	if o.after.Load() {
		o.lies.Store(true)
	}
	if o.lies.Load() {
		return mx.Answer{Domain: domain}, fmt.Errorf("%s: %w", domain, mx.ErrNoSuchDomain)
	}
	return o.lab.Resolver().Lookup(ctx, domain)
}

func (o *office) preflight(context.Context) error {
	if o.lies.Load() {
		return errors.New("the resolver 192.0.2.53 says that well-known domains do not exist")
	}
	return nil
}

func (o *office) dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	if o.fw.Load() {
		address = "127.0.99.99:25"
	}
	if o.closed.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return o.lab.Dial(ctx, source, address)
}

// verifier returns a new engine, as a new process has it.
func (o *office) verifier() *verify.Verifier {
	o.Helper()
	p, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Dial: o.dial})
	if err != nil {
		o.Fatal(err)
	}
	v, err := verify.New(verify.Config{
		Resolver: o, Prober: verify.SMTP(p), Preflight: o.preflight,
		Outside: func(context.Context, netip.Addr, bool) (verify.Greeting, error) {
			if o.closed.Load() {
				return verify.Greeting{}, errors.New("nothing answers")
			}
			return verify.Greeting{
				Host: "mx.large.lab",
				Name: map[bool]string{false: "mx.large.lab", true: "fw.isp.lab"}[o.fw.Load()],
			}, nil
		},
	})
	if err != nil {
		o.Fatal(err)
	}
	return v
}

func (o *office) path(name string) string { return filepath.Join(o.directory, name) }

// run does a job over a list of addresses, with split outputs.
func (o *office) run(change func(*job.Options), addresses ...string) (job.Summary, error) {
	o.Helper()
	list := o.path("list.csv")
	if err := os.WriteFile(list, []byte("email\n"+strings.Join(addresses, "\n")+"\n"), 0o600); err != nil {
		o.Fatal(err)
	}
	options := job.Options{
		Input: list, Output: o.path("out.csv"), Format: job.CSV, Split: o.path("parts"), State: o.path("state.db"),
		Probing: true, Preflight: o.preflight, Keep: 400 * 24 * time.Hour,
	}
	if change != nil {
		change(&options)
	}
	v := o.verifier()
	s, err := job.Run(o.Context(), v, options, quiet{}, nil)
	if waited := v.Wait(o.Context()); waited != nil {
		o.Error(waited)
	}
	return s, err
}

// table returns the rows of the output, the first of which is the header.
func (o *office) table() [][]string {
	o.Helper()
	f, err := os.Open(o.path("out.csv"))
	if err != nil {
		o.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		o.Fatal(err)
	}
	return all
}

// rows returns the reason, the action and the detail of each address in the output.
func (o *office) rows() map[string][3]string {
	o.Helper()
	all := o.table()
	at := map[string]int{}
	for i, name := range all[0] {
		at[name] = i
	}
	rows := map[string][3]string{}
	for _, r := range all[1:] {
		rows[r[at["email"]]] = [3]string{r[at["verify_reason"]], r[at["verify_action"]], r[at["verify_detail"]]}
	}
	return rows
}

func (o *office) suppressed() string {
	o.Helper()
	text, err := os.ReadFile(o.path("parts/suppress.csv"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.Fatal(err)
	}
	return string(text)
}

// wantTrouble reports an error that is not a *job.TroubleError of a kind, said first in the summary.
func wantTrouble(t *testing.T, s job.Summary, err error, kind verify.TroubleKind, words string) {
	t.Helper()
	var trouble *job.TroubleError
	if !errors.As(err, &trouble) || trouble.Troubles[0].Kind != kind {
		t.Fatalf("the error is %v, want trouble of kind %s", err, kind)
	}
	var b strings.Builder
	if err := s.Text(&b, time.Now()); err != nil {
		t.Fatal(err)
	}
	if begins := strings.ToUpper(words[:1]) + words[1:]; !strings.HasPrefix(b.String(), begins) {
		t.Errorf("the summary begins with %.200q, want %q", b.String(), words)
	}
}

const fourDomains = `
	host mx.one.lab
	host mx.two.lab
	host mx.three.lab
	host mx.four.lab
	domain one.lab mx=mx.one.lab
	domain two.lab mx=mx.two.lab
	domain three.lab mx=mx.three.lab
	domain four.lab mx=mx.four.lab
	mailbox ann@one.lab ann@two.lab ann@three.lab ann@four.lab`

var fourPeople = []string{"ann@one.lab", "ann@two.lab", "ann@three.lab", "ann@four.lab"}

func TestAJobWherePort25IsClosedSaysSoAndConcludesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, fourDomains)
		if _, err := o.run(nil, append(fourPeople, "bob@one.lab")...); err != nil {
			t.Fatal(err)
		}
		before := o.suppressed()
		if !strings.Contains(before, "bob@one.lab") {
			t.Fatalf("suppress.csv holds %q", before)
		}
		o.closed.Store(true)
		list := append(fourPeople, "bob@one.lab", "new@one.lab", "new@two.lab", "new@three.lab", "new@four.lab")
		for night := range 8 { // however often it is run
			s, err := o.run(nil, list...)
			wantTrouble(t, s, err, verify.PortClosed, "port 25 is closed from this machine")
			if r := o.rows()["new@two.lab"]; r[0] != "not_probed" || r[1] != "fix_sender" {
				t.Fatalf("night %d: %q", night, r)
			}
			if r := o.rows()["ann@one.lab"]; r[0] != "accepted" {
				t.Fatalf("what was known is gone: %q", r)
			}
			if o.suppressed() != before {
				t.Fatal("suppress.csv was written anew")
			}
			time.Sleep(24 * time.Hour)
		}
		o.closed.Store(false)
		if _, err := o.run(nil, list...); err != nil {
			t.Fatal(err)
		}
		for _, address := range list {
			want := "accepted"
			if !strings.HasPrefix(address, "ann") {
				want = "mailbox_unknown"
			}
			if r := o.rows()[address]; r[0] != want {
				t.Errorf("%s: %q once the port is open, want %s", address, r, want)
			}
		}
	})
}

func TestAJobWhosePort25IsInterceptedSaysSoAndConcludesNothing(t *testing.T) {
	const declaration = `
		host fw.isp.lab 127.0.99.99
		host mx.one.lab 127.0.1.1
		host mx.two.lab 127.0.2.1
		host mx.three.lab 127.0.3.1
		host mx.four.lab 127.0.4.1
		domain one.lab mx=mx.one.lab
		domain two.lab mx=mx.two.lab
		domain three.lab mx=mx.three.lab
		domain four.lab mx=mx.four.lab
		mailbox ann@one.lab ann@two.lab ann@three.lab ann@four.lab`
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, declaration)
		o.fw.Store(true)
		s, err := o.run(nil, fourPeople...)
		wantTrouble(t, s, err, verify.PortIntercepted, "another server answers on port 25 in place of the mail hosts")
		for address, r := range o.rows() {
			if r[0] != "not_probed" || r[1] != "fix_sender" || !strings.Contains(r[2], "fw.isp.lab") {
				t.Errorf("%s: %q", address, r)
			}
		}
		if o.suppressed() != "" {
			t.Errorf("suppress.csv holds %q", o.suppressed())
		}
		o.fw.Store(false)
		time.Sleep(time.Hour)
		if _, err := o.run(nil, fourPeople...); err != nil {
			t.Fatal(err)
		}
		for address, r := range o.rows() {
			if r[0] != "accepted" {
				t.Errorf("%s: %q", address, r)
			}
		}
	})
}

func TestAResolverThatLiesConcludesNothing(t *testing.T) {
	for name, world := range map[string]struct {
		begins string // when it begins to lie
		change func(*job.Options)
	}{
		"from the start":                 {"start", nil},
		"from the start, asked by DNS":   {"start", func(o *job.Options) { o.State, o.Probing = "", false }},
		"during the run":                 {"run", nil},
		"during the run, asked by DNS":   {"run", func(o *job.Options) { o.State, o.Probing = "", false }},
		"on well-known domains, no more": {"known", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, fourDomains)
				list := fourPeople
				change := world.change
				switch world.begins {
				case "start":
					o.lies.Store(true)
				case "run":
					o.after.Store(true)
				case "known": // the lab has none of these
					list = nil
					for _, domain := range []string{
						"gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "aol.com", "icloud.com", "gmx.de", "web.de",
						"live.com", "msn.com", "comcast.net", "yahoo.de",
					} {
						list = append(list, "ann@"+domain)
					}
				}
				s, err := o.run(change, list...)
				wantTrouble(t, s, err, verify.DNSDown, "DNS cannot be believed on this machine")
				for address, r := range o.rows() {
					if r[0] != "dns_failure" || !strings.HasPrefix(r[2], "not asked: DNS cannot be believed") {
						t.Errorf("%s: %q", address, r)
					}
				}
				if text := o.suppressed(); text != "" {
					t.Errorf("suppress.csv holds %q", text)
				}
				if world.begins == "known" {
					return
				}
				o.lies.Store(false)
				o.after.Store(false)
				time.Sleep(time.Hour)
				if _, err := o.run(change, list...); err != nil {
					t.Fatal(err)
				}
				for address, r := range o.rows() {
					if r[0] != "accepted" && r[0] != "not_probed" {
						t.Errorf("%s: %q once the resolver is well", address, r)
					}
				}
			})
		})
	}
}

func TestARepairIsSaidOnceWhereDNSCannotBeBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, fourDomains)
		o.after.Store(true)
		_, err := o.run(func(o *job.Options) { o.State, o.Probing = "", false }, "mailto:ann@one.lab")
		var trouble *job.TroubleError
		if !errors.As(err, &trouble) {
			t.Fatal(err)
		}
		for address, r := range o.rows() {
			if strings.Count(r[2], "(repaired: ") != 1 {
				t.Errorf("%s: %q, want the repair once", address, r[2])
			}
		}
	})
}

func TestCheckSaysWhatIsWrongOnOurSide(t *testing.T) {
	for name, world := range map[string]struct {
		closed, lies, after, withState bool
		kind                           verify.TroubleKind
		reason                         string
	}{
		"port 25 is closed":                  {closed: true, kind: verify.PortClosed, reason: "not_probed"},
		"port 25 is closed, with a state":    {closed: true, withState: true, kind: verify.PortClosed, reason: "not_probed"},
		"DNS lies":                           {lies: true, kind: verify.DNSDown, reason: "dns_failure"},
		"DNS begins to lie":                  {after: true, kind: verify.DNSDown, reason: "dns_failure"},
		"DNS begins to lie, with a state":    {after: true, withState: true, kind: verify.DNSDown, reason: "dns_failure"},
		"nothing is wrong":                   {reason: "accepted"},
		"nothing is wrong, and with a state": {withState: true, reason: "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, fourDomains)
				o.closed.Store(world.closed)
				o.lies.Store(world.lies)
				o.after.Store(world.after)
				options := job.CheckOptions{Preflight: o.preflight}
				if world.withState {
					options.State = o.path("state.db")
				}
				var shown []verify.Result
				v := o.verifier()
				err := job.Check(t.Context(), v, fourPeople, options, func(r verify.Result) error {
					shown = append(shown, r)
					return nil
				}, nil)
				if waited := v.Wait(t.Context()); waited != nil {
					t.Error(waited)
				}
				var trouble *job.TroubleError
				if errors.As(err, &trouble) != (world.kind != "") || trouble != nil && trouble.Troubles[0].Kind != world.kind ||
					trouble == nil && err != nil {
					t.Errorf("the error is %v, want trouble of kind %q", err, world.kind)
				}
				if len(shown) != len(fourPeople) {
					t.Fatalf("%d results", len(shown))
				}
				for _, r := range shown {
					if string(r.Reason) != world.reason {
						t.Errorf("%s: %s (%s), want %s", r.Normalized, r.Reason, r.Detail, world.reason)
					}
				}
			})
		})
	}
}

func TestRetriesSayWhatIsWrongOnOurSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, fourDomains)
		o.after.Store(true)
		file, err := state.Open(t.Context(), o.path("state.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		run, err := file.BeginRetries(t.Context(), state.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		o.lies.Store(true)
		_, err = job.Retry(t.Context(), o.verifier(), file, run, job.RetryOptions{Preflight: o.preflight}, quiet{}, nil)
		var trouble *job.TroubleError
		if !errors.As(err, &trouble) || trouble.Troubles[0].Kind != verify.DNSDown {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestLargeHostsAnswerWherePort25IsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := lab.Start(t.Context(), `
			host mx.google.lab 127.0.1.1
			host mx.six.lab 2001:db8:1::1 blackhole
			host mx.mute.lab 127.0.1.2 silent
			host mx.banner.lab 127.0.1.3
			domain gmail.com mx=mx.google.lab
			domain gmx.net mx=mx.banner.lab
			domain outlook.com mx=mx.six.lab
			domain yahoo.com mx=mx.mute.lab`, lab.InMemory())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		test := job.LargeHosts(l.Resolver(), l.Dial)
		begun := time.Now()
		g, err := test(t.Context(), netip.Addr{}, false)
		if err != nil || g.Name != g.Host || g.Host != "mx.google.lab" && g.Host != "mx.banner.lab" {
			t.Errorf("over IPv4: %v, %v", g, err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the answer of one took %v", took)
		}
		if _, err := test(t.Context(), netip.Addr{}, true); err == nil {
			t.Error("over IPv6, where nothing answers, the test passes")
		}
		closed := func(context.Context, netip.Addr, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		if _, err := job.LargeHosts(l.Resolver(), closed)(t.Context(), netip.Addr{}, false); err == nil {
			t.Error("where every connection is refused, the test passes")
		}
		resets := func(context.Context, netip.Addr, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = theirs.Write([]byte("220 mx.google.lab ESMTP\r\n")) // the client may be gone
				_, _ = theirs.Read(make([]byte, 1))
				theirs.Close()
			}()
			return ours, nil
		}
		if _, err := job.LargeHosts(l.Resolver(), resets)(t.Context(), netip.Addr{}, false); err == nil {
			t.Error("where every connection is reset after the greeting, the test passes")
		}
	})
}
