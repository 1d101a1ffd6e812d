package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"presend/verify"
	"presend/verify/verdict"
)

// colours are the escape sequences of a terminal; the zero value has none.
type colours struct {
	verdicts           map[verify.Verdict]string
	bold, faint, plain string
}

// coloursOn returns the colours for a writer: those of a terminal, unless its user wants none (https://no-color.org).
func coloursOn(w io.Writer) colours {
	file, isFile := w.(*os.File)
	if !isFile || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return colours{}
	}
	return terminalColours
}

var terminalColours = colours{
	verdicts: map[verify.Verdict]string{
		verdict.Deliverable: "\x1b[32m", verdict.Risky: "\x1b[33m", verdict.Invalid: "\x1b[31m", verdict.Unknown: "\x1b[36m",
	},
	bold: "\x1b[1m", faint: "\x1b[2m", plain: "\x1b[0m",
}

// writeResult tells a person how a result came about: what the address is, who takes its mail, what was asked, what was
// answered, what that means and what to do.
func writeResult(w io.Writer, r verify.Result, c colours) {
	colour := c.bold + c.verdicts[r.Verdict]
	fmt.Fprintf(w, "%s: %s%s%s (%s), score %d\n", printable(r.Address), colour, r.Verdict, c.plain, r.Reason, r.Score)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s%-13s%s%s\n", c.faint, name, c.plain, printable(value))
		}
	}
	line("syntax", syntaxWords(r))
	line("did you mean", r.Suggestion)
	line("mail host", hostWords(r))
	line("asked", askedWords(r))
	if r.Reply != nil {
		words := fmt.Sprintf("%d %s %s", r.Reply.Code, r.Reply.Enhanced, r.Reply.Text)
		line("answered", strings.Join(strings.Fields(words), " "))
	}
	line("means", meaning(r))
	line("do", actionWords[r.Action]+r.Advice)
	if !r.RetryAt.IsZero() {
		line("try again", r.RetryAt.Local().Format(time.RFC1123))
	}
}

// actionWords begin what to do, where the advice does not say it by itself.
var actionWords = map[verify.Action]string{
	verdict.SendWithCare: "Send with care. ", verdict.DoNotSend: "Do not send. ",
}

// meaning tells what an answer means: the detail, unless that is the answer once more.
func meaning(r verify.Result) string {
	switch {
	case r.Reason == verdict.Syntax:
		return ""
	case r.Reply != nil && r.Reply.Text != "" && strings.Contains(r.Detail, r.Reply.Text):
		return r.Reason.Facts().Label
	}
	return r.Detail
}

// syntaxWords tells what the address alone says.
func syntaxWords(r verify.Result) string {
	if r.Reason == verdict.Syntax {
		return r.Detail
	}
	words := []string{"in order"}
	if r.Normalized != r.Address {
		words = append(words, "read as "+r.Normalized)
	}
	for _, f := range r.Flags {
		words = append(words, string(f))
	}
	return strings.Join(words, ", ")
}

// hostWords names who takes the mail of the domain.
func hostWords(r verify.Result) string {
	switch {
	case r.Reason == verdict.Syntax || r.Reason == verdict.SpecialUseDomain || r.Reason == verdict.Suppressed:
		return ""
	case r.MX == "":
		return "none is known"
	case r.Provider != "":
		return r.MX + ", of " + r.Provider
	}
	return r.MX
}

// askedWords tells what was asked.
func askedWords(r verify.Result) string {
	switch {
	case r.Reason == verdict.Syntax || r.Reason == verdict.SpecialUseDomain || r.Reason == verdict.Suppressed:
		return ""
	case r.Reply != nil && r.Reply.Command == "RCPT":
		return "RCPT TO:<" + r.Normalized + ">"
	case r.Reply != nil:
		return r.Reply.Command + ", which was refused; so the mailbox was not asked about"
	case r.MX == "":
		return "DNS only"
	case r.Reason == verdict.Timeout || r.Reason == verdict.Unreachable || r.Reason == verdict.ServerUnavailable ||
		r.Reason == verdict.ProtocolError:
		return "the mail host, which gave no answer about the mailbox"
	}
	return "nothing: no mail host was asked"
}
