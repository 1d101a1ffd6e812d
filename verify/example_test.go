package verify_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"presend/internal/lab"
	"presend/lists/reference"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
	"presend/verify/syntax"
)

// The mail hosts of the examples are on this machine. A program on the internet needs no settings but HELO and From:
// the name that the PTR record of its address tells, and a mailbox of its own.
func Example() {
	internet := startInternet()
	defer internet.Close()

	resolver, err := mx.New(mx.Config{Servers: []string{internet.DNS()}, AllowPrivate: true})
	if err != nil {
		panic(err)
	}
	defer resolver.Close()
	prober, err := smtpprobe.New(smtpprobe.Config{
		HELO: "verify.example.com", From: "check@example.com", Port: internet.SMTPPort(), Dial: internet.Dial,
	})
	if err != nil {
		panic(err)
	}
	names, err := reference.Load(reference.Options{}) // disposable, free and role names
	if err != nil {
		panic(err)
	}
	verifier, err := verify.New(verify.Config{Resolver: resolver, Prober: verify.SMTP(prober), Reference: names})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	for _, address := range []string{"alice@corp.lab", "info@shop.lab", "gone@corp.lab", "no address"} {
		r, err := verifier.Check(ctx, address)
		if err != nil { // ctx has ended
			panic(err)
		}
		fmt.Printf("%s: %s (%s) %v\n", r.Address, r.Verdict, r.Reason, r.Flags)
	}
	if err := verifier.Wait(ctx); err != nil { // until the servers were told QUIT
		panic(err)
	}
	// Output:
	// alice@corp.lab: deliverable (accepted) []
	// info@shop.lab: risky (catch_all) [role catch_all]
	// gone@corp.lab: invalid (mailbox_unknown) []
	// no address: invalid (syntax) []
}

// Results come as they become known, so an address whose server is slow holds up no other.
func ExampleVerifier_CheckAll() {
	internet := startInternet()
	defer internet.Close()
	verifier, stop := newVerifier(internet)
	defer stop()

	addresses := strings.FieldsSeq("alice@corp.lab bob@corp.lab gone@corp.lab carol@shop.lab") // any sequence
	counts := map[verify.Verdict]int{}
	for r, err := range verifier.CheckAll(context.Background(), addresses) {
		if err != nil { // ctx has ended; this comes once, last
			panic(err)
		}
		counts[r.Verdict]++
	}
	fmt.Println(counts)
	// Output: map[deliverable:2 invalid:1 risky:1]
}

// Run takes its work from a Queue and records results there. MemoryQueue holds some addresses in memory; package state
// has a Queue in a file, so that a run that is stopped goes on where it was.
func ExampleVerifier_Run() {
	internet := startInternet()
	defer internet.Close()
	verifier, stop := newVerifier(internet)
	defer stop()

	addresses := map[int64]syntax.Address{} // by a number of ours
	for i, text := range []string{"alice@corp.lab", "carol@shop.lab", "gone@corp.lab"} {
		address, err := syntax.Parse(text)
		if err != nil {
			panic(err)
		}
		addresses[int64(i)] = address
	}
	queue := verify.NewMemoryQueue(addresses)
	if err := verifier.Run(context.Background(), queue, verify.RunOptions{}); err != nil {
		panic(err)
	}
	for _, i := range slices.Sorted(maps.Keys(queue.Results)) {
		r := queue.Results[i]
		fmt.Printf("%d %s: %s (%s)\n", i, r.Normalized, r.Verdict, r.Reason)
	}
	// Output:
	// 0 alice@corp.lab: deliverable (accepted)
	// 1 carol@shop.lab: risky (catch_all)
	// 2 gone@corp.lab: invalid (mailbox_unknown)
}

// startInternet starts DNS and mail servers inside this process: corp.lab knows its mailboxes, shop.lab accepts every
// address.
func startInternet() *lab.Lab {
	internet, err := lab.Start(context.Background(), `
		host    mx.corp.lab
		domain  corp.lab mx=mx.corp.lab
		mailbox alice,bob@corp.lab
		host    mx.shop.lab
		domain  shop.lab mx=mx.shop.lab catchall`)
	if err != nil {
		panic(err)
	}
	return internet
}

// newVerifier returns a Verifier as in the example of the package.
func newVerifier(internet *lab.Lab) (verifier *verify.Verifier, stop func()) {
	resolver, err := mx.New(mx.Config{Servers: []string{internet.DNS()}, AllowPrivate: true})
	if err != nil {
		panic(err)
	}
	prober, err := smtpprobe.New(
		smtpprobe.Config{HELO: "verify.example.com", Port: internet.SMTPPort(), Dial: internet.Dial},
	)
	if err != nil {
		panic(err)
	}
	if verifier, err = verify.New(verify.Config{Resolver: resolver, Prober: verify.SMTP(prober)}); err != nil {
		panic(err)
	}
	return verifier, func() { resolver.Close() }
}
