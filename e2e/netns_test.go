//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"presend/internal/lab"
)

// atOnce is how many networks there are at a time. They wait more than they work.
const atOnce = 12

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// inNetworks runs each case in a network namespace of its own that holds nothing but loopback, which the case may break
// as it likes. The cases run at the same time.
func inNetworks(t *testing.T, cases map[string]func(t *testing.T, binary string)) {
	t.Helper()
	binary, inside := os.LookupEnv(insideEnv)
	if inside {
		if err := loopbackUp(); err != nil {
			t.Fatal(err)
		}
	} else {
		binary, _ = prepared(t)
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			if inside {
				body(t, binary)
				return
			}
			t.Parallel()
			copied := copyIn(t, syscall.CLONE_NEWNET, binary)
			runtime.LockOSThread() // the kernel ends the copy when the thread that started it ends
			defer runtime.UnlockOSThread()
			var out bytes.Buffer
			copied.Stdout, copied.Stderr = &out, &out
			err := copied.Start()
			if errors.Is(err, syscall.EPERM) {
				t.Skip("the kernel allows no network of its own here")
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := copied.Wait(); err != nil {
				t.Fatalf("the run in a network of its own: %v\n%s", err, out.Bytes())
			}
			if regexp.MustCompile(`(?m)^\s*--- SKIP`).Match(out.Bytes()) {
				t.Skipf("%s", out.Bytes())
			}
			t.Logf("%s", out.Bytes())
		})
	}
}

// site is a machine in a network of its own, with an internet of so many mail hosts behind loopback.
type site struct {
	*testing.T
	binary    string
	lab       *lab.Lab
	addresses []string
	directory string
	prefix    []string // of the command
	public    bool     // it runs without --allow-private
	resolver  string   // or several, with spaces between
}

// newSite starts the internet, with more declarations of the lab. Port 25 of its hosts is where they listen, as on the
// internet, and the names that a preflight and the test of port 25 ask for are there.
func newSite(t *testing.T, binary string, hosts int, more ...string) *site {
	t.Helper()
	var b strings.Builder
	for _, line := range more {
		b.WriteString(line + "\n")
	}
	b.WriteString("host mx.large.lab 127.77.0.1\ndomain gmail.com mx=mx.large.lab\ndomain yahoo.com mx=mx.large.lab\n")
	s := &site{T: t, binary: binary, directory: t.TempDir()}
	for i := range hosts {
		fmt.Fprintf(&b, "host mx.h%d.lab 127.77.%d.%d latency=100ms\ndomain h%d.lab mx=mx.h%d.lab\n",
			i, 1+i%250, 1+i/250, i, i)
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

// write writes a file of a server.
func (s *site) write(path, text string) {
	s.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
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
		"list", in, "-o", out, "--split", filepath.Join(s.directory, "parts"),
		"--helo", "probe.lab", "--from", "check@probe.lab", "--timeout", "5s",
	}, flags...)
	for _, resolver := range strings.Fields(s.resolver) {
		args = append(args, "--dns", resolver)
	}
	if !s.public {
		args = append(args, "--allow-private")
	}
	args = append(append(slices.Clone(s.prefix), s.binary), args...)
	command := exec.CommandContext(s.Context(), args[0], args[1:]...)
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
		for address, row := range o.rows {
			if row[0] != reason {
				s.Logf("for example %s: %q", address, row)
				break
			}
		}
	}
	_, err := os.Stat(filepath.Join(s.directory, "parts", "suppress.csv"))
	if written := err == nil; written != (code == 0) {
		s.Errorf("suppress.csv was written: %v", written)
	}
}

// runs starts a server, waits until it listens, and ends it with the test, or before by the function returned.
func (s *site) runs(listens, name string, args ...string) (end func()) {
	s.Helper()
	var out bytes.Buffer
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
		if s.Failed() {
			s.Logf("%s: %s", name, out.Bytes())
		}
	}
	s.Cleanup(end)
	serves(s.T, listens)
	return end
}

// upstream returns the port of the lab's DNS.
func (s *site) upstream() string {
	_, port, err := net.SplitHostPort(s.lab.DNS())
	if err != nil {
		s.Fatal(err)
	}
	return port
}

// dnsmasq is the site's resolver from here on, with these options; it asks the lab.
func (s *site) dnsmasq(options ...string) {
	s.Helper()
	server := "--server=127.0.0.1#" + s.upstream()
	s.runs("127.0.0.1:5300", "dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=5300",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root", server,
	}, options...)...)
	s.resolver = "127.0.0.1:5300"
}

// unbound is the site's resolver from here on, with these lines in its server clause; it asks the lab.
func (s *site) unbound(lines ...string) (end func()) {
	s.Helper()
	config := filepath.Join(s.directory, "unbound.conf")
	text := "server:\n" + strings.Join(append([]string{
		"interface: 127.0.0.1@5301", "access-control: 127.0.0.0/8 allow", "chroot: \"\"", "username: \"\"", "pidfile: \"\"",
		"directory: \"" + s.directory + "\"", "use-syslog: no", "do-not-query-localhost: no", "do-ip6: no",
	}, lines...), "\n") + "\n"
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "module-config") }) {
		text += "module-config: \"iterator\"\n"
	}
	text += "forward-zone:\nname: \".\"\nforward-addr: 127.0.0.1@" + s.upstream() +
		"\nremote-control:\ncontrol-enable: no\n"
	s.write(config, text)
	s.resolver = "127.0.0.1:5301"
	return s.runs("127.0.0.1:5301", "unbound", "-d", "-c", config)
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
