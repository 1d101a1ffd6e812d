package verify

import (
	"net/netip"
	"time"
)

// Result is what is known of one address, with the evidence. The JSON names are a contract.
type Result struct {
	Address    string     `json:"address"`    // as it was given
	Normalized string     `json:"normalized"` // the mailbox as it goes on the wire; empty where there is none
	Verdict    Verdict    `json:"verdict"`
	Score      int        `json:"score"` // estimated probability in percent that a message sent now would not bounce
	Reason     Reason     `json:"reason"`
	Detail     string     `json:"detail"` // the reason in a sentence; may hold text from servers, which is not to be trusted
	Flags      []Flag     `json:"flags"`
	Suggestion string     `json:"suggestion"` // the mailbox that was probably meant
	Provider   string     `json:"provider"`
	MX         string     `json:"mx"` // the mail host that answered, or the first that would have been asked
	Reply      *Reply     `json:"reply"`
	CheckedAt  time.Time  `json:"checked_at"`
	RetryAt    time.Time  `json:"retry_at,omitzero"` // when a temporary answer is worth another try
	Source     netip.Addr `json:"-"`                 // our address that asked; invalid: the system's choice
}

// Reply is the SMTP reply behind a result.
type Reply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
	Command  string `json:"command"`
}
