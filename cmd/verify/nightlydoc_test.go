package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"presend/internal/lab"
)

// ofPages are lines of a page that are commands of ours: indented, or after the $ of a session.
var ofPages = regexp.MustCompile(`(?m)^(?:    |\$ )verify (.*)$`)

func TestAllCommandsOfNightlyRun(t *testing.T) {
	_, toLab := startLab(t, lab.Demo)
	page, err := filepath.Abs("../../docs/nightly.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	aNight(t, toLab)
	for name, content := range map[string]string{
		"unsubscribes.csv": "email\nkim@example.com\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commands := ofPages.FindAllStringSubmatch(string(text), -1)
	if len(commands) < 12 {
		t.Errorf("%d commands in %s", len(commands), page)
	}
	for _, command := range commands {
		args := strings.Fields(command[1])
		if slices.Contains([]string{"list", "retry"}, args[0]) {
			args = append(args, toLab...)
		}
		var stdout, stderr bytes.Buffer
		if code := run(args, strings.NewReader(""), &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit %d: %s", command[0], code, stderr.String())
		}
	}
}
