package suppression_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/suppression"
	"presend/verify/reply"
)

// readSuppression returns a list's format and its rows, one a line.
func readSuppression(t *testing.T, path, stdin string) (suppression.Format, []string) {
	t.Helper()
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	list, err := suppression.Open(path, suppression.Options{Stdin: strings.NewReader(stdin)}, c)
	if err != nil {
		t.Fatalf("%v\n%s", err, stdin)
	}
	defer func() {
		if err := list.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got []string
	for row, err := range list.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if row.Left != "" {
			got = append(got, fmt.Sprintf("%d %s LEFT: %s", row.Line, row.Name, row.Left))
			continue
		}
		line := fmt.Sprintf("%d %s %s", row.Line, row.Name, row.Reason)
		if !row.At.IsZero() {
			line += " " + row.At.Format(time.RFC3339)
		}
		got = append(got, line)
	}
	return list.Format(), got
}

func TestSuppressionListsOfMailServicesAreRead(t *testing.T) {
	tests := []struct {
		name, text string
		format     suppression.Format
		want       []string
	}{
		{
			"SendGrid's bounces, without those that are about the sender", `status,reason,email,created
5.1.1,"550 5.1.1 The email account that you tried to reach does not exist.",ann@corp.lab,1767225600
5.7.1,"550 5.7.1 Service unavailable; client [192.0.2.1] blocked using Spamhaus",bob@corp.lab,1767225600
4.2.2,452 4.2.2 mailbox full,carl@corp.lab,1767225600
5.0.0,bounced,dora@corp.lab,2026-01-01 00:00:00
5.1.1,unknown user,no address at all,1767225600
`, suppression.SendGrid,
			[]string{
				"2 ann@corp.lab hard_bounce 2026-01-01T00:00:00Z",
				"3 bob@corp.lab LEFT: the bounce is not about the address (sender_blocked)",
				"4 carl@corp.lab LEFT: the bounce is not about the address (mailbox_full)",
				"5 dora@corp.lab hard_bounce 2026-01-01T00:00:00Z", "6 no address at all LEFT: not an address: there is no @",
			},
		},
		{
			"SendGrid's spam reports", "email,created,ip\nann@corp.lab,1767225600,192.0.2.1\n", suppression.SendGrid,
			[]string{"2 ann@corp.lab complaint 2026-01-01T00:00:00Z"},
		},
		{
			"SendGrid's unsubscribes", "email,created\nann@corp.lab,1767225600\n", suppression.SendGrid,
			[]string{"2 ann@corp.lab unsubscribe 2026-01-01T00:00:00Z"},
		},
		{"SendGrid's API", `[{"created":1767225600,"email":"ann@corp.lab","reason":"550 5.1.1 no such user",` +
			`"status":"5.1.1"}]`, suppression.SendGrid, []string{"1 ann@corp.lab hard_bounce 2026-01-01T00:00:00Z"}},
		{
			"Mailgun's bounces", "address,code,error,created_at\nann@corp.lab,550,No such mailbox,\"Thu, 01 Jan 2026 00:00:00 " +
				"UTC\"\nbob@corp.lab,,,\ncarl@corp.lab,554,Message rejected as spam,\n", suppression.Mailgun,
			[]string{
				"2 ann@corp.lab hard_bounce 2026-01-01T00:00:00Z", "3 bob@corp.lab hard_bounce",
				"4 carl@corp.lab LEFT: the bounce is not about the address (policy)",
			},
		},
		{
			"Mailgun's unsubscribes", "address,tags,created_at\nann@corp.lab,*,\"Thu, 01 Jan 2026 00:00:00 UTC\"\n" +
				"bob@corp.lab,offers,\n", suppression.Mailgun,
			[]string{
				"2 ann@corp.lab unsubscribe 2026-01-01T00:00:00Z",
				"3 bob@corp.lab LEFT: unsubscribed from the tag offers only",
			},
		},
		{
			"Mailgun's complaints", "address,created_at\nann@corp.lab,\n", suppression.Mailgun,
			[]string{"2 ann@corp.lab complaint"},
		},
		{"Mailgun's API", `{"items":[{"address":"ann@corp.lab","tags":["*"],"created_at":"Thu, 01 Jan 2026 00:00:00 UTC"}],` +
			`"paging":{"next":"https://x"}}`, suppression.Mailgun, []string{"1 ann@corp.lab unsubscribe 2026-01-01T00:00:00Z"}},
		{
			"Postmark's API", `{"Suppressions":[{"EmailAddress":"ann@corp.lab","SuppressionReason":"HardBounce",` +
				`"Origin":"Recipient","CreatedAt":"2026-01-01T01:00:00+01:00"},
{"EmailAddress":"bob@corp.lab","SuppressionReason":"SpamComplaint","Origin":"Recipient"},` +
				`{"EmailAddress":"carl@corp.lab","SuppressionReason":"ManualSuppression","Origin":"Recipient"},
{"EmailAddress":"dora@corp.lab","SuppressionReason":"ManualSuppression","Origin":"Customer"}]}`, suppression.Postmark,
			[]string{
				"1 ann@corp.lab hard_bounce 2026-01-01T00:00:00Z", "2 bob@corp.lab complaint",
				"3 carl@corp.lab unsubscribe", "4 dora@corp.lab manual",
			},
		},
		{
			"Amazon SES's import file", "ann@corp.lab,BOUNCE\nbob@corp.lab, COMPLAINT\n", suppression.SES,
			[]string{"1 ann@corp.lab hard_bounce", "2 bob@corp.lab complaint"},
		},
		{"Amazon SES's API", `{"SuppressedDestinationSummaries":[{"EmailAddress":"ann@corp.lab","Reason":"COMPLAINT",` +
			`"LastUpdateTime":1767225600}]}`, suppression.SES, []string{"1 ann@corp.lab complaint 2026-01-01T00:00:00Z"}},
		{
			"Amazon SES's lines of JSON", "{\"emailAddress\":\"ann@corp.lab\",\"reason\":\"BOUNCE\"}\n" +
				"{\"emailAddress\":\"bob@corp.lab\",\"reason\":\"COMPLAINT\"}\n", suppression.SES,
			[]string{"1 ann@corp.lab hard_bounce", "2 bob@corp.lab complaint"},
		},
		{
			"Mailchimp's cleaned members", "\"Email Address\",\"First Name\",\"Work Email\",CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\n" +
				"ann@corp.lab,Ann,ann@job.lab,2026-01-01 00:00:00,May\n", suppression.Mailchimp,
			[]string{"2 ann@corp.lab hard_bounce 2026-01-01T00:00:00Z"},
		},
		{"Mailchimp's unsubscribed members", "Email Address,First Name,UNSUB_TIME\nann@corp.lab,Ann,2026-01-01 00:00:00\n" +
			"bob@corp.lab,Bob,\n", suppression.Mailchimp, []string{
			"2 ann@corp.lab unsubscribe 2026-01-01T00:00:00Z",
			"3 bob@corp.lab LEFT: neither cleaned nor unsubscribed",
		}},
		{
			"HubSpot's unsubscribes and bounces", "\ufeffEmail,Portal Bounce,Portal Unsubscribe,Portal Spam Report,Global " +
				"Bounce,Offers\nann@corp.lab,Unknown user,,,,\nbob@corp.lab,,TRUE,,,\ncarl@corp.lab,,,TRUE,,\n" +
				"dora@corp.lab,,,,TRUE,\nemil@corp.lab,Mailbox full,,,,\nfay@corp.lab,,FALSE,,,TRUE\n", suppression.HubSpot,
			[]string{
				"2 ann@corp.lab hard_bounce", "3 bob@corp.lab unsubscribe", "4 carl@corp.lab complaint",
				"5 dora@corp.lab hard_bounce",
				"6 emil@corp.lab LEFT: the bounce is not about the address (mailbox_full)",
				"7 fay@corp.lab LEFT: neither bounced nor unsubscribed from everything",
			},
		},
		{
			"our own", "email,reason,date\nann@corp.lab,unsubscribe,2026-01-01T00:00:00Z\n@gone.lab,hard_bounce,\n",
			suppression.CSV,
			[]string{"2 ann@corp.lab unsubscribe 2026-01-01T00:00:00Z", "3 @gone.lab hard_bounce"},
		},
		{
			"a plain list", "ann@corp.lab\nbob@corp.lab\n", suppression.Plain,
			[]string{"1 ann@corp.lab manual", "2 bob@corp.lab manual"},
		},
		{
			"a plain list of domains", "@corp.lab\n@gone.lab\n", suppression.Plain,
			[]string{"1 @corp.lab manual", "2 @gone.lab manual"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "list")
			if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, "-"} {
				format, got := readSuppression(t, path, tt.text)
				if format != tt.format {
					t.Errorf("%s, want %s", format, tt.format)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s: -want +got:\n%s", path, diff)
				}
			}
		})
	}
}

func TestWhatIsNoSuppressionListIsAnError(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                           "empty",
		`{"items":[]}`:               "no entries",
		`{"items":[`:                 "no JSON",
		"[]":                         "no entries",
		"name,phone\nAnn,1\nBob,2\n": "no column",
	} {
		if _, err := suppression.Open("-", suppression.Options{Stdin: strings.NewReader(text)}, c); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := suppression.Open(t.TempDir(), suppression.Options{}, c); err == nil ||
		!strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: %v", err)
	}
}

func TestWhatIsWrittenForAServiceReadsBack(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	entries := []suppression.Entry{
		{Name: "ann@corp.lab", Reason: suppression.HardBounce, At: at},
		{Name: "bob@corp.lab", Reason: suppression.Complaint, At: at},
		{Name: "carl@corp.lab", Reason: suppression.Unsubscribe},
		{Name: "@gone.lab", Reason: suppression.HardBounce, At: at},
	}
	golden := map[suppression.Format]string{
		suppression.CSV: "email,reason,date\nann@corp.lab,hard_bounce,2026-01-02T03:04:05Z\n" +
			"bob@corp.lab,complaint,2026-01-02T03:04:05Z\ncarl@corp.lab,unsubscribe,\n" +
			"@gone.lab,hard_bounce,2026-01-02T03:04:05Z\n",
		suppression.Plain:    "ann@corp.lab\nbob@corp.lab\ncarl@corp.lab\n@gone.lab\n",
		suppression.SendGrid: "email\nann@corp.lab\nbob@corp.lab\ncarl@corp.lab\n",
		suppression.Mailgun: "address,code,error,created_at\nann@corp.lab,550,hard_bounce,\"Fri, 02 Jan 2026 03:04:05 " +
			"UTC\"\nbob@corp.lab,550,complaint,\"Fri, 02 Jan 2026 03:04:05 UTC\"\ncarl@corp.lab,550,unsubscribe,\n",
		suppression.Postmark: "EmailAddress,SuppressionReason,Origin,CreatedAt\n" +
			"ann@corp.lab,HardBounce,Recipient,2026-01-02T03:04:05Z\n" +
			"bob@corp.lab,SpamComplaint,Recipient,2026-01-02T03:04:05Z\ncarl@corp.lab,ManualSuppression,Recipient,\n",
		suppression.SES: "ann@corp.lab,BOUNCE\nbob@corp.lab,COMPLAINT\ncarl@corp.lab,BOUNCE\n",
		suppression.Mailchimp: "Email Address,CLEAN_TIME,UNSUB_TIME\nann@corp.lab,2026-01-02 03:04:05,\n" +
			"bob@corp.lab,,2026-01-02 03:04:05\ncarl@corp.lab,,1970-01-01 00:00:00\n",
		suppression.HubSpot: "Email,Portal Bounce,Global Bounce,Portal Unsubscribe,Portal Spam Report\n" +
			"ann@corp.lab,TRUE,,,\nbob@corp.lab,,,,TRUE\ncarl@corp.lab,,,TRUE,\n",
	}
	for _, format := range suppression.Formats {
		var b bytes.Buffer
		w, err := suppression.NewWriter(&b, format)
		if err != nil {
			t.Fatal(err)
		}
		want := len(entries)
		for _, e := range entries {
			if err := w.Write(e); errors.Is(err, suppression.ErrWholeDomain) {
				want--
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden[format], b.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", format, diff)
		}
		if _, got := readSuppression(t, "-", b.String()); len(got) != want ||
			strings.Contains(strings.Join(got, "\n"), "LEFT") {
			t.Errorf("%s reads back as %q, want %d entries", format, got, want)
		}
	}
	if _, err := suppression.NewWriter(nil, "sendmail"); err == nil {
		t.Error("an unknown format is no error")
	}
}

func TestALongSuppressionListIsWrittenAndReadWhole(t *testing.T) {
	var b bytes.Buffer
	w, err := suppression.NewWriter(&b, suppression.CSV)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1500
	for i := range n {
		if err := w.Write(suppression.Entry{Name: fmt.Sprintf("a%d@corp.lab", i), Reason: suppression.Manual}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got := readSuppression(t, "-", b.String()); len(got) != n ||
		got[n-1] != fmt.Sprintf("%d a%d@corp.lab manual", n+1, n-1) {
		t.Errorf("%d rows, the last %q", len(got), got[len(got)-1])
	}
}

func TestTheListThatNamesAddressesIsReadOfAJSONObjectWithSeveral(t *testing.T) {
	const text = `{"links":[{"next":"x"}],"data":[{"n":1}],"members":[{"address":"ann@example.com","created_at":""}]}`
	for range 20 { // a map of Go has another order each time
		_, got := readSuppression(t, "-", text)
		if len(got) != 1 || !strings.HasPrefix(got[0], "1 ann@example.com ") {
			t.Fatalf("read %v", got)
		}
	}
}
