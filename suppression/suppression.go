// Package suppression reads and writes suppression lists, which hold the addresses that a sender must not write to, in
// the formats of mail services: SendGrid, Mailgun, Postmark, Amazon SES, Mailchimp and HubSpot.
//
// [Open] reads a list and tells its format by its columns. A bounce counts only if the reply of the server is about the
// address, which package reply decides. [Export] and [Writer] write what a service imports. Package state keeps a list.
package suppression

import (
	"errors"
	"time"
)

// Entry is an entry of a suppression list.
type Entry struct {
	Name   string    // an address, or @domain for a whole domain
	Reason string    // hard_bounce, complaint, unsubscribe, manual, or a reason of a verdict
	At     time.Time // zero where the list does not tell
	Reply  string    // what the server said, where the list tells
}

// The reasons of entries that mail services keep.
const (
	HardBounce  = "hard_bounce"
	Unsubscribe = "unsubscribe"
	Complaint   = "complaint"
	Manual      = "manual"
)

// Format is how a mail service writes its suppression list, or takes one.
type Format string

// The formats. Plain is an address on each line; CSV is our own, which loses nothing.
const (
	Plain     Format = "plain"
	CSV       Format = "csv"
	SendGrid  Format = "sendgrid"
	Mailgun   Format = "mailgun"
	Postmark  Format = "postmark"
	SES       Format = "ses"
	Mailchimp Format = "mailchimp"
	HubSpot   Format = "hubspot"
)

// Formats are all formats that [Writer] writes.
var Formats = []Format{CSV, Plain, SendGrid, Mailgun, Postmark, SES, Mailchimp, HubSpot}

// ErrWholeDomain is returned by [Writer.Write] for a whole domain in a format that has addresses only.
var ErrWholeDomain = errors.New("suppression: the format has no whole domains")
