package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// small mounts a file system of so many KiB for a test; it needs root.
func small(t *testing.T, kib int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: a full disk and a read-only one need root, to mount a small file system")
	}
	directory := t.TempDir()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skip("LEFT OUT: a file system cannot be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(directory, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return directory
}

func TestAFullDiskIsAClearErrorAndLosesNothing(t *testing.T) {
	declaration, list := bigList(40, 50)
	declaration = strings.Replace(declaration, "latency=20ms", "", 1)
	_, toLab := startLab(t, declaration)
	disk := small(t, 700)
	in := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(in, list, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"list", in, "-q", "-o", filepath.Join(disk, "out.csv")}, toLab...)
	out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "disk is full") {
		t.Fatalf("%v: %s; want an error that says that the disk is full", err, out)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput(); err != nil {
		t.Errorf("with room again: %v: %s", err, out)
	}
}

func TestAStateInAReadOnlyFolderIsAClearError(t *testing.T) {
	_, toLab := startLab(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab")
	directory := t.TempDir()
	in := filepath.Join(directory, "list.csv")
	if err := os.WriteFile(in, []byte("email\nann@corp.lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	readOnly := small(t, 100)
	if err := syscall.Mount("tmpfs", readOnly, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"list", in, "-q", "-o", filepath.Join(directory, "out.csv"), "--state", filepath.Join(readOnly, "s.db")}, toLab...)
	said, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "read-only file system") {
		t.Errorf("%v: %s; want an error that says that the file system is read-only", err, said)
	}
}
