// Package suppression reads and writes suppression lists, which hold the addresses that a sender must not write to, in
// the formats of mail services: SendGrid, Mailgun, Postmark, Amazon SES, Mailchimp, HubSpot and others.
//
// [Open] reads a list and decides by its columns which of its addresses are suppressed; data/words.txt and
// data/columns.txt hold the words that are known. A bounce counts only if the server's reply is about the address,
// which package reply decides. [Export] and [Writer] write a list that a service imports. Package state stores the list
// of this program.
package suppression

import (
	"errors"
	"time"
)

// Entry is an entry of a suppression list.
type Entry struct {
	Name   string    // an address, or @domain for a whole domain
	Reason string    // hard_bounce, complaint, unsubscribe, manual, or a reason of a verdict
	At     time.Time // zero if the list does not say
	Reply  string    // what the server said; empty if the list does not say
	Code   string    // the enhanced code of a bounce, as 5.1.1; empty if the list does not say
}

// The reasons that mail services give.
const (
	HardBounce  = "hard_bounce"
	Unsubscribe = "unsubscribe"
	Complaint   = "complaint"
	Manual      = "manual"
)

// Format is the form in which a mail service exports or imports a suppression list.
type Format string

// The formats that are written; those of other services are read as well. Plain has an address on each line. CSV is our
// own and loses only Reply and Code.
const (
	Plain     Format = "plain"
	Columns   Format = "columns" // of no service that is known; for reading
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

// ErrWholeDomain is returned by [Writer.Write] for a whole domain if the format can hold addresses only.
var ErrWholeDomain = errors.New("suppression: the format cannot hold whole domains")
