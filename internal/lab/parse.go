package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parse reads a declaration; the package comment says how one is written. An error names the line.
func Parse(declaration string) (*World, error) {
	w := NewWorld()
	number := 0
	for line := range strings.Lines(declaration) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "record" {
			if err := w.AddRecord(strings.TrimPrefix(strings.TrimSpace(line), "record")); err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			continue
		}
		if len(words) == 0 {
			continue
		}
		if err := w.declare(words[0], words[1:]); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return w, nil
}

func (w *World) declare(what string, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("lab: %s wants more words", what)
	}
	switch {
	case what == "dns":
		return w.declareDNS(words)
	case what == "host":
		return w.declareHost(words[0], words[1:])
	case what == "domain":
		return w.declareDomain(words[0], words[1:])
	case what == "name" && len(words) == 2:
		return w.AddName(words[0], strings.Split(words[1], ",")...)
	case what == "alias" && len(words) == 2:
		return w.AddAlias(words[0], words[1])
	case slices.Contains(Tempers(), Temper(what)):
		return w.declareMailboxes(Temper(what), words)
	}
	return fmt.Errorf("lab: do not understand %q with %d words", what, len(words))
}

func (w *World) declareDNS(options []string) (err error) {
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		if key != "latency" {
			return fmt.Errorf("lab: dns has no option %q", option)
		}
		if w.Latency, err = time.ParseDuration(value); err != nil {
			return fmt.Errorf("lab: dns %s: %w", option, err)
		}
	}
	return nil
}

func (w *World) declareHost(name string, options []string) error {
	h := Host{Name: name}
	for ; len(options) > 0; options = options[1:] {
		addr, err := netip.ParseAddr(options[0])
		if err != nil {
			break
		}
		if addr.Is4() {
			h.Addr = addr
		} else {
			h.Addr6 = addr
		}
	}
	for _, option := range options {
		if err := h.set(option); err != nil {
			return fmt.Errorf("lab: host %s: %s: %w", name, option, err)
		}
	}
	return w.AddHost(h)
}

func (h *Host) set(option string) (err error) {
	key, value, _ := strings.Cut(option, "=")
	switch key {
	case "latency":
		h.Latency, err = time.ParseDuration(value)
	case "sessions":
		h.Sessions, err = strconv.Atoi(value)
	case "rcpts":
		h.Rcpts, err = strconv.Atoi(value)
	case "errors":
		h.Errors, err = strconv.Atoi(value)
	case "greylist":
		h.Greylist, err = time.ParseDuration(value)
	case "greylist-first":
		h.GreylistFirst = true
		h.Greylist, err = time.ParseDuration(value)
	case "starttls":
		h.STARTTLS = true
	case "nostarttls":
		h.STARTTLS = false
	case "nopipelining":
		h.NoPipelining = true
	case "nosmtputf8":
		h.NoSMTPUTF8 = true
	case "alabels":
		h.ALabels = true
	case "closes-unknown":
		h.ClosesUnknown = true
	case "drops-unknown":
		h.DropsUnknown = true
	case "soft-unknown":
		h.SoftUnknown = true
	case "mute-quit":
		h.MuteQuit = true
	case "tls-broken":
		h.TLSBroken = true
	case "two-replies":
		h.TwoReplies = true
	case "crash":
		h.Crash = strings.ToLower(value)
	case "cut-after":
		h.CutAfter, err = strconv.Atoi(value)
	case "cut-idle":
		h.CutIdle, err = time.ParseDuration(value)
	case "stall":
		h.Stall, err = strconv.Atoi(value)
	case "mails":
		h.Mails, err = strconv.Atoi(value)
	case "first-visit":
		h.FirstVisit = true
	case "tarpits":
		h.Tarpits, err = time.ParseDuration(value)
	case "rate":
		h.Rate, err = strconv.Atoi(value)
	case "hourly":
		h.Hourly, err = strconv.Atoi(value)
	case "refusal":
		h.Refusal = value
	case "limits":
		h.Limits = strings.ReplaceAll(value, ",", " ")
	case "blocks-from":
		h.BlocksFrom, err = parseAddrs(value)
	case "closed-from":
		h.ClosedFrom, err = parseAddrs(value)
	default:
		h.Fault = Fault(key)
		if value != "" {
			h.After, err = strconv.Atoi(value)
		}
	}
	return err
}

func parseAddrs(s string) (addrs []netip.Addr, err error) {
	for one := range strings.SplitSeq(s, ",") {
		addr, err := netip.ParseAddr(one)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func (w *World) declareDomain(name string, options []string) error {
	d := Domain{Name: name}
	for _, option := range options {
		if err := d.set(option); err != nil {
			return fmt.Errorf("lab: domain %s: %s: %w", name, option, err)
		}
	}
	return w.AddDomain(d)
}

func (d *Domain) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	switch key {
	case "mx":
		for one := range strings.SplitSeq(value, ",") {
			mx, err := parseMX(one)
			if err != nil {
				return err
			}
			d.MX = append(d.MX, mx)
		}
	case "implicit":
		d.Implicit = value
	case "catchall":
		d.CatchAll = true
	case "acceptsall":
		d.AcceptsAll = true
	case "norelay":
		d.NoRelay = true
	case "tcp":
		d.TCP = true
	default:
		d.Answer = Answer(key)
		if !slices.Contains([]Answer{NullMX, NoMail, NXDomain, ServFail, TimesOut}, d.Answer) {
			return fmt.Errorf("no such option")
		}
	}
	return nil
}

func parseMX(s string) (MX, error) {
	preference, host, ok := strings.Cut(s, ":")
	if !ok {
		return MX{Preference: 10, Host: s}, nil
	}
	n, err := strconv.ParseUint(preference, 10, 16)
	if err != nil {
		return MX{}, err
	}
	return MX{Preference: uint16(n), Host: host}, nil
}

// declareMailboxes takes a@corp.lab b,c@corp.lab.
func (w *World) declareMailboxes(t Temper, words []string) error {
	for _, word := range words {
		at := strings.LastIndexByte(word, '@')
		if at < 0 {
			return fmt.Errorf("lab: %q is not an address", word)
		}
		for local := range strings.SplitSeq(word[:at], ",") {
			if err := w.AddMailbox(local+word[at:], t); err != nil {
				return err
			}
		}
	}
	return nil
}
