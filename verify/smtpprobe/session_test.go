package smtpprobe_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a server that answers command by command: the longest prefix of a line that it knows decides. "" is the
// banner. An answer of "hang" is none, "close" ends the connection.
type script map[string]string

const pipeliningEHLO = "250-lab\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"

// serve runs the script for one connection and returns its port and a channel with what was received.
func (s script) serve(t *testing.T) (port int, heard <-chan []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan []string, 1)
	go func() {
		var got []string
		defer func() { lines <- got }()
		conn, err := listener.Accept()
		listener.Close()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, s[""])
		for scanner := bufio.NewScanner(conn); scanner.Scan(); {
			got = append(got, scanner.Text())
			answer, best := "502 5.5.2 what?\r\n", -1
			for prefix, a := range s {
				if prefix != "" && strings.HasPrefix(scanner.Text(), prefix) && len(prefix) > best {
					answer, best = a, len(prefix)
				}
			}
			switch answer {
			case "hang":
				continue
			case "close":
				return
			}
			fmt.Fprint(conn, answer)
			if strings.HasPrefix(answer, "421") || scanner.Text() == "QUIT" {
				return
			}
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port, lines
}

var home = smtpprobe.Target{Host: "mx.lab", Addr: netip.MustParseAddr("127.0.0.1")}

func open(t *testing.T, s script) (*smtpprobe.Session, <-chan []string, error) {
	t.Helper()
	port, heard := s.serve(t)
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Port: port, Timeout: 2 * time.Second, RCPT: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	session, err := prober.Open(t.Context(), home)
	return session, heard, err
}

// with returns a well-behaved script changed in some lines.
func with(changes script) script {
	s := script{
		"": "220 mx.lab ESMTP\r\n", "EHLO": pipeliningEHLO, "MAIL": "250 2.1.0 ok\r\n", "RCPT": "250 2.1.5 ok\r\n",
		"RCPT TO:<nobody": "550 5.1.1 no such user\r\n", "RSET": "250 2.0.0 ok\r\n", "QUIT": "221 2.0.0 bye\r\n",
	}
	for k, v := range changes {
		s[k] = v
	}
	return s
}

func TestTransactionsAnswerEveryRecipientAndNeverSendDATA(t *testing.T) {
	for name, ehlo := range map[string]string{"pipelined": pipeliningEHLO, "one command at a time": "250 mx.lab\r\n"} {
		t.Run(name, func(t *testing.T) {
			session, heard, err := open(t, with(script{"EHLO": ehlo}))
			if err != nil {
				t.Fatal(err)
			}
			said, err := session.Probe(t.Context(), nil, []string{"alice@corp.lab", "nobody@corp.lab"}, []string{"bob@shop.lab"})
			if err != nil {
				t.Fatal(err)
			}
			more, err := session.Probe(t.Context(), nil, []string{"nobody@farm.lab"})
			if err != nil {
				t.Fatal(err)
			}
			var codes [][]int
			for _, transaction := range append(said, more...) {
				var of []int
				for _, a := range transaction.Answers {
					of = append(of, a.Reply.Code)
				}
				codes = append(codes, of)
			}
			if got := fmt.Sprint(codes); got != "[[250 550] [250] [550]]" {
				t.Errorf("codes %v, want [[250 550] [250] [550]]", got)
			}
			if err := session.Close(t.Context()); err != nil {
				t.Error(err)
			}
			want := "EHLO probe.lab|MAIL FROM:<check@probe.lab>|RCPT TO:<alice@corp.lab>|RCPT TO:<nobody@corp.lab>|RSET|" +
				"MAIL FROM:<check@probe.lab>|RCPT TO:<bob@shop.lab>|RSET|MAIL FROM:<check@probe.lab>|RCPT TO:<nobody@farm.lab>|QUIT"
			if got := strings.Join(<-heard, "|"); got != want {
				t.Errorf("the server heard\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestHELOFollowsARefusedEHLO(t *testing.T) {
	session, _, err := open(t, with(script{"EHLO": "502 5.5.1 unknown\r\n", "HELO": "250 mx.lab\r\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if session.Pipelining() {
		t.Error("a server that knows only HELO offers no PIPELINING")
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenTellsRefusalsApart(t *testing.T) {
	tests := []struct {
		name    string
		server  script
		command reply.Command
		code    int
	}{
		{"a banner of 554 is a refused connection", script{"": "554 no SMTP service here\r\n"}, reply.Connect, 554},
		{"a banner of 421 is a refused connection", script{"": "421 4.7.0 too many connections\r\n"}, reply.Connect, 421},
		{"EHLO and HELO refused", script{"EHLO": "550 bad HELO\r\n", "HELO": "550 bad HELO\r\n"}, reply.EHLO, 550},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := open(t, with(test.server))
			var refused *smtpprobe.RefusedError
			if !errors.As(err, &refused) || refused.Command != test.command || refused.Reply.Code != test.code {
				t.Errorf("error %v, want a refusal of %s with %d", err, test.command, test.code)
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
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := open(t, with(script{"": banner})); !errors.Is(err, smtpprobe.ErrProtocol) {
				t.Errorf("error %v, want ErrProtocol", err)
			}
		})
	}
}

func TestWhatIsAskedOneByOneEndsWhenEnoughIsKnown(t *testing.T) {
	for name, tt := range map[string]struct{ ehlo, want string }{
		"one command at a time": {"250 mx.lab\r\n", "[[250 550]]"},
		"pipelined":             {pipeliningEHLO, "[[250 550 250] [250]]"},
	} {
		t.Run(name, func(t *testing.T) {
			session, heard, err := open(t, with(script{"EHLO": tt.ehlo}))
			if err != nil {
				t.Fatal(err)
			}
			enough := func(a smtpprobe.Answer) bool {
				if a.Took <= 0 {
					t.Errorf("%s took %v", a.Recipient, a.Took)
				}
				return a.Reply.Code == 550
			}
			said, err := session.Probe(t.Context(), enough, []string{"alice@corp.lab", "nobody@corp.lab", "bob@corp.lab"}, []string{"carol@shop.lab"})
			if err != nil {
				t.Fatal(err)
			}
			codes := make([][]int, len(said))
			for i, transaction := range said {
				for _, a := range transaction.Answers {
					codes[i] = append(codes[i], a.Reply.Code)
				}
			}
			if got := fmt.Sprint(codes); got != tt.want {
				t.Errorf("codes %s, want %s", got, tt.want)
			}
			if err := session.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if got := <-heard; got[len(got)-1] != "QUIT" {
				t.Errorf("the server heard %q, want QUIT at the end", got)
			}
		})
	}
}

func TestARecipientAnsweredWith421IsNotAnswered(t *testing.T) {
	session, _, err := open(t, with(script{"RCPT TO:<second": "421 4.7.0 too many\r\n"}))
	if err != nil {
		t.Fatal(err)
	}
	said, err := session.Probe(t.Context(), nil, []string{"first@corp.lab"}, []string{"first@shop.lab", "second@corp.lab", "third@corp.lab"}, []string{"fourth@farm.lab"})
	var closing *smtpprobe.ClosingError
	if !errors.As(err, &closing) || !errors.Is(err, smtpprobe.ErrClosed) {
		t.Errorf("error %v, want a ClosingError that is ErrClosed", err)
	}
	if len(said) != 2 || len(said[0].Answers) != 1 || len(said[1].Answers) != 1 || !session.Over() {
		t.Errorf("%+v, over %v; want two transactions with one answer each, and true", said, session.Over())
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestA421BehindTheLastAnswerEndsTheSession(t *testing.T) {
	for name, ehlo := range map[string]string{"pipelined": pipeliningEHLO, "one command at a time": "250 mx.lab\r\n"} {
		session, heard, err := open(t, with(script{"EHLO": ehlo, "RCPT TO:<last": "550 5.1.1 no such user\r\n421 4.7.0 too many errors\r\n"}))
		if err != nil {
			t.Fatal(err)
		}
		said, err := session.Probe(t.Context(), nil, []string{"last@corp.lab"})
		var closing *smtpprobe.ClosingError
		if !errors.As(err, &closing) || len(said) != 1 || len(said[0].Answers) != 1 || !session.Over() {
			t.Errorf("%s: %+v, %v, over %v; want one answer and a session ended by 421", name, said, err, session.Over())
		}
		if err := session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := <-heard; !strings.HasPrefix(got[len(got)-1], "RCPT") {
			t.Errorf("%s: %q was said after 421", name, got[len(got)-1])
		}
	}
}

func TestMAILRefusedLeavesTheSessionStanding(t *testing.T) {
	for name, ehlo := range map[string]string{"pipelined": pipeliningEHLO, "one command at a time": "250 mx.lab\r\n"} {
		t.Run(name, func(t *testing.T) {
			session, _, err := open(t, with(script{"EHLO": ehlo, "MAIL": "550 5.7.1 sender refused\r\n", "RCPT": "503 5.5.1 MAIL first\r\n"}))
			if err != nil {
				t.Fatal(err)
			}
			said, err := session.Probe(t.Context(), nil, []string{"alice@corp.lab"}, []string{"bob@shop.lab"})
			if err != nil || session.Over() || len(said) != 2 {
				t.Fatalf("%+v, %v, over %v; want two transactions in a session that stands", said, err, session.Over())
			}
			for _, transaction := range said {
				if refused := transaction.Refused; refused == nil || refused.Command != reply.MAIL || refused.Reply.Code != 550 || len(transaction.Answers) != 0 {
					t.Errorf("%+v, want a refusal of MAIL and no answers", transaction)
				}
			}
			if err := session.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAContextThatEndsInterruptsAReadAtOnce(t *testing.T) {
	session, _, err := open(t, with(script{"RCPT": "hang"}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := session.Probe(ctx, nil, []string{"alice@corp.lab"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNamesThatCouldSmuggleACommandAreRefused(t *testing.T) {
	for _, config := range []smtpprobe.Config{{HELO: "a\r\nRSET"}, {HELO: "a", From: "x> <y"}} {
		if _, err := smtpprobe.New(config); err == nil {
			t.Errorf("New accepts %+v", config)
		}
	}
}

func TestEveryRowOfThePaceTableStandsWithinReason(t *testing.T) {
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nobody.lab", "google", "microsoft", "outlook", "yahoo", "icloud", "gmx", "tonline", "orange", "comcast", "qq", "netease"} {
		l := pace.For(name)
		if l.Sessions < 1 || l.Sessions > 50 || l.Recipients < 1 || l.Recipients > 100 || l.PerSession < l.Recipients || l.Errors < 1 || l.Errors > 9 {
			t.Errorf("%s: %+v", name, l)
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
	target := home
	target.Source = netip.MustParseAddr("127.0.0.9")
	if _, err := prober.Open(t.Context(), target); !errors.Is(err, smtpprobe.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	if got := <-from; got != "127.0.0.9" {
		t.Errorf("the session came from %s, want 127.0.0.9", got)
	}
}

func Example() {
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "verify.example.com", From: "check@example.com", Port: 1})
	if err != nil {
		panic(err)
	}
	// Nobody listens on this port; elsewhere the session would be asked with Probe and left with Close.
	_, err = prober.Open(context.Background(), smtpprobe.Target{Host: "mx.example.com", Addr: netip.MustParseAddr("127.0.0.1")})
	fmt.Println(err != nil)
	// Output: true
}
