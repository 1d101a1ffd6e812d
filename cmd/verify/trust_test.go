package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contacts writes an export with a column of contacts and one of their owners, who are few.
func (s *simulation) contacts(name, column string, addresses ...string) string {
	s.Helper()
	lines := []string{"id," + column + ",owner_email"}
	for i, address := range addresses {
		lines = append(lines, fmt.Sprintf("%d,%s,rep%d@corp.lab", i, address, i%2))
	}
	return s.write(name, strings.Join(lines, "\n")+"\n")
}

// people are addresses at corp.lab.
func people(n int) (addresses []string) {
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("user%d@corp.lab", i))
	}
	return addresses
}

func TestAnExportIsComparedWithTheListsLastRun(t *testing.T) {
	all := people(20)
	world := corp + "mailbox rep0,rep1," + strings.ReplaceAll(strings.Join(all, ","), "@corp.lab", "") + "@corp.lab\n"
	for _, test := range []struct {
		name      string
		second    func(s *simulation) string
		args      []string
		code      int
		says      []string
		addresses int // with a verdict in the output
	}{
		{"the same list with tonight's date", func(s *simulation) string {
			return s.contacts("export-2000-01-02.csv", "email", all...)
		}, nil, 0, []string{`addresses in "email"`}, 20},
		{"a column that was renamed", func(s *simulation) string {
			return s.contacts("export-2.csv", "Kontakt", all...)
		}, nil, 0, []string{`the column "Kontakt" is taken for "email" of the last run: 20 of 20`}, 20},
		{"the column is another one", func(s *simulation) string {
			return s.contacts("export-2.csv", "Kontakt",
				strings.Split(strings.ReplaceAll(strings.Join(all, ","), "user", "other"), ",")...)
		}, nil, 1, []string{`"email"`, `"Kontakt"`, "--column"}, 0},
		{"half of it is gone", func(s *simulation) string {
			return s.contacts("export-2.csv", "email", all[:10]...)
		}, nil, 1, []string{"10 rows, and had 20", "--shrink 50%"}, 0},
		{"half of it is gone, and may be", func(s *simulation) string {
			return s.contacts("export-2.csv", "email", all[:10]...)
		}, []string{"--shrink", "50%"}, 0, []string{"10 gone from the list"}, 10},
		{"half of the addresses are gone", func(s *simulation) string {
			return s.contacts("export-2.csv", "email", append(all[:10:10], all[:10]...)...)
		}, nil, 1, []string{"10 addresses, and had 20"}, 0},
		{"another list", func(s *simulation) string {
			return s.contacts("export-2.csv", "email", all[:3]...)
		}, []string{"--list", "vips"}, 0, nil, 3},
		{
			"a header and nothing else", func(s *simulation) string { return s.contacts("export-2.csv", "email") }, nil, 1,
			[]string{"no rows"},
			0,
		},
		{"an error page", func(s *simulation) string {
			return s.write("export-2.csv", "<!DOCTYPE html>\n<html><body>Error 502, ask it@corp.lab</body></html>\n")
		}, nil, 1, []string{"an HTML page"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, world, func(s *simulation) {
				out, db := s.path("out.csv"), s.path("crm.db")
				s.must("list", s.contacts("export-2000-01-01.csv", "email", all...), "--state", db, "-o", out)
				before, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				rcpts := s.lab.Count().Rcpts
				code, _, stderr := s.verify(append([]string{
					"list", test.second(s), "--state", db, "-o", out, "--split",
					s.path("parts"),
				}, test.args...)...)
				if code != test.code {
					t.Fatalf("exit %d, want %d: %s", code, test.code, stderr)
				}
				for _, words := range test.says {
					if !strings.Contains(stderr, words) {
						t.Errorf("it says nothing of %s:\n%s", words, stderr)
					}
				}
				if code == 0 {
					content, err := os.ReadFile(out)
					if n := strings.Count(string(content), "\n") - 1; err != nil || n != test.addresses {
						t.Errorf("%d addresses in the output, want %d: %v\n%s", n, test.addresses, err, content)
					}
					return
				}
				after, err := os.ReadFile(out)
				if err != nil || string(before) != string(after) || s.lab.Count().Rcpts != rcpts {
					t.Errorf("something was asked or written: %v", err)
				}
				if _, err := os.Stat(s.path("parts")); err == nil {
					t.Error("the folder of the parts is there")
				}
				// And the next whole list is compared with the last whole one.
				s.must("list", s.contacts("export-3.csv", "email", all...), "--state", db, "-o", out)
			})
		})
	}
}

func TestStandardInputNeedsANameWhereAStateIsGiven(t *testing.T) {
	simulate(t, corpUp, func(s *simulation) {
		if code, _, stderr := s.verify("list", "-", "--state", s.path("crm.db")); code != 2 ||
			!strings.Contains(stderr, "--list") {
			t.Errorf("exit %d: %s", code, stderr)
		}
	})
}

func TestWhatChangedSinceTheLastRun(t *testing.T) {
	simulate(t, corpUp, func(s *simulation) {
		changes := s.path("changes.csv")
		s.night(1, s.list("ann@corp.lab", "bob@corp.lab", "cy@corp.lab", "new@corp.lab", "stays@corp.lab"))
		s.world(corp + "mailbox ann,new,cy@corp.lab\n")
		s.run("suppress", "add", "cy@corp.lab", "--state", s.path("crm.db"))
		list := s.list("ann@corp.lab", "bob@corp.lab", "cy@corp.lab", "new@corp.lab", "fresh@corp.lab")
		time.Sleep(time.Until(s.midnight.AddDate(0, 0, 1)))
		args := []string{
			"list", list, "--state", s.path("crm.db"), "-o", s.path("out.csv"), "--changes", changes, "--fresh",
		}
		_, stderr := s.must(args...)
		if want := "Since the last run: 1 newly invalid, 1 newly deliverable, 1 new, 1 gone from the list, 1 " +
			"suppressed\n"; !strings.Contains(stderr, want) {
			t.Errorf("want %q in\n%s", want, stderr)
		}
		var got []string
		for _, line := range s.table(changes) {
			got = append(got, strings.Join(line[:3], " "))
		}
		want := []string{
			"email verify_verdict verify_old_verdict", "bob@corp.lab invalid deliverable", "cy@corp.lab invalid deliverable",
			"new@corp.lab deliverable invalid", "fresh@corp.lab invalid ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the file of changes (-want +got):\n%s", diff)
		}
		// A night on which nothing changes, and the gate of one on which too much does.
		if _, stderr = s.must(args[:6]...); !strings.Contains(stderr, "no address is newly invalid") {
			t.Errorf("the same again:\n%s", stderr)
		}
		time.Sleep(time.Hour)
		s.world(corp)
		code, _, stderr := s.verify(append(args, "--fail-new-invalid", "1%", "-q")...)
		if code != 6 || !strings.Contains(stderr, "40.0 % of the list became invalid") {
			t.Errorf("exit %d: %s", code, stderr)
		}
		stdout, _ := s.must("trend", "--state", s.path("crm.db"), "--format", "csv")
		if !strings.Contains(stdout, "list,2000-01,5,0.00,0.00,100.00,0.00,3,60.00") {
			t.Errorf("the trend:\n%s", stdout)
		}
	})
}

func TestAnEntryThatIsAddedDuringARunCountsInItsOutput(t *testing.T) {
	simulate(t, "host mx.corp.lab latency=2s nopipelining\ndomain corp.lab mx=mx.corp.lab\nmailbox ann,bob@corp.lab\n",
		func(s *simulation) {
			list := s.list("ann@corp.lab", "bob@corp.lab")
			ended := make(chan map[string]string)
			go func() { ended <- reasons(s.night(1, list)) }()
			time.Sleep(3 * time.Second) // of the bubble: the session is under way
			s.run("suppress", "add", "bob@corp.lab", "--reason", "unsubscribe", "--state", s.path("crm.db"))
			for _, command := range [][]string{{"runs"}, {"trend"}, {"history", "ann@corp.lab"}, {"backup", s.path("copy.db")}} {
				code, _, stderr := s.verify(append(command, "--state", s.path("crm.db"))...)
				if code != 0 && !strings.Contains(stderr, "never verified") {
					t.Errorf("%v during a run: exit %d: %s", command, code, stderr)
				}
			}
			if got := <-ended; got["bob@corp.lab"] != "suppressed" || got["ann@corp.lab"] != "accepted" {
				t.Errorf("the output says %v", got)
			}
		})
}

func TestForgottenIsForgotten(t *testing.T) {
	simulate(t, corpUp, func(s *simulation) {
		list := s.list("ann@corp.lab", "Ann@corp.lab", "bob@corp.lab", "never@corp.lab")
		s.night(1, list)
		s.run("suppress", "add", "bob@corp.lab", "--state", s.path("crm.db"))
		s.run("forget", "ann@corp.lab", "--suppress-hash", "--state", s.path("crm.db"))
		s.run("forget", "bob@corp.lab", "--state", s.path("crm.db"))
		for file, content := range contents(t, s.path("crm.db*")) {
			for _, word := range []string{"ann", "Ann", "bob"} {
				if strings.Contains(content, word) {
					t.Errorf("%s still holds %q", file, word)
				}
			}
		}
		if code, _, _ := s.verify("history", "ann@corp.lab", "--state", s.path("crm.db")); code != 1 {
			t.Error("there is a history of ann")
		}
		rows := s.night(2, list)
		want := map[string]string{
			"ann@corp.lab": "suppressed", "Ann@corp.lab": "suppressed", "bob@corp.lab": "accepted",
			"never@corp.lab": "mailbox_unknown",
		}
		if diff := cmp.Diff(want, reasons(rows)); diff != "" {
			t.Errorf("when they come back (-want +got):\n%s", diff)
		}
		s.run("forget", "@corp.lab", "--state", s.path("crm.db"))
		if n, err := os.ReadFile(s.path("crm.db")); err != nil || strings.Contains(string(n), "corp.lab") {
			t.Errorf("the domain is still there: %v", err)
		}
	})
}

func TestWhoLeftEveryListIsForgottenAfterAWhileAndNotRetried(t *testing.T) {
	simulate(t, corpUp+"busy busy@corp.lab\n", func(s *simulation) {
		s.night(1, s.list("ann@corp.lab", "bob@corp.lab", "cy@corp.lab", "never@corp.lab", "busy@corp.lab"))
		rest := s.list("ann@corp.lab", "bob@corp.lab", "cy@corp.lab", "never@corp.lab")
		s.night(2, rest, "--forget-after", "30d")
		before := s.lab.Probes("busy@corp.lab")
		s.must("retry", "--state", s.path("crm.db"))
		if s.lab.Probes("busy@corp.lab") != before {
			t.Error("who left was asked again")
		}
		known := func(night int) bool {
			s.night(night, rest, "--forget-after", "30d")
			code, _, _ := s.verify("history", "busy@corp.lab", "--state", s.path("crm.db"))
			return code == 0
		}
		if !known(31) || known(33) {
			t.Error("who left is forgotten before or not at all")
		}
	})
}

func TestABackupIsBroughtBackWithTheWishesOfSince(t *testing.T) {
	simulate(t, corpUp, func(s *simulation) {
		list, db := s.list("ann@corp.lab", "bob@corp.lab"), s.path("crm.db")
		s.night(1, list)
		s.must("backup", s.path("copy.db"), "--state", db)
		s.run("suppress", "add", "bob@corp.lab", "--reason", "unsubscribe", "--state", db)
		s.night(8, list)
		_, stderr := s.must("backup", s.path("copy.db"), "--restore", "--state", db)
		if !strings.Contains(stderr, "2000-01-01T00:00:0") || !strings.Contains(stderr, "7 days ago") ||
			!strings.Contains(stderr, "1 entry") {
			t.Errorf("it says\n%s", stderr)
		}
		if got := s.night(9, list)["bob@corp.lab"]["reason"]; got != "suppressed" {
			t.Errorf("bob is %s", got)
		}
		for _, file := range []string{"crm.db", "crm.db.lock", "copy.db", "out.csv"} {
			if info, err := os.Stat(s.path(file)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v; want 0600", file, info.Mode(), err)
			}
		}
	})
}
