package bounce

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
	"github.com/emersion/go-message"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"presend/verify/reply"
)

//go:embed forms.toml
var formsTOML string

// forms is the content of forms.toml, which explains it.
type forms struct {
	End, Quote, Origin, Delayed patterns
	Daemon, Complaint           fieldPatterns
	AutoReply                   fieldPatterns `toml:"auto_reply"`
	Form                        []form
}

type form struct {
	Name      string
	Mark      *pattern
	Recipient *pattern
	Before    bool
}

// pattern is a regular expression of forms.toml.
type pattern struct{ *regexp.Regexp }

const address = `[^\s<>"'():;,\[\]]+@[^\s<>"'():;,\[\]@]+\.[^\s<>"'():;,\[\]@]*[^\s<>"'():;,.\[\]@]`

var anyAddress = regexp.MustCompile(address)

func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(`(?im)` + strings.ReplaceAll(string(text), "ADDR", address))
	return err
}

type patterns []pattern

func (ps patterns) match(text string) bool {
	return slices.ContainsFunc(ps, func(p pattern) bool { return p.MatchString(text) })
}

// fieldPatterns are patterns by the header field that they are for.
type fieldPatterns map[string]patterns

func (f fieldPatterns) matches(h message.Header) bool {
	for name, ps := range f {
		if text := field(h, name); text != "" && ps.match(text) {
			return true
		}
	}
	return false
}

var formsOnce = sync.OnceValue(func() *forms {
	f, err := readForms(formsTOML)
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return f
})

func readForms(text string) (*forms, error) {
	f := &forms{}
	meta, err := toml.Decode(text, f)
	if err != nil {
		return nil, fmt.Errorf("bounce: forms.toml: %w", err)
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		return nil, fmt.Errorf("bounce: forms.toml: unknown key %q", keys[0].String())
	}
	return f, nil
}

const (
	maxNotice     = 128 << 10 // octets of a notice that are read
	maxRecipients = 1000      // recipients of a notice
)

// read finds the recipients in a notice and what it says about each. The message has none if no form fits.
func (f *forms) read(text string, header message.Header) Message {
	text = text[:min(len(text), maxNotice)]
	for _, p := range f.End {
		if at := p.FindStringIndex(text); at != nil {
			text = text[:at[0]]
		}
	}
	daemon := f.Daemon.matches(header)
	seen := map[string]bool{} // the report goes to the sender of the message, who is never its recipient
	for _, name := range anyAddress.FindAllString(strings.ToLower(header.Get("To")), -1) {
		seen[name] = true
	}
	for _, form := range f.Form {
		if form.Mark == nil && !daemon || form.Mark != nil && !form.Mark.MatchString(text) {
			continue
		}
		if recipients := f.recipients(form, text, maps.Clone(seen)); len(recipients) > 0 {
			return Message{Form: form.Name, Recipients: recipients}
		}
	}
	if !daemon {
		return Message{}
	}
	// The header names the recipients and the notice gives the reason. A reply that names no recipient counts too.
	said := f.recipient(text)
	var recipients []Recipient
	for _, name := range anyAddress.FindAllString(header.Get("X-Failed-Recipients"), maxRecipients) {
		said.Address = name
		recipients = append(recipients, said)
	}
	if len(recipients) == 0 && (said.Reply.Code != 0 || said.Reply.Enhanced != reply.Enhanced{}) {
		recipients = append(recipients, said)
	}
	return Message{Form: "header", Recipients: recipients}
}

func (f *forms) recipients(form form, text string, seen map[string]bool) []Recipient {
	matches := slices.DeleteFunc(form.Recipient.FindAllStringSubmatchIndex(text, maxRecipients), func(m []int) bool {
		name := strings.ToLower(text[m[2]:m[3]])
		again := seen[name]
		seen[name] = true
		return again
	})
	delayed := f.Delayed.match(text)
	whole := sync.OnceValue(func() Recipient { return f.recipient(text) }) // for recipients without a text of their own
	var found []Recipient
	for i, m := range matches {
		name, end := text[m[2]:m[3]], len(text)
		if i+1 < len(matches) {
			end = matches[i+1][0]
		}
		for _, p := range f.Origin {
			if from := p.FindStringSubmatch(text[m[0]:end]); from != nil {
				name = from[1]
			}
		}
		said := text[m[1]:end]
		var r Recipient
		if form.Before || strings.TrimSpace(said) == "" {
			r = whole()
		} else {
			r = f.recipient(said)
		}
		if r.Address = name; delayed {
			r.Action = Delayed
		}
		found = append(found, r)
	}
	return found
}

var remoteHost = regexp.MustCompile(
	`(?i)(?:\bhost|talking to|rejected by|server for [^\s]+ by)[: ]+([a-z0-9-]+(?:\.[a-z0-9-]+)+)`,
)

// recipient reads what a notice says about one recipient.
func (f *forms) recipient(said string) Recipient {
	said = withReply(said)
	r := Recipient{Action: Failed, Text: withReply(f.narrow(said))}
	if f.Delayed.match(said) {
		r.Action = Delayed
	}
	r.Reply, r.Command = quoted(r.Text)
	around := strings.Join(strings.Fields(said), " ")
	if m := remoteHost.FindStringSubmatch(around); m != nil {
		r.Host = strings.ToLower(m[1])
	}
	r.Command = cmp.Or(r.Command, reply.CommandIn(around))
	return r
}

// narrow returns the reply that a text quotes, or the whole text if nothing marks a quotation.
func (f *forms) narrow(said string) string {
	for _, p := range f.Quote {
		if m := p.FindStringSubmatchIndex(said); m != nil {
			rest := said[m[2]:]
			if p.NumSubexp() == 1 && strings.HasSuffix(p.String(), `$`) {
				rest = said[m[2]:m[3]]
			}
			return strings.TrimSpace(rest)
		}
	}
	return strings.TrimSpace(said)
}

var continues = regexp.MustCompile(`^[245]\d\d[ -]`)

// withReply drops the paragraphs after the one that holds a reply, because they are advice. There may be empty lines
// between the lines of a reply.
func withReply(said string) string {
	end := 0
	for paragraph := range strings.SplitAfterSeq(said, "\n\n") {
		if end > 0 && !continues.MatchString(paragraph) {
			if r, err := reply.Parse(said[:end]); err == nil && (r.Code != 0 || r.Enhanced != reply.Enhanced{}) {
				return said[:end]
			}
		}
		end += len(paragraph)
	}
	return said
}

// textOf returns the text of an HTML document, with a line for each block.
func textOf(source string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.WriteString(strings.Join(strings.Fields(string(z.Text())), " "))
				b.WriteByte(' ')
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch atom.Lookup(name) {
			case atom.Style, atom.Script, atom.Title:
				hidden++
			case atom.Br, atom.P, atom.Div, atom.Tr, atom.Li, atom.H1, atom.H2, atom.H3, atom.Hr, atom.Table, atom.Pre:
				b.WriteByte('\n')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch atom.Lookup(name) {
			case atom.Style, atom.Script, atom.Title:
				hidden = max(0, hidden-1)
			case atom.P, atom.Div, atom.Tr, atom.Table, atom.Pre:
				b.WriteByte('\n')
			}
		}
	}
}
