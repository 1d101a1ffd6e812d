package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/verify"
)

// storyOf is what a check shows of a result.
func storyOf(r verify.Result, c colours) string {
	r.Judge()
	var b bytes.Buffer
	writeResult(&b, r, c)
	return b.String()
}

func TestACheckTellsItsEvidenceAsAStory(t *testing.T) {
	for _, test := range []struct {
		name   string
		result verify.Result
		want   string
	}{
		{
			"a mailbox that does not exist",
			verify.Result{
				Address: "Ann <ann@corp.lab>", Normalized: "ann@corp.lab", Reason: verify.MailboxUnknown,
				Flags:  []verify.Flag{"role"},
				Detail: "mx.corp.lab answered RCPT with 550 5.1.1 no such user", MX: "mx.corp.lab", Provider: "google",
				Reply: &verify.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user", Command: "RCPT"},
			},
			`Ann <ann@corp.lab>: invalid (mailbox_unknown), score 0
  syntax       in order, read as ann@corp.lab, role
  mail host    mx.corp.lab, of google
  asked        RCPT TO:<ann@corp.lab>
  answered     550 5.1.1 no such user
  means        mailbox does not exist
  do           Do not send. The mailbox does not exist. Leave the address out.
`,
		},
		{
			"no address at all",
			verify.Result{Address: "ann at corp", Reason: verify.Syntax, Detail: "there is no @", Suggestion: "ann@corp.lab"},
			`ann at corp: invalid (syntax), score 0
  syntax       there is no @
  did you mean ann@corp.lab
  do           Do not send. It is not an email address. Correct it or leave it out.
`,
		},
		{
			"a domain that is not there",
			verify.Result{
				Address: "a@gone.lab", Normalized: "a@gone.lab", Reason: verify.NoSuchDomain,
				Detail: "gone.lab does not exist",
			},
			`a@gone.lab: invalid (no_such_domain), score 0
  syntax       in order
  mail host    none is known
  asked        DNS only
  means        gone.lab does not exist
  do           Do not send. The domain does not exist. Correct the address or leave it out.
`,
		},
		{
			"a host that refuses the session",
			verify.Result{
				Address: "a@corp.lab", Normalized: "a@corp.lab", Reason: verify.SenderBlocked, MX: "mx.corp.lab",
				Detail: "mx.corp.lab answered connect with 554 go away",
				Reply:  &verify.Reply{Code: 554, Text: "go away", Command: "connect"},
			},
			`a@corp.lab: unknown (sender_blocked), score 85
  syntax       in order
  mail host    mx.corp.lab
  asked        connect, which was refused; so the mailbox was not asked about
  answered     554 go away
  means        server blocks this machine
  do           The mail server blocks this machine, not the address. Fix that first, then run again.
`,
		},
		{
			"a host that does not answer, with a word that would steer the terminal",
			verify.Result{
				Address: "a@corp.lab", Normalized: "a@corp.lab", Reason: verify.Timeout, MX: "mx.corp.lab",
				Detail: "no \x1b[31manswer",
			},
			`a@corp.lab: unknown (timeout), score 50
  syntax       in order
  mail host    mx.corp.lab
  asked        the mail host, which gave no answer about the mailbox
  means        no  [31manswer
  do           The mail server did not answer in time. Run the list again at the time given.
`,
		},
		{
			"probing is off",
			verify.Result{
				Address: "a@corp.lab", Normalized: "a@corp.lab", Reason: verify.NotProbed, MX: "mx.corp.lab",
				Detail: "the domain takes mail; no server was asked about the mailbox",
			},
			`a@corp.lab: unknown (not_probed), score 85
  syntax       in order
  mail host    mx.corp.lab
  asked        nothing: no mail host was asked
  means        the domain takes mail; no server was asked about the mailbox
  do           Send with care. The mail server was not asked. Syntax and domain are in order.
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, storyOf(test.result, colours{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestColoursAreOnlyOnATerminalThatWantsThem(t *testing.T) {
	r := verify.Result{Address: "a@corp.lab", Normalized: "a@corp.lab", Reason: verify.Accepted, MX: "mx.corp.lab"}
	if got := storyOf(r, terminalColours); !strings.Contains(got, "\x1b[32mdeliverable\x1b[0m") {
		t.Errorf("%q, want a green verdict", got)
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if c := coloursOn(file); c.plain != "" {
		t.Error("a file has colours")
	}
}

func TestTheDialogueOfAResultIsThatOfItsOwnSessions(t *testing.T) {
	const world = "host mx.one.lab\ndomain one.lab mx=mx.one.lab\nmailbox ann@one.lab\n" +
		"host mx.two.lab banner554\ndomain two.lab mx=mx.two.lab"
	simulate(t, world, func(s *simulation) {
		_, stdout, _ := s.verify("check", "ann@one.lab", "bob@two.lab", "x@nosuch.lab", "--json", "-vv")
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if len(lines) != 3 {
			t.Fatalf("%d objects: %s", len(lines), stdout)
		}
		for i, want := range []struct {
			host  string
			lines []string // some of them
		}{
			{"mx.one.lab", []string{
				"client: RCPT TO:<ann@one.lab>", "server: 250 2.1.5 Ok",
				"client: MAIL FROM:<check@probe.lab>",
			}},
			{"mx.two.lab", []string{"server: 554 5.7.1"}},
			{"", nil},
		} {
			var object checked
			if err := json.Unmarshal([]byte(lines[i]), &object); err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, l := range object.Dialogue {
				said += l.From + ": " + l.Line + "\n"
				if l.Host != want.host || l.Address == "" || l.At.IsZero() {
					t.Errorf("%+v in the dialogue of %s", l, object.Address)
				}
			}
			for _, line := range want.lines {
				if !strings.Contains(said, line) {
					t.Errorf("%s: no %q in\n%s", object.Address, line, said)
				}
			}
			if len(want.lines) == 0 && said != "" || !strings.Contains(lines[i], `"dialogue":[`) {
				t.Errorf("%s: %s", object.Address, lines[i])
			}
		}
	})
}

func TestTheDialogueThatIsKeptIsBounded(t *testing.T) {
	var d dialogues
	for range 30 {
		s := d.begin()
		for range linesMost / 10 {
			d.add(s, spoken{Host: "mx.lab"})
		}
	}
	kept := 0
	for _, s := range d.sessions {
		kept += len(s.lines)
	}
	if kept > linesMost || kept < linesMost*8/10 {
		t.Errorf("%d lines are kept, want at most %d", kept, linesMost)
	}
}

func TestASenderThatFitsNothingIsSaidInOneLine(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	qualified := strings.Contains(hostname, ".")
	for _, test := range []struct {
		name  string
		flags sharedFlags
		said  bool
	}{
		{"neither is given", sharedFlags{}, !qualified},
		{"a name without a domain", sharedFlags{helo: "mailer"}, true},
		{"the null sender with such a name", sharedFlags{helo: "mailer", from: "<>"}, true},
		{"a name that DNS can know", sharedFlags{helo: "verify.example.com"}, false},
		{"a sender", sharedFlags{helo: "mailer", from: "check@example.com"}, false},
		{"nothing is asked", sharedFlags{helo: "mailer", noSMTP: true}, false},
		{"with -q", sharedFlags{helo: "mailer", quiet: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said bytes.Buffer
			a := &app{stderr: &said, flags: test.flags}
			if err := a.hintSender(); err != nil {
				t.Fatal(err)
			}
			if (said.Len() > 0) != test.said || strings.Count(said.String(), "\n") > 1 {
				t.Errorf("it says %q", said.String())
			}
		})
	}
}
