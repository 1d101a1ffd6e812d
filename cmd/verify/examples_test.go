package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// exampleWord is a word of a command line, perhaps in quotes.
var exampleWord = regexp.MustCompile(`'[^']*'|\S+`)

// typed returns the arguments of the verify command in a line of an example.
func typed(line string) (args []string) {
	if _, after, piped := strings.Cut(line, "| "); piped {
		line = after
	}
	line, _, _ = strings.Cut(strings.TrimSpace(line), "   ") // what it does
	line, _, _ = strings.Cut(line, " > ")
	for _, word := range exampleWord.FindAllString(line, -1) {
		args = append(args, strings.Trim(word, "'"))
	}
	return args[1:]
}

func TestEveryCommandHasExamplesThatItUnderstands(t *testing.T) {
	used := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Example == "" {
			if c.Runnable() {
				t.Errorf("%s has no example", c.CommandPath())
			}
			return
		}
		used[c.CommandPath()] = true
		for line := range strings.Lines(c.Example) {
			args := typed(line)
			fresh := rootCommand(&app{})
			found, rest, err := fresh.Find(args)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if !strings.HasPrefix(found.CommandPath(), c.CommandPath()) {
				t.Errorf("%q is an example of %s, not of %s", line, found.CommandPath(), c.CommandPath())
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			if len(strings.TrimRight(line, "\n")) > 118 {
				t.Errorf("%q is too long", line)
			}
		}
	}
	walk(rootCommand(&app{}))
	for path := range examples {
		if !used[path] {
			t.Errorf("there are examples of %s, which is no command", path)
		}
	}
}
