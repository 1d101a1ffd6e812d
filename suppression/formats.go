package suppression

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocarina/gocsv"

	"presend/verify/reply"
	"presend/verify/verdict"
)

// typed is a record in the form of one service: a struct with its columns as gocsv tags.
type typed interface {
	// entry returns what the record means. has reports whether the list has a column. The second result is why the
	// record is left out, and empty if it counts.
	entry(has func(column string) bool, c *reply.Classifier) (Entry, string)
}

// csvEntry is a record of our own format.
type csvEntry struct {
	Email  string `csv:"email"`
	Reason string `csv:"reason"`
	At     string `csv:"date"`
}

func (e csvEntry) entry(func(string) bool, *reply.Classifier) (Entry, string) {
	s := Entry{Name: e.Email, Reason: e.Reason, At: moment(e.At)}
	switch saying(e.Reason) {
	case soft:
		return s, "a soft bounce"
	case no:
		return s, "not a suppression but a delivery, a subscription or similar"
	}
	return s, "" // any word of the user's own counts
}

// sendGridEntry is a record of bounces, blocks or invalid emails (with a reason), of spam reports (with an IP) or of
// unsubscribes.
type sendGridEntry struct {
	Email   string `csv:"email"`
	Reason  string `csv:"reason"`
	Status  string `csv:"status"`
	IP      string `csv:"ip"`
	Created string `csv:"created"`
}

func (e sendGridEntry) entry(has func(string) bool, c *reply.Classifier) (Entry, string) {
	s := Entry{Name: e.Email, Reason: Unsubscribe, At: moment(e.Created)}
	switch {
	case has("ip"):
		s.Reason = Complaint
	case has("reason"):
		return bounced(s, e.Reason, e.Status, c)
	}
	return s, ""
}

// mailgunEntry is a record of bounces (with a code), of unsubscribes (with tags) or of complaints.
type mailgunEntry struct {
	Address   string `csv:"address"`
	Code      string `csv:"code"`
	Error     string `csv:"error"`
	Tags      string `csv:"tags"`
	CreatedAt string `csv:"created_at"`
}

func (e mailgunEntry) entry(has func(string) bool, c *reply.Classifier) (Entry, string) {
	s := Entry{Name: e.Address, Reason: Complaint, At: moment(e.CreatedAt)}
	switch {
	case has("code"), has("error"):
		return bounced(s, e.Error, cmp.Or(e.Code, "550"), c)
	case has("tags"):
		if s.Reason = Unsubscribe; e.Tags != "" && !strings.Contains(e.Tags, "*") {
			return s, "unsubscribed from the tag " + e.Tags + " only"
		}
	}
	return s, ""
}

type postmarkEntry struct {
	EmailAddress      string `csv:"EmailAddress"`
	SuppressionReason string `csv:"SuppressionReason"`
	Origin            string `csv:"Origin"`
	CreatedAt         string `csv:"CreatedAt"`
}

func (e postmarkEntry) entry(func(string) bool, *reply.Classifier) (Entry, string) {
	s := Entry{Name: e.EmailAddress, Reason: Manual, At: moment(e.CreatedAt)}
	switch {
	case strings.EqualFold(e.SuppressionReason, "HardBounce"):
		s.Reason = HardBounce
	case strings.EqualFold(e.SuppressionReason, "SpamComplaint"):
		s.Reason = Complaint
	case strings.EqualFold(e.Origin, "Recipient"):
		s.Reason = Unsubscribe
	}
	return s, ""
}

// mailchimpEntry is a record of the cleaned or of the unsubscribed members of an audience.
type mailchimpEntry struct {
	EmailAddress string `csv:"Email Address"`
	CleanTime    string `csv:"CLEAN_TIME"`
	UnsubTime    string `csv:"UNSUB_TIME"`
}

func (e mailchimpEntry) entry(func(string) bool, *reply.Classifier) (Entry, string) {
	switch {
	case e.CleanTime != "":
		return Entry{Name: e.EmailAddress, Reason: HardBounce, At: moment(e.CleanTime)}, ""
	case e.UnsubTime != "":
		return Entry{Name: e.EmailAddress, Reason: Unsubscribe, At: moment(e.UnsubTime)}, ""
	}
	return Entry{Name: e.EmailAddress}, "neither cleaned nor unsubscribed"
}

// hubSpotEntry is a record of the export of unsubscribes and bounces. The bounce columns hold TRUE or the reason.
type hubSpotEntry struct {
	Email       string `csv:"Email"`
	Bounce      string `csv:"Portal Bounce"`
	Global      string `csv:"Global Bounce"`
	Unsubscribe string `csv:"Portal Unsubscribe"`
	Spam        string `csv:"Portal Spam Report"`
}

func (e hubSpotEntry) entry(_ func(string) bool, c *reply.Classifier) (Entry, string) {
	says := func(cell string) bool { return cell != "" && !strings.EqualFold(cell, "false") }
	s := Entry{Name: e.Email}
	switch {
	case says(e.Spam):
		s.Reason = Complaint
	case says(e.Unsubscribe):
		s.Reason = Unsubscribe
	case says(e.Bounce), says(e.Global):
		why := cmp.Or(e.Bounce, e.Global)
		if strings.EqualFold(why, "true") {
			why = ""
		}
		return bounced(s, why, "550", c)
	default:
		return s, "neither bounced nor unsubscribed from everything"
	}
	return s, ""
}

// bounced decides whether what a service calls a bounce counts. It does not count if the server's words are about the
// sender, the message or the moment, since they are no evidence about the address. If they say too little, the service
// is believed.
func bounced(s Entry, text, code string, c *reply.Classifier) (Entry, string) {
	if s.Reply = text; reasonIn(s.Reason) == "" {
		s.Reason = HardBounce
	}
	switch ownWordsIn(text, code) {
	case hard, manual:
		return s, ""
	case complaint:
		s.Reason = Complaint
		return s, ""
	case unsubscribe:
		s.Reason = Unsubscribe
		return s, ""
	}
	if text == "" && isCode(code) {
		text = code
	}
	r, err := reply.Parse(text)
	if err != nil {
		return s, "" // no words at all
	}
	if n, err := strconv.Atoi(code); err == nil && r.Code == 0 {
		r.Code = n
	}
	if e, err := reply.ParseEnhanced(code); err == nil && r.Enhanced == (reply.Enhanced{}) {
		r.Enhanced = e
	}
	if r.Enhanced.Class > 0 {
		s.Code = r.Enhanced.String()
	}
	m := c.Classify(r, reply.CommandIn(text), "")
	silent := r.Code == 0 && r.Enhanced == (reply.Enhanced{})
	if m.Suppresses() || m.Reason == verdict.Unclear && (m.Kind == reply.Hard || silent) {
		return s, ""
	}
	return s, fmt.Sprintf("the bounce is not about the address (%s)", m.Reason)
}

// service describes a format.
type service struct {
	format Format
	marks  [][]string // a list with all columns of one of these has the format
	alone  bool       // and no column that the format does not have
	names  func() ([]string, error)
	decode func(*recordBatch) ([]typed, error)
}

// services are tried in this order. What their columns mean cannot be told by name: that a list of addresses with dates
// is one of unsubscribes, or who asked for a manual suppression.
var services = []service{
	{Postmark, [][]string{{"SuppressionReason"}}, false, columnNames[postmarkEntry], decode[postmarkEntry]},
	{
		Mailchimp,
		[][]string{{"Email Address", "CLEAN_TIME"}, {"Email Address", "UNSUB_TIME"}},
		false, columnNames[mailchimpEntry], decode[mailchimpEntry],
	},
	{
		HubSpot,
		[][]string{{"Email", "Portal Bounce"}, {"Email", "Portal Unsubscribe"}, {"Email", "Portal Spam Report"}},
		false, columnNames[hubSpotEntry], decode[hubSpotEntry],
	},
	{
		Mailgun,
		[][]string{{"address", "created_at"}, {"address", "error"}},
		true, columnNames[mailgunEntry], decode[mailgunEntry],
	},
	{SendGrid, [][]string{{"email", "created"}}, true, columnNames[sendGridEntry], decode[sendGridEntry]},
	{CSV, [][]string{{"email", "reason", "date"}}, true, columnNames[csvEntry], decode[csvEntry]},
}

// marks are columns by which an export of a service is known whose columns say by their names what they mean. The
// format is the source that is remembered.
var marks = []struct {
	format  Format
	columns string
}{
	{"mandrill", "email,reason,expired"},
	{SES, "EmailAddress,LastUpdateTime"},
	{SES, "EmailAddress,Reason"},
	{SES, "notificationType"},
	{SES, "eventType,mail.messageId"},
	{"sparkpost", "recipient,non_transactional"},
	{"sparkpost", "rcpt_to,bounce_class"},
	{"brevo", "email,senderEmail"},
	{"brevo", "contacts.email,contacts.reason.code"},
	{"brevo", "email,reason.code"},
	{"brevo", "EMAIL,EMAIL_BLACKLISTED"},
	{"klaviyo", "attributes.email,attributes.subscriptions.email.marketing.suppression.reason"},
	{Postmark, "Email,BouncedAt"},
	{Postmark, "Email,Inactive"},
	{SendGrid, "email,sg_event_id"},
	{Mailgun, "recipient,delivery-status.code"},
	{Mailgun, "recipient,event"},
	{"mailjet", "email,mj_contact_id"},
	{"mailchimp", "email_address,unsubscribe_reason"},
}

// formatOf recognises a service by the names of the columns; Columns if it is none of them.
func formatOf(columns []string) Format {
	for _, mark := range marks {
		missing := func(m string) bool { return indexOf(columns, m) < 0 }
		if !slices.ContainsFunc(strings.Split(mark.columns, ","), missing) {
			return mark.format
		}
	}
	return Columns
}

// columnNames returns the names of the columns of T's fields.
func columnNames[T any]() ([]string, error) {
	header, err := gocsv.MarshalBytes([]T{})
	if err != nil {
		return nil, fmt.Errorf("suppression: naming the columns: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(header)), ","), nil
}

// decode reads records. The case of the column names does not matter.
func decode[T typed](b *recordBatch) ([]typed, error) {
	names, err := columnNames[T]()
	if err != nil {
		return nil, err
	}
	for i, column := range b.rows[0] {
		if at := indexOf(names, column); at >= 0 {
			b.rows[0][i] = names[at]
		}
	}
	var records []T
	if err := gocsv.UnmarshalCSV(b, &records); err != nil {
		return nil, err
	}
	entries := make([]typed, len(records))
	for i, record := range records {
		entries[i] = record
	}
	return entries, nil
}

// serviceOf recognises the format by the names of the columns.
func serviceOf(columns []string) (service, bool) {
	for _, s := range services {
		names, err := s.names()
		isOther := func(c string) bool { return indexOf(names, c) < 0 }
		if err != nil || s.alone && slices.ContainsFunc(columns, isOther) {
			continue
		}
		for _, mark := range s.marks {
			if !slices.ContainsFunc(mark, func(m string) bool { return indexOf(columns, m) < 0 }) {
				return s, true
			}
		}
	}
	return service{}, false
}

func sameName(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

func indexOf(columns []string, name string) int {
	return slices.IndexFunc(columns, func(c string) bool { return sameName(c, name) })
}

// moments are the layouts in which services write a time, other than seconds since 1970.
var moments = []string{
	time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04",
	time.DateOnly, time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700",
}

// moment parses a time. It returns zero for text that is none.
func moment(text string) time.Time {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 1e8 && seconds < 1e14 {
		if seconds > 1e11 { // milliseconds
			seconds /= 1000
		}
		return time.Unix(int64(seconds), 0).UTC()
	}
	for _, layout := range moments {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
