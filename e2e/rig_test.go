//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	resolver = "127.0.10.53:53"

	// startTimeout is how long a server may take until it answers. sendmail takes a minute on a host whose name has no
	// domain, which is where the kernel allows no namespaces.
	startTimeout = 90 * time.Second
)

// rig is the running servers and the directory that holds what they need: configurations, spools, logs.
type rig struct {
	run, work string
	running   []*server
}

// server is a child process that leads a session of its own, and the addresses at which it answers.
type server struct {
	name    string
	addrs   []string
	command *exec.Cmd
	ended   chan struct{}
	err     error // of the process; to be read after ended
}

// startRig fills a fresh directory and starts every server. The servers end, and the directory goes, with the test.
func startRig(t *testing.T) *rig {
	t.Helper()
	work, err := filepath.Abs(".work")
	if err != nil {
		t.Fatal(err)
	}
	// Not below a temporary directory: sendmail trusts nothing under a directory that all may write to.
	run, err := os.MkdirTemp("/run", "presend-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{run: run, work: work}
	t.Cleanup(func() {
		r.stop(t)
		if t.Failed() {
			r.showLogs(t)
		}
		if err := os.RemoveAll(run); err != nil {
			t.Error(err)
		}
	})
	if err := r.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	unpacked := func(parts ...string) string { return filepath.Join(append([]string{work}, parts...)...) }
	at := func(parts ...string) string { return filepath.Join(append([]string{run}, parts...)...) }
	r.start(t, "nsd", []string{"127.0.10.1:53"}, "nsd", "-d", "-c", at("servers/nsd/nsd.conf"))
	r.start(t, "nsd-refusing", []string{"127.0.10.2:53"}, "nsd", "-d", "-c", at("servers/nsd/refusing.conf"))
	r.start(t, "unbound", []string{resolver, "127.0.29.2:25"}, "unbound", "-d", "-c", at("servers/unbound/unbound.conf"))
	r.start(t, "sendmail", hosts("127.0.23.1"),
		unpacked("sendmail-bin/usr/libexec/sendmail/sendmail"), "-C"+at("sendmail/sendmail.cf"), "-bD")
	r.start(t, "postgrey", []string{"127.0.20.102:10023"},
		"postgrey", "--inet=127.0.20.102:10023", "--delay=5", "--dbdir="+at("postgrey"),
		"--greylist-text=Greylisted, try again in %s seconds", "--whitelist-clients=/dev/null",
		"--whitelist-recipients=/dev/null", "--auto-whitelist-clients=0")
	r.start(t, "postfix", hosts("127.0.20.1", "127.0.20.2", "127.0.20.3", "127.0.20.4", "127.0.20.5", "127.0.20.6",
		"127.0.20.7", "127.0.20.8", "127.0.20.9", "127.0.29.3"),
		"/usr/lib/postfix/sbin/master", "-s", "-c", at("servers/postfix"))
	r.start(t, "exim", hosts("127.0.21.1", "127.0.21.2"),
		unpacked("exim4-daemon-light/usr/sbin/exim4"), "-C", at("servers/exim/exim.conf"), "-bdf")
	r.start(t, "opensmtpd", hosts("127.0.22.1"),
		unpacked("opensmtpd/usr/sbin/smtpd"), "-d", "-f", at("servers/opensmtpd/smtpd.conf"))
	for _, s := range r.running {
		if err := s.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func hosts(addrs ...string) []string {
	for i, a := range addrs {
		addrs[i] = net.JoinHostPort(a, "25")
	}
	return addrs
}

// fill makes the directories, keys and configurations.
func (r *rig) fill(ctx context.Context) error {
	if err := os.Chmod(r.run, 0o755); err != nil { // the servers' own users read here
		return err
	}
	if err := r.render(); err != nil {
		return err
	}
	owners := map[string]string{
		"nsd": "root", "unbound": "root", "tls": "root", "postfix/data": "postfix", "postfix/spool/etc": "root",
		"postgrey": "postgrey", "exim": "Debian-exim", "opensmtpd/mail": "root", "sendmail/queue": "root",
	}
	for directory, owner := range owners {
		path := filepath.Join(r.run, directory)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := chown(path, owner); err != nil {
			return err
		}
	}
	// What Postfix needs in its chroot, where the resolver is ours.
	chroot := filepath.Join(r.run, "postfix/spool/etc")
	files := map[string]string{
		"resolv.conf":   "nameserver " + strings.TrimSuffix(resolver, ":53") + "\n",
		"hosts":         "127.0.0.1 localhost\n",
		"nsswitch.conf": "hosts: files dns\n",
		"services":      "smtp 25/tcp\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(chroot, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(r.run, "sendmail/queue"), 0o700); err != nil {
		return err
	}
	script := `set -eux
umask 077
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls/key.pem -out tls/cert.pem -days 30 -subj /CN=self-signed.lab
chmod 644 tls/cert.pem
install -o root -g Debian-exim -m 640 tls/key.pem tls/exim-key.pem
cf=$WORK/sendmail-cf/usr/share/sendmail/cf
m4 -D_CF_DIR_=$cf/ $cf/m4/cf.m4 servers/sendmail/sendmail.mc |
  sed -e '/^R127.0.0.1/d' -e '/^R\(<?> \)*[$]=w.*RELAY/d' > sendmail/sendmail.cf
for map in virtusers access aliases; do
  $WORK/sendmail-bin/usr/libexec/sendmail/makemap -C sendmail/sendmail.cf hash sendmail/$map < servers/sendmail/$map
done
postfix -c "$PWD/servers/postfix" check`
	c := exec.CommandContext(ctx, "sh", "-c", script)
	c.Dir, c.Env = r.run, append(os.Environ(), "WORK="+r.work)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("preparing %s: %w\n%s", r.run, err, out)
	}
	return nil
}

// render copies the configurations, with the directories put in.
func (r *rig) render() error {
	names := strings.NewReplacer("@RUN@", r.run, "@SERVERS@", filepath.Join(r.run, "servers"), "@WORK@", r.work)
	return filepath.WalkDir("servers", func(path string, entry fs.DirEntry, err error) error {
		to := filepath.Join(r.run, path)
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(names.Replace(string(text))), 0o644)
	})
}

func chown(path, owner string) error {
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

func listens(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func (r *rig) log(name string) string { return filepath.Join(r.run, name+".log") }

// start runs a server in the foreground, after making sure that nothing else listens on its addresses.
func (r *rig) start(t *testing.T, name string, addrs []string, command ...string) {
	t.Helper()
	for _, addr := range addrs {
		if listens(addr) {
			t.Fatalf("%s: something else listens on %s", name, addr)
		}
	}
	log, err := os.Create(r.log(name))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := &server{name: name, addrs: addrs, command: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	s.command.Dir, s.command.Stdout, s.command.Stderr = r.run, log, log
	s.command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	// Postfix insists on a session of its own.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := s.command.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	r.running = append(r.running, s)
	go func() {
		s.err = s.command.Wait()
		close(s.ended)
	}()
}

// ready waits until the server takes connections on every address.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for _, addr := range s.addrs {
		for {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-again.C:
			case <-s.ended:
				return fmt.Errorf("%s ended by itself: %v", s.name, s.err)
			case <-ctx.Done():
				return fmt.Errorf("%s does not answer on %s: %w", s.name, addr, err)
			}
		}
	}
	return nil
}

// stop ends the servers, last first, and makes sure that nothing of them is left.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	for i := len(r.running) - 1; i >= 0; i-- {
		s := r.running[i]
		group := s.command.Process.Pid
		_ = syscall.Kill(group, syscall.SIGTERM) // the error of one that has ended already; ended is read below
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			t.Errorf("%s did not end when asked to", s.name)
		}
		_ = syscall.Kill(-group, syscall.SIGKILL) // what is left of its group
		<-s.ended
		for _, addr := range s.addrs {
			for end := time.Now().Add(10 * time.Second); listens(addr); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("%s was ended and something still listens on %s", s.name, addr)
					break
				}
			}
		}
	}
	r.running = nil
}

// showLogs prints the ends of the servers' logs.
func (r *rig) showLogs(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(r.run, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(logs, filepath.Join(r.run, "postfix/maillog"), filepath.Join(r.run, "exim/mainlog")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Log(err)
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		t.Logf("the end of %s:\n%s", filepath.Base(path), bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
	}
}
