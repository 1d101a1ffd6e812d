package lists_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/lists"
)

func TestTheSameListThroughEveryFormat(t *testing.T) {
	want := []string{"ann@x.lab", "", "zoë@x.lab"}
	workbook := sheet(t, [][]any{{"name", "email"}, {"Ann, B.", "ann@x.lab"}, {"Bob", nil}, {"Zoë \"Z\"", "zoë@x.lab"}},
		nil)
	for _, test := range []struct {
		format lists.Format
		path   string
	}{
		{lists.CSV, write(t, "name,email\n\"Ann, B.\",ann@x.lab\nBob,\n\"Zoë \"\"Z\"\"\",zoë@x.lab\n")},
		{lists.Workbook, workbook},
		{lists.NDJSON, write(t, "{\"name\":\"Ann, B.\",\"email\":\"ann@x.lab\"}\n{\"name\":\"Bob\"}\n"+
			"{\"email\":\"zo\\u00eb@x.lab\",\"name\":\"Zoë \\\"Z\\\"\"}\n")},
		{lists.JSON, write(t, "\ufeff"+
			`[{"name":"Ann, B.","email":"ann@x.lab"},{"name":"Bob","email":null},{"name":"Zoë \"Z\"","email":"zoë@x.lab"}]`)},
		{lists.LDIF, write(t, "dn: cn=1\nname: Ann, B.\nemail: ann@x.lab\n\ndn: cn=2\nname: Bob\n\ndn: cn=3\n"+
			"name:: Wm/DqyAiWiI=\nemail:: em/Dq0B4LmxhYg==\n")},
		{lists.VCard, write(t, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\\, B.\r\nEMAIL:ann@x.lab\r\nEND:VCARD\r\n"+
			"BEGIN:VCARD\r\nVERSION:2.1\r\nFN:Bob\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:4.0\r\nFN:Zoë \"Z\"\r\n"+
			"EMAIL:zoë@x.lab\r\nEND:VCARD\r\n")},
	} {
		t.Run(string(test.format), func(t *testing.T) {
			r, err := lists.Open(test.path, lists.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got := r.Understood().Format; got != test.format {
				t.Errorf("format %s", got)
			}
			for range 2 {
				if diff := cmp.Diff(want, addresses(t, r)); diff != "" {
					t.Errorf("addresses (-want +got):\n%s", diff)
				}
			}
			var names []string
			for decoder := json.NewDecoder(strings.NewReader(jsonLines(t, r, lists.Record{Verdict: "ok"}))); decoder.More(); {
				var row map[string]string
				if err := decoder.Decode(&row); err != nil {
					t.Fatal(err)
				}
				if row["verify_verdict"] != "ok" {
					t.Errorf("%v", row)
				}
				names = append(names, row["name"])
			}
			if diff := cmp.Diff([]string{"Ann, B.", "Bob", `Zoë "Z"`}, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if out := annotate(t, r, lists.Record{Verdict: "ok"}); strings.Count(out, ",ok,") != 3 {
				t.Errorf("as CSV: %q", out)
			}
		})
	}
}

func TestOtherFormatsAreReadAsTheyAreDocumented(t *testing.T) {
	for _, test := range []struct {
		name, in string
		columns  []string
		rows     []string
	}{
		{
			"members of members, and arrays",
			`[{"a":{"email":"x@x.lab","n":1.50},"tags":["t","u"],"ok":true},{"tags":[],"a":{"email":null}}]`,
			[]string{"a.email", "a.n", "tags", "ok"},
			[]string{"x@x.lab|1.50|t; u|true", "|||"},
		},
		{
			"several addresses in JSON", `[{"emails":["a@x.lab","b@x.lab"]},{"emails":["c@x.lab"]}]`,
			[]string{"emails", "emails 2"},
			[]string{"a@x.lab|b@x.lab", "c@x.lab|"},
		},
		{"an answer of an API", `{"meta":{"n":1},"data":[{"email":"a@x.lab"}]}`, []string{"email"}, []string{"a@x.lab"}},
		{"one object", `{"email":"a@x.lab","n":1}`, []string{"email", "n"}, []string{"a@x.lab|1"}},
		{
			"an object a line, with blank lines", "{\"email\":\"a@x.lab\"}\n\n{\"email\":\"b@x.lab\"}\n",
			[]string{"email"},
			[]string{"a@x.lab", "b@x.lab"},
		},
		{
			"attributes of LDIF in any case, with options and comments", "version: 1\n\n# one\ndn: uid=1\nMail: a@x.lab\n" +
				"cn;lang-de: Ann\n# more\nmail: b@\n x.lab\n\n\ndn: uid=2\nMAIL: c@x.lab\n",
			[]string{"dn", "Mail", "Mail 2", "cn"},
			[]string{"uid=1|a@x.lab|b@x.lab|Ann", "uid=2|c@x.lab||"},
		},
		{
			"LDIF that only has distinguished names first", "dn: uid=1,dc=x\r\nmail: a@x.lab\r\n",
			[]string{"dn", "mail"},
			[]string{"uid=1,dc=x|a@x.lab"},
		},
		{
			"bare parameters, quoted-printable and groups of vCard 2.1",
			"BEGIN:VCARD\nVERSION:2.1\nFN;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:J=F6rg\n" +
				"item1.EMAIL;PREF;INTERNET:j@x.lab\nEMAIL;WORK:k@x.lab\nNOTE;QUOTED-PRINTABLE:one=0D=0Atwo =\nthree\nTEL;CELL:1\n" +
				"END:VCARD\n",
			[]string{"name", "email", "email 2", "organization", "title", "phone", "categories", "note"},
			[]string{"Jörg|j@x.lab|k@x.lab|||1||one\ntwo three"},
		},
		{
			"the preferred address of a vCard, and another character set",
			"BEGIN:VCARD\nVERSION:2.1\nFN;CHARSET=ISO-8859-2:\xa3ukasz\nEMAIL;HOME:j@x.lab\nEMAIL;PREF:k@x.lab\nEND:VCARD\n",
			[]string{"name", "email", "email 2", "organization", "title", "phone", "categories", "note"},
			[]string{"Łukasz|k@x.lab|j@x.lab|||||"},
		},
		{
			"an entry without a value in the only column", `[{"email":"a@x.lab"},{"email":null},{"email":"b@x.lab"}]`,
			[]string{"email"},
			[]string{"a@x.lab", " ", "b@x.lab"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := open(t, test.in, lists.Options{})
			if diff := cmp.Diff(test.columns, r.Columns()); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			var rows []string
			for row, err := range r.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				var cells []string
				for i := range test.columns {
					cell, _ := row.Field(i)
					cells = append(cells, cell)
				}
				rows = append(rows, strings.Join(cells, "|"))
			}
			if diff := cmp.Diff(test.rows, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADamagedFileOfAnotherFormatIsNamedByItsEntry(t *testing.T) {
	for in, want := range map[string]string{
		`[{"email":"a@x.lab"},{"email":}]`:            "entry 2",
		`[{"email":"a@x.lab"}`:                        "JSON",
		"{\"email\":\"a@x.lab\"}\n{\"email\":oops}\n": "object 2",
		"dn: uid=1\nmail:: !!!\n":                     "line 2",
		"dn: uid=1\nmail\n":                           "line 2",
		"BEGIN:VCARD\nVERSION:3.0\nEMAIL:a@x.lab\n":   "card 1",
		"BEGIN:VCARD\nEND:VCARD\nFN:x\nBEGIN:VCARD\n": "card 2",
		"[]":                         "no entries",
		`{"name":"Ann","phone":"1"}`: "no column",
		"BEGIN:VCARD\nVERSION:3.0\nFN:Ann\nEND:VCARD\n": "",
	} {
		r, err := lists.Open(write(t, in), lists.Options{})
		if err == nil {
			r.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", in, err, want)
		}
	}
}

func FuzzEveryFormatIsReadTwiceAlike(f *testing.F) {
	f.Add(`[{"email":"a@x.lab","b":{"c":[1,null,"x"]}}]`)
	f.Add("{\"email\":\"a@x.lab\"}\n{}\n")
	f.Add("dn: uid=1\nmail: a@x.lab\nmail:: YUB4LmxhYg==\n\ndn: x=2\n")
	f.Add("BEGIN:VCARD\nVERSION:2.1\nEMAIL;INTERNET:a@x.lab\nN;QUOTED-PRINTABLE:=C3=\n=B6\nEND:VCARD\n")
	f.Add("Notes\n\nemail,n\na@x.lab,1\n\nTotal,2\nemail,n\n")
	f.Add("\xef\xbb\xbfemail\n\x83\x40@x.lab\n")
	f.Fuzz(func(t *testing.T, content string) {
		if strings.HasPrefix(content, "PK") || strings.HasPrefix(content, "\x1f\x8b") {
			return // those readers are others'
		}
		r, err := lists.Open("-", lists.Options{AllColumns: true, Stdin: strings.NewReader(content)})
		if err != nil {
			return
		}
		defer r.Close()
		read := func() (all []string) {
			for row, err := range r.Lines() {
				if err != nil {
					return append(all, err.Error())
				}
				all = append(all, fmt.Sprint(row.N, row.Blank, row.Address, string(row.Raw)))
			}
			return all
		}
		if diff := cmp.Diff(read(), read()); diff != "" {
			t.Errorf("%q: the second reading differs:\n%s", content, diff)
		}
		_ = r.Understood().String()
	})
}
