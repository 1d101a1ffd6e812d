package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContribRunsCommandsThatTheProgramHas(t *testing.T) {
	files, err := filepath.Glob("../../contrib/*/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, command, ok := strings.Cut(line, "/usr/local/bin/verify ")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			found++
			c, rest, err := rootCommand(&app{}).Find(strings.Fields(command))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if err := c.ValidateArgs(c.Flags().Args()); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d commands found in contrib, want the service's and the cron line's", found)
	}
}
