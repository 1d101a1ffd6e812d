package smtpprobe_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

func TestHELOFollowsARefusedEHLO(t *testing.T) {
	w := at(host{script: with(script{"EHLO": "502 5.5.1 unknown\r\n", "HELO": "250 mx.lab\r\n"})})
	session := w.mustOpen(t)
	if session.Pipelining() {
		t.Error("a server that knows only HELO offers no PIPELINING")
	}
	mustClose(t, session)
}

func TestOpenTellsRefusalsApart(t *testing.T) {
	tests := []struct {
		name    string
		server  script
		command reply.Command
		code    int
		heard   string
	}{
		{"a banner of 554 is a refused connection", script{"": "554 no SMTP service here\r\n"}, reply.Connect, 554, "QUIT"},
		{"after a banner of 421 nothing is said", script{"": "421 4.7.0 too many connections\r\n"}, reply.Connect, 421, ""},
		{
			"EHLO and HELO refused",
			script{"EHLO": "550 bad HELO\r\n", "HELO": "550 bad HELO\r\n"},
			reply.EHLO, 550,
			"EHLO probe.lab|HELO probe.lab|QUIT",
		},
		{
			"after EHLO is answered with 421 there is no HELO",
			script{"EHLO": "421 4.7.0 no\r\n"},
			reply.EHLO, 421, "EHLO probe.lab",
		},
		{
			"after STARTTLS is answered with 421 nothing is said",
			script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n", "STARTTLS": "421 4.7.0 no\r\n"},
			reply.STARTTLS, 421,
			"EHLO probe.lab|STARTTLS",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := at(host{script: with(test.server)})
			_, err := w.prober(t).Open(t.Context(), w.target())
			var refused *smtpprobe.RefusedError
			if !errors.As(err, &refused) || refused.Command != test.command || refused.Reply.Code != test.code {
				t.Errorf("error %v, want a refusal of %s with %d", err, test.command, test.code)
			}
			var greet *smtpprobe.GreetError
			if !errors.As(err, &greet) || greet.Host != "mx.lab" || greet.Addr.String() != "192.0.2.1" ||
				greet.TLSFailed != (test.command == reply.STARTTLS) {
				t.Errorf("%+v, want a GreetError of mx.lab [192.0.2.1]", greet)
			}
			if got := w.sessions()[0]; got != test.heard {
				t.Errorf("the server heard %s, want %s", got, test.heard)
			}
		})
	}
}

func TestWhatIsNotSMTPIsAProtocolError(t *testing.T) {
	for name, banner := range map[string]string{
		"a web server":            "HTTP/1.1 400 Bad Request\r\n",
		"a line without end":      "220 " + strings.Repeat("x", 9000) + "\r\n",
		"a reply without end":     strings.Repeat("220-mx.lab\r\n", 200),
		"a code below two":        "150 mx.lab\r\n",
		"text instead of a reply": "hello\r\n",
		"a line without a code":   "220-mx.lab\r\nhello\r\n220 ready\r\n",
		"an empty line":           "220-mx.lab\r\n\r\n220 ready\r\n",
		"lines of other codes":    "220-mx.lab\r\n554 no\r\n",
		"a lone carriage return":  "220 mx.lab\r250 ok\r\n",
		"a reply of too much":     strings.Repeat("220-"+strings.Repeat("x", 1000)+"\r\n", 70) + "220 mx.lab\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := at(host{script: with(script{"": banner})})
			session, err := w.prober(t).Open(t.Context(), w.target())
			if err == nil {
				mustClose(t, session)
			}
			if !errors.Is(err, smtpprobe.ErrProtocol) {
				t.Errorf("error %v, want ErrProtocol", err)
			}
			w.sessions()
		})
	}
}

func TestAddressesAreTriedAsAtOnceAllows(t *testing.T) {
	const (
		dead    = "192.0.2.9" // never connects
		second  = "192.0.2.8" // never connects
		refuses = "192.0.2.7"
		slow    = "192.0.2.6" // connects after 300 ms
		good    = "192.0.2.1"
	)
	tests := []struct {
		name    string
		addrs   []string
		atOnce  int
		dialled string
		won     string // "": none
	}{
		{"the first address that answers is the only one tried", []string{good, dead}, 2, good + " at 0s", good},
		{
			"the next address is tried at once when one refuses",
			[]string{refuses, good},
			1, refuses + " at 0s, " + good + " at 0s", good,
		},
		{
			"one after the other, a dead address costs five seconds",
			[]string{dead, good},
			0, dead + " at 0s, " + good + " at 5s", good,
		},
		{"the last address has the whole time", []string{good + "0", dead}, 1, good + "0 at 0s, " + dead + " at 0s", ""},
		{
			"next to a dead address the next is tried after 250 ms",
			[]string{dead, good},
			2, dead + " at 0s, " + good + " at 250ms", good,
		},
		{"a slow address can win against a dead one", []string{slow, dead}, 2, slow + " at 0s, " + dead + " at 250ms", slow},
		{
			"no more attempts are under way than allowed",
			[]string{dead, second, good},
			2,
			dead + " at 0s, " + second + " at 250ms, " + good + " at 5s", good,
		},
		{
			"with room for three the third is tried after another 250 ms",
			[]string{dead, second, good},
			3,
			dead + " at 0s, " + second + " at 250ms, " + good + " at 500ms", good,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{hosts: map[string]host{
					dead: {connect: -1}, second: {connect: -1}, refuses: {refuses: syscall.ECONNREFUSED},
					good + "0": {refuses: syscall.ENETUNREACH}, slow: {script: with(nil), connect: 300 * time.Millisecond},
					good: {script: with(nil)},
				}}
				to := target(test.addrs...)
				to.AtOnce = test.atOnce
				begun := time.Now()
				session, err := w.prober(t).Open(t.Context(), to)
				if got := strings.Join(w.dialled, ", "); got != test.dialled {
					t.Errorf("tried %s, want %s", got, test.dialled)
				}
				switch {
				case test.won != "" && (err != nil || session.Addr().String() != test.won):
					t.Errorf("%+v, %v; want a session with %s", session, err, test.won)
				case test.won == "" && err == nil:
					t.Error("a session, want none")
				case test.won == "" && time.Since(begun) != 30*time.Second:
					t.Errorf("it took %v, want 30 s", time.Since(begun))
				}
				if session != nil {
					mustClose(t, session)
				}
				w.sessions()
			})
		})
	}
}

func TestAnAttemptThatConnectsTooLateIsClosedBeforeOpenReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{hosts: map[string]host{
			"192.0.2.1": {script: with(nil), connect: 300 * time.Millisecond},
			"192.0.2.2": {script: with(nil), connect: 50 * time.Millisecond}, // at the same moment
		}}
		to := target("192.0.2.1", "192.0.2.2")
		to.AtOnce = 2
		session, err := w.prober(t).Open(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.open != 1 {
			t.Errorf("%d connections are open, want 1", w.open)
		}
		mustClose(t, session)
		w.sessions()
	})
}

func TestAConnectErrorNamesEveryAddressAndItsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{hosts: map[string]host{"192.0.2.1": {refuses: syscall.ECONNREFUSED}, "2001:db8::1": {connect: -1}}}
		_, err := w.prober(t).Open(t.Context(), target("192.0.2.1", "2001:db8::1"))
		var connect *smtpprobe.ConnectError
		if !errors.As(err, &connect) || connect.Host != "mx.lab" || len(connect.Failures) != 2 {
			t.Fatalf("%#v, want a ConnectError with two failures", err)
		}
		if f := connect.Failures[0]; f.Addr.String() != "192.0.2.1" || !errors.Is(f.Err, syscall.ECONNREFUSED) {
			t.Errorf("first failure %v, want connection refused", f)
		}
		var timeout net.Error
		f := connect.Failures[1]
		if f.Addr.String() != "2001:db8::1" || !errors.As(f.Err, &timeout) || !timeout.Timeout() {
			t.Errorf("second failure %v, want a timeout", f)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, os.ErrDeadlineExceeded) ||
			errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not match what it holds, or matches a context's error", err)
		}
		if text := err.Error(); !strings.Contains(text, "mx.lab: [192.0.2.1]") || !strings.Contains(text, "[2001:db8::1]") {
			t.Errorf("the text names not every address: %s", text)
		}
	})
}

func TestAContextErrorThatDialMakesUpIsNotTheCallers(t *testing.T) {
	for _, foreign := range []error{context.Canceled, context.DeadlineExceeded} {
		w := at(host{refuses: foreign}) // as a proxy's own client may say
		_, err := w.prober(t).Open(t.Context(), w.target())
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v matches a context's", err)
		}
	}
}

func TestAContextThatHasEndedOpensNoConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := at(host{script: with(nil)})
	if _, err := w.prober(t).Open(ctx, w.target()); !errors.Is(err, context.Canceled) || len(w.dialled) > 0 {
		t.Errorf("error %v after dialling %v, want the context's and nothing dialled", err, w.dialled)
	}
}

func TestWhatACallerLearnsOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := at(host{script: with(script{"EHLO": "after 80ms:" + pipeliningEHLO})})
		to := w.target()
		to.Source = netip.MustParseAddr("198.51.100.1")
		prober := w.prober(t)
		session, err := prober.Open(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if session.Host() != "mx.lab" || session.Addr() != to.Addrs[0] || session.Source() != to.Source || session.TLS() ||
			session.TLSFailed() || session.SMTPUTF8() || !session.Pipelining() || session.Over() ||
			session.RoundTrip() != 80*time.Millisecond || prober.Sender() != "check@probe.lab" {
			t.Errorf("%s [%s] from %s, round trip %v", session.Host(), session.Addr(), session.Source(), session.RoundTrip())
		}
		mustClose(t, session)
		w.sessions()
	})
}

func TestATargetWithoutAddressesIsAConnectError(t *testing.T) {
	var connect *smtpprobe.ConnectError
	if _, err := at(host{}).prober(t).Open(t.Context(), target()); !errors.As(err, &connect) {
		t.Errorf("error %v, want a ConnectError", err)
	}
}

func TestOnlyTheCallersContextShowsAsAContextError(t *testing.T) {
	tests := []struct {
		name string
		host host
	}{
		{"while connecting", host{connect: -1}},
		{"while waiting for the banner", host{script: with(script{"": "hang"})}},
		{"while waiting for EHLO", host{script: with(script{"EHLO": "hang"})}},
		{
			"while waiting for STARTTLS",
			host{script: with(script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n", "STARTTLS": "hang"})},
		},
		{
			"in the handshake",
			host{script: with(script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n", "STARTTLS": "220 go ahead\r\n"})},
		},
	}
	for _, test := range tests {
		if test.host.script[""] == "hang" {
			test.host.script[""] = "after 1h:"
		}
		t.Run(test.name+", the caller's", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(test.host)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				_, err := w.prober(t).Open(ctx, w.target())
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
					t.Errorf("%v after %v, want the context's error after 1 s", err, time.Since(begun))
				}
				w.sessions()
			})
		})
		t.Run(test.name+", ours", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(test.host)
				session, err := w.prober(t).Open(t.Context(), w.target())
				if session != nil { // TLS failed, and the session is in plain text
					mustClose(t, session)
					if !session.TLSFailed() {
						t.Error("the session does not say that TLS failed")
					}
				} else if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want a timeout that is not a context's", err)
				}
				w.sessions()
			})
		})
	}
}

func TestWhereTLSFailsTheSessionGoesOnInPlainText(t *testing.T) {
	const offers = "250-mx.lab\r\n250 STARTTLS\r\n"
	tests := []struct {
		name   string
		host   host
		failed bool
		dials  int
	}{
		{
			"the handshake fails",
			host{script: with(script{"EHLO": offers, "STARTTLS": "220 go ahead\r\n"}), tls: &tls.Config{}},
			true, 2,
		},
		{"the server hangs up at STARTTLS", host{script: with(script{"EHLO": offers, "STARTTLS": "close"})}, true, 2},
		{"STARTTLS is refused", host{script: with(script{"EHLO": offers, "STARTTLS": "454 not now\r\n"})}, false, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := at(test.host)
			session := w.mustOpen(t)
			if session.TLS() || session.TLSFailed() != test.failed || len(w.dialled) != test.dials {
				t.Errorf("TLS %v, failed %v, %d connections", session.TLS(), session.TLSFailed(), len(w.dialled))
			}
			said, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}}, nil)
			if err != nil || codes(said) != "[[250]]" {
				t.Errorf("%s, %v", codes(said), err)
			}
			mustClose(t, session)
			w.sessions()
		})
	}
}

func TestExtensionsAreTheFirstWordsOfTheLinesBehindTheFirst(t *testing.T) {
	for name, tt := range map[string]struct {
		ehlo                 string
		pipelining, smtputf8 bool
	}{
		"one a line, in any case": {"250-mx.lab\r\n250-Pipelining\r\n250 smtputf8\r\n", true, true},
		"with parameters": {
			"250-mx.lab\r\n250-PIPELINING 1\r\n250-SIZE 9\r\n250 SMTPUTF8 2\r\n", true,
			true,
		},
		"lines that end with LF alone":         {"250-mx.lab\n250-PIPELINING\n250 SMTPUTF8\n", true, true},
		"the first line is empty":              {"250-\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", true, true},
		"a line in between is empty":           {"250-mx.lab\r\n250-\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", true, true},
		"the greeting is no extension":         {"250 PIPELINING\r\n", false, false},
		"code and word inside the greeting":    {"250-mx.lab greets 250-PIPELINING\r\n250 SIZE\r\n", false, false},
		"a word behind another":                {"250-mx.lab\r\n250-X PIPELINING\r\n250 X-SMTPUTF8\r\n", false, false},
		"letters that look like those of ours": {"250-mx.lab\r\n250-pıpelınıng\r\n250 ſmtputf8\r\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := at(host{script: with(script{"EHLO": tt.ehlo})})
			session := w.mustOpen(t)
			if session.Pipelining() != tt.pipelining || session.SMTPUTF8() != tt.smtputf8 {
				t.Errorf("PIPELINING %v, SMTPUTF8 %v", session.Pipelining(), session.SMTPUTF8())
			}
			mustClose(t, session)
			w.sessions()
		})
	}
}

func TestATargetThatIsPlainLeavesSTARTTLSAlone(t *testing.T) {
	w := at(host{script: with(script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n"})})
	to := w.target()
	to.Plain = true
	session, err := w.prober(t).Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, session)
	if got := w.sessions()[0]; got != "EHLO probe.lab|QUIT" {
		t.Errorf("the server heard %s", got)
	}
}

func TestTextBehindTheAnswerToSTARTTLSIsAProtocolError(t *testing.T) {
	w := at(host{script: with(script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n250 injected\r\n"})})
	if _, err := w.prober(t).Open(t.Context(), w.target()); !errors.Is(err, smtpprobe.ErrProtocol) {
		t.Errorf("error %v, want ErrProtocol", err)
	}
	w.sessions()
}

func TestTheSecondTLSSessionWithAnAddressIsResumed(t *testing.T) {
	tests := []struct {
		name    string
		version uint16
		names   []string // in the certificate
		second  string   // name of the host in the second session
		want    bool
	}{
		{"with TLS 1.2", tls.VersionTLS12, nil, "mx.lab", true},
		{"with TLS 1.3", tls.VersionTLS13, nil, "mx.lab", true},
		{"under another name that the certificate holds", tls.VersionTLS13, []string{"*.mail.lab"}, "b.mail.lab", true},
		{
			"not under a name that the certificate does not hold",
			tls.VersionTLS13,
			[]string{"*.mail.lab"},
			"b.other.lab", false,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := at(host{
				script: with(script{"EHLO": "250-mx.lab\r\n250 STARTTLS\r\n", "STARTTLS": "220 go ahead\r\n"}),
				tls:    serverTLS(t, test.version, test.names...),
			})
			prober := w.prober(t)
			for _, name := range []string{"mx.lab", test.second} {
				to := w.target()
				to.Host = name
				session, err := prober.Open(t.Context(), to)
				if err != nil {
					t.Fatal(err)
				}
				if !session.TLS() {
					t.Error("the session is not encrypted")
				}
				mustClose(t, session)
			}
			w.sessions()
			if got := fmt.Sprint(w.resumed); got != fmt.Sprint([]bool{false, test.want}) {
				t.Errorf("resumed %s, want [false %v]", got, test.want)
			}
		})
	}
}

func TestNamesThatCouldSmuggleACommandAreRefused(t *testing.T) {
	for _, config := range []smtpprobe.Config{{HELO: "a\r\nRSET"}, {HELO: "a", From: "x> <y"}} {
		if _, err := smtpprobe.New(config); err == nil {
			t.Errorf("New accepts %+v", config)
		}
	}
}

func TestASessionComesFromTheSourceAddressAskedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	from := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		from <- conn.RemoteAddr().(*net.TCPAddr).IP.String()
		conn.Close()
	}()
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", Port: listener.Addr().(*net.TCPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	to := target("127.0.0.1")
	to.Source = netip.MustParseAddr("127.0.0.9")
	if _, err := prober.Open(t.Context(), to); !errors.Is(err, smtpprobe.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	if got := <-from; got != "127.0.0.9" {
		t.Errorf("the session came from %s, want 127.0.0.9", got)
	}
}

func TestTheDialogueIsLoggedLineByLineAndOnlyAtItsLevel(t *testing.T) {
	for _, test := range []struct {
		name  string
		level slog.Level
		want  []string
	}{
		{"at the level of the dialogue", smtpprobe.LevelDialogue, []string{
			`from=server line="220 mx.lab ESMTP"`, `from=client line="EHLO probe.lab"`, `from=server line=250-lab`,
			`from=server line=250-PIPELINING`, `from=server line="250 ENHANCEDSTATUSCODES"`,
			`from=client line="MAIL FROM:<check@probe.lab>"`, `from=client line="RCPT TO:<alice@corp.lab>"`,
			`from=server line="250 2.1.0 ok"`, `from=server line="250 2.1.5 \x1b[31mok"`,
			`from=client line=QUIT`, `from=server line="221 2.0.0 bye"`,
		}},
		{"not at the level of debugging", slog.LevelDebug, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := at(host{script: with(script{"RCPT": "250 2.1.5 \x1b[31mok\r\n"})})
			var out strings.Builder
			logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
				Level: test.level,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey {
						return slog.Attr{}
					}
					return a
				},
			}))
			session, err := w.prober(t, func(c *smtpprobe.Config) { c.Logger = logger }).Open(t.Context(), w.target())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}}, nil); err != nil {
				t.Error(err)
			}
			mustClose(t, session)
			w.sessions()
			want := ""
			for _, line := range test.want {
				want += "host=mx.lab address=192.0.2.1 " + line + "\n"
			}
			if out.String() != want {
				t.Errorf("logged\n%s, want\n%s", out.String(), want)
			}
		})
	}
}
