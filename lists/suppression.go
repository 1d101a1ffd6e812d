package lists

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gocarina/gocsv"

	"presend/verify/reply"
	"presend/verify/syntax"
)

// Suppressed is an entry of a suppression list.
type Suppressed struct {
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

// SuppressionFormat is how a mail service writes its suppression list, or takes one.
type SuppressionFormat string

// The formats. Plain is an address on each line; CSV is our own, which loses nothing.
const (
	Plain     SuppressionFormat = "plain"
	CSV       SuppressionFormat = "csv"
	SendGrid  SuppressionFormat = "sendgrid"
	Mailgun   SuppressionFormat = "mailgun"
	Postmark  SuppressionFormat = "postmark"
	SES       SuppressionFormat = "ses"
	Mailchimp SuppressionFormat = "mailchimp"
	HubSpot   SuppressionFormat = "hubspot"
)

// SuppressionFormats are all formats that [SuppressionWriter] writes.
var SuppressionFormats = []SuppressionFormat{CSV, Plain, SendGrid, Mailgun, Postmark, SES, Mailchimp, HubSpot}

// entry is a record as one service writes it: a struct with its columns as gocsv tags.
type entry interface {
	// suppressed says what the record means; has tells which columns there are. The second result is why the record
	// is to be left out, if it is.
	suppressed(has func(column string) bool, c *reply.Classifier) (Suppressed, string)
}

// csvEntry is our own.
type csvEntry struct {
	Email  string `csv:"email"`
	Reason string `csv:"reason"`
	At     string `csv:"date"`
}

func (e csvEntry) suppressed(func(string) bool, *reply.Classifier) (Suppressed, string) {
	return Suppressed{Name: e.Email, Reason: e.Reason, At: moment(e.At)}, ""
}

// sendGridEntry is of bounces, blocks, invalid emails (with a reason), spam reports (with an IP) or unsubscribes.
type sendGridEntry struct {
	Email   string `csv:"email"`
	Reason  string `csv:"reason"`
	Status  string `csv:"status"`
	IP      string `csv:"ip"`
	Created string `csv:"created"`
}

func (e sendGridEntry) suppressed(has func(string) bool, c *reply.Classifier) (Suppressed, string) {
	s := Suppressed{Name: e.Email, Reason: Unsubscribe, At: moment(e.Created)}
	switch {
	case has("ip"):
		s.Reason = Complaint
	case has("reason"):
		return bounced(s, e.Reason, e.Status, c)
	}
	return s, ""
}

// mailgunEntry is of bounces (with a code), unsubscribes (with tags) or complaints.
type mailgunEntry struct {
	Address   string `csv:"address"`
	Code      string `csv:"code"`
	Error     string `csv:"error"`
	Tags      string `csv:"tags"`
	CreatedAt string `csv:"created_at"`
}

func (e mailgunEntry) suppressed(has func(string) bool, c *reply.Classifier) (Suppressed, string) {
	s := Suppressed{Name: e.Address, Reason: Complaint, At: moment(e.CreatedAt)}
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

func (e postmarkEntry) suppressed(func(string) bool, *reply.Classifier) (Suppressed, string) {
	s := Suppressed{Name: e.EmailAddress, Reason: Manual, At: moment(e.CreatedAt)}
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

type sesEntry struct {
	EmailAddress   string `csv:"EmailAddress"`
	Reason         string `csv:"Reason"` // BOUNCE or COMPLAINT
	LastUpdateTime string `csv:"LastUpdateTime"`
}

func (e sesEntry) suppressed(func(string) bool, *reply.Classifier) (Suppressed, string) {
	s := Suppressed{Name: e.EmailAddress, Reason: HardBounce, At: moment(e.LastUpdateTime)}
	if strings.EqualFold(strings.TrimSpace(e.Reason), "COMPLAINT") {
		s.Reason = Complaint
	}
	return s, ""
}

// mailchimpEntry is of the cleaned or the unsubscribed members of an audience.
type mailchimpEntry struct {
	EmailAddress string `csv:"Email Address"`
	CleanTime    string `csv:"CLEAN_TIME"`
	UnsubTime    string `csv:"UNSUB_TIME"`
}

func (e mailchimpEntry) suppressed(func(string) bool, *reply.Classifier) (Suppressed, string) {
	switch {
	case e.CleanTime != "":
		return Suppressed{Name: e.EmailAddress, Reason: HardBounce, At: moment(e.CleanTime)}, ""
	case e.UnsubTime != "":
		return Suppressed{Name: e.EmailAddress, Reason: Unsubscribe, At: moment(e.UnsubTime)}, ""
	}
	return Suppressed{Name: e.EmailAddress}, "neither cleaned nor unsubscribed"
}

// hubSpotEntry is of the export of unsubscribes and bounces. The bounce columns hold TRUE or why.
type hubSpotEntry struct {
	Email       string `csv:"Email"`
	Bounce      string `csv:"Portal Bounce"`
	Global      string `csv:"Global Bounce"`
	Unsubscribe string `csv:"Portal Unsubscribe"`
	Spam        string `csv:"Portal Spam Report"`
}

func (e hubSpotEntry) suppressed(_ func(string) bool, c *reply.Classifier) (Suppressed, string) {
	says := func(cell string) bool { return cell != "" && !strings.EqualFold(cell, "false") }
	s := Suppressed{Name: e.Email}
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

// bounced decides about what a service calls a bounce. Where the server's words are about the sender, the message or
// the moment, they are no evidence about the address; where they say too little, the service is believed.
func bounced(s Suppressed, text, code string, c *reply.Classifier) (Suppressed, string) {
	s.Reason, s.Reply = HardBounce, text
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
	m := c.Classify(r, reply.CommandIn(text), "")
	if m.Suppresses() || m.Reason == reply.Unknown && m.Kind == reply.Hard {
		return s, ""
	}
	return s, fmt.Sprintf("the bounce is not about the address (%s)", m.Reason)
}

// service is what is known of a format.
type service struct {
	format SuppressionFormat
	marks  [][]string // the columns of one of these tell it
	decode func(*recordBatch) ([]entry, error)
}

// services are asked in this order.
var services = []service{
	{Postmark, [][]string{{"SuppressionReason"}}, decode[postmarkEntry]},
	{SES, [][]string{{"EmailAddress", "LastUpdateTime"}, {"EmailAddress", "Reason"}}, decode[sesEntry]},
	{Mailchimp, [][]string{{"Email Address", "CLEAN_TIME"}, {"Email Address", "UNSUB_TIME"}}, decode[mailchimpEntry]},
	{HubSpot, [][]string{{"Email", "Portal Bounce"}, {"Email", "Portal Unsubscribe"}, {"Email", "Portal Spam Report"}}, decode[hubSpotEntry]},
	{Mailgun, [][]string{{"address", "created_at"}, {"address", "error"}}, decode[mailgunEntry]},
	{SendGrid, [][]string{{"email", "created"}}, decode[sendGridEntry]},
	{CSV, [][]string{{"email", "reason"}}, decode[csvEntry]},
}

// decode reads records, with the columns named in any case.
func decode[T entry](b *recordBatch) ([]entry, error) {
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
	entries := make([]entry, len(records))
	for i, record := range records {
		entries[i] = record
	}
	return entries, nil
}

// serviceOf tells the format by the names of the columns.
func serviceOf(columns []string) (service, bool) {
	for _, s := range services {
		for _, mark := range s.marks {
			if !slices.ContainsFunc(mark, func(m string) bool { return indexOf(columns, m) < 0 }) {
				return s, true
			}
		}
	}
	return service{}, false
}

func indexOf(columns []string, name string) int {
	return slices.IndexFunc(columns, func(c string) bool { return sameName(c, name) })
}

// moments are how services write a time, beside seconds since 1970.
var moments = []string{
	time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05 MST", time.DateOnly, time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700",
}

// moment reads a time; zero where there is none that can be read.
func moment(text string) time.Time {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		return time.Unix(seconds, 0).UTC()
	}
	for _, layout := range moments {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// ErrWholeDomain is returned by [SuppressionWriter.Write] for a whole domain in a format that has addresses only.
var ErrWholeDomain = errors.New("lists: the format has no whole domains")

// SuppressionWriter writes a suppression list as a mail service imports it.
type SuppressionWriter struct {
	w      io.Writer
	format SuppressionFormat
	flush  func() error
	write  func(Suppressed)
	count  int
}

// NewSuppressionWriter returns a SuppressionWriter. Close it; that does not close w. The error is for an unknown format.
func NewSuppressionWriter(w io.Writer, format SuppressionFormat) (*SuppressionWriter, error) {
	out := &SuppressionWriter{w: w, format: format}
	date := func(t time.Time, layout string) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(layout)
	}
	only := func(is bool, text string) string {
		if is {
			return text
		}
		return ""
	}
	switch format {
	case CSV:
		encode(out, true, func(s Suppressed) csvEntry { return csvEntry{s.Name, s.Reason, date(s.At, time.RFC3339)} })
	case Plain:
		encode(out, false, func(s Suppressed) plainEntry { return plainEntry{s.Name} })
	case SendGrid: // its import takes one column
		encode(out, true, func(s Suppressed) plainEntry { return plainEntry{s.Name} })
	case Mailgun: // its import of bounces
		encode(out, true, func(s Suppressed) mailgunBounce {
			return mailgunBounce{s.Name, "550", cmp.Or(s.Reply, s.Reason), date(s.At, time.RFC1123)}
		})
	case Postmark:
		encode(out, true, func(s Suppressed) postmarkEntry {
			reason, origin := "HardBounce", "Recipient"
			switch s.Reason {
			case Complaint:
				reason = "SpamComplaint"
			case Unsubscribe:
				reason = "ManualSuppression"
			case Manual:
				reason, origin = "ManualSuppression", "Customer"
			}
			return postmarkEntry{s.Name, reason, origin, date(s.At, time.RFC3339)}
		})
	case SES: // its import has no header
		encode(out, false, func(s Suppressed) sesImport {
			if s.Reason == Complaint {
				return sesImport{s.Name, "COMPLAINT"}
			}
			return sesImport{s.Name, "BOUNCE"}
		})
	case Mailchimp:
		encode(out, true, func(s Suppressed) mailchimpEntry {
			at := date(cmp.Or(s.At, time.Unix(0, 0)), time.DateTime)
			left := s.Reason == Unsubscribe || s.Reason == Complaint
			return mailchimpEntry{s.Name, only(!left, at), only(left, at)}
		})
	case HubSpot:
		encode(out, true, func(s Suppressed) hubSpotEntry {
			left, complained := s.Reason == Unsubscribe || s.Reason == Manual, s.Reason == Complaint
			return hubSpotEntry{Email: s.Name, Bounce: only(!left && !complained, "TRUE"), Unsubscribe: only(left, "TRUE"), Spam: only(complained, "TRUE")}
		})
	default:
		return nil, fmt.Errorf("lists: %q is no format of suppression lists", format)
	}
	return out, nil
}

type plainEntry struct {
	Email string `csv:"email"`
}

type mailgunBounce struct {
	Address   string `csv:"address"`
	Code      string `csv:"code"`
	Error     string `csv:"error"`
	CreatedAt string `csv:"created_at"`
}

type sesImport struct {
	EmailAddress string `csv:"EmailAddress"`
	Reason       string `csv:"Reason"`
}

// encode makes out write records of one type.
func encode[T any](out *SuppressionWriter, header bool, record func(Suppressed) T) {
	var records []T
	out.write = func(s Suppressed) { records = append(records, record(s)) }
	out.flush = func() error {
		marshal := gocsv.MarshalWithoutHeaders
		if header {
			marshal = gocsv.Marshal
			header = false
		}
		err := marshal(records, out.w)
		records = records[:0]
		return err
	}
}

// Write adds an entry. The error is [ErrWholeDomain] where the format has no place for it.
func (w *SuppressionWriter) Write(s Suppressed) error {
	if strings.HasPrefix(s.Name, "@") && w.format != CSV && w.format != Plain {
		return ErrWholeDomain
	}
	w.write(s)
	if w.count++; w.count%writeBatch != 0 {
		return nil
	}
	return w.end()
}

// Close writes what is left.
func (w *SuppressionWriter) Close() error { return w.end() }

func (w *SuppressionWriter) end() error {
	if err := w.flush(); err != nil {
		return fmt.Errorf("lists: writing a suppression list: %w", err)
	}
	return nil
}

// second says whether the first row's second cell is one of the words.
func (r *records) second(words ...string) bool {
	for row, err := range r.rows {
		return err == nil && len(row.cells) == 2 && slices.ContainsFunc(words, func(w string) bool { return sameName(w, row.cells[1]) })
	}
	return false
}

// SuppressionRow is a row of a suppression list that was read.
type SuppressionRow struct {
	Suppressed
	Line int64  // where it begins, from 1; in JSON the number of the record
	Left string // why it is to be left out; empty: it is not
}

// ReadSuppression opens a list in any of the formats, told by its columns, in CSV or as the JSON of a service's API, or
// a list with an address column in which every address counts, with the reason manual where it names none.
// Path "-" is stdin.
func ReadSuppression(path string, stdin io.Reader, c *reply.Classifier) (SuppressionFormat, iter.Seq2[SuppressionRow, error], error) {
	rows, err := openRecords(path, stdin)
	if err != nil {
		return "", nil, err
	}
	if len(rows.columns) == 0 && rows.second("BOUNCE", "COMPLAINT") {
		rows.columns = []string{"EmailAddress", "Reason"}
	}
	s, ok := serviceOf(rows.columns)
	if !ok {
		rows.keep(rows.address, "email")
		s = service{format: Plain, decode: decode[csvEntry]}
	}
	return s.format, func(yield func(SuppressionRow, error) bool) {
		defer rows.close()
		has := func(column string) bool { return indexOf(rows.columns, column) >= 0 }
		for batch, err := range rows.batches() {
			if err != nil {
				yield(SuppressionRow{}, err)
				return
			}
			entries, err := s.decode(batch)
			if err != nil {
				yield(SuppressionRow{}, fmt.Errorf("list %s: %w", path, err))
				return
			}
			for i, e := range entries {
				row := SuppressionRow{Line: batch.lines[i]}
				row.Suppressed, row.Left = e.suppressed(has, c)
				row.Name = strings.TrimSpace(row.Name)
				address := row.Name
				if strings.HasPrefix(address, "@") {
					address = "postmaster" + address
				}
				if _, err := syntax.Parse(address); err != nil && row.Left == "" {
					row.Left = err.Error()
				}
				row.Reason = cmp.Or(row.Reason, Manual)
				if !yield(row, nil) {
					return
				}
			}
		}
	}, nil
}
