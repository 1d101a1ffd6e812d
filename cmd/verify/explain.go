package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"presend/bounce"
	"presend/verify/reply"
	"presend/verify/verdict"
)

func explainCommand(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain REPLY | CODE | FILE | DIRECTORY | -",
		Short: "Explain what a reply, an enhanced code or a bounce message means, and what to do",
		Long: `Explain what a reply, an enhanced code or a bounce message means, and what to do.

An argument is a reply as a server sent it or a log quotes it, a code (451), an enhanced code (5.2.2), a bounce message,
an mbox, a Maildir or another directory of messages, or a text with a reply on each line; - reads any of the files from
standard input. Automatic replies, complaints and receipts are not taken for bounces.`,
		Example: `  verify explain '550 5.7.1 <ann@example.com>: Relay access denied'
  verify explain 5.2.2
  verify explain ~/Maildir --json | jq -r 'select(.kind == "hard") | .recipient'`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			classifier, err := reply.New()
			if err != nil {
				return err
			}
			e := &explainer{app: a, classifier: classifier, asJSON: asJSON, messages: map[bounce.Kind]int{}}
			return e.all(args)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

// explanation is what is said of one reply, or of one message that is no bounce.
type explanation struct {
	Input      string         `json:"input"`
	File       string         `json:"file,omitempty"`
	Message    bounce.Kind    `json:"message,omitempty"`
	Recipient  string         `json:"recipient,omitempty"`
	Action     string         `json:"action"`
	Code       int            `json:"code"`
	Enhanced   string         `json:"enhanced"`
	Reason     verdict.Reason `json:"reason"`
	Means      string         `json:"means"`
	Subject    reply.Subject  `json:"subject"`
	Kind       reply.Kind     `json:"kind"`
	Confidence float64        `json:"confidence"`
	Rule       string         `json:"rule"`
	RetryAfter int            `json:"retry_after,omitempty"` // seconds
	status     reply.Enhanced // for its name in the registry
}

type explainer struct {
	*app
	classifier *reply.Classifier
	asJSON     bool
	printed    int
	messages   map[bounce.Kind]int
	unreadable int
}

func (e *explainer) all(args []string) error {
	for _, arg := range joined(args) {
		if err := e.argument(arg); err != nil {
			return err
		}
	}
	total := 0
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(e.messages)) {
		total += e.messages[kind]
		counts = append(counts, fmt.Sprintf("%s %d", kind, e.messages[kind]))
	}
	if total > 1 && !e.flags.quiet {
		fmt.Fprintf(e.stderr, "verify: %d messages: %s\n", total, strings.Join(counts, ", "))
	}
	if e.unreadable > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

var (
	bareCode     = regexp.MustCompile(`^[245]\d\d$`)
	bareEnhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)
	fileName     = regexp.MustCompile(`(?i)^\S+\.(eml|mbox|msg|txt|log)$|^\.{0,2}/\S+$`)
)

// joined puts a reply together that was given without quotes, as in: verify explain 550 5.1.1 User unknown.
func joined(args []string) []string {
	if len(args) < 2 || !bareCode.MatchString(args[0]) && !bareEnhanced.MatchString(args[0]) {
		return args
	}
	rest := args[1:]
	if bareCode.MatchString(args[0]) && bareEnhanced.MatchString(rest[0]) && rest[0][0] == args[0][0] {
		rest = rest[1:]
	}
	other := func(s string) bool {
		_, err := os.Stat(s)
		return s == "-" || strings.Contains(s, " ") || err == nil
	}
	code := func(s string) bool { return bareCode.MatchString(s) || bareEnhanced.MatchString(s) }
	if len(rest) > 0 && (slices.ContainsFunc(rest, other) ||
		!slices.ContainsFunc(rest, func(s string) bool { return !code(s) })) {
		return args
	}
	return []string{strings.Join(args, " ")}
}

func (e *explainer) argument(arg string) error {
	if arg == "-" {
		return e.stream("standard input", e.stdin)
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return e.mail(bounce.Each(arg))
	case err == nil:
		f, err := os.Open(arg)
		if err != nil {
			return err
		}
		defer f.Close()
		return e.stream(arg, f)
	case fileName.MatchString(arg):
		return fmt.Errorf("%w; a reply that looks like a file name can come on standard input: verify explain -", err)
	}
	return e.reply(arg)
}

// stream reads messages, or else a reply on each line.
func (e *explainer) stream(name string, r io.Reader) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	start, err := buffered.Peek(4096)
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case bytes.HasPrefix(start, []byte("From ")) || bounce.LooksLikeMessage(start):
		return e.mail(bounce.In(name, buffered))
	case strings.EqualFold(filepath.Ext(name), ".eml"):
		return fmt.Errorf("%s: %w", name, bounce.ErrNoMessage)
	case bytes.IndexByte(start, 0) >= 0:
		return fmt.Errorf("%s is neither a mail message nor a text with a reply on each line", name)
	}
	lines := bufio.NewScanner(buffered)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := e.reply(lines.Text()); errors.Is(err, reply.ErrEmpty) {
			e.failed(fmt.Sprintf("%s, line %d", name, n), err)
		} else if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (e *explainer) failed(where string, err error) {
	e.unreadable++
	fmt.Fprintf(e.stderr, "verify: %s: %v\n", where, err)
}

func (e *explainer) reply(text string) error {
	r, err := reply.Parse(text)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return e.print(explain(text, r, e.classifier.Classify(r, reply.CommandIn(text), "")))
}

func explain(input string, r reply.Reply, m reply.Meaning) explanation {
	return explanation{
		Input: strings.Join(strings.Fields(input), " "), Code: r.Code, Enhanced: r.Enhanced.String(), status: r.Enhanced,
		Reason: m.Reason, Means: m.Means, Subject: m.Subject,
		Kind: m.Kind, Action: m.Action, Confidence: m.Confidence, Rule: m.Rule, RetryAfter: int(m.RetryAfter / time.Second),
	}
}

// noBounce is what is said of messages that are none.
var noBounce = map[bounce.Kind]struct{ means, action string }{
	bounce.AutoReply: {"an automatic reply: the message arrived", "nothing to do"},
	bounce.Complaint: {
		"a complaint: the recipient called the message spam",
		"never write to this address again: suppress it",
	},
	bounce.Receipt: {"a receipt: the message was displayed or deleted", "nothing to do"},
	bounce.Other:   {"no bounce: nothing in it says that a message failed", "read it"},
}

func (e *explainer) mail(messages iter.Seq2[bounce.Source, error]) error {
	for s, err := range messages {
		if err != nil {
			e.failed(s.Name, err)
			continue
		}
		e.messages[s.Message.Kind]++
		for _, x := range e.message(s) {
			if err := e.print(x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *explainer) message(s bounce.Source) []explanation {
	m := s.Message
	var all []explanation
	for _, r := range m.Recipients {
		x := explain(cmp.Or(r.Text, r.Reply.String()), r.Reply, r.Meaning(e.classifier))
		x.Recipient = r.Address
		all = append(all, x)
	}
	if said, ok := noBounce[m.Kind]; ok {
		if len(all) == 0 {
			all = []explanation{{}}
		}
		for i := range all {
			all[i] = explanation{
				Input: m.Subject, Recipient: all[i].Recipient, Reason: verdict.Unclear, Means: said.means,
				Subject: reply.SubjectMessage,
				Kind:    reply.Info, Action: said.action, Confidence: 0.95, Rule: "message/" + string(m.Kind),
			}
		}
	}
	for i := range all {
		all[i].File, all[i].Message = s.Name, m.Kind
	}
	return all
}
