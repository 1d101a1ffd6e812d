package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Visit is a command in a session as the script of a host sees it.
type Visit struct {
	Command   string     // MAIL or RCPT
	Recipient string     // as RCPT named it
	Known     bool       // it is a mailbox that is declared and takes mail
	Client    netip.Addr // who asks
	Session   int        // the number of this session at the host, from 1
	Mails     int        // MAIL commands in this session, this one included
	Taken     int        // recipients accepted in this transaction
	Position  int        // recipients asked before in this transaction
	Asked     int        // recipients asked before in this session
	Refused   int        // of them refused
	Total     int        // recipients asked before at this host
	Now       time.Time
}

// Script gives a host replies of its own: it returns the reply to a command, empty for what the host would say anyway,
// and how long the host takes over it. A reply with the code 421 ends the session. A host asks its script about one
// command at a time.
type Script func(Visit) (reply string, takes time.Duration)

// Script lets a host of the world, which must exist, follow a script.
func (w *World) Script(host string, s Script) error {
	h, ok := w.hosts[host]
	if !ok {
		return fmt.Errorf("lab: host %s is not declared", host)
	}
	h.script = s
	w.hosts[host] = h
	return nil
}

// scripted says what the script of the host has for a command, and reports whether it had anything.
func (s *session) scripted(command, path string) bool {
	if s.host.script == nil {
		return false
	}
	v := Visit{
		Command: command, Recipient: path, Client: s.client, Session: s.number, Mails: s.mails, Taken: s.rcpts,
		Position: s.position, Asked: s.asked, Refused: s.refused, Now: s.host.lab.Now(),
	}
	if local, domain, err := split(path); err == nil && command == "RCPT" {
		if d := s.host.serves(domain); d != nil {
			v.Known = d.temper(local) == Mailbox
		}
	}
	s.host.mu.Lock()
	v.Total = s.host.asked
	reply, takes := s.host.script(v)
	s.host.mu.Unlock()
	if takes > 0 && (s.flush() != nil || !pause(s.ctx, takes)) {
		s.end("")
		return true
	}
	if reply == "" {
		return false
	}
	if command == "RCPT" {
		s.host.lab.tally.rcpts.Add(1)
		if local, domain, err := split(path); err == nil {
			s.host.note(local + "@" + domain)
		}
	}
	switch {
	case strings.HasPrefix(reply, "421"):
		s.end(reply)
	case strings.HasPrefix(reply, "2"):
		if command == "RCPT" {
			s.rcpts++
		} else {
			s.sender = &path
		}
		s.say(reply)
	default:
		s.refuse(reply)
	}
	return true
}
