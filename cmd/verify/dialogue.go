package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"presend/verify"
	"presend/verify/smtpprobe"
)

// spoken is a line of an SMTP dialogue. The JSON names are a contract.
type spoken struct {
	At      time.Time `json:"at"`
	Host    string    `json:"host"`
	Address string    `json:"address"` // of the host
	From    string    `json:"from"`    // client or server
	Line    string    `json:"line"`
}

// checked is what check --json prints of an address; the dialogue only with -vv.
type checked struct {
	verify.Result
	Dialogue []spoken `json:"dialogue,omitzero"`
}

// dialogues keeps what was said in the sessions of a check, so that each result can show its own part.
type dialogues struct {
	mu       sync.Mutex
	sessions []*dialogueOf // in the order in which they began
	lines    int
}

type dialogueOf struct{ lines []spoken }

// linesMost is how many lines are kept; beyond that the oldest sessions are forgotten.
const linesMost = 50_000

// of returns what was said in the sessions in which a result's address was asked about, or, where it never was, in
// those with its mail host.
func (d *dialogues) of(r verify.Result) []spoken {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked, host := []spoken{}, []spoken{}
	for _, s := range d.sessions {
		switch {
		case slices.ContainsFunc(s.lines, func(l spoken) bool { return l.Line == "RCPT TO:<"+r.Normalized+">" }):
			asked = append(asked, s.lines...)
		case r.MX != "" && len(s.lines) > 0 && s.lines[0].Host == r.MX:
			host = append(host, s.lines...)
		}
	}
	if len(asked) == 0 {
		return host
	}
	return asked
}

// dialogue returns what was said about a result; nil where nobody asks for it.
func (a *app) dialogue(r verify.Result) []spoken {
	if a.heard == nil {
		return nil
	}
	return a.heard.of(r)
}

func (d *dialogues) begin() *dialogueOf {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &dialogueOf{}
	d.sessions = append(d.sessions, s)
	return s
}

func (d *dialogues) add(s *dialogueOf, line spoken) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.lines = append(s.lines, line)
	for d.lines++; d.lines > linesMost && len(d.sessions) > 1; d.sessions = d.sessions[1:] {
		d.lines -= len(d.sessions[0].lines)
	}
}

// listener is a slog.Handler that passes on what is logged and keeps the SMTP dialogue.
type listener struct {
	slog.Handler
	all     *dialogues
	session *dialogueOf // nil: not of a session
	known   spoken      // what all lines of the session have
}

// WithAttrs implements slog.Handler. A session's logger has the attributes host and address.
func (l *listener) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *l
	next.Handler = l.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		switch a.Key {
		case "host":
			next.known.Host, next.session = a.Value.String(), l.all.begin()
		case "address":
			next.known.Address = a.Value.String()
		}
	}
	return &next
}

// WithGroup implements slog.Handler.
func (l *listener) WithGroup(name string) slog.Handler {
	next := *l
	next.Handler = l.Handler.WithGroup(name)
	return &next
}

// Handle implements slog.Handler.
func (l *listener) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == smtpprobe.LevelDialogue && l.session != nil {
		line := l.known
		line.At = r.Time
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "from":
				line.From = a.Value.String()
			case "line":
				line.Line = a.Value.String()
			}
			return true
		})
		l.all.add(l.session, line)
	}
	return l.Handler.Handle(ctx, r)
}
