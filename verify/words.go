package verify

import "presend/verify/verdict"

// The words of package verdict, under the engine's own name.
type (
	Verdict = verdict.Verdict
	Reason  = verdict.Reason
	Flag    = verdict.Flag
	Action  = verdict.Action
)

// The verdicts.
const (
	Deliverable = verdict.Deliverable
	Risky       = verdict.Risky
	Invalid     = verdict.Invalid
	Unknown     = verdict.Unknown
)

// The reasons, in the order of the verdict table.
const (
	Accepted            = verdict.Accepted
	CatchAll            = verdict.CatchAll
	AcceptsAllProvider  = verdict.AcceptsAllProvider
	CatchAllUnknown     = verdict.CatchAllUnknown
	MailboxFull         = verdict.MailboxFull
	RecipientRestricted = verdict.RecipientRestricted
	Refused             = verdict.Refused
	Disposable          = verdict.Disposable
	SpamTrapSuspect     = verdict.SpamTrapSuspect
	SMTPUTF8Unsupported = verdict.SMTPUTF8Unsupported
	Syntax              = verdict.Syntax
	SpecialUseDomain    = verdict.SpecialUseDomain
	NoSuchDomain        = verdict.NoSuchDomain
	NullMX              = verdict.NullMX
	NoMailHost          = verdict.NoMailHost
	MailboxUnknown      = verdict.MailboxUnknown
	MailboxDisabled     = verdict.MailboxDisabled
	DomainNotServed     = verdict.DomainNotServed
	Suppressed          = verdict.Suppressed
	GaveUp              = verdict.GaveUp
	Greylisted          = verdict.Greylisted
	RateLimited         = verdict.RateLimited
	ServerUnavailable   = verdict.ServerUnavailable
	Unreachable         = verdict.Unreachable
	Timeout             = verdict.Timeout
	DNSFailure          = verdict.DNSFailure
	SenderBlocked       = verdict.SenderBlocked
	SenderAuth          = verdict.SenderAuth
	Policy              = verdict.Policy
	ProtocolError       = verdict.ProtocolError
	NotProbed           = verdict.NotProbed
	NoAddress           = verdict.NoAddress
)

// The flags.
const (
	FlagRole        = verdict.FlagRole
	FlagFree        = verdict.FlagFree
	FlagDisposable  = verdict.FlagDisposable
	FlagCatchAll    = verdict.FlagCatchAll
	FlagQuoted      = verdict.FlagQuoted
	FlagSMTPUTF8    = verdict.FlagSMTPUTF8
	FlagSubaddress  = verdict.FlagSubaddress
	FlagImplicitMX  = verdict.FlagImplicitMX
	FlagTypo        = verdict.FlagTypo
	FlagDuplicate   = verdict.FlagDuplicate
	FlagUnconfirmed = verdict.FlagUnconfirmed
	FlagUnengaged   = verdict.FlagUnengaged

	FlagDuplicateMailbox = verdict.FlagDuplicateMailbox
	FlagParked           = verdict.FlagParked
	FlagDomainRefusesAll = verdict.FlagDomainRefusesAll
)
