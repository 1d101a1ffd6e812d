package suppression

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gocarina/gocsv"
)

// Export writes entries in the form that a mail service imports: those with one of the reasons, or all if no reason is
// given. It returns how many whole domains it left out because the format has addresses only.
func Export(w io.Writer, format Format, entries iter.Seq2[Entry, error], reasons ...string) (domains int, err error) {
	out, err := NewWriter(w, format)
	if err != nil {
		return 0, err
	}
	for entry, err := range entries {
		if err != nil {
			return domains, err
		}
		if len(reasons) > 0 && !slices.Contains(reasons, entry.Reason) {
			continue
		}
		err := out.Write(entry)
		if errors.Is(err, ErrWholeDomain) {
			domains++
		} else if err != nil {
			return domains, err
		}
	}
	return domains, out.Close()
}

// Writer writes a suppression list in the form that a mail service imports.
type Writer struct {
	w      io.Writer
	format Format
	flush  func() error
	write  func(Entry)
	count  int
}

// NewWriter returns a Writer, which the caller must Close. That does not close w. The only error is an unknown format.
func NewWriter(w io.Writer, format Format) (*Writer, error) {
	out := &Writer{w: w, format: format}
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
		encode(out, true, func(s Entry) csvEntry { return csvEntry{s.Name, s.Reason, date(s.At, time.RFC3339)} })
	case Plain:
		encode(out, false, func(s Entry) plainEntry { return plainEntry{s.Name} })
	case SendGrid: // its import takes one column
		encode(out, true, func(s Entry) plainEntry { return plainEntry{s.Name} })
	case Mailgun: // its import of bounces
		encode(out, true, func(s Entry) mailgunBounce {
			return mailgunBounce{s.Name, "550", cmp.Or(s.Reply, s.Reason), date(s.At, time.RFC1123)}
		})
	case Postmark:
		encode(out, true, func(s Entry) postmarkEntry {
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
		encode(out, false, func(s Entry) sesImport {
			if s.Reason == Complaint {
				return sesImport{s.Name, "COMPLAINT"}
			}
			return sesImport{s.Name, "BOUNCE"}
		})
	case Mailchimp:
		encode(out, true, func(s Entry) mailchimpEntry {
			at := date(cmp.Or(s.At, time.Unix(0, 0)), time.DateTime)
			left := s.Reason == Unsubscribe || s.Reason == Complaint
			return mailchimpEntry{s.Name, only(!left, at), only(left, at)}
		})
	case HubSpot:
		encode(out, true, func(s Entry) hubSpotEntry {
			left, complained := s.Reason == Unsubscribe || s.Reason == Manual, s.Reason == Complaint
			return hubSpotEntry{
				Email: s.Name, Bounce: only(!left && !complained, "TRUE"),
				Unsubscribe: only(left, "TRUE"), Spam: only(complained, "TRUE"),
			}
		})
	default:
		return nil, fmt.Errorf("suppression: %q is no format of suppression lists", format)
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

// encode lets out write records of one type.
func encode[T any](out *Writer, header bool, record func(Entry) T) {
	var records []T
	out.write = func(s Entry) { records = append(records, record(s)) }
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

// Write adds an entry. The error is [ErrWholeDomain] for a whole domain that the format cannot hold.
func (w *Writer) Write(s Entry) error {
	if strings.HasPrefix(s.Name, "@") && w.format != CSV && w.format != Plain {
		return ErrWholeDomain
	}
	w.write(s)
	if w.count++; w.count%batchSize != 0 {
		return nil
	}
	return w.end()
}

// Close writes the entries that are still buffered.
func (w *Writer) Close() error { return w.end() }

func (w *Writer) end() error {
	if err := w.flush(); err != nil {
		return fmt.Errorf("suppression: writing a suppression list: %w", err)
	}
	return nil
}
