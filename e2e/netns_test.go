//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"presend/internal/lab"
)

// withNetwork runs body in a network namespace that holds nothing but loopback, which body may break as it likes.
func withNetwork(t *testing.T, body func(binary string)) {
	t.Helper()
	if binary := os.Getenv(insideEnv); binary != "" {
		if err := loopbackUp(); err != nil {
			t.Fatal(err)
		}
		body(binary)
		return
	}
	binary, _ := prepared(t)
	inside := copyIn(t, syscall.CLONE_NEWNET, binary)
	runtime.LockOSThread() // the kernel ends the copy when the thread that started it ends
	defer runtime.UnlockOSThread()
	err := inside.Start()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("the kernel allows no network of its own here")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := inside.Wait(); err != nil {
		t.Fatalf("the run in a network of its own: %v", err)
	}
}

// site is a machine in a network of its own, with an internet of so many mail hosts behind loopback.
type site struct {
	*testing.T
	binary    string
	lab       *lab.Lab
	addresses []string
	directory string
	resolver  string
}

// newSite starts the internet. Port 25 of its hosts is where they listen, as on the internet, and the names that a
// preflight and the test of port 25 ask for are there.
func newSite(t *testing.T, binary string, hosts int) *site {
	t.Helper()
	var b strings.Builder
	b.WriteString("host mx.large.lab\ndomain gmail.com mx=mx.large.lab\ndomain yahoo.com mx=mx.large.lab\n")
	s := &site{T: t, binary: binary, directory: t.TempDir()}
	for i := range hosts {
		fmt.Fprintf(&b, "host mx.h%d.lab latency=100ms\ndomain h%d.lab mx=mx.h%d.lab\n", i, i, i)
		for _, person := range []string{"ann", "bob"} {
			s.addresses = append(s.addresses, fmt.Sprintf("%s@h%d.lab", person, i))
		}
	}
	fmt.Fprintf(&b, "mailbox %s\n", strings.Join(s.addresses, " "))
	l, err := lab.Start(context.WithoutCancel(t.Context()), b.String())
	if err != nil {
		t.Fatal(err)
	}
	s.lab, s.resolver = l, l.DNS()
	t.Cleanup(func() {
		s.must("iptables", "-F")
		s.must("iptables", "-t", "nat", "-F")
		s.must("ip", "link", "set", "lo", "up")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	s.must("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", "127.77.0.0/16", "--dport", "25",
		"-j", "DNAT", "--to-destination", ":"+strconv.Itoa(l.SMTPPort()))
	return s
}

// must runs a command of the system.
func (s *site) must(name string, args ...string) {
	s.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		s.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// rule adds a rule for connections to mail hosts.
func (s *site) rule(args ...string) {
	s.Helper()
	connections := []string{"-A", "OUTPUT", "-p", "tcp", "--dport", strconv.Itoa(s.lab.SMTPPort())}
	s.must("iptables", append(connections, args...)...)
}

// outcome is what a command came to.
type outcome struct {
	code    int
	said    string
	took    time.Duration
	reasons map[string]int
	rows    map[string][]string // by address: reason, action, detail
}

// list runs verify list over addresses; during runs meanwhile.
func (s *site) list(addresses []string, during func(), flags ...string) outcome {
	s.Helper()
	in, out := filepath.Join(s.directory, "list.csv"), filepath.Join(s.directory, "out.csv")
	if err := os.WriteFile(in, []byte("email\n"+strings.Join(addresses, "\n")+"\n"), 0o600); err != nil {
		s.Fatal(err)
	}
	args := append([]string{
		"list", in, "-o", out, "--split", filepath.Join(s.directory, "parts"), "--dns", s.resolver, "--allow-private",
		"--helo", "probe.lab", "--from", "check@probe.lab", "--timeout", "5s",
	}, flags...)
	command := exec.CommandContext(s.Context(), s.binary, args...)
	var said bytes.Buffer
	command.Stderr = &said
	begun := time.Now()
	if err := command.Start(); err != nil {
		s.Fatal(err)
	}
	if during != nil {
		during()
	}
	err := command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	o := outcome{
		code: command.ProcessState.ExitCode(), said: said.String(), took: time.Since(begun),
		reasons: map[string]int{}, rows: map[string][]string{},
	}
	f, err := os.Open(out)
	if err != nil {
		s.Fatalf("exit %d without an output: %s", o.code, o.said)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		s.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range all[0] {
		at[name] = i
	}
	for _, r := range all[1:] {
		row := []string{r[at["verify_reason"]], r[at["verify_action"]], r[at["verify_detail"]]}
		o.rows[r[at["email"]]] = row
		o.reasons[row[0]]++
	}
	s.Logf("exit %d after %v: %v", o.code, o.took.Round(time.Millisecond), o.reasons)
	return o
}

// want reports an outcome that is another one: every row has the reason, and standard error holds the words.
func (s *site) want(o outcome, code int, reason, words string) {
	s.Helper()
	if o.code != code || len(o.reasons) != 1 || o.reasons[reason] == 0 || !strings.Contains(o.said, words) {
		s.Errorf("exit %d, %v, want %d and %s alone; it says:\n%s", o.code, o.reasons, code, reason, o.said)
	}
	_, err := os.Stat(filepath.Join(s.directory, "parts", "suppress.csv"))
	if written := err == nil; written != (code == 0) {
		s.Errorf("suppress.csv was written: %v", written)
	}
}

// serves waits until something listens at an address.
func serves(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	t.Fatalf("nothing listens at %s", address)
}

// TestOurOwnFaultIsNoAddresssFault breaks one thing of this machine after the other.
func TestOurOwnFaultIsNoAddresssFault(t *testing.T) {
	withNetwork(t, func(binary string) {
		t.Run("nothing is wrong", func(t *testing.T) {
			s := newSite(t, binary, 30)
			s.want(s.list(s.addresses, nil), 0, "accepted", "60 rows: send to 60")
		})
		for name, rule := range map[string][]string{
			"port 25 is dropped":                {"-j", "DROP"},
			"port 25 is rejected":               {"-j", "REJECT"},
			"port 25 is reset":                  {"-j", "REJECT", "--reject-with", "tcp-reset"},
			"port 25 is prohibited on the way":  {"-j", "REJECT", "--reject-with", "icmp-admin-prohibited"},
			"the net of all hosts has no route": {"-j", "REJECT", "--reject-with", "icmp-net-unreachable"},
		} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t, binary, 300)
				s.rule(rule...)
				o := s.list(s.addresses, nil)
				words := "port 25 is closed from this machine"
				if strings.Contains(name, "no route") {
					words = "no mail host answered in this run"
				}
				s.want(o, 1, "not_probed", words)
				if o.took > 30*time.Second {
					t.Errorf("it took %v", o.took)
				}
			})
		}
		t.Run("the resolver is dead", func(t *testing.T) {
			s := newSite(t, binary, 30)
			s.resolver = "127.0.0.1:9"
			s.want(s.list(s.addresses, nil), 1, "dns_failure", "DNS cannot be believed on this machine")
		})
		t.Run("the resolver says that nothing exists", func(t *testing.T) {
			s := newSite(t, binary, 30)
			liar, err := lab.Start(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer liar.Close()
			s.resolver = liar.DNS()
			s.want(s.list(s.addresses, nil), 1, "dns_failure", "DNS cannot be believed on this machine")
		})
		t.Run("the link goes down and comes back", func(t *testing.T) {
			s := newSite(t, binary, 400)
			o := s.list(s.addresses, func() {
				s.underWay()
				s.must("ip", "link", "set", "lo", "down")
				wait(t, 15*time.Second)
				s.must("ip", "link", "set", "lo", "up")
			}, "--sessions", "40")
			s.want(o, 0, "accepted", "800 rows: send to 800")
		})
		t.Run("the link stays down", func(t *testing.T) {
			s := newSite(t, binary, 400)
			o := s.list(s.addresses, func() {
				s.underWay()
				s.must("ip", "link", "set", "lo", "down")
			}, "--sessions", "40", "--patience", "5s")
			for reason := range o.reasons {
				if reason != "accepted" && reason != "not_probed" && reason != "dns_failure" && reason != "catch_all_unknown" {
					t.Errorf("%d rows are %s", o.reasons[reason], reason)
				}
			}
			if o.code != 1 || o.reasons["accepted"] == 0 || o.reasons["not_probed"]+o.reasons["dns_failure"] == 0 {
				t.Errorf("exit %d: %s", o.code, o.said)
			}
		})
		t.Run("this machine has no IPv6", func(t *testing.T) {
			s := newSite(t, binary, 10)
			_, port, err := net.SplitHostPort(s.lab.DNS())
			if err != nil {
				t.Fatal(err)
			}
			resolver := exec.CommandContext(t.Context(), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
				"--no-hosts", "--no-resolv", "--port=5300", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root",
				"--server=127.0.0.1#"+port, "--mx-host=six.presend.de,mx.six.presend.de,10",
				"--host-record=mx.six.presend.de,2001:db8::25")
			if err := resolver.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = resolver.Process.Kill() // it may have ended
				_ = resolver.Wait()
			}()
			serves(t, "127.0.0.1:5300")
			s.resolver = "127.0.0.1:5300"
			o := s.list(append(s.addresses, "ann@six.presend.de"), nil)
			if row := o.rows["ann@six.presend.de"]; o.code != 0 || row[0] != "not_probed" || o.reasons["accepted"] != 20 {
				t.Errorf("exit %d, %v: %s", o.code, row, o.said)
			}
		})
		t.Run("the proxy is killed and comes back", func(t *testing.T) {
			s := newSite(t, binary, 400)
			proxy := func() *exec.Cmd {
				p := exec.CommandContext(t.Context(), "microsocks", "-i", "127.0.0.1", "-p", "1080")
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				serves(t, "127.0.0.1:1080")
				return p
			}
			first := proxy()
			var second *exec.Cmd
			o := s.list(s.addresses, func() {
				s.underWay()
				_ = first.Process.Kill()
				_ = first.Wait()
				wait(t, 3*time.Second)
				second = proxy()
			}, "--sessions", "40", "--proxy", "socks5://127.0.0.1:1080")
			_ = second.Process.Kill()
			_ = second.Wait()
			s.want(o, 0, "accepted", "800 rows: send to 800")
		})
	})
}

// underWay waits until the mail hosts have been asked about some addresses, so that what happens next happens in the
// middle of the run, however slow the machine is.
func (s *site) underWay() {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); s.lab.Count().Rcpts < 40; wait(s.T, 10*time.Millisecond) {
		if time.Now().After(deadline) {
			s.Error("the mail hosts were asked about fewer than 40 addresses within a minute")
			return
		}
	}
}

// wait lets real time pass, for real servers.
func wait(t *testing.T, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
