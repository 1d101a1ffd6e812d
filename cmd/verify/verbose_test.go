package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// talkative has hosts of different distances, so that their lines come in one order: one that limits errors, one that
// refuses us, one that is down and one that greylists.
const talkative = `
	host mx.near.lab latency=10ms starttls errors=3
	domain near.lab mx=mx.near.lab
	mailbox ann@near.lab
	host mx.wary.lab latency=200ms blocks
	domain wary.lab mx=mx.wary.lab
	mailbox ann@wary.lab
	host mx.down.lab latency=30ms dead
	domain down.lab mx=mx.down.lab
	host mx.grey.lab latency=70ms greylist=5m
	domain grey.lab mx=mx.grey.lab
	mailbox ann@grey.lab`

// moments are what the lines of a log say about time, and the invented addresses, which change with it.
var moments = []*regexp.Regexp{
	regexp.MustCompile(`("?\btime"?[=:])"?[-0-9T:.]+Z"?`),
	regexp.MustCompile(`("?\b(?:took|for)"?[=:])[0-9.]+[a-zµ]*`),
	regexp.MustCompile(`(<|u003c)[a-z]{12}\d\d`),
}

func TestWhatIsLogged(t *testing.T) {
	list := []string{"list", "LIST", "--state", "STATE", "-o", "OUT"}
	for _, c := range []struct {
		name, golden string
		first        []string // a command before it
		args         []string
		variable     string // VERIFY_VERBOSE
		settings     string // verify.toml
	}{
		{name: "a list with -v: each session, and the reason for a pause", golden: "list-v.txt", args: append(list, "-v")},
		{name: "the same as JSON", golden: "list-v.json", args: append(list, "-v", "--log-format", "json")},
		{name: "the same from verify.toml", golden: "list-v.txt", args: list, settings: "verbose = true"},
		{name: "a check with -v", golden: "check-v.txt", args: []string{"check", "ann@near.lab", "-v"}},
		{
			name: "a check with a source address", golden: "check-source.txt",
			args: []string{"check", "ann@near.lab", "-v", "--source-ip", "127.0.0.2"},
		},
		{name: "a check with -vv: the SMTP dialogue", golden: "check-vv.txt", args: []string{"check", "ann@grey.lab", "-vv"}},
		{name: "the same with -v twice", golden: "check-vv.txt", args: []string{"check", "-v", "ann@grey.lab", "-v"}},
		{
			name: "the same from the environment", golden: "check-vv.txt", args: []string{"check", "ann@grey.lab"},
			variable: "2",
		},
		{
			name: "a flag goes before the environment", golden: "check-v.txt", args: []string{"check", "ann@near.lab", "-v"},
			variable: "2",
		},
		{
			name: "the same as JSON from verify.toml", golden: "check-vv.json",
			args: []string{"check", "ann@grey.lab"}, settings: "verbose = 2\nlog-format = \"json\"",
		},
		{name: "a retry with -v", golden: "retry-v.txt", first: list, args: []string{"retry", "--state", "STATE", "-v"}},
		{name: "a retry with -vv", golden: "retry-vv.txt", first: list, args: []string{"retry", "--state", "STATE", "-vv"}},
		{name: "nothing unless asked for", golden: "check.txt", args: []string{"check", "ann@near.lab"}},
		{
			name: "nothing with verbose = false", golden: "check.txt", args: []string{"check", "ann@near.lab"},
			settings: "verbose = false",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv("VERIFY_VERBOSE", c.variable)
			}
			simulate(t, talkative, func(s *simulation) {
				real := strings.NewReplacer("STATE", s.path("crm.db"), "OUT", s.path("out.csv"), "LIST", s.list(
					"a@near.lab", "ann@near.lab", "b@near.lab", "c@near.lab", "d@near.lab", "ann@wary.lab", "ann@down.lab",
					"ann@grey.lab",
				))
				run := func(args []string) string {
					args = slices.Clone(args)
					for i := range args {
						args[i] = real.Replace(args[i])
					}
					if c.settings != "" {
						path := s.path("verify.toml")
						if err := os.WriteFile(path, []byte(c.settings), 0o644); err != nil {
							t.Fatal(err)
						}
						args = append(args, "--config", path)
					}
					_, _, said := s.verify(args...)
					return said
				}
				if c.first != nil {
					run(c.first)
					time.Sleep(16 * time.Minute * 11 / 10)
				}
				var lines strings.Builder
				for line := range strings.Lines(run(c.args)) {
					if strings.HasPrefix(line, "time=") || strings.HasPrefix(line, "{") {
						lines.WriteString(line)
					}
				}
				got := lines.String()
				for _, m := range moments {
					got = m.ReplaceAllString(got, "${1}X")
				}
				golden(t, filepath.Join("testdata", "verbose", c.golden), got)
			})
		})
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), which -update writes anew:\n%s", path, diff)
	}
}
