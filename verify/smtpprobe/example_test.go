package smtpprobe_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"presend/verify/smtpprobe"
)

func Example() {
	mail := at(host{script: with(nil)}) // a mail host in memory
	prober, err := smtpprobe.New(smtpprobe.Config{
		HELO: "verify.example.com", From: "check@example.com",
		Dial: mail.dial, // leave this out to ask over the network
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	session, err := prober.Open(ctx, smtpprobe.Target{
		Host: "mx1.corp.example", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	})
	if err != nil {
		panic(err)
	}
	defer session.Close(ctx)
	said, err := session.Probe(ctx, [][]string{
		{"alice@corp.example", "nobody@corp.example"}, // a transaction for each domain
		{"carol@shop.example"},
	}, nil)
	if err != nil {
		panic(err)
	}
	for _, transaction := range said {
		for _, answer := range transaction.Answers {
			fmt.Println(answer.Recipient, answer.Reply)
		}
	}
	// Output:
	// alice@corp.example 250 2.1.5 ok
	// nobody@corp.example 550 5.1.1 no such user
	// carol@shop.example 250 2.1.5 ok
}

func ExampleProber_Open_connectError() {
	prober, err := smtpprobe.New(smtpprobe.Config{HELO: "verify.example.com", Port: 1}) // nobody listens on this port
	if err != nil {
		panic(err)
	}
	_, err = prober.Open(context.Background(), smtpprobe.Target{
		Host: "mx1.corp.example", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")},
		AtOnce: 2,
	})
	var connect *smtpprobe.ConnectError
	if errors.As(err, &connect) {
		for _, failure := range connect.Failures {
			fmt.Println(connect.Host, failure.Addr)
		}
	}
	// Output:
	// mx1.corp.example 127.0.0.1
	// mx1.corp.example 127.0.0.2
}
