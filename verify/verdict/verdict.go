// Package verdict holds the words that every result is made of, and everything that is fixed for a reason.
//
// A [Verdict] is the advice about sending to an address now, a [Reason] is why, and a [Flag] is added to both. What is
// fixed for a reason (its verdict, its score, how long it is good, whether it is retried, what to do) is stored in
// reasons.toml, and [Reason.Facts] returns it. A program that adds a reason adds a constant here and a row there.
// Package verify gives the constants of results its own name; nothing else in the module lists reasons.
//
// timetable.go is the calendar of what is known: when a temporary answer is asked again ([Memory.Retry]), when it is
// given up, and when a result is older than its shelf life ([Memory.DueAt]). It is pure: it reads no clock.
package verdict

// Verdict is the advice about sending to an address now.
type Verdict string

// The four verdicts. The empty Verdict is that of a row that holds no address, and of a reason that no result has.
const (
	Deliverable Verdict = "deliverable"
	Risky       Verdict = "risky"
	Invalid     Verdict = "invalid"
	Unknown     Verdict = "unknown"
)

// Verdicts returns the four verdicts, in the order of the verdict table.
func Verdicts() []Verdict { return []Verdict{Deliverable, Risky, Invalid, Unknown} }

// Bounds returns the lowest and the highest score, in percent, that a verdict allows; 0 and 0 for a word
// that is none of the four.
func (v Verdict) Bounds() (low, high int) {
	switch v {
	case Deliverable:
		return 90, 100
	case Invalid:
		return 0, 5
	case Risky, Unknown:
		return 1, 99
	}
	return 0, 0
}

// Action returns what to do with a row that has a verdict because the user said so, and not by its reason.
func (v Verdict) Action() Action {
	switch v {
	case Deliverable:
		return Send
	case Risky:
		return SendWithCare
	case Invalid:
		return DoNotSend
	case Unknown:
		return RetryLater
	}
	return ""
}

// Reason is one word of the verdict table: why an address has its verdict, or what a reply says. Words may be added,
// never renamed, since output files and databases hold them.
type Reason string

// The reasons, in the order of the verdict table. Their evidence is in reasons.toml.
const (
	Accepted           Reason = "accepted"
	CatchAll           Reason = "catch_all"
	AcceptsAllProvider Reason = "accepts_all_provider"
	CatchAllUnknown    Reason = "catch_all_unknown"

	MailboxFull         Reason = "mailbox_full"
	RecipientRestricted Reason = "recipient_restricted"
	Refused             Reason = "refused"
	Disposable          Reason = "disposable"
	SpamTrapSuspect     Reason = "spam_trap_suspect"
	SMTPUTF8Unsupported Reason = "smtputf8_unsupported"

	Syntax           Reason = "syntax"
	SpecialUseDomain Reason = "special_use_domain"
	NoSuchDomain     Reason = "no_such_domain"
	NullMX           Reason = "null_mx"
	NoMailHost       Reason = "no_mail_host"
	MailboxUnknown   Reason = "mailbox_unknown"
	MailboxDisabled  Reason = "mailbox_disabled"
	DomainNotServed  Reason = "domain_not_served"
	Suppressed       Reason = "suppressed"
	GaveUp           Reason = "gave_up"

	Greylisted        Reason = "greylisted"
	RateLimited       Reason = "rate_limited"
	ServerUnavailable Reason = "server_unavailable"
	Unreachable       Reason = "unreachable"
	Timeout           Reason = "timeout"
	DNSFailure        Reason = "dns_failure"
	SenderBlocked     Reason = "sender_blocked"
	SenderAuth        Reason = "sender_auth"
	Policy            Reason = "policy"
	ProtocolError     Reason = "protocol_error"
	NotProbed         Reason = "not_probed"

	NoAddress Reason = "no_address"
)

// Reasons that only replies and bounces have, never results.
const (
	MessageTooLarge Reason = "message_too_large"
	Unclear         Reason = "unknown" // the reply says too little
)

// Flag is a word that is added to a verdict and never replaces it.
type Flag string

// The flags.
const (
	FlagRole        Flag = "role"        // the local part names a function, not a person (RFC 2142 and similar)
	FlagFree        Flag = "free"        // a mailbox provider that anybody can join
	FlagDisposable  Flag = "disposable"  // a throw-away domain
	FlagCatchAll    Flag = "catch_all"   // the domain accepts every recipient
	FlagQuoted      Flag = "quoted"      // the local part is quoted
	FlagSMTPUTF8    Flag = "smtputf8"    // the local part needs RFC 6531
	FlagSubaddress  Flag = "subaddress"  // user+detail (RFC 5233)
	FlagImplicitMX  Flag = "implicit_mx" // no MX record: mail goes to the domain's own address (RFC 5321 section 5.1)
	FlagTypo        Flag = "typo"        // the domain looks like a slip of a well-known one, or its ending like a slip
	FlagDuplicate   Flag = "duplicate"   // an earlier address of the list is the same, but perhaps for the case of letters
	FlagUnconfirmed Flag = "unconfirmed" // the newest try gave no answer; the verdict is the one before
	FlagUnengaged   Flag = "unengaged"   // the contact has shown no activity for a long time
	FlagParked      Flag = "parked"      // the mail hosts are those of names for sale, or that wait for typos

	// FlagDuplicateMailbox: an earlier row of the list has another address of the same mailbox, as mail services count
	// them: they differ in +detail, or at Gmail in dots.
	FlagDuplicateMailbox Flag = "duplicate_mailbox"

	// FlagDomainRefusesAll: three or more real addresses of the domain are said not to exist, and none is known to exist.
	FlagDomainRefusesAll Flag = "domain_refuses_all"
)

// Flags returns every flag.
func Flags() []Flag {
	return []Flag{
		FlagRole, FlagFree, FlagDisposable, FlagCatchAll, FlagQuoted, FlagSMTPUTF8, FlagSubaddress, FlagImplicitMX,
		FlagTypo, FlagDuplicate, FlagDuplicateMailbox, FlagUnconfirmed, FlagUnengaged, FlagParked, FlagDomainRefusesAll,
	}
}

// Action is what to do with a row of a list.
type Action string

// The actions, the values of the column verify_action.
const (
	Send         Action = "send"
	SendWithCare Action = "send_with_care"
	RetryLater   Action = "retry_later"
	DoNotSend    Action = "do_not_send"
	FixSender    Action = "fix_sender"
)

// Actions returns the actions, the best for sending first.
func Actions() []Action { return []Action{Send, SendWithCare, RetryLater, FixSender, DoNotSend} }
