package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/internal/lab"
)

// simulation runs whole commands on a lab without sockets, in a synctest bubble whose clock starts at midnight. A
// command that runs here takes its interrupts from a channel and a context, since signals reach no bubble.
type simulation struct {
	*testing.T
	directory string
	lab       *lab.Lab
	dial      func(context.Context, netip.Addr, string) (net.Conn, error) // nil: the lab's
	midnight  time.Time
	stop      chan struct{} // the first interrupt
	ctx       context.Context
	calendar  *lab.Nights // of a world whose truth changes by night
}

// simulate runs a test in a bubble. The lab is what declaration says.
func simulate(t *testing.T, declaration string, test func(s *simulation)) {
	t.Helper()
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{T: t, directory: directory, midnight: time.Now(), stop: make(chan struct{}), ctx: t.Context()}
		s.world(declaration)
		defer s.lab.Close()
		test(s)
	})
}

// world puts another lab in place of the one before.
func (s *simulation) world(declaration string) {
	s.Helper()
	if s.lab != nil {
		if err := s.lab.Close(); err != nil {
			s.Error(err)
		}
	}
	l, err := lab.Start(s.Context(), declaration, lab.InMemory())
	if err != nil {
		s.Fatal(err)
	}
	s.lab = l
}

// path returns the path of a file of the test.
func (s *simulation) path(name string) string { return filepath.Join(s.directory, name) }

// list writes a list of addresses and returns its path.
func (s *simulation) list(addresses ...string) string {
	s.Helper()
	path := s.path("list.csv")
	if err := os.WriteFile(path, []byte("email\n"+strings.Join(addresses, "\n")+"\n"), 0o644); err != nil {
		s.Fatal(err)
	}
	return path
}

// output is what commands write, which they and their sessions do at the same time.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// verify runs a command and returns its exit code and what it printed.
func (s *simulation) verify(args ...string) (code int, stdout, stderr string) {
	var out, said output
	code = s.begin(&out, &said, args...)
	return code, out.String(), said.String()
}

func (s *simulation) begin(stdout, stderr io.Writer, args ...string) int {
	a := &app{
		stdin: strings.NewReader(""), stdout: stdout, stderr: stderr, stop: s.stop, dial: s.dial,
		resolver: s.lab.Resolver(),
	}
	if a.dial == nil {
		a.dial = s.lab.Dial
	}
	if slices.Contains([]string{"list", "check", "retry"}, args[0]) { // the others ask nobody
		args = append(args, "--helo", "probe.lab", "--from", "check@probe.lab")
	}
	return a.run(s.ctx, args)
}

// night waits for a midnight, runs verify list on a list with the state of the nights before, and returns its rows by
// address.
func (s *simulation) night(n int, list string, args ...string) map[string]row {
	s.Helper()
	time.Sleep(time.Until(s.midnight.AddDate(0, 0, n-1)))
	args = append([]string{"list", list, "-q", "--state", s.path("crm.db"), "-o", s.path("out.csv")}, args...)
	if code, _, stderr := s.verify(args...); code != 0 || stderr != "" {
		s.Fatalf("night %d: exit %d: %s", n, code, stderr)
	}
	return s.rows()
}

// row is what a run wrote about an address, by column.
type row map[string]string

// table returns the lines of a CSV file, the first of which is the header.
func (s *simulation) table(path string) [][]string {
	s.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		s.Fatal(err)
	}
	return lines
}

func (s *simulation) rows() map[string]row {
	s.Helper()
	lines := s.table(s.path("out.csv"))
	rows := map[string]row{}
	for _, line := range lines[1:] {
		r := row{}
		for i, name := range lines[0] {
			r[strings.TrimPrefix(name, "verify_")] = line[i]
		}
		rows[r["email"]] = r
	}
	return rows
}

// reasons are the reasons of rows, by address.
func reasons(rows map[string]row) map[string]string {
	reasons := map[string]string{}
	for address, r := range rows {
		reasons[address] = r["reason"]
	}
	return reasons
}

// tried is what the state remembers of an address's tries.
type tried struct {
	Tries int
	Since time.Time
}

func (s *simulation) tried(address string) (t tried) {
	s.Helper()
	db, err := sql.Open("sqlite", s.path("crm.db"))
	if err != nil {
		s.Fatal(err)
	}
	defer db.Close()
	local, domain, _ := strings.Cut(address, "@")
	var since int64
	if err := db.QueryRowContext(s.Context(), `SELECT r.tries, r.since FROM results r JOIN addresses a ON a.id = r.address
		JOIN domains d ON d.id = a.domain WHERE a.local = ? AND d.name = ?`,
		local, domain).Scan(&t.Tries, &since); err != nil {
		s.Fatal(err)
	}
	if since > 0 {
		t.Since = time.Unix(since, 0).UTC()
	}
	return t
}

// change runs a statement on the state.
func (s *simulation) change(statement string) error {
	db, err := sql.Open("sqlite", s.path("crm.db"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(s.Context(), statement)
	return errors.Join(err, db.Close())
}

// probes are how often the addresses of a list were asked about.
func (s *simulation) probes(addresses []string) map[string]int {
	probes := map[string]int{}
	for _, address := range addresses {
		probes[address] = s.lab.Probes(address)
	}
	return probes
}

func TestAnAddressWhoseServerStaysUnavailableIsGivenUpInTheSeventhNight(t *testing.T) {
	for name, world := range map[string]struct{ declaration, reason, detail string }{
		"a server that says 421 to every connection": {
			"host mx.shut.lab banner421", "server_unavailable",
			"mx.shut.lab answered connect with 421 4.3.2",
		},
		"a server that refuses connections":         {"host mx.shut.lab dead", "unreachable", "connection refused"},
		"a server whose connections never complete": {"host mx.shut.lab blackhole", "timeout", "127.77.0.1:25"},
		"a server that never says a word":           {"host mx.shut.lab silent", "timeout", "banner"},
		"a server that cannot look up mailboxes at all": {
			"host mx.shut.lab soft-unknown", "server_unavailable",
			"450 4.1.1",
		},
		"a domain whose name servers fail": {
			"host mx.other.lab", "dns_failure",
			"DNS gave no answer about shut.lab",
		},
		"a server whose address the name servers keep": {
			"host mx.shut.lab servfail", "dns_failure",
			"DNS gave no answer about shut.lab",
		},
		"a server that drops every session after an RCPT": {
			"host mx.shut.lab crash=ann", "server_unavailable",
			"closed by the server",
		},
	} {
		t.Run(name, func(t *testing.T) {
			domain := "domain shut.lab mx=mx.shut.lab"
			if world.reason == "dns_failure" && !strings.Contains(world.declaration, "servfail") {
				domain = "domain shut.lab servfail"
			}
			well := "\nhost mx.well.lab\ndomain well.lab mx=mx.well.lab" // a try counts only where another host answers
			simulate(t, world.declaration+"\n"+domain+well, func(s *simulation) {
				const address = "ann@shut.lab"
				nightly := func(n int) string { return s.list(address, fmt.Sprintf("new%d@well.lab", n)) }
				gaps := []time.Duration{15 * time.Minute, 2 * time.Hour, 12 * time.Hour, 48 * time.Hour}
				// The fourth gap of 48 hours begins in the fourth night, so nothing is asked in the fifth and the sixth.
				for n, tries := range []int{1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 4} {
					if n == 0 {
						continue
					}
					r := s.night(n, nightly(n))[address]
					if r["verdict"] != "unknown" || r["reason"] != world.reason || !strings.Contains(r["detail"], world.detail) {
						t.Errorf("night %d: %v, want unknown, %s, and %q in the detail", n, r, world.reason, world.detail)
					}
					got := s.tried(address)
					if got.Tries != tries || got.Since.Sub(s.midnight) < 0 || got.Since.Sub(s.midnight) > time.Hour {
						t.Errorf("night %d: %+v, want %d tries since the first midnight", n, got, tries)
					}
					checked, err := time.Parse(time.RFC3339, r["checked_at"])
					if err != nil {
						t.Fatal(err)
					}
					asked := s.midnight.AddDate(0, 0, tries-1)
					if d := checked.Sub(asked); d < 0 || d > time.Hour {
						t.Errorf("night %d: checked at %v, want soon after %v", n, checked, asked)
					}
					retry, err := time.Parse(time.RFC3339, r["retry_at"])
					if err != nil {
						t.Fatal(err)
					}
					gap := gaps[tries-1]
					if wait := retry.Sub(checked); wait < gap-time.Second || wait > gap+gap/10+time.Second {
						t.Errorf("night %d: the next try comes after %v, want %v and up to a tenth more", n, wait, gap)
					}
				}
				r := s.night(7, nightly(7))[address]
				if r["verdict"] != "invalid" || r["reason"] != "gave_up" || r["retry_at"] != "" ||
					!strings.Contains(r["detail"], "5 tries since 1 Jan 00:0") || !strings.Contains(r["detail"], world.detail) {
					t.Errorf("night 7: %v, want invalid, gave_up after 5 tries since the first night, and %q", r, world.detail)
				}
			})
		})
	}
}

func TestAGreylistedAddressIsAskedAgainFromTheSameSource(t *testing.T) {
	const first, second = "127.0.0.2", "127.0.0.3"
	var declaration strings.Builder
	var addresses []string
	want := map[string]string{}
	for i := range 8 { // of as many destinations, so that sessions are spread over the sources
		fmt.Fprintf(&declaration, "host mx.d%d.lab greylist=5m\ndomain d%d.lab mx=mx.d%d.lab\nmailbox ann@d%d.lab\n", i, i, i,
			i)
		address := fmt.Sprintf("ann@d%d.lab", i)
		addresses = append(addresses, address)
		want[address] = "accepted"
	}
	simulate(t, declaration.String(), func(s *simulation) {
		list := s.list(addresses...)
		for address, reason := range reasons(s.night(1, list, "--source-ip", first, "--source-ip", second)) {
			if reason != "greylisted" {
				t.Errorf("night 1: %s is %s, want greylisted", address, reason)
			}
		}
		before := s.lab.Count().ConnectionsFrom
		if len(before) != 2 {
			t.Errorf("night 1: connections %v, want some from each source", before)
		}
		// The other order, and a third source: what chooses one afresh chooses another.
		rows := s.night(2, list, "--source-ip", "127.0.0.4", "--source-ip", second, "--source-ip", first)
		if diff := cmp.Diff(want, reasons(rows)); diff != "" {
			t.Errorf("night 2 (-want +got):\n%s", diff)
		}
		for source, n := range s.lab.Count().ConnectionsFrom {
			if n != 2*before[source] {
				t.Errorf("%d connections from %s after two nights, %d of them in the first", n, source, before[source])
			}
		}
	})
}

func TestFreshAsksTheCatchAllQuestionAgain(t *testing.T) {
	simulate(t, "host mx.turned.lab\ndomain turned.lab mx=mx.turned.lab\nmailbox ann,bob@turned.lab", func(s *simulation) {
		const address, other = "ann@turned.lab", "bob@turned.lab"
		if got := s.night(1, s.list(address))[address]["reason"]; got != "accepted" {
			t.Fatalf("night 1: %s, want accepted", got)
		}
		s.world("host mx.turned.lab\ndomain turned.lab mx=mx.turned.lab catchall\nmailbox ann,bob@turned.lab")
		both := s.list(address, other)
		want := map[string]string{address: "accepted", other: "accepted"}
		if diff := cmp.Diff(want, reasons(s.night(2, both))); diff != "" {
			t.Errorf("night 2, in which the answer of the first night is kept (-want +got):\n%s", diff)
		}
		if n := s.lab.Count().Rcpts; n != 1 {
			t.Errorf("night 2: %d RCPTs, want 1: the new address, without the question", n)
		}
		want = map[string]string{address: "catch_all", other: "catch_all"}
		if diff := cmp.Diff(want, reasons(s.night(3, both, "--fresh"))); diff != "" {
			t.Errorf("night 3, with --fresh (-want +got):\n%s", diff)
		}
		if n := s.lab.Count().Rcpts; n != 1+4 {
			t.Errorf("night 3: %d RCPTs more, want 4: both addresses, and two that cannot exist", n-1)
		}
	})
}

func TestAnInterruptKeepsEveryAnswerThatWasHeard(t *testing.T) {
	for name, c := range map[string]struct {
		domain, reason string
		second         bool // interrupt
		args           []string
		lost           int // addresses whose answer is on its way when their session is cut
	}{
		"the first, with several sessions at a domain that refuses strangers": {domain: "", reason: "accepted"},
		"the first, with several sessions at a catch-all domain":              {domain: "catchall", reason: "catch_all"},
		"the second, with one session at a domain that refuses strangers": {
			domain: "", reason: "accepted", second: true, args: []string{"--sessions", "1"}, lost: 1,
		},
		"the second, with one session at a catch-all domain": {
			domain: "catchall", reason: "catch_all", second: true, args: []string{"--sessions", "1"}, lost: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			declaration := "host mx.one.lab latency=1s nopipelining\ndomain one.lab mx=mx.one.lab " + c.domain + "\n"
			var addresses []string
			want := map[string]string{}
			for i := range 60 {
				address := fmt.Sprintf("m%d@one.lab", i)
				declaration += "mailbox " + address + "\n"
				addresses = append(addresses, address)
				want[address] = c.reason
			}
			simulate(t, declaration, func(s *simulation) {
				args := []string{"list", s.list(addresses...), "-q", "--state", s.path("crm.db"), "-o", s.path("out.csv")}
				args = append(args, c.args...)
				ctx, cancel := context.WithCancel(s.Context())
				defer cancel()
				s.ctx = ctx
				ended := make(chan int)
				var out, said output
				go func() { ended <- s.begin(&out, &said, args...) }()
				for s.lab.Count().Rcpts < 5 {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond) // the last answer is there, and the next commands are on their way
				close(s.stop)
				if c.second {
					cancel()
				}
				if code := <-ended; code != exitInterrupted {
					t.Errorf("exit %d, want 130: %s", code, said.String())
				}
				time.Sleep(time.Minute) // what was on its way arrives
				asked := s.lab.Count().Rcpts
				if got := known(s.T, s.path("crm.db")); got != asked-c.lost {
					t.Errorf("%d results are kept of %d that were asked for, want all but %d", got, asked, c.lost)
				}
				if asked < 5 || asked > 15 {
					t.Errorf("%d addresses were asked about before the run ended, want those under way", asked)
				}
				if _, err := os.Stat(s.path("out.csv")); err == nil {
					t.Error("an interrupted run left an output")
				}

				s.ctx, s.stop = s.Context(), make(chan struct{})
				if code, _, stderr := s.verify(args...); code != 0 {
					t.Fatalf("exit %d: %s", code, stderr)
				}
				if diff := cmp.Diff(want, reasons(s.rows())); diff != "" {
					t.Errorf("after going on (-want +got):\n%s", diff)
				}
				twice := 0
				for address, n := range s.probes(addresses) {
					if n > 2 || n == 0 {
						t.Errorf("%s was asked about %d times", address, n)
					}
					if n == 2 {
						twice++
					}
				}
				if twice != c.lost {
					t.Errorf("%d addresses were asked about twice, want %d", twice, c.lost)
				}
				if v := s.lab.Count().Violations; len(v) > c.lost {
					t.Errorf("the server was treated rudely: %v", v)
				}
			})
		})
	}
}

func TestATrapIsNotAskedAbout(t *testing.T) {
	simulate(t, "host mx.old.lab\ndomain old.lab mx=mx.old.lab\nmailbox ann,spamtrap@old.lab", func(s *simulation) {
		const trap, person = "spamtrap@old.lab", "ann@old.lab"
		rows := s.night(1, s.list(trap, person))
		if diff := cmp.Diff(map[string]string{trap: "spam_trap_suspect", person: "accepted"}, reasons(rows)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if code, stdout, _ := s.verify("check", trap); code != exitRisky || !strings.Contains(stdout, "spam_trap_suspect") {
			t.Errorf("check: exit %d: %s", code, stdout)
		}
		if diff := cmp.Diff(map[string]int{trap: 0, person: 1}, s.probes([]string{trap, person})); diff != "" {
			t.Errorf("RCPTs (-want +got):\n%s", diff)
		}
	})
}

// server is a mail host that says what it is told to and takes down what it hears.
type server struct {
	says  map[string]string // by the first word of a command, in capitals; "" is the banner
	mu    sync.Mutex
	heard []string
}

// dial is a dialler whose every connection leads to the server.
func (s *server) dial(context.Context, netip.Addr, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		if _, err := fmt.Fprintf(theirs, "%s\r\n", s.says[""]); err != nil {
			return
		}
		lines := make([]byte, 512)
		for {
			n, err := theirs.Read(lines)
			if err != nil {
				return
			}
			for line := range strings.Lines(string(lines[:n])) {
				line = strings.TrimRight(line, "\r\n")
				s.mu.Lock()
				s.heard = append(s.heard, line)
				s.mu.Unlock()
				word, _, _ := strings.Cut(strings.ToUpper(line), " ")
				if _, err := fmt.Fprintf(theirs, "%s\r\n", s.says[word]); err != nil {
					return
				}
			}
		}
	}()
	return ours, nil
}

func TestHELOIsSaidOnlyWhereEHLOIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ehlo string
		code int
		want []string
	}{
		"nothing follows a 421, which ends the session": {"421 4.3.2 shutting down", exitUnknown, []string{"EHLO probe.lab"}},
		"HELO follows a 502": {"502 5.5.1 not implemented", exitUnknown, []string{
			"EHLO probe.lab", "HELO probe.lab", "MAIL FROM:<check@probe.lab>", "QUIT",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, "host mx.one.lab\ndomain one.lab mx=mx.one.lab\nmailbox ann@one.lab", func(s *simulation) {
				host := &server{says: map[string]string{
					"": "220 mx.one.lab", "EHLO": c.ehlo, "HELO": "250 hello", "MAIL": "450 4.7.1 not you, not now", "QUIT": "221 bye",
					"RSET": "250 fine",
				}}
				s.dial = host.dial
				code, stdout, stderr := s.verify("check", "ann@one.lab")
				if code != c.code {
					t.Errorf("exit %d, want %d: %s%s", code, c.code, stdout, stderr)
				}
				synctest.Wait()
				if diff := cmp.Diff(c.want, host.heard); diff != "" {
					t.Errorf("what the server heard (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPlainTextIsSpokenWhereTLSFails(t *testing.T) {
	simulate(t, "host mx.one.lab starttls tls-broken\ndomain one.lab mx=mx.one.lab\nmailbox ann@one.lab",
		func(s *simulation) {
			code, stdout, stderr := s.verify("check", "ann@one.lab", "-v")
			if code != 0 || !strings.Contains(stdout, "deliverable") || !strings.Contains(stderr, "tls=false") {
				t.Errorf("exit %d, want 0 from a session without TLS: %s%s", code, stdout, stderr)
			}
			counts := s.lab.Count()
			if counts.Handshakes != 0 || counts.Connections != 2 || len(counts.Violations) > 0 {
				t.Errorf("%+v, want two connections, of which one failed to shake hands", counts)
			}
		})
}

// copyState copies a state file as it is at this moment on the disk, with what belongs to it.
func (s *simulation) copyState(from, to string) {
	s.Helper()
	synctest.Wait() // nothing is being written
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(s.path(from + suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(s.path(to+suffix), content, 0o600); err != nil {
			s.Fatal(err)
		}
	}
}

func TestARunThatEndsAtAnyMomentGoesOnWithoutAskingAgain(t *testing.T) {
	declaration, content := bigList(10, 20)
	addresses := strings.Fields(string(content))[1:]
	for i := range addresses {
		_, addresses[i], _ = strings.Cut(addresses[i], ",")
	}
	const flights = 4 * 20 // the results of a flight are recorded when it is over
	simulate(t, declaration, func(s *simulation) {
		list := s.list(addresses...)
		args := func(state, out string) []string {
			return []string{"list", list, "-q", "--state", s.path(state), "-o", s.path(out)}
		}
		ended := make(chan int)
		begun := time.Now()
		var out, said output
		go func() { ended <- s.begin(&out, &said, args("whole.db", "whole.csv")...) }()
		type moment struct{ asked, known int }
		var moments []moment
		for over := false; !over; {
			select {
			case code := <-ended:
				over = true
				if code != 0 {
					t.Fatalf("exit %d: %s", code, said.String())
				}
			case <-time.After(41 * time.Millisecond):
				s.copyState("whole.db", fmt.Sprintf("moment%d.db", len(moments)))
				moments = append(moments, moment{asked: s.lab.Count().Rcpts})
			}
		}
		t.Logf("the run took %v and was copied %d times", time.Since(begun), len(moments))
		if len(moments) < 20 {
			t.Fatal("too few to show anything")
		}
		whole, err := os.ReadFile(s.path("whole.csv"))
		if err != nil {
			t.Fatal(err)
		}
		resumed := 0
		for i := range moments {
			name := fmt.Sprintf("moment%d.db", i)
			if _, err := os.Stat(s.path(name)); err != nil {
				continue // there was no file yet
			}
			m := &moments[i]
			m.known = known(s.T, s.path(name))
			if i > 0 && m.known < moments[i-1].known {
				t.Errorf("moment %d: %d results, after %d before", i, m.known, moments[i-1].known)
			}
			if m.asked-m.known > flights+10 { // with a question for each domain
				t.Errorf("moment %d: %d results of %d RCPTs, want all but those of the flights under way", i, m.known, m.asked)
			}
			if i%6 != 0 {
				continue
			}
			resumed++
			before := s.lab.Count().Rcpts
			if code, _, stderr := s.verify(args(name, "on.csv")...); code != 0 {
				t.Fatalf("moment %d: exit %d: %s", i, code, stderr)
			}
			if asked := s.lab.Count().Rcpts - before; asked > len(addresses)-m.known+10 {
				t.Errorf("moment %d: %d RCPTs to go on with %d results of %d", i, asked, m.known, len(addresses))
			}
			on, err := os.ReadFile(s.path("on.csv"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(timestamps.ReplaceAllString(string(whole), "TIME"),
				timestamps.ReplaceAllString(string(on), "TIME")); diff != "" {
				t.Errorf("moment %d: the outputs differ (-undisturbed +resumed):\n%.2000s", i, diff)
			}
		}
		t.Logf("%d of the copies went on", resumed)
		if v := s.lab.Count().Violations; len(v) > 0 {
			t.Errorf("the servers were treated rudely: %v", v)
		}
	})
}
