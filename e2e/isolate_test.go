//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// insideEnv tells a copy of the test that it runs in namespaces of its own, and names the verify binary to test.
	insideEnv = "PRESEND_E2E_VERIFY"

	// lockFile is held while Debian packages are installed, and for a whole run where the kernel allows no namespaces.
	lockFile = "/run/lock/presend-e2e.lock"

	// spool is OpenSMTPD's, a path that is fixed when smtpd is built. smtpd refuses one of another mode.
	spool     = "/var/spool/smtpd"
	spoolMode = 0o711
)

// isolated runs body with a verify binary where nothing on this machine can be in its way. It starts this test again
// with a network, mounts, processes and a host name of its own, so the copy has every address and port to itself,
// sees no spool or resolver of the machine, and the kernel ends its servers when it ends. Where the kernel allows no
// namespaces, body runs on the machine itself, and a second run waits for the first.
func isolated(t *testing.T, body func(binary string)) {
	t.Helper()
	if binary := os.Getenv(insideEnv); binary != "" {
		if err := arrange(t.TempDir()); err != nil {
			t.Fatalf("arranging the namespaces: %v", err)
		}
		body(binary)
		return
	}
	binary, unlock := prepared(t)
	copied := copyIn(t, syscall.CLONE_NEWNET|syscall.CLONE_NEWNS|syscall.CLONE_NEWPID|syscall.CLONE_NEWUTS|
		syscall.CLONE_NEWIPC, binary)
	runtime.LockOSThread() // the kernel ends the copy when the thread that started it ends
	defer runtime.UnlockOSThread()
	err := copied.Start()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC) {
		t.Logf("the kernel allows no namespaces here (%v): the servers run on the machine itself", err)
		restore, err := ownSpool()
		if err != nil {
			t.Fatal(err)
		}
		defer restore(t)
		body(binary)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if *hold {
		fmt.Printf("the servers are in the namespaces of process %[1]d; put this before what is to run there:\n"+
			"\tnsenter --all --target %[1]d\n", copied.Process.Pid)
		interrupted := make(chan os.Signal, 1) // the copy gets it too, and ends by itself
		signal.Notify(interrupted, os.Interrupt)
		defer signal.Stop(interrupted)
	}
	if err := copied.Wait(); err != nil {
		t.Fatalf("the run in namespaces of its own: %v", err)
	}
}

// arguments are the flags of this test that its copy needs too.
func arguments(t *testing.T) []string {
	var levels []string
	for level := range strings.SplitSeq(t.Name(), "/") {
		levels = append(levels, "^"+regexp.QuoteMeta(level)+"$")
	}
	args := []string{"-test.run=" + strings.Join(levels, "/"), "-test.count=1"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+(time.Until(end)-5*time.Second).String()) // so that its logs are seen
	}
	if *hold {
		args = append(args, "-hold")
	}
	return args
}

// prepared installs the servers and builds the verify binary. No other run starts until unlock is called
// or the test has ended.
func prepared(t *testing.T) (binary string, unlock func()) {
	t.Helper()
	unlock, err := lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	run(t, "./setup.sh")
	if *built != "" {
		return *built, unlock
	}
	binary = filepath.Join(t.TempDir(), "verify")
	run(t, "go", "build", "-o", binary, "presend/cmd/verify")
	return binary, unlock
}

// copyIn returns a command that starts this test again as the first process of namespaces of its own.
func copyIn(t *testing.T, namespaces uintptr, binary string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0], arguments(t)...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	c.Env = append(os.Environ(), insideEnv+"="+binary)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c
}

// arrange makes the namespaces a machine for the servers: loopback works, the host has a name with a domain (sendmail
// waits a minute for one), and what is at fixed paths is empty or ours.
func arrange(directory string) error {
	if err := unix.Sethostname([]byte("mx.sendmail.lab")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	files := map[string]string{
		"/etc/resolv.conf": "nameserver " + strings.TrimSuffix(resolver, ":53") + "\n",
		"/etc/hosts":       "127.0.0.1 localhost\n",
	}
	for path, text := range files {
		if err := replace(path, filepath.Join(directory, filepath.Base(path)), text); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	for _, path := range []string{"/run", "/var/spool"} { // OpenSMTPD's socket and spool are below these
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// replace puts a file of ours in the place of one of the machine's. A path that leads nowhere is left as it is.
func replace(path, ours, text string) error {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(ours, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(ours, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

// lock waits until no other run holds the lock of this machine.
func lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(lockFile), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("%s: %w", lockFile, err), f.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another run holds %s: %w", lockFile, ctx.Err()), f.Close())
		}
	}
}

// ownSpool gives OpenSMTPD's spool the mode and owner that smtpd asks for. The function returned gives it back those
// that it had.
func ownSpool() (restore func(*testing.T), err error) {
	before, err := os.Stat(spool)
	if errors.Is(err, fs.ErrNotExist) {
		return func(*testing.T) {}, nil // smtpd makes it
	}
	if err != nil {
		return nil, err
	}
	owner, ok := before.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: its owner cannot be read", spool)
	}
	if err := errors.Join(os.Chown(spool, 0, 0), os.Chmod(spool, spoolMode)); err != nil {
		return nil, err
	}
	return func(t *testing.T) {
		err := errors.Join(os.Chown(spool, int(owner.Uid), int(owner.Gid)), os.Chmod(spool, before.Mode()))
		if err != nil {
			t.Error(err)
		}
	}, nil
}
