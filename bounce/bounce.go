package bounce

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // bounces use every character set

	"presend/verify/reply"
)

// Kind is what a message is.
type Kind string

// The kinds.
const (
	Report    Kind = "report"     // it tells what became of a message: it failed, is delayed or was delivered
	AutoReply Kind = "auto_reply" // an absence note or another automatic answer (RFC 3834)
	Complaint Kind = "complaint"  // a feedback report: the recipient called the message spam (RFC 5965)
	Receipt   Kind = "receipt"    // the message was displayed or deleted (RFC 8098)
	Other     Kind = "other"      // anything else, such as a message that a person wrote
)

// Action is what became of a message for one recipient, in the words of RFC 3464 section 2.3.3.
type Action string

// The actions.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// Message is what a message says about earlier ones.
type Message struct {
	Kind       Kind
	Form       string // "rfc3464", "rfc5965", "rfc8098", "jmrp", "header" or one of forms.toml; else empty
	ID         string // its Message-ID, without the angle brackets
	Subject    string
	Date       time.Time // zero if it has none that can be read
	Recipients []Recipient
}

// Recipient is what a message says about one recipient of the returned message.
type Recipient struct {
	Address string // as the sender wrote it, if the report has an Original-Recipient; empty if it names none
	Action  Action // empty in a complaint
	Reply   reply.Reply
	Command reply.Command // the command that the reply answered; empty if unknown
	Host    string        // the server that gave the reply; empty if unknown
	Text    string        // the text that the reply was read from
}

// Meaning classifies the reply in a [Report]. A delay is soft whatever the reply says, and a message that arrived
// counts as accepted.
func (r Recipient) Meaning(c *reply.Classifier) reply.Meaning {
	asked, command := r.Reply, r.Command
	if r.Action == Delivered || r.Action == Relayed || r.Action == Expanded {
		asked.Code, command = 250, reply.RCPT // whichever command was answered, it is the recipient that was accepted
	}
	m := c.Classify(asked, command, "")
	if r.Action == Delayed && m.Kind == reply.Hard {
		m.Kind = reply.Soft
	}
	return m
}

// ErrNoMessage is returned by [Read] for input that is no mail message.
var ErrNoMessage = errors.New("bounce: no mail message: it does not begin with header fields")

const (
	maxMessage = 64 << 20 // octets of a message that are read
	maxPart    = 1 << 20  // octets of a part that are read
)

// parts are the parts of a message that the package reads.
type parts struct {
	header   message.Header
	notice   string   // the text for people
	html     string   // the same in HTML
	status   []string // message/delivery-status
	feedback string   // message/feedback-report
	receipt  string   // message/disposition-notification
	returned message.Header
}

// Read reads one message, at most its first 64 MiB. The errors are [ErrNoMessage], those of r, and one for a message
// whose MIME is broken before anything that can be used. Any other message that ends too soon or breaks the rules of
// MIME is read as far as possible.
func Read(r io.Reader) (Message, error) {
	p, err := take(io.LimitReader(r, maxMessage))
	if err != nil {
		return Message{}, err
	}
	m := Message{Kind: Other, ID: strings.Trim(p.header.Get("Message-Id"), "<> "), Subject: field(p.header, "Subject")}
	if date, err := mail.ParseDate(p.header.Get("Date")); err == nil {
		m.Date = date
	}
	forms := formsOnce()
	text := p.notice
	if strings.TrimSpace(text) == "" {
		text = textOf(p.html)
	}
	switch {
	case p.feedback != "":
		m.Kind, m.Form, m.Recipients = Complaint, "rfc5965", complained(p.feedback)
	case forms.Complaint.matches(p.header):
		m.Kind, m.Form = Complaint, "jmrp"
		if to := p.returned.Get("X-HmXmrOriginalRecipient"); to != "" {
			m.Recipients = []Recipient{{Address: to}}
		}
	case p.receipt != "":
		m.Kind, m.Form = Receipt, "rfc8098"
	default:
		for _, s := range p.status {
			m.Recipients = append(m.Recipients, statuses(s)...)
		}
		noticed := forms.read(text, p.header)
		switch {
		case len(m.Recipients) > 0:
			m.Kind, m.Form = Report, "rfc3464"
			m.complete(noticed.Recipients)
		case forms.AutoReply.matches(p.header) && !forms.Daemon.matches(p.header):
			m.Kind = AutoReply
		case len(noticed.Recipients) > 0:
			m.Kind, m.Form, m.Recipients = Report, noticed.Form, noticed.Recipients
		}
	}
	return m, nil
}

// complete adds what the notice tells and the status fields leave out.
func (m *Message) complete(noticed []Recipient) {
	for i := range m.Recipients {
		r := &m.Recipients[i]
		at := slices.IndexFunc(noticed, func(n Recipient) bool { return strings.EqualFold(n.Address, r.Address) })
		if at < 0 {
			continue
		}
		n := noticed[at]
		r.Command, r.Host = cmp.Or(r.Command, n.Command), cmp.Or(r.Host, n.Host)
		if r.Text == "" {
			r.Text, r.Reply.Code, r.Reply.Lines = n.Text, n.Reply.Code, n.Reply.Lines
			r.Reply.Enhanced = cmp.Or(n.Reply.Enhanced, r.Reply.Enhanced)
		}
	}
}

// take reads the parts of a message.
func take(r io.Reader) (parts, error) {
	var p parts
	buffered := bufio.NewReader(r)
	if start, err := buffered.Peek(4096); err != nil && err != io.EOF {
		return p, err
	} else if !LooksLikeMessage(start) {
		return p, ErrNoMessage
	}
	root, err := message.Read(buffered)
	if root == nil {
		return p, fmt.Errorf("%w: %w", ErrNoMessage, err)
	}
	p.header = root.Header
	err = root.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return err
		}
		kind, _, err := part.Header.ContentType()
		if err != nil || kind == "" {
			kind = "text/plain"
		}
		if strings.HasPrefix(kind, "multipart/") {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(part.Body, maxPart))
		if err != nil && len(body) == 0 {
			return err
		}
		p.put(kind, string(body))
		return nil
	})
	if err != nil && p.notice == "" && p.html == "" && len(p.status) == 0 && p.feedback == "" && p.receipt == "" {
		return p, fmt.Errorf("bounce: %w", err) // the MIME is broken, and nothing before that can be used
	}
	return p, nil
}

func (p *parts) put(kind, body string) {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	switch kind {
	case "message/delivery-status", "message/global-delivery-status":
		p.status = append(p.status, body)
	case "message/feedback-report":
		p.feedback = body
	case "message/disposition-notification", "message/global-disposition-notification":
		p.receipt = body
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/partial":
		if e, _ := message.Read(strings.NewReader(body)); e != nil && p.returned.Len() == 0 {
			p.returned = e.Header
		}
	case "text/html":
		p.html = cmp.Or(p.html, body)
	default:
		if !strings.HasPrefix(kind, "text/") {
			return
		}
		if p.notice == "" {
			p.notice = body
		}
		if strings.Contains(body, "\nFinal-Recipient:") && strings.Contains(body, "\nAction:") {
			p.status = append(p.status, body) // some mail systems put the fields into the text
		}
	}
}

var (
	headerField  = regexp.MustCompile(`^([!-9;-~]+)[ \t]*:`)
	commonFields = map[string]bool{
		"received": true, "return-path": true, "delivered-to": true, "from": true, "to": true, "subject": true, "date": true,
		"message-id": true, "mime-version": true, "content-type": true, "x-original-to": true, "envelope-to": true,
		"dkim-signature": true, "authentication-results": true, "auto-submitted": true, "reply-to": true,
		"x-failed-recipients": true,
	}
)

// LooksLikeMessage reports whether text begins like a mail message (RFC 5322): with at least two header fields, one of
// them a common one. The first 4 KiB are enough.
func LooksLikeMessage(start []byte) bool {
	fields, common := 0, false
	for line := range strings.Lines(string(start)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if fields == 0 {
				return false
			}
			continue
		}
		name := headerField.FindStringSubmatch(line)
		if name == nil {
			break
		}
		fields++
		common = common || commonFields[strings.ToLower(name[1])]
	}
	return fields >= 2 && common
}

// field returns a header field. Its encoded words are decoded where that is possible.
func field(h message.Header, name string) string {
	if text, err := h.Text(name); err == nil {
		return text
	}
	return h.Get(name)
}
