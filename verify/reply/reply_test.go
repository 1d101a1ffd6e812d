package reply_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"presend/verify/reply"
	"presend/verify/verdict"
)

func TestParseTakesCodesOffEveryForm(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want reply.Reply
	}{
		"one line": {
			"550 5.1.1 User unknown",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"User unknown"}},
		},
		"several lines": {
			"550-5.1.1 The account\r\n550 5.1.1 does not exist\r\n",
			reply.Reply{
				Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1},
				Lines: []string{"The account", "does not exist"},
			},
		},
		"several lines folded into one": {
			"550-5.1.1 The account 550-5.1.1 does not 550 5.1.1 exist",
			reply.Reply{
				Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1},
				Lines: []string{"The account", "does not", "exist"},
			},
		},
		"wrapped by Postfix": {
			"host mx.example.com[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)",
			reply.Reply{Code: 452, Enhanced: reply.Enhanced{Class: 4, Subject: 2, Detail: 2}, Lines: []string{"Mailbox full"}},
		},
		"an enhanced code behind the words": {
			"550 sorry, no mailbox here by that name (#5.1.1)",
			reply.Reply{
				Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1},
				Lines: []string{"sorry, no mailbox here by that name (#5.1.1)"},
			},
		},
		"wrapped by Exim": {
			"SMTP error from remote mail server after RCPT TO:<bob@example.com>: host mx.example.com [192.0.2.1]: 550 5.1.1 " +
				"No such user",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"No such user"}},
		},
		"wrapped by qmail": {
			"192.0.2.1 does not like recipient.\nRemote host said: 550 No such user\nGiving up on 192.0.2.1.",
			reply.Reply{Code: 550, Lines: []string{"No such user", "Giving up on 192.0.2.1."}},
		},
		"wrapped by Sendmail": {
			"... while talking to mx.example.com.:\n>>> RCPT To:<bob@example.com>\n<<< 550 5.1.1 No such user",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"No such user"}},
		},
		"wrapped by Exchange": {
			"Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found'",
			reply.Reply{
				Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 10},
				Lines: []string{"RESOLVER.ADR.RecipientNotFound; Recipient not found"},
			},
		},
		"a diagnostic code": {
			"smtp; 550-5.2.1 Mailbox\n 550 5.2.1 disabled",
			reply.Reply{
				Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 2, Detail: 1},
				Lines: []string{"Mailbox", "disabled"},
			},
		},
		"the code twice": {
			"550 550 5.1.1 User unknown",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1, Detail: 1}, Lines: []string{"User unknown"}},
		},
		"a number sign before the enhanced code": {
			"550 #5.1.0 Address rejected.",
			reply.Reply{Code: 550, Enhanced: reply.Enhanced{Class: 5, Subject: 1}, Lines: []string{"Address rejected."}},
		},
		"an IP address is no enhanced code": {
			"554 5.6.7.8 is blocked",
			reply.Reply{Code: 554, Lines: []string{"5.6.7.8 is blocked"}},
		},
		"Latin-1": {
			"550 Bo\xeete pleine",
			reply.Reply{Code: 550, Lines: []string{"Boîte pleine"}},
		},
		"a bare code":          {"451", reply.Reply{Code: 451}},
		"a bare enhanced code": {"5.2.2", reply.Reply{Enhanced: reply.Enhanced{Class: 5, Subject: 2, Detail: 2}}},
		"words only":           {"Unknown user: bob", reply.Reply{Lines: []string{"Unknown user: bob"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reply.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseRefusesTextWithoutWords(t *testing.T) {
	for _, text := range []string{"", " \r\n", "---"} {
		if _, err := reply.Parse(text); !errors.Is(err, reply.ErrEmpty) {
			t.Errorf("Parse(%q): %v, want ErrEmpty", text, err)
		}
	}
}

func TestStringWritesWhatParseReads(t *testing.T) {
	for _, text := range []string{"550 5.1.1 User unknown", "451", "5.2.2", "Mailbox full"} {
		r, err := reply.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if r.String() != text {
			t.Errorf("%q became %q", text, r)
		}
	}
}

func TestParseEnhancedTakesOnlyWholeCodes(t *testing.T) {
	got, err := reply.ParseEnhanced("4.7.650")
	if want := (reply.Enhanced{Class: 4, Subject: 7, Detail: 650}); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "5", "5.1", "3.1.1", "5.1.1.1", "5.1.1000", "5.1.x", "5.1.1 x", "#5.1.1", "X.1.1"} {
		if got, err := reply.ParseEnhanced(bad); err == nil {
			t.Errorf("ParseEnhanced(%q) = %v, want an error", bad, got)
		}
	}
}

func TestCommandInFindsTheCommandThatAWrappedReplyAnswered(t *testing.T) {
	for text, want := range map[string]reply.Command{
		"host x said: 550 no (in reply to RCPT TO command)":                 reply.RCPT,
		"host x said: 554 no (in reply to end of DATA command)":             reply.DATA,
		"host x said: 554 no (in reply to MAIL FROM command)":               reply.MAIL,
		"SMTP error from remote mail server after RCPT TO:<b@example.com>:": reply.RCPT,
		"SMTP error from remote mail server after initial connection: 554":  reply.Connect,
		"SMTP error from remote mail server after pipelined MAIL FROM:<>":   reply.MAIL,
		">>> RCPT To:<b@example.com> <<< 550 no":                            reply.RCPT,
		"550 no such user":                                                  "",
	} {
		if got := reply.CommandIn(text); got != want {
			t.Errorf("CommandIn(%q) = %q, want %q", text, got, want)
		}
	}
}

func newClassifier(t testing.TB) *reply.Classifier {
	t.Helper()
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func classify(t testing.TB, c *reply.Classifier, text string, cmd reply.Command) reply.Meaning {
	t.Helper()
	r, err := reply.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Classify(r, cmd, "")
}

func TestWhatAServerSaysAboutUsIsNeverHeldAgainstTheAddress(t *testing.T) {
	c := newClassifier(t)
	for _, text := range []string{
		"550 5.7.1 Your account has been suspended for sending spam",
		"550 5.1.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted",
		"550 5.1.1 <bob@example.com>: Recipient address rejected: Client host 192.0.2.1 blocked using bl.example.net",
		"550 IP address 192.0.2.1 not registered in DNS",
		"550 Your address was not found in our whitelist",
		"550 Unknown host [192.0.2.1]: fix your PTR record",
		"550 5.7.1 <bob@example.net>: Sender address rejected: User unknown in virtual mailbox table",
		"550 Sender mailbox does not exist",
		"553 5.1.8 Domain of sender address bob@example.net does not exist",
		"550 Sender domain example.net not found",
		"550 5.7.1 Recipient address rejected: SPF check failed, user not found in record",
		"550 Connection frequency limited, too many unknown users",
		"554 5.7.1 You have sent to too many invalid recipients",
		"530 5.7.0 Authentication required for user",
		"550 5.7.1 invalid certificate",
		"550 Message rejected: the mailbox owner does not want spam",
		"521 mx.example.com does not accept mail from you (192.0.2.1)",
	} {
		if got := classify(t, c, text, reply.RCPT); got.AgainstAddress() {
			t.Errorf("%q is held against the address: %+v", text, got)
		}
	}
}

func TestBeforeRCPTNothingIsAboutTheMailbox(t *testing.T) {
	c := newClassifier(t)
	for _, cmd := range []reply.Command{reply.Connect, reply.EHLO, reply.STARTTLS, reply.MAIL} {
		for _, text := range []string{
			"550 5.1.1 User unknown", "550 5.2.2 Mailbox full", "554 5.7.1 Relay access denied",
			"550", "421 4.1.1", "521 Host does not accept mail", "550 Host unknown",
		} {
			if got := classify(t, c, text, cmd); got.Subject == reply.SubjectMailbox || got.Subject == reply.SubjectDomain {
				t.Errorf("%s: %q is said to be about the %s: %+v", cmd, text, got.Subject, got)
			}
		}
	}
}

func TestRepliesWhoseFirstDigitsMislead(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]verdict.Reason{
		"550 5.7.1 No such user!":                                                     verdict.MailboxUnknown,
		"550 5.7.1 Access denied, banned sending IP [192.0.2.1]":                      verdict.SenderBlocked,
		"550 5.4.1 Recipient address rejected: Access denied":                         verdict.MailboxUnknown,
		"452 4.5.3 Too many recipients":                                               verdict.RateLimited,
		"452 4.2.2 Mailbox full":                                                      verdict.MailboxFull,
		"452 4.3.1 Insufficient system storage":                                       verdict.ServerUnavailable,
		"552 5.3.4 Message too big":                                                   verdict.MessageTooLarge,
		"552 1 Requested mail action aborted, mailbox not found":                      verdict.MailboxUnknown,
		"554 5.7.1 <bob@example.com>: Relay access denied":                            verdict.DomainNotServed,
		"553 mailbox name not allowed":                                                verdict.MailboxUnknown,
		"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)":       verdict.DomainNotServed,
		"450 4.1.1 <bob@example.com>: Recipient address rejected: unverified address": verdict.ServerUnavailable,
		"450 4.1.2 <bob@example.com>: Recipient address rejected: Domain not found":   verdict.DNSFailure,
		"450 4.7.1 Client host rejected: cannot find your reverse hostname":           verdict.SenderAuth,
		"550 Ip frequency limited":                                                    verdict.RateLimited,
		"450 4.1.1 <bob@example.com>: User unknown in virtual alias table":            verdict.MailboxUnknown,
	} {
		if got := classify(t, c, text, reply.RCPT); got.Reason != want {
			t.Errorf("%q: got %s by %s, want %s", text, got.Reason, got.Rule, want)
		}
	}
}

func TestKindIsSoftWhereCodeOrEnhancedCodeSaysSo(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]reply.Kind{
		"250 2.1.5 Ok":                     reply.Info,
		"550 5.1.1 User unknown":           reply.Hard,
		"450 4.1.1 User unknown":           reply.Soft,
		"450 5.1.1 User unknown":           reply.Soft,
		"550 4.1.1 User unknown":           reply.Soft,
		"550 2.1.5 User unknown":           reply.Hard,
		"552 5.2.2 Mailbox full":           reply.Hard,
		"Mailbox full":                     reply.Soft,
		"User unknown":                     reply.Hard,
		"550 Connection frequency limited": reply.Soft,
	} {
		if got := classify(t, c, text, reply.RCPT); got.Kind != want {
			t.Errorf("%q: got %s, want %s", text, got.Kind, want)
		}
	}
}

func TestPositiveRepliesToRCPTAreAcceptance(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]verdict.Reason{
		"250 Ok": verdict.Accepted, "251 will forward": verdict.Accepted,
		"252 cannot verify": verdict.Accepted,
	} {
		if got := classify(t, c, text, reply.RCPT); got.Reason != want || got.Kind != reply.Info {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if got := classify(t, c, "250 Ok", reply.MAIL); got.Reason != verdict.Unclear || got.Kind != reply.Info {
		t.Errorf("250 to MAIL: %+v", got)
	}
}

func TestTheWaitThatAReplyNamesIsFound(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]time.Duration{
		"450 4.7.1 Greylisted, try again in 300 seconds":                300 * time.Second,
		"451 4.7.1 Greylisting in action, please come back in 00:04:59": 4*time.Minute + 59*time.Second,
		"451 Greylisted for 5 minutes":                                  5 * time.Minute,
		"421 Too many connections, retry after 1 hour":                  time.Hour,
		"450 greylisted, wait at least 60s":                             60 * time.Second,
		"451 Graulistung: bitte in 300 Sekunden erneut versuchen":       300 * time.Second,
		"450 4.2.0 Greylisted, see http://postgrey.example/":            0,
		"421 too many errors after 5 commands":                          0,
		"550 5.1.1 User unknown, try again in 300 seconds":              0,
	} {
		if got := classify(t, c, text, reply.RCPT); got.RetryAfter != want {
			t.Errorf("%q: got %s, want %s", text, got.RetryAfter, want)
		}
	}
}

func TestNamesAddressesAndURLsAreNotReadAsWords(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]verdict.Reason{
		"550 5.1.1 <spam-blacklist@dmarc.example>: User unknown":                         verdict.MailboxUnknown,
		"550 5.1.1 User unknown (see https://blocked.spam.example/policy/spf)":           verdict.MailboxUnknown,
		"550 5.1.1 mx.greylist-relay.example: User unknown":                              verdict.MailboxUnknown,
		"host full.mailbox.example[192.0.2.1] said: 550 5.7.25 no PTR record for client": verdict.SenderAuth,
	} {
		if got := classify(t, c, text, reply.RCPT); got.Reason != want {
			t.Errorf("%q: got %s by %s, want %s", text, got.Reason, got.Rule, want)
		}
	}
}

func TestOneClassifierServesManyGoroutines(t *testing.T) {
	c := newClassifier(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := classify(t, c, "550 5.1.1 User unknown", reply.RCPT); got.Reason != verdict.MailboxUnknown {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestLongRepliesCostNoMoreThanTheirLength(t *testing.T) {
	c := newClassifier(t)
	for _, piece := range []string{
		"::a", "550-", "a@b:", "user ", "user unknown mailbox not ", "/", ".", "1.", "(550 ",
		"retry in 9 ",
	} {
		classify(t, c, "550 "+strings.Repeat(piece, (60<<10)/len(piece)), reply.RCPT)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"550 5.1.1 User unknown", "550-5.1.1 a\r\n550 5.1.1 b", "host x said: 421 no (in reply to RCPT TO command)",
		"\x1b$B%f\x1b(B", "* | ( { / @ 5.5.5", "250 Ok", "250\r550 5.1.1 no", "550-5.1.1 a 550-5.1.1 b 550 5.1.1 c",
		"550 sorry (#5.1.1)", "550 #5.1.0 no", "Remote Server returned '550 5.1.10 x'", "550 550 5.1.1 no", "Bo\xeete pleine",
	} {
		f.Add(seed)
	}
	c := newClassifier(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := reply.Parse(text)
		if err != nil {
			return
		}
		checkReply(t, c, r, reply.CommandIn(text))
		if slices.Contains(r.Lines, "") {
			t.Errorf("%q has an empty line", r.Lines)
		}
		if again, err := reply.Parse(r.String()); r.Code != 0 && (err != nil || again.Code != r.Code) {
			t.Errorf("%q is read as %d, %v", r.String(), again.Code, err)
		}
	})
}

// checkReply tests what is true of every reply that was read.
func checkReply(t *testing.T, c *reply.Classifier, r reply.Reply, cmd reply.Command) {
	t.Helper()
	if r.Code != 0 && (r.Code < 200 || r.Code > 599) {
		t.Errorf("code %d", r.Code)
	}
	e := r.Enhanced
	if class := e.Class; e != (reply.Enhanced{}) && class != 2 && class != 4 && class != 5 ||
		max(e.Subject, e.Detail) > 999 {
		t.Errorf("enhanced code %v", e)
	}
	for _, line := range r.Lines {
		if !utf8.ValidString(line) || strings.Contains(line, "\n") || strings.TrimSpace(line) != line {
			t.Errorf("line %q", line)
		}
	}
	m := c.Classify(r, cmd, "")
	if m.Reason == "" || m.Subject == "" || m.Kind == "" || m.Action == "" || m.Rule == "" ||
		m.Confidence <= 0 || m.Confidence > 1 || m.RetryAfter < 0 {
		t.Errorf("%q: incomplete %+v", r, m)
	}
}

func BenchmarkClassify(b *testing.B) {
	c := newClassifier(b)
	r, err := reply.Parse("550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550-5.1.1 " +
		"double-checking the recipient's email address for typos or\r\n550-5.1.1 unnecessary spaces. Learn more at\r\n" +
		"550 5.1.1 https://support.google.com/mail/?p=NoSuchUser x1si1 - gsmtp")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Classify(r, reply.RCPT, "google")
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reply.Parse("550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in virtual " +
			"mailbox table"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNewReturnsTheSameRulesEveryTime(t *testing.T) {
	first, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	second, err := reply.New()
	if err != nil || second != first {
		t.Errorf("%p and %p, %v; want one Classifier, which never changes", first, second, err)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := reply.New(); err != nil {
			b.Fatal(err)
		}
	}
}
