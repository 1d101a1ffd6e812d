package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"presend/bounce"
	"presend/verify/reply"
)

// whose tells in words what a reply is about.
var whose = map[reply.Subject]string{
	reply.SubjectMailbox: "the recipient's mailbox",
	reply.SubjectDomain:  "the recipient's domain",
	reply.SubjectSender:  "the sender: you, not the address",
	reply.SubjectMessage: "the message, not the address",
	reply.SubjectServer:  "the server and the moment, not the address",
}

var kinds = map[reply.Kind]string{
	reply.Hard: "hard: the same attempt fails again",
	reply.Soft: "soft: it may pass later",
	reply.Info: "nothing failed",
}

func (e *explainer) print(x explanation) error {
	if e.asJSON {
		return json.NewEncoder(e.stdout).Encode(x)
	}
	var b strings.Builder
	if e.printed++; e.printed > 1 {
		b.WriteByte('\n')
	}
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", name, printable(value))
		}
	}
	title := x.Input
	if x.Recipient != "" {
		title = x.Recipient
	}
	b.WriteString(printable(title) + "\n")
	line("from", x.File)
	if title != x.Input {
		line("said", x.Input)
	}
	means := x.Means
	if x.Message == "" || x.Message == bounce.Report {
		means += " (" + string(x.Reason) + ")"
	}
	line("means", means)
	line("about", whose[x.Subject])
	line("kind", kinds[x.Kind])
	line("do", x.Action)
	if x.RetryAfter > 0 {
		line("wait", (time.Duration(x.RetryAfter)*time.Second).String()+", as the reply asks")
	}
	if name, document := e.classifier.Registered(x.status); name != "" && x.Enhanced != "" {
		line("registry", fmt.Sprintf("%s is %q (%s)", x.Enhanced, name, cmp.Or(document, "in no RFC")))
	}
	line("sure", fmt.Sprintf("%.0f %%, by rule %s", 100*x.Confidence, x.Rule))
	_, err := io.WriteString(e.stdout, b.String())
	return err
}
