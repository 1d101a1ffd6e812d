package lists_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"presend/lists"
)

// asSheet returns the rows of the workbook that a list becomes.
func asSheet(t *testing.T, r *lists.Reader, record lists.Record) (rows [][]string) {
	t.Helper()
	if err := r.FitsSheet(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := lists.NewSheetWriter(&b, r)
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range r.Lines() {
		if err == nil && row.Blank {
			err = w.Blank(row)
		} else if err == nil {
			err = w.Write(row, record)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if rows, err = book.GetRows("Sheet1"); err != nil {
		t.Fatal(err)
	}
	if kind, err := book.GetCellType("Sheet1", "D3"); err != nil || kind == excelize.CellTypeFormula {
		t.Errorf("D3 is of type %v, %v", kind, err)
	}
	return rows
}

func TestAListBecomesAWorkbook(t *testing.T) {
	record := lists.Record{Verdict: "deliverable", Score: "99", Detail: "=1+1"}
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{
			"CSV with a title, a blank line, ragged rows and a footer",
			"My list,,\n\nid;email;n\n007;ann@x.lab;\"a;b\nc\"\n8;bob@x.lab\nTotal;;2\n",
			[]string{
				"My list,,", "", "id|email|n|verify_verdict|verify_score|verify_reason", "007|ann@x.lab|a;b\nc|deliverable|99",
				"8|bob@x.lab||deliverable|99", "Total||2",
			},
		},
		{
			"columns of an earlier run, and UTF-16",
			"\xff\xfee\x00m\x00a\x00i\x00l\x00\t\x00v\x00e\x00r\x00i\x00f\x00y\x00_\x00s\x00c\x00o\x00r\x00e\x00\t\x00b\x00\n" +
				"\x00a\x00@\x00x\x00.\x00l\x00a\x00b\x00\t\x001\x00\t\x00\xe9\x00\n\x00",
			[]string{"email|b|verify_verdict|verify_score|verify_reason", "a@x.lab|é|deliverable|99"},
		},
		{"one address a line", "ann@x.lab\nbob@x.lab\n", []string{"ann@x.lab|deliverable|99", "bob@x.lab|deliverable|99"}},
		{
			"JSON", `[{"a":"1","email":"ann@x.lab"},{"email":""}]`,
			[]string{"a|email|verify_verdict|verify_score|verify_reason", "1|ann@x.lab|deliverable|99", "||deliverable|99"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, row := range asSheet(t, open(t, test.in, lists.Options{}), record) {
				line := strings.Join(row, "|")
				line, _, _ = strings.Cut(line, "|verify_detail")
				line, _, _ = strings.Cut(line, "||'=1+1")
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatASheetCannotHoldIsSaidBefore(t *testing.T) {
	for in, want := range map[string]string{
		"email,n\na@x.lab," + strings.Repeat("n", 40000) + "\n": "line 2: a cell",
		"email" + strings.Repeat(",", 16375) + "\na@x.lab,b\n":  "columns",
		"email\n" + strings.Repeat("a@x.lab\n", 1<<20):          "1048576 rows",
		"email,n\na@x.lab," + strings.Repeat("n", 32767) + "\n": "",
	} {
		r := open(t, in, lists.Options{})
		if err := r.FitsSheet(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", in, err, want)
		}
	}
}
