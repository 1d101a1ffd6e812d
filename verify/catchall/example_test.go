package catchall_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"presend/verify/catchall"
	"presend/verify/reply"
	"presend/verify/smtpprobe"
	"presend/verify/verdict"
)

// acceptEverybody is a mail host that accepts every recipient. It serves one session.
func acceptEverybody(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "220 mx1.corp.example ESMTP\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "QUIT") {
			fmt.Fprint(conn, "221 2.0.0 bye\r\n")
			return
		}
		fmt.Fprint(conn, "250 2.0.0 ok\r\n")
	}
}

func ExampleAsk() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	go acceptEverybody(listener)

	classifier, err := reply.New() // once for a program
	if err != nil {
		panic(err)
	}
	prober, err := smtpprobe.New(smtpprobe.Config{
		HELO: "verify.example.com", From: "check@example.com", Port: listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	session, err := prober.Open(ctx, smtpprobe.Target{
		Host: "mx1.corp.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	})
	if err != nil {
		panic(err)
	}
	defer session.Close(ctx)

	answer, err := catchall.Ask(ctx, session, classifier, "", "corp.example", prober.Sender(), "2026-03-02")
	fmt.Println(answer, err)
	// Output: yes <nil>
}

func ExampleInquiry() {
	inquiry := catchall.New("corp.example", "check@example.com", "2026-03-02")
	// A real address was refused as unknown, so the domain seems not to accept everything.
	inquiry.Real(reply.Meaning{Reason: verdict.MailboxUnknown, Kind: reply.Hard, Confidence: 0.95})
	fmt.Println(inquiry.Answer())
	// The invented addresses are accepted all the same: a catch-all with exceptions.
	inquiry.Answered(reply.Meaning{Reason: verdict.Accepted, Kind: reply.Info})
	for {
		recipient, ok := inquiry.Next()
		if !ok {
			break
		}
		_ = recipient // send it as one more RCPT of the next transaction; here the server accepts it
		inquiry.Answered(reply.Meaning{Reason: verdict.Accepted, Kind: reply.Info})
	}
	fmt.Println(inquiry.Answer())
	// Output:
	// no
	// yes
}
