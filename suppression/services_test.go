package suppression_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/suppression"
	"presend/verify/reply"
)

// taken returns what is taken of a list, and the addresses that are left out.
func taken(t *testing.T, text string, o suppression.Options) (format suppression.Format, entries, left []string,
	err error,
) {
	t.Helper()
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	o.Stdin = strings.NewReader(text)
	list, err := suppression.Open("-", o, c)
	if err != nil {
		return "", nil, nil, err
	}
	defer func() {
		if err := list.Close(); err != nil {
			t.Error(err)
		}
	}()
	var tally suppression.Tally
	for e, err := range list.Entries(&tally, func(row suppression.Row) { left = append(left, row.Name) }) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e.Name+" "+e.Reason)
	}
	n := 0
	for _, of := range tally.Left {
		n += of
	}
	if tally.Taken != len(entries) || n != len(left) {
		t.Errorf("%d taken and %d left out are counted as %+v", len(entries), len(left), tally)
	}
	return list.Format(), entries, left, nil
}

func TestOnlyWhatIsSuppressedIsTaken(t *testing.T) {
	for _, test := range []struct {
		name, text  string
		format      suppression.Format
		taken, left string
	}{
		{
			"Mandrill's rejects", "email,reason,detail,expired\nsoft@x.lab,soft-bounce,452,TRUE\nhard@x.lab,hard-bounce,550 " +
				"5.1.1 unknown user,FALSE\nold@x.lab,hard-bounce,550 5.1.1 unknown user,TRUE\nspam@x.lab,spam,,FALSE\n" +
				"out@x.lab,unsub,,FALSE\nme@x.lab,custom,,FALSE\nsoft2@x.lab,soft-bounce,452 4.2.2 full,FALSE\n",
			"mandrill", "hard@x.lab hard_bounce|spam@x.lab complaint|out@x.lab unsubscribe|me@x.lab manual",
			"soft@x.lab|old@x.lab|soft2@x.lab",
		},
		{
			"Mandrill's API, with a date of expiry",
			`[{"email":"a@x.lab","reason":"hard-bounce","detail":"550 mailbox does not exist","created_at":"2013-01-01 ` +
				`15:30:27","expires_at":"2013-02-01 15:30:49","expired":false},{"email":"b@x.lab","reason":"hard-bounce",` +
				`"detail":"","expires_at":"2999-01-01 00:00:00","expired":false}]`,
			"mandrill", "b@x.lab hard_bounce", "a@x.lab",
		},
		{
			"Mailgun's events", `{"items":[{"event":"failed","severity":"permanent","recipient":"a@x.lab",` +
				`"reason":"suppress-bounce","delivery-status":{"code":605,"message":"","description":"Not delivering to ` +
				`previously bounced address"},"message":{"headers":{"to":"a@x.lab","from":"me@x.lab"}}},{"event":"failed",` +
				`"severity":"permanent","recipient":"b@x.lab","reason":"suppress-complaint","delivery-status":{"code":607,` +
				`"description":"Not delivering to a user who marked your messages as spam"}},{"event":"failed",` +
				`"severity":"temporary","recipient":"c@x.lab","reason":"generic","delivery-status":{"code":450,"message":"4.2.1 ` +
				`too fast"}},{"event":"delivered","recipient":"d@x.lab","delivery-status":{"code":250,"message":"OK"}},` +
				`{"event":"failed","severity":"permanent","recipient":"e@x.lab","reason":"bounce","delivery-status":{"code":550,` +
				`"message":"5.1.1 The email account that you tried to reach does not exist"}},{"event":"unsubscribed",` +
				`"recipient":"f@x.lab"},{"event":"failed","severity":"permanent","recipient":"g@x.lab","reason":"bounce",` +
				`"delivery-status":{"code":550,"message":"5.7.1 blocked using Spamhaus"}}]}`,
			suppression.Mailgun, "a@x.lab hard_bounce|b@x.lab complaint|e@x.lab hard_bounce|f@x.lab unsubscribe",
			"c@x.lab|d@x.lab|g@x.lab",
		},
		{
			"Mailgun's list of bounces with its own words", "address,code,error,created_at\na@x.lab,605,Not delivering to " +
				"previously bounced address,\nb@x.lab,607,Not delivering to previously complained address,\n" +
				"c@x.lab,606,Not delivering to unsubscribed address,\nd@x.lab,450,busy,\n",
			suppression.Mailgun, "a@x.lab hard_bounce|b@x.lab complaint|c@x.lab unsubscribe", "d@x.lab",
		},
		{
			"SendGrid's events", `[{"email":"a@x.lab","event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 ` +
				`user unknown","sg_event_id":"1"},{"email":"b@x.lab","event":"bounce","type":"blocked","status":"5.7.1",` +
				`"reason":"550 5.7.1 blocked","sg_event_id":"2"},{"email":"c@x.lab","event":"dropped","reason":"Bounced Address",` +
				`"sg_event_id":"3"},{"email":"d@x.lab","event":"dropped","reason":"Unsubscribed Address","sg_event_id":"4"},` +
				`{"email":"e@x.lab","event":"spamreport","sg_event_id":"5"},{"email":"f@x.lab","event":"deferred",` +
				`"response":"450 4.2.1 later","sg_event_id":"6"},{"email":"g@x.lab","event":"open","sg_event_id":"7"},` +
				`{"email":"h@x.lab","event":"group_unsubscribe","sg_event_id":"8"},{"email":"i@x.lab","event":"dropped",` +
				`"reason":"Spam Reporting Address","sg_event_id":"9"},{"email":"j@x.lab","event":"bounce","type":"blocked",` +
				`"sg_event_id":"10"}]`,
			suppression.SendGrid, "a@x.lab hard_bounce|c@x.lab hard_bounce|d@x.lab unsubscribe|e@x.lab complaint|h@x.lab " +
				"unsubscribe|i@x.lab complaint", "b@x.lab|f@x.lab|g@x.lab|j@x.lab",
		},
		{
			"Postmark's bounces", `{"TotalCount":5,"Bounces":[{"ID":1,"Type":"HardBounce","TypeCode":1,"Details":"smtp;` +
				`550 5.1.1 user unknown","Email":"a@x.lab","From":"me@x.lab","BouncedAt":"2024-01-15T16:09:19Z","Inactive":true},` +
				`{"ID":2,"Type":"SoftBounce","TypeCode":4096,"Email":"b@x.lab","From":"me@x.lab","Inactive":false},` +
				`{"ID":3,"Type":"SpamComplaint","Email":"c@x.lab","From":"me@x.lab","Inactive":true},{"ID":4,"Type":"HardBounce",` +
				`"Details":"550 5.1.1","Email":"d@x.lab","From":"me@x.lab","Inactive":false},` +
				`{"ID":5,"Type":"Transient","Email":"e@x.lab","From":"me@x.lab","Inactive":false}]}`,
			suppression.Postmark, "a@x.lab hard_bounce|c@x.lab complaint", "b@x.lab|d@x.lab|e@x.lab",
		},
		{
			"a CSV of Postmark's bounces", "Email Address,Bounce Type,Is inactive?\na@x.lab,Soft bounce,false\n" +
				"b@x.lab,Hard bounce,true\nc@x.lab,Auto responder,false\nd@x.lab,Spam complaint,true\n",
			suppression.Columns, "b@x.lab hard_bounce|d@x.lab complaint", "a@x.lab|c@x.lab",
		},
		{
			"SparkPost's list", "recipient,transactional,non_transactional,source,description,created\n" +
				"a@x.lab,true,true,Bounce Rule,550 5.1.1 bad destination,2024-01-01\nb@x.lab,false,true,List " +
				"Unsubscribe,,2024-01-01\nc@x.lab,true,true,Spam Complaint,,2024-01-01\nd@x.lab,false,true,Manually " +
				"Added,,2024-01-01\n",
			"sparkpost", "a@x.lab hard_bounce|b@x.lab unsubscribe|c@x.lab complaint|d@x.lab manual", "",
		},
		{
			"SparkPost's events", "type,bounce_class,rcpt_to,raw_reason,timestamp\nbounce,10,a@x.lab,550 5.1.1 no such " +
				"user,1700000000\nbounce,22,b@x.lab,552 5.2.2 over quota,1700000000\nbounce,30,c@x.lab,550 No RCPT,1700000000\n" +
				"bounce,51,d@x.lab,554 spam,1700000000\ndelivery,,e@x.lab,,1700000000\nlist_unsubscribe,,f@x.lab,,1700000000\n" +
				"spam_complaint,,g@x.lab,,1700000000\n",
			"sparkpost", "a@x.lab hard_bounce|c@x.lab hard_bounce|f@x.lab unsubscribe|g@x.lab complaint",
			"b@x.lab|d@x.lab|e@x.lab",
		},
		{
			"Amazon SES's notifications",
			`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",` +
				`"bouncedRecipients":[{"emailAddress":"a@x.lab","action":"failed","status":"5.1.1",` +
				`"diagnosticCode":"smtp; 550 5.1.1 user unknown"},{"emailAddress":"a2@x.lab","status":"5.1.1"}],` +
				`"timestamp":"2024-01-01T00:00:00.000Z"},"mail":{"source":"me@x.lab","destination":["a@x.lab"]}}
{"notificationType":"Bounce","bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull",` +
				`"bouncedRecipients":[{"emailAddress":"b@x.lab"}]},"mail":{"source":"me@x.lab"}}
{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"c@x.lab"}]},` +
				`"mail":{"source":"me@x.lab"}}
{"notificationType":"Delivery","mail":{"source":"me@x.lab","destination":["d@x.lab"]},` +
				`"delivery":{"recipients":["d@x.lab"]}}
`,
			suppression.SES, "a@x.lab hard_bounce|a2@x.lab hard_bounce|c@x.lab complaint", "b@x.lab|d@x.lab",
		},
		{
			"Amazon SES's words that are another's", "EmailAddress,Reason\na@x.lab,BOUNCE\nb@x.lab,soft bounce\n",
			suppression.SES, "a@x.lab hard_bounce", "b@x.lab",
		},
		{
			"Brevo's API", `{"count":3,"contacts":[{"email":"a@x.lab","senderEmail":"me@x.lab","reason":{"code":"hardBounce",` +
				`"message":"Hard bounced"},"blockedAt":"2024-01-01T00:00:00Z"},{"email":"b@x.lab","senderEmail":"",` +
				`"reason":{"code":"unsubscribedViaEmail","message":"Unsubscribed via email"}},{"email":"c@x.lab",` +
				`"reason":{"code":"contactFlaggedAsSpam","message":""}},{"email":"d@x.lab","reason":{"code":"adminBlocked",` +
				`"message":""}}]}`,
			"brevo", "a@x.lab hard_bounce|b@x.lab unsubscribe|c@x.lab complaint|d@x.lab manual", "",
		},
		{
			"Klaviyo's profiles", `{"data":[{"type":"profile","attributes":{"email":"a@x.lab",` +
				`"subscriptions":{"email":{"marketing":{"consent":"NEVER_SUBSCRIBED","suppression":[{"reason":"HARD_BOUNCE",` +
				`"timestamp":"2023-02-21T20:07:38+00:00"}]}}}}},{"type":"profile","attributes":{"email":"b@x.lab",` +
				`"subscriptions":{"email":{"marketing":{"consent":"SUBSCRIBED","suppression":[]}}}}},{"type":"profile",` +
				`"attributes":{"email":"c@x.lab",` +
				`"subscriptions":{"email":{"marketing":{"suppression":[{"reason":"USER_SUPPRESSED"}]}}}}}]}`,
			"klaviyo", "a@x.lab hard_bounce|c@x.lab manual", "b@x.lab",
		},
		{
			"Klaviyo's export", "Email,First Name,Suppression Reason,Suppressed Date\na@x.lab,A,Hard Bounce,2024-01-01\n" +
				"b@x.lab,B,Unsubscribed,2024-01-01\n",
			suppression.Columns, "a@x.lab hard_bounce|b@x.lab unsubscribe", "",
		},
		{
			"Mailchimp's API", `{"members":[{"email_address":"a@x.lab","status":"cleaned"},{"email_address":"b@x.lab",` +
				`"status":"unsubscribed"},{"email_address":"c@x.lab","status":"subscribed"},` +
				`{"email_address":"d@x.lab","status":"pending"}],"list_id":"1"}`,
			suppression.Columns, "a@x.lab hard_bounce|b@x.lab unsubscribe", "c@x.lab|d@x.lab",
		},
		{
			"Intercom's users", "Name,Email,Unsubscribed from Emails,Has hard bounced,Marked email as spam\n" +
				"A,a@x.lab,true,false,false\nB,b@x.lab,false,true,false\nC,c@x.lab,false,false,true\nD,d@x.lab,false,false,false\n",
			suppression.Columns, "a@x.lab unsubscribe|b@x.lab hard_bounce|c@x.lab complaint", "d@x.lab",
		},
		{
			"Salesforce's contacts", "Id,Email,HasOptedOutOfEmail\n1,a@x.lab,1\n2,b@x.lab,0\n", suppression.Columns,
			"a@x.lab unsubscribe", "b@x.lab",
		},
		{
			"a shop's newsletter", "\"ID\",\"Email\",\"Type\",\"Status\"\n1,a@x.lab,Guest,Subscribed\n" +
				"2,b@x.lab,Customer,Unsubscribed\n", suppression.Columns, "b@x.lab unsubscribe", "a@x.lab",
		},
		{
			"a CRM in German", "Name;E-Mail;Newsletter-Status\nA;a@x.lab;abgemeldet\nB;b@x.lab;angemeldet\n",
			suppression.Columns, "a@x.lab unsubscribe", "b@x.lab",
		},
		{
			"dates alone", "email,unsubscribed_at\na@x.lab,2024-01-01\nb@x.lab,\n", suppression.Columns, "a@x.lab unsubscribe",
			"b@x.lab",
		},
		{
			"somebody who subscribed again", "email,status,unsubscribed_at\na@x.lab,active,2024-01-01\n" +
				"b@x.lab,unsubscribed,2024-01-01\n", suppression.Columns, "b@x.lab unsubscribe", "a@x.lab",
		},
		{
			"yes and no", "address;suppressed\na@x.lab;yes\nb@x.lab;no\n", suppression.Columns, "a@x.lab manual", "b@x.lab",
		},
		{
			"no header, and words", "a@x.lab,hard bounce\nb@x.lab,soft bounce\n", suppression.Columns, "a@x.lab hard_bounce",
			"b@x.lab",
		},
		{
			"a byte order mark before JSON",
			"\ufeff[{\"EmailAddress\":\"a@x.lab\",\"Reason\":\"BOUNCE\",\"LastUpdateTime\":1767225600}]", suppression.SES,
			"a@x.lab hard_bounce", "",
		},
		{
			"pages of an API one after another",
			"{\"items\":[{\"address\":\"a@x.lab\",\"tags\":[\"*\"],\"created_at\":\"\"}]}\n" +
				"{\"items\":[{\"address\":\"b@x.lab\",\"tags\":[\"*\"],\"created_at\":\"\"}]}\n", suppression.Mailgun,
			"a@x.lab unsubscribe|b@x.lab unsubscribe", "",
		},
		{
			"our own, as it comes out of --split", "email,reason,date\na@x.lab,mailbox_unknown,2026-01-01T00:00:00Z\n" +
				"b@x.lab,null_mx,\nc@x.lab,asked us,\nd@x.lab,soft bounce,\n", suppression.CSV,
			"a@x.lab mailbox_unknown|b@x.lab null_mx|c@x.lab asked us", "d@x.lab",
		},
		{
			"a verified list", "email,verify_verdict,verify_reason\na@x.lab,invalid,mailbox_unknown\n" +
				"b@x.lab,deliverable,accepted\nc@x.lab,unknown,greylisted\n", suppression.Columns, "a@x.lab mailbox_unknown",
			"b@x.lab|c@x.lab",
		},
		{
			"several addresses in a cell", "reason,emails\nunsubscribed,\"a@x.lab; b@x.lab\"\n", suppression.Columns,
			"a@x.lab unsubscribe|b@x.lab unsubscribe", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			format, entries, left, err := taken(t, test.text, suppression.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.taken, strings.Join(entries, "|")); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.left, strings.Join(left, "|")); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if format != test.format {
				t.Errorf("it is taken for %s, want %s", format, test.format)
			}
		})
	}
}

func TestAListThatDoesNotSayWhoIsSuppressedIsRefused(t *testing.T) {
	const contacts = "Name,Email,City,Left\nAnn,ann@x.lab,Oslo,yes\nBob,bob@x.lab,Rome,no\nCy,cy@x.lab,Bern,2024-01-01\n"
	for _, text := range []string{
		contacts, "email,created_at\na@x.lab,2024-01-01\n", "Name;E-Mail\nAnn;ann@x.lab\n",
		`[{"email":"a@x.lab","name":"A"}]`,
		"email,created,ip,name\na@x.lab,1700000000,192.0.2.1,Ann\n", "email,name,created\na@x.lab,Ann,1700000000\n",
	} {
		_, _, _, err := taken(t, text, suppression.Options{})
		var which *suppression.WhichColumnError
		if !errors.As(err, &which) || !strings.Contains(err.Error(), "Which one is it?") {
			t.Errorf("%.30q: %v", text, err)
		}
	}
	for _, test := range []struct {
		o           suppression.Options
		taken, left string
	}{
		{suppression.Options{All: true}, "ann@x.lab manual|bob@x.lab manual|cy@x.lab manual", ""},
		{suppression.Options{Says: "left"}, "ann@x.lab manual|cy@x.lab manual", "bob@x.lab"},
		{suppression.Options{Says: "4", Column: "2"}, "ann@x.lab manual|cy@x.lab manual", "bob@x.lab"},
	} {
		_, entries, left, err := taken(t, contacts, test.o)
		if got := strings.Join(entries, "|"); err != nil || got != test.taken || strings.Join(left, "|") != test.left {
			t.Errorf("%+v: took %q, left %q, %v", test.o, got, left, err)
		}
	}
	if _, _, _, err := taken(t, contacts, suppression.Options{Says: "nothing"}); err == nil ||
		!strings.Contains(err.Error(), `"City"`) {
		t.Errorf("a column that is not there: %v", err)
	}
}

func TestARecordKeepsWhatDecidedIt(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	text := "email,event,response,timestamp\na@x.lab,hard bounce,550 5.1.1 no such user,2024-01-02 03:04:05\n"
	list, err := suppression.Open("-", suppression.Options{Stdin: strings.NewReader(text)}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	for row, err := range list.Rows() {
		if err != nil || row.Reply != "550 5.1.1 no such user" || row.At.Unix() != 1704164645 ||
			row.Reason != suppression.HardBounce || row.Line != 2 {
			t.Errorf("%+v, %v", row, err)
		}
	}
}
