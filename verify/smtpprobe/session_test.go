package smtpprobe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"presend/verify/reply"
	"presend/verify/smtpprobe"
)

// bothWays are the answers to EHLO with which most of a session's behaviour is tested.
var bothWays = map[string]string{"pipelined": pipeliningEHLO, "one command at a time": "250 mx.lab\r\n"}

func TestTransactionsAnswerEveryRecipientAndNeverSendDATA(t *testing.T) {
	for name, ehlo := range bothWays {
		t.Run(name, func(t *testing.T) {
			w := at(host{script: with(script{"EHLO": ehlo})})
			session := w.mustOpen(t)
			said, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab", "nobody@corp.lab"}, {"bob@shop.lab"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			more, err := session.Probe(t.Context(), [][]string{{"nobody@farm.lab"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := codes(append(said, more...)); got != "[[250 550] [250] [550]]" {
				t.Errorf("codes %v, want [[250 550] [250] [550]]", got)
			}
			mustClose(t, session)
			want := "EHLO probe.lab|MAIL FROM:<check@probe.lab>|RCPT TO:<alice@corp.lab>|RCPT TO:<nobody@corp.lab>|RSET|" +
				"MAIL FROM:<check@probe.lab>|RCPT TO:<bob@shop.lab>|RSET|MAIL FROM:<check@probe.lab>|RCPT TO:<nobody@farm.lab>|QUIT"
			if got := w.sessions(); len(got) != 1 || got[0] != want {
				t.Errorf("the server heard\n%s, want\n%s", got, want)
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
			w := at(host{script: with(script{"EHLO": tt.ehlo})})
			session := w.mustOpen(t)
			enough := func(a smtpprobe.Answer) bool {
				if a.Took <= 0 {
					t.Errorf("%s took %v", a.Recipient, a.Took)
				}
				return a.Reply.Code == 550
			}
			asked := [][]string{{"alice@corp.lab", "nobody@corp.lab", "bob@corp.lab"}, {"carol@shop.lab"}}
			said, err := session.Probe(t.Context(), asked, enough)
			if err != nil {
				t.Fatal(err)
			}
			if got := codes(said); got != tt.want {
				t.Errorf("codes %s, want %s", got, tt.want)
			}
			mustClose(t, session)
			if got := w.sessions()[0]; !strings.HasSuffix(got, "|QUIT") {
				t.Errorf("the server heard %q, want QUIT at the end", got)
			}
		})
	}
}

func TestAFlightThatTheServerCutsOffKeepsWhatWasAnsweredBefore(t *testing.T) {
	for _, test := range []struct {
		name    string
		server  script
		want    string
		command reply.Command // of a ClosingError
		is      error
	}{
		{
			"a recipient answered with 421 is not answered",
			script{"RCPT TO:<second": "421 4.7.0 too many\r\n"},
			"[[250] [250]]", reply.RCPT, smtpprobe.ErrClosed,
		},
		{
			"a 421 instead of the answer to MAIL names MAIL",
			script{"MAIL": "421 4.7.0 enough\r\n"},
			"[[]]", reply.MAIL, smtpprobe.ErrClosed,
		},
		{
			"a 421 instead of the answer to RSET names RSET",
			script{"RSET": "421 4.7.0 enough\r\n"},
			"[[250] []]", smtpprobe.RSET, smtpprobe.ErrClosed,
		},
		{
			"a 421 behind the last answer names no command",
			script{"RCPT TO:<fourth": "550 5.1.1 no such user\r\n421 4.7.0 too many errors\r\n"},
			"[[250] [250 250 250] [550]]", "", smtpprobe.ErrClosed,
		},
		{
			"a connection that closes answers nobody",
			script{"RCPT TO:<second": "close"},
			"[[250] [250]]", "", smtpprobe.ErrClosed,
		},
		{
			"a reply that nobody asked for makes all replies doubtful",
			script{"RCPT TO:<fourth": "250 ok\r\n250 ok\r\n"},
			"[[250] [250 250 250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"a 354 to RCPT makes all replies doubtful",
			script{"RCPT TO:<second": "354 go ahead\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"a 220 to RCPT makes all replies doubtful",
			script{"RCPT TO:<second": "220 mx.lab\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{"a 354 to MAIL makes all replies doubtful", script{"MAIL": "354 go on\r\n"}, "[[]]", "", smtpprobe.ErrProtocol},
		{"a 150 to MAIL is not SMTP", script{"MAIL": "150 go on\r\n"}, "[[]]", "", smtpprobe.ErrProtocol},
		{
			"a 354 to RSET makes all replies doubtful",
			script{"RSET": "354 go on\r\n"},
			"[[250] []]", "", smtpprobe.ErrProtocol,
		},
		{
			"words instead of a reply make all replies doubtful",
			script{"RCPT TO:<second": "whatever\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"a carriage return inside a line makes all replies doubtful",
			script{"RCPT TO:<second": "250\r550 5.1.1 no such user\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"a carriage return inside the words makes all replies doubtful",
			script{"RCPT TO:<second": "250 ok\r550 5.1.1 no such user\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"lines of different codes make all replies doubtful",
			script{"RCPT TO:<second": "550-5.1.1 no such user\r\n250 2.1.5 ok\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
		{
			"a 421 inside another reply makes all replies doubtful",
			script{"RCPT TO:<second": "250-2.1.5 ok\r\n421 4.3.2 closing\r\n"},
			"[[250] [250]]", "", smtpprobe.ErrProtocol,
		},
	} {
		for name, ehlo := range bothWays {
			t.Run(test.name+", "+name, func(t *testing.T) {
				test.server["EHLO"] = ehlo
				w := at(host{script: with(test.server)})
				session := w.mustOpen(t)
				asked := [][]string{
					{"first@corp.lab"},
					{"first@shop.lab", "second@shop.lab", "third@shop.lab"},
					{"fourth@farm.lab"},
				}
				said, err := session.Probe(t.Context(), asked, nil)
				if got := codes(said); got != test.want || !session.Over() {
					t.Errorf("answers %s, over %v; want %s in a session that is over", got, session.Over(), test.want)
				}
				var closing *smtpprobe.ClosingError
				errors.As(err, &closing)
				says421 := test.is == smtpprobe.ErrClosed && strings.Contains(fmt.Sprint(test.server), "421")
				if !errors.Is(err, test.is) || (closing != nil) != says421 || closing != nil && closing.Command != test.command {
					t.Errorf("error %v, want one that is %v and names %q", err, test.is, test.command)
				}
				if _, err := session.Probe(t.Context(), asked, nil); !errors.Is(err, smtpprobe.ErrClosed) {
					t.Errorf("a session that is over says %v, want ErrClosed", err)
				}
				mustClose(t, session)
				if got := w.sessions()[0]; strings.Contains(got, "QUIT") {
					t.Errorf("QUIT was said in a session that is over: %s", got)
				}
			})
		}
	}
}

func TestAReplyThatComesUnaskedIsHeardBeforeTheNextCommandAndAfterTheLast(t *testing.T) {
	for name, tt := range map[string]struct {
		extra string
		is    error
	}{
		"a 421":           {"421 4.4.2 idle for too long\r\n", smtpprobe.ErrClosed},
		"another reply":   {"250 ok\r\n", smtpprobe.ErrProtocol},
		"part of a reply": {"250 o", smtpprobe.ErrProtocol},
	} {
		for _, where := range []string{"behind EHLO", "behind the last answer"} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ehlo, answers, want := pipeliningEHLO, "250 ok\r\n250 ok\r\n", "[[250]]"
					if where == "behind EHLO" {
						ehlo, want = ehlo+tt.extra, "[]"
					} else {
						answers += tt.extra
					}
					server, session := scripted(t, ehlo)
					fmt.Fprint(server, answers)
					said, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}}, nil)
					var timeout net.Error
					if got := codes(said); !errors.Is(err, tt.is) || errors.As(err, &timeout) || !session.Over() || got != want {
						t.Errorf("%s, %v, over %v; want %s and %v", got, err, session.Over(), want, tt.is)
					}
					mustClose(t, session)
					sent, err := io.ReadAll(server)
					server.Close()
					asks, quits := strings.Contains(string(sent), "MAIL"), strings.Contains(string(sent), "QUIT")
					if asks != (where != "behind EHLO") || quits {
						t.Errorf("sent %q, %v", sent, err)
					}
				})
			})
		}
	}
}

// scripted opens a session with a server whose replies the test writes itself, before they are asked for.
func scripted(t *testing.T, ehlo string) (server net.Conn, session *smtpprobe.Session) {
	t.Helper()
	client, server := memoryPair()
	dial := func(context.Context, netip.Addr, string) (net.Conn, error) { return client, nil }
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(server, "220 mx.lab\r\n"+ehlo)
	session, err = prober.Open(t.Context(), target("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	return server, session
}

func TestWhatTheServerSaidBeforeItClosedIsReadWhenWritingFails(t *testing.T) {
	for name, ehlo := range bothWays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, session := scripted(t, ehlo)
				fmt.Fprint(server, "421 4.4.2 idle for too long\r\n")
				server.Close()
				_, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}}, nil)
				var closing *smtpprobe.ClosingError
				if !errors.As(err, &closing) {
					t.Errorf("error %v, want the 421", err)
				}
				mustClose(t, session)
			})
		})
	}
}

func TestMAILRefusedLeavesTheSessionOpen(t *testing.T) {
	for name, ehlo := range bothWays {
		t.Run(name, func(t *testing.T) {
			w := at(host{script: with(script{
				"EHLO": ehlo, "MAIL": "550 5.7.1 sender refused\r\n", "RCPT": "503 5.5.1 MAIL first\r\n",
			})})
			session := w.mustOpen(t)
			said, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}, {"bob@shop.lab"}}, nil)
			if err != nil || session.Over() || len(said) != 2 {
				t.Fatalf("%+v, %v, over %v; want two transactions in an open session", said, err, session.Over())
			}
			for _, transaction := range said {
				refused := transaction.Refused
				if refused == nil || refused.Command != reply.MAIL || refused.Reply.Code != 550 || len(transaction.Answers) != 0 {
					t.Errorf("%+v, want a refusal of MAIL and no answers", transaction)
				}
			}
			mustClose(t, session)
		})
	}
}

func TestARecipientAcceptedAfterMAILWasRefusedMakesTheFlightDoubtful(t *testing.T) {
	w := at(host{script: with(script{"MAIL": "550 5.7.1 sender refused\r\n"})})
	session := w.mustOpen(t)
	if _, err := session.Probe(t.Context(), [][]string{{"alice@corp.lab"}}, nil); !errors.Is(err, smtpprobe.ErrProtocol) {
		t.Errorf("error %v, want ErrProtocol", err)
	}
	mustClose(t, session)
}

func TestAReplyThatDoesNotComeIsATimeoutOfOurs(t *testing.T) {
	for name, ehlo := range bothWays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(host{script: with(script{"EHLO": ehlo, "RCPT TO:<second": "hang"})})
				session := w.mustOpen(t)
				begun := time.Now()
				said, err := session.Probe(t.Context(), [][]string{{"first@corp.lab", "second@corp.lab"}}, nil)
				if got := codes(said); got != "[[250]]" && ehlo != pipeliningEHLO {
					t.Errorf("answers %s, want [[250]]", got)
				}
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) ||
					errors.Is(err, context.DeadlineExceeded) || errors.Is(err, smtpprobe.ErrClosed) {
					t.Errorf("error %v, want a timeout that is not the context's", err)
				}
				if took := time.Since(begun); took != 45*time.Second {
					t.Errorf("it took %v, want the 45 s for RCPT", took)
				}
				mustClose(t, session)
				w.sessions()
			})
		})
	}
}

func TestTheEndOfTheContextInterruptsAReadAndKeepsWhatWasRead(t *testing.T) {
	for name, ehlo := range bothWays {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := at(host{script: with(script{"EHLO": ehlo, "RCPT TO:<second": "hang"})})
				session := w.mustOpen(t)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				begun := time.Now()
				said, err := session.Probe(ctx, [][]string{{"first@corp.lab", "second@corp.lab"}}, nil)
				if !errors.Is(err, context.DeadlineExceeded) || codes(said) != "[[250]]" || time.Since(begun) != 2*time.Second {
					t.Errorf("%s, %v after %v; want [[250]] and the context's error after 2 s", codes(said), err, time.Since(begun))
				}
				mustClose(t, session)
				if got := w.sessions()[0]; strings.Contains(got, "QUIT") || !session.Over() {
					t.Errorf("a session that owes a reply goes on: %s", got)
				}
			})
		})
	}
}

func TestAContextThatEndsWhenNoReplyIsAwaitedLeavesTheSessionOpen(t *testing.T) {
	w := at(host{script: with(script{"EHLO": "250 mx.lab\r\n"})})
	session := w.mustOpen(t)
	ctx, cancel := context.WithCancel(t.Context())
	enough := func(smtpprobe.Answer) bool {
		cancel()
		return false
	}
	said, err := session.Probe(ctx, [][]string{{"alice@corp.lab", "bob@corp.lab"}}, enough)
	if !errors.Is(err, context.Canceled) || codes(said) != "[[250]]" || session.Over() {
		t.Errorf("%s, %v, over %v; want one answer and an open session", codes(said), err, session.Over())
	}
	_, err = session.Probe(ctx, [][]string{{"bob@corp.lab"}}, nil)
	if !errors.Is(err, context.Canceled) || session.Over() {
		t.Errorf("%v, over %v; want the context's error and an open session", err, session.Over())
	}
	said, err = session.Probe(t.Context(), [][]string{{"bob@corp.lab"}}, nil)
	if err != nil || codes(said) != "[[250]]" {
		t.Errorf("%s, %v; want an answer", codes(said), err)
	}
	mustClose(t, session)
	if got := w.sessions()[0]; !strings.HasSuffix(got, "|QUIT") {
		t.Errorf("the server heard %s, want QUIT at the end", got)
	}
}

func TestCloseWaitsOneSecondForTheAnswerToQUIT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := at(host{script: with(script{"QUIT": "hang"})})
		session := w.mustOpen(t)
		begun := time.Now()
		mustClose(t, session)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it took %v, want 1 s", took)
		}
		mustClose(t, session) // a second time changes nothing
		if got := w.sessions()[0]; !strings.HasSuffix(got, "|QUIT") {
			t.Errorf("the server heard %s, want QUIT at the end", got)
		}
	})
}

func TestARecipientThatCouldSmuggleACommandIsRefusedAndTheSessionStaysOpen(t *testing.T) {
	w := at(host{script: with(nil)})
	session := w.mustOpen(t)
	if _, err := session.Probe(t.Context(), [][]string{{"a@corp.lab>\r\nDATA\r\n<"}}, nil); err == nil || session.Over() {
		t.Errorf("error %v, over %v", err, session.Over())
	}
	mustClose(t, session)
	if got := w.sessions()[0]; got != "EHLO probe.lab|QUIT" {
		t.Errorf("the server heard %s", got)
	}
}

func TestOneTransactionTakesSMTPUTF8OnlyForAddressesThatNeedIt(t *testing.T) {
	w := at(host{script: with(script{"EHLO": "250-mx.lab\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n"})})
	session := w.mustOpen(t)
	_, err := session.Probe(t.Context(), [][]string{{"jörg@corp.lab"}, {"joerg@corp.lab"}}, nil)
	if err != nil || !session.SMTPUTF8() {
		t.Errorf("%v, SMTPUTF8 %v", err, session.SMTPUTF8())
	}
	mustClose(t, session)
	want := "MAIL FROM:<check@probe.lab> SMTPUTF8|RCPT TO:<jörg@corp.lab>|RSET|MAIL FROM:<check@probe.lab>|"
	if got := w.sessions()[0]; !strings.Contains(got, want) {
		t.Errorf("the server heard %s, want %s", got, want)
	}
}

func BenchmarkPlainSession(b *testing.B) {
	w := at(host{script: with(nil)})
	prober := w.prober(b)
	asked := [][]string{{"alice@corp.lab", "bob@corp.lab"}}
	// The server's half, and its goroutine, count as well.
	b.ReportAllocs()
	for b.Loop() {
		session, err := prober.Open(b.Context(), w.target())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := session.Probe(b.Context(), asked, nil); err != nil {
			b.Fatal(err)
		}
		mustClose(b, session)
	}
	w.servers.Wait()
}
