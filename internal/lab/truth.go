package lab

// Truth is what a verifier should find out about an address.
type Truth struct {
	Address string
	Reason  string // a word of the verdict table: what the first look finds
	Later   string // the same once greylisting has passed; else as Reason
}

// Truth returns the truth about every declared mailbox, in the order of their declaration.
//
// It holds for a client that stays within the caps. BlocksAfter says nothing until it blocks, so the truth of its
// mailboxes is theirs; so it is with BlocksFrom and ClosedFrom, which are about some clients, and with whatever loses
// connections but serves new ones. An acceptsall domain is accepts_all_provider only to one who knows the provider by
// its hosts.
func (l *Lab) Truth() []Truth { return l.world.Truth() }

// TruthOf returns the truth about any address.
func (l *Lab) TruthOf(address string) Truth { return l.world.TruthOf(address) }

// Truth is the same for a world that need not run.
func (w *World) Truth() []Truth {
	truths := make([]Truth, 0, len(w.order))
	for _, address := range w.order {
		truths = append(truths, w.TruthOf(address))
	}
	return truths
}

// TruthOf returns the truth about an address, declared or not. It knows nothing of syntax or of lists of disposable
// domains.
func (w *World) TruthOf(address string) Truth {
	reason, later := w.look(address)
	return Truth{Address: address, Reason: reason, Later: later}
}

func (w *World) look(address string) (reason, later string) {
	local, domain, err := split(address)
	if err != nil {
		return "syntax", "syntax"
	}
	d := w.domains[w.canonical(domain)]
	reason = "no_such_domain"
	switch {
	case d == nil || d.Answer == NXDomain:
	case d.Answer == NullMX:
		reason = "null_mx"
	case d.Answer == NoMail:
		reason = "no_mail_host"
	case d.Answer != MailHosts:
		reason = "dns_failure"
	default:
		return w.ask(d, local)
	}
	return reason, reason
}

// ask goes through a domain's hosts as a client does: on from one that is down or answers 4xx before RCPT.
func (w *World) ask(d *Domain, local string) (reason, later string) {
	reason = "no_mail_host"
	for _, h := range w.hostsOf(d) {
		switch {
		case h.Fault == NoAddress:
			continue
		case h.Fault == LostAddress:
			reason = "dns_failure"
		case h.Fault == Blackhole:
			reason = "timeout"
		case h.Fault == Dead:
			reason = "unreachable"
		case h.Fault == Silent || h.Fault == Tarpit:
			reason = "timeout"
		case h.Fault == Banner421:
			reason = "server_unavailable"
		case h.Fault == Garbage:
			reason = "protocol_error"
		case h.Fault == Banner554 || h.Fault == Blocks:
			return "sender_blocked", "sender_blocked"
		case h.Fault == NoPTR:
			return "sender_auth", "sender_auth"
		default:
			return h.receive(d, local)
		}
	}
	return reason, reason
}

// hostsOf returns the hosts of a domain in the order of preference.
func (w *World) hostsOf(d *Domain) (hosts []Host) {
	for _, mx := range d.hosts() {
		for _, server := range w.servers(mx) {
			hosts = append(hosts, w.hosts[server])
		}
	}
	return hosts
}

// receive is what a host that speaks says to an RCPT.
func (h Host) receive(d *Domain, local string) (reason, later string) {
	if !isASCII(local) && (h.NoSMTPUTF8 || h.Fault == HELOOnly) {
		return "smtputf8_unsupported", "smtputf8_unsupported"
	}
	temper := d.temper(local)
	reason = reasons[temper]
	switch {
	case h.Crash != "" && local == h.Crash, temper != Mailbox && (h.DropsUnknown || h.ClosesUnknown),
		temper == Unknown && h.SoftUnknown:
		reason = "server_unavailable"
	}
	if temper == Mailbox && d.CatchAll {
		reason = "catch_all"
	}
	if temper == Mailbox && d.AcceptsAll {
		reason = "accepts_all_provider"
	}
	if h.Greylist > 0 && temper != NoRelay && (temper != Unknown || h.GreylistFirst) {
		return "greylisted", reason
	}
	return reason, reason
}

// reasons by temper.
var reasons = map[Temper]string{
	Mailbox:    "accepted",
	Full:       "mailbox_full",
	OverQuota:  "mailbox_full",
	Disabled:   "mailbox_disabled",
	Restricted: "recipient_restricted",
	Busy:       "rate_limited",
	NoRelay:    "domain_not_served",
	Unknown:    "mailbox_unknown",
}
