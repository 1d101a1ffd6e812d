package reply

// Reason is one word of the verdict table: why an address has the verdict it has, or what a reply says. The words
// are a contract: they stand in output files and databases. Words may be added, never renamed.
type Reason string

// The reasons, in the order of the verdict table. The comment says what evidence stands behind each.
const (
	Accepted           Reason = "accepted"             // RCPT 2xx, and the domain is known not to be catch-all
	CatchAll           Reason = "catch_all"            // RCPT 2xx, and so was an address that cannot exist
	AcceptsAllProvider Reason = "accepts_all_provider" // 2xx from a host whose RCPT answers say nothing
	CatchAllUnknown    Reason = "catch_all_unknown"    // RCPT 2xx, but the catch-all question stayed unanswered

	MailboxFull         Reason = "mailbox_full"         // 452 4.2.2, 552 5.2.2 and kin
	RecipientRestricted Reason = "recipient_restricted" // the mailbox exists but takes no mail from outside
	Disposable          Reason = "disposable"           // a throw-away domain
	SpamTrapSuspect     Reason = "spam_trap_suspect"    // a known trap or typo domain, a honeypot pattern
	SMTPUTF8Unsupported Reason = "smtputf8_unsupported" // a non-ASCII local part, and its server lacks SMTPUTF8

	Syntax           Reason = "syntax"             // not a mailbox that SMTP can carry
	SpecialUseDomain Reason = "special_use_domain" // RFC 6761 and kin
	NoSuchDomain     Reason = "no_such_domain"     // NXDOMAIN, confirmed
	NullMX           Reason = "null_mx"            // RFC 7505
	NoMailHost       Reason = "no_mail_host"       // neither MX nor A/AAAA, or no MX target that resolves
	MailboxUnknown   Reason = "mailbox_unknown"    // 550 5.1.1 and kin
	MailboxDisabled  Reason = "mailbox_disabled"   // 550 5.2.1 and kin
	DomainNotServed  Reason = "domain_not_served"  // the host does not carry mail for this domain
	Suppressed       Reason = "suppressed"         // on the suppression list
	GaveUp           Reason = "gave_up"            // soft failures only, through every retry

	Greylisted        Reason = "greylisted"
	RateLimited       Reason = "rate_limited"
	ServerUnavailable Reason = "server_unavailable"
	Unreachable       Reason = "unreachable"
	Timeout           Reason = "timeout"
	DNSFailure        Reason = "dns_failure"
	SenderBlocked     Reason = "sender_blocked" // the server refuses this client's IP or domain
	SenderAuth        Reason = "sender_auth"    // the server misses our PTR, SPF, DKIM, DMARC, HELO or TLS
	Policy            Reason = "policy"         // refused for content or local policy
	ProtocolError     Reason = "protocol_error" // the server speaks no SMTP, or finds fault with ours
	NotProbed         Reason = "not_probed"     // SMTP probing is off

	MessageTooLarge Reason = "message_too_large" // met in bounces, never by a probe
	Unknown         Reason = "unknown"           // the reply says too little
)

// AboutSender says whether the reason is about this client and not about the address. Retrying from the same
// place is useless until what it names is mended, and nothing of it may count against the address.
func (r Reason) AboutSender() bool {
	return r == SenderBlocked || r == SenderAuth || r == Policy
}
