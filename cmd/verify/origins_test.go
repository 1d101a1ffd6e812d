package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// write writes a file of the test and returns its path.
func (s *simulation) write(name, content string) string {
	s.Helper()
	path := s.path(name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.Fatal(err)
	}
	return path
}

// must runs a command that has to succeed and returns what it printed.
func (s *simulation) must(args ...string) (stdout, stderr string) {
	s.Helper()
	code, stdout, stderr := s.verify(args...)
	if code != 0 {
		s.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
	return stdout, stderr
}

const bounces = `email,reason,status,created
ann@lapsed.lab,550 5.1.2 <ann@lapsed.lab>: no such domain,5.1.2,946684800
cy@corp.lab,550 5.1.1 <cy@corp.lab>: user unknown,5.1.1,946684800
`

func TestSuppressionHasOrigins(t *testing.T) {
	const lapsed = "host mx.lapsed.lab\ndomain lapsed.lab mx=mx.lapsed.lab\nmailbox ann@lapsed.lab\n"
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("in a file of its own %v", own), func(t *testing.T) {
			simulate(t, corpUp, func(s *simulation) { // lapsed.lab is not there, nor late@corp.lab
				flag, args := []string{"--state", s.path("crm.db")}, []string(nil)
				if own {
					flag, args = []string{"--suppress", s.path("wishes.db")}, []string{"--suppress", s.path("wishes.db")}
				}
				s.run("suppress", append([]string{"add", "bob@corp.lab", "--reason", "unsubscribe"}, flag...)...)
				s.run("suppress", append([]string{"import", s.write("bounces.csv", bounces)}, flag...)...)
				s.run("suppress", append([]string{"import", s.write("suppress.csv",
					"email,reason,date\nlate@corp.lab,mailbox_unknown,2000-01-01T00:00:00Z\n")}, flag...)...)
				list := s.list("ann@corp.lab", "bob@corp.lab", "cy@corp.lab", "late@corp.lab", "ann@lapsed.lab")
				for address, reason := range reasons(s.night(1, list, args...)) {
					if want := map[bool]string{true: "accepted", false: "suppressed"}[address == "ann@corp.lab"]; reason != want {
						t.Errorf("night 1: %s is %s, want %s", address, reason, want)
					}
				}
				if n := s.lab.Count().Rcpts; n != 2 {
					t.Errorf("night 1: %d RCPTs, want one address and the question", n)
				}
				s.world(corpUp + lapsed + "mailbox late@corp.lab\n")
				rows := s.night(2, list, args...)
				if got := rows["ann@lapsed.lab"]["reason"]; got != "accepted" {
					t.Errorf("night 2: the domain is back, and its contact %s", got)
				}
				off := ""
				for night := 3; night <= 11; night++ {
					rows = s.night(night, list, append(args, "--summary", s.path("sum.json"))...)
					if content, err := os.ReadFile(s.path("sum.json")); err != nil {
						t.Fatal(err)
					} else if strings.Contains(string(content), `"late@corp.lab"`) {
						off = rows["late@corp.lab"]["reason"]
					}
				}
				if off != "accepted" || rows["late@corp.lab"]["reason"] != "accepted" {
					t.Errorf("a verdict that was imported again is %s and named as taken off %q", rows["late@corp.lab"]["reason"], off)
				}
				for _, address := range []string{"bob@corp.lab", "cy@corp.lab"} {
					if rows[address]["reason"] != "suppressed" || s.lab.Probes(address) > 0 {
						t.Errorf("%s is %s and was asked %d times", address, rows[address]["reason"], s.lab.Probes(address))
					}
				}
				stdout, _ := s.must(append([]string{"suppress", "list", "--format", "csv"}, flag...)...)
				if strings.Contains(stdout, "late@") || strings.Contains(stdout, "ann@") ||
					!strings.Contains(stdout, "bob@corp.lab,unsubscribe,manual") || !strings.Contains(stdout, ",bounce") {
					t.Errorf("the list in the end:\n%s", stdout)
				}
			})
		})
	}
}

// run runs a command with a subcommand quietly.
func (s *simulation) run(command string, args ...string) {
	s.Helper()
	s.must(append([]string{command}, append(args, "-q")...)...)
}

func TestALesserOriginTakesNoPersonsWishAway(t *testing.T) {
	simulate(t, corpUp, func(s *simulation) {
		db := []string{"--state", s.path("crm.db")}
		s.run("suppress", append([]string{"add", "late@corp.lab", "--reason", "unsubscribe"}, db...)...)
		s.run("suppress", append([]string{"import", s.write("suppress.csv",
			"email,reason,date\nlate@corp.lab,mailbox_unknown,2000-01-01T00:00:00Z\n")}, db...)...)
		if stdout, _ := s.must(append([]string{"suppress", "list"}, db...)...); !strings.Contains(stdout, "unsubscribe") {
			t.Errorf("the list:\n%s", stdout)
		}
	})
}
