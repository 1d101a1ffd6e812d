package job_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"presend/job"
)

func TestTheSameListHasTheSameVerdictsInEveryFormat(t *testing.T) {
	o := newOffice(t, "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann,zoë@corp.lab\nunknown bob@corp.lab")
	book := excelize.NewFile()
	for i, row := range [][]any{
		{"name", "email"}, {"Ann, B.", "Ann@corp.lab"}, {"Bob", "bob@corp.lab"}, {"Cy", nil}, {"Dee", "dee[at]corp.lab"},
	} {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := book.SetSheetRow("Sheet1", cell, &row); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.SaveAs(o.path("people.xlsx")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"people.csv": "name,email\n\"Ann, B.\",Ann@corp.lab\nBob,bob@corp.lab\nCy,\nDee,dee[at]corp.lab\n",
		"people.txt": "name\temail\r\nAnn, B.\tAnn@corp.lab\r\nBob\tbob@corp.lab\r\nCy\t\r\nDee\tdee[at]corp.lab\r\n",
		"people.ndjson": "{\"name\":\"Ann, B.\",\"email\":\"Ann@corp.lab\"}\n" +
			"{\"name\":\"Bob\",\"email\":\"bob@corp.lab\"}\n{\"name\":\"Cy\"}\n" +
			"{\"name\":\"Dee\",\"email\":\"dee[at]corp.lab\"}\n",
		"people.json": `{"data":[{"email":"Ann@corp.lab"},{"email":"bob@corp.lab"},{"email":null},` +
			`{"email":"dee[at]corp.lab"}]}`,
		"people.ldif": "dn: cn=1\nmail: Ann@corp.lab\n\ndn: cn=2\nmail: bob@corp.lab\n\ndn: cn=3\ncn: Cy\n\ndn: cn=4\n" +
			"mail: dee[at]corp.lab\n",
		"people.vcf": "BEGIN:VCARD\nVERSION:3.0\nFN:Ann\nEMAIL:Ann@corp.lab\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:Bob\n" +
			"EMAIL:bob@corp.lab\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:Cy\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:Dee\n" +
			"EMAIL:dee[at]corp.lab\nEND:VCARD\n",
	} {
		if err := os.WriteFile(o.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"people.csv", "people.xlsx", "people.txt", "people.ndjson", "people.json", "people.ldif",
		"people.vcf",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := o.run(func(options *job.Options) {
				options.Input, options.State, options.Split = o.path(name), o.path(name+".db"), ""
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.Rows != 3 || s.NoAddress != 1 {
				t.Errorf("%d rows and %d without an address", s.Rows, s.NoAddress)
			}
			text, err := os.ReadFile(o.path("out.csv"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, ".txt") {
				text = []byte(strings.NewReplacer("Ann, B.", "Ann", ",", ";", "\t", ",").Replace(string(text)))
				if err := os.WriteFile(o.path("out.csv"), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for column, want := range map[string][]string{
				"verify_reason":     {"accepted", "mailbox_unknown", "no_address", "syntax"},
				"verify_normalized": {"Ann@corp.lab", "bob@corp.lab", "", ""},
				"verify_suggestion": {"", "", "", "dee@corp.lab"},
			} {
				if diff := cmp.Diff(want, o.column(column)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", column, diff)
				}
			}
		})
	}
}
