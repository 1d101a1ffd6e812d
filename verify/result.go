package verify

import (
	"net/netip"
	"time"

	"presend/verify/score"
	"presend/verify/verdict"
)

// Result is the verdict on one address, with the evidence for it. The JSON names are a contract.
type Result struct {
	Address    string  `json:"address"`    // as it was given to Check or CheckAll; of a Run, as Normalized
	Normalized string  `json:"normalized"` // the mailbox, its domain in lower-case A-labels; empty where there is none
	Verdict    Verdict `json:"verdict"`
	Score      int     `json:"score"` // estimated probability in percent that a message sent now would not bounce
	Reason     Reason  `json:"reason"`
	// the reason in a sentence; may hold text from servers, which is not to be trusted
	Detail     string     `json:"detail"`
	Flags      []Flag     `json:"flags"`
	Suggestion string     `json:"suggestion"` // the mailbox that was probably meant
	Provider   string     `json:"provider"`
	MX         string     `json:"mx"` // the mail host that answered, or the first that would have been asked
	Reply      *Reply     `json:"reply"`
	CheckedAt  time.Time  `json:"checked_at"`
	RetryAt    time.Time  `json:"retry_at,omitzero"` // when a temporary answer is worth another try
	Action     Action     `json:"action"`            // what to do with the address
	Advice     string     `json:"advice"`            // the same in one sentence
	Source     netip.Addr `json:"-"`                 // our address that asked; invalid: the system's choice, or none
	Ours       bool       `json:"-"`                 // the failure may be our own, and counts as no try
	Trouble    *Trouble   `json:"-"`                 // what is wrong on our side; nil: nothing that is known
}

// Reply is the SMTP reply behind a result.
type Reply struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
	Command  string `json:"command"`
}

// Judge sets the fields that follow from a result's reason and flags, and from the detail of one that was not probed:
// verdict, score, action and advice. The score is that of an address in no list that was asked just now.
func (r *Result) Judge() {
	facts := r.Reason.Facts()
	r.Verdict, r.Action, r.Advice = facts.Verdict, facts.Action, facts.Advice
	if r.Reason == NotProbed && saysTrouble(r.Detail) {
		r.Action, r.Advice = verdict.FixSender, "This machine could not ask. Fix that first, then run again."
	}
	if r.Reason == NotProbed && saysBudget(r.Detail) {
		r.Action, r.Advice = verdict.RetryLater, "Today's budget at its provider is used up. It is asked again tomorrow."
	}
	r.Score = score.Round(score.Of(score.Evidence{Reason: r.Reason, Flags: r.Flags}, score.List{}))
}
