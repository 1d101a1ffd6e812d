package main

import (
	"fmt"
	"maps"
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
	args := append([]string{
		"list", in, "-q", "-o", filepath.Join(directory, "out.csv"), "--state",
		filepath.Join(readOnly, "s.db"),
	}, toLab...)
	said, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "read-only file system") {
		t.Errorf("%v: %s; want an error that says that the file system is read-only", err, said)
	}
}

func TestADiskThatFillsWhileOutputsAreWrittenLeavesThoseOfTheLastNight(t *testing.T) {
	declaration, list := bigList(40, 50)
	declaration = strings.Replace(declaration, "latency=20ms", "", 1)
	_, toLab := startLab(t, declaration)
	disk, elsewhere := small(t, 8000), t.TempDir()
	in := filepath.Join(elsewhere, "list.csv")
	if err := os.WriteFile(in, list, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{
		"list", in, "-q", "-o", filepath.Join(disk, "out.csv"), "--split", filepath.Join(disk, "parts"),
		"--changes", filepath.Join(disk, "changes.csv"), "--state", filepath.Join(elsewhere, "s.db"),
	}, toLab...)
	outputs := func() map[string]string {
		return contents(t,
			filepath.Join(disk, "out.csv"), filepath.Join(disk, "changes.csv"), filepath.Join(disk, "parts", "*.csv"))
	}
	if out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, used := outputs(), 0
	for _, content := range before {
		used += len(content)
	}
	// Tonight a contact is new, and there is room for some of the outputs next to those of last night.
	if err := os.WriteFile(in, append(list, "2000,new@d1.lab\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, kib := range []int{used>>10 + 50, used>>10 + 500, used>>10 + 700} {
		if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dk", kib)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput(); err == nil ||
			!strings.Contains(string(out), "no space left") {
			t.Errorf("with %d KiB: %v: %s", kib, err, out)
		}
		if !maps.Equal(outputs(), before) {
			t.Errorf("with %d KiB the outputs are not those of last night", kib)
		}
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "verify", args...).CombinedOutput(); err != nil {
		t.Fatalf("with room again: %v: %s", err, out)
	}
	if after := outputs(); !strings.Contains(after[filepath.Join(disk, "out.csv")], "new@d1.lab") {
		t.Error("with room again there is nothing new")
	}
}

func TestAnotherProcessAddsToTheSuppressionListDuringARun(t *testing.T) {
	declaration, list := bigList(20, 50)
	_, toLab := startLab(t, declaration)
	directory := t.TempDir()
	in, db, out := filepath.Join(directory, "list.csv"), filepath.Join(directory, "s.db"),
		filepath.Join(directory, "out.csv")
	if err := os.WriteFile(in, list, 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "verify",
		append([]string{"list", in, "-q", "-o", out, "--state", db}, toLab...)...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	added := 0
	for i := range 20 {
		address := fmt.Sprintf("m0@d%d.lab", i)
		said, err := exec.CommandContext(t.Context(), "verify", "suppress", "add", address, "--state", db).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", address, err, said)
		}
		if _, err := os.Stat(out); err != nil {
			added = i // it was in time
		}
	}
	if err := run.Wait(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if added == 0 || strings.Count(string(content), ",suppressed,") < added {
		t.Errorf("%d entries in time, %d rows suppressed", added, strings.Count(string(content), ",suppressed,"))
	}
}
