package lists_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"presend/lists"
)

// sheet is a workbook with one sheet of rows, and a second one.
func sheet(t testing.TB, rows [][]any, change func(*excelize.File)) string {
	t.Helper()
	book := excelize.NewFile()
	for i, row := range rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := book.SetSheetRow("Sheet1", cell, &row); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := book.NewSheet("Other"); err != nil {
		t.Fatal(err)
	}
	if err := book.SetSheetRow("Other", "A1", &[]any{"Email", "n"}); err != nil {
		t.Fatal(err)
	}
	if err := book.SetSheetRow("Other", "A2", &[]any{"other@x.lab", 1}); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(book)
	}
	path := filepath.Join(t.TempDir(), "list.xlsx")
	if err := book.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// withWorkbook writes the list as a workbook, with a record for each row, and opens it.
func withWorkbook(t testing.TB, r *lists.Reader, record func(lists.Row) []lists.Record) (*excelize.File, []byte) {
	t.Helper()
	var b bytes.Buffer
	w, err := lists.NewWorkbookWriter(&b, r)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, r, record)
	book, err := excelize.OpenReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	return book, b.Bytes()
}

func cellsOf(t testing.TB, book *excelize.File, sheet string) [][]string {
	t.Helper()
	rows, err := book.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

var people = [][]any{
	{"Members of 2024"},
	{},
	{"Name", "Email", "Since", "Paid", "Sum"},
	{"Ann", "ann@x.lab", 45292, 10.5, nil},
	{"Bob & <Co>", "bob@x.lab", 45293, 20, nil},
	{},
	{"Zoë", "n/a", 45294, 30, nil},
	{"Total", nil, nil, 60.5},
}

func decorate(t testing.TB) func(*excelize.File) {
	return func(book *excelize.File) {
		bold, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
		if err != nil {
			t.Fatal(err)
		}
		date, err := book.NewStyle(&excelize.Style{NumFmt: 14})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			book.SetCellStyle("Sheet1", "A3", "E3", bold), book.SetCellStyle("Sheet1", "C4", "C7", date),
			book.SetCellFormula("Sheet1", "E4", "D4*2"), book.SetCellStyle("Sheet1", "H5", "H5", bold),
			book.SetColWidth("Sheet1", "A", "A", 30),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAWorkbookComesBackWithColumnsAdded(t *testing.T) {
	path := sheet(t, people, decorate(t))
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, want := r.Understood().String(),
		`workbook, sheet "Sheet1", header in row 3; addresses in "Email"`; got != want {
		t.Errorf("understood %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"ann@x.lab", "bob@x.lab", "n/a"}, addresses(t, r)); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	book, _ := withWorkbook(t, r, func(row lists.Row) []lists.Record {
		return []lists.Record{{Verdict: "ok & <fine>", Score: "99", Normalized: "+" + row.Address, Detail: "=1+1"}}
	})
	before, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	was, is := cellsOf(t, before, "Sheet1"), cellsOf(t, book, "Sheet1")
	for i, row := range was {
		if len(row) > 0 && !cmp.Equal(row, is[i][:len(row)]) {
			t.Errorf("row %d was %q and is %q", i+1, row, is[i])
		}
	}
	if got := is[2][5:8]; !cmp.Equal(got, []string{"verify_verdict", "verify_score", "verify_reason"}) {
		t.Errorf("header %q", got)
	}
	if got := []string{is[4][5], is[4][6], is[4][8], is[4][15]}; !cmp.Equal(got,
		[]string{"ok & <fine>", "99", "'=1+1", "+bob@x.lab"}) {
		t.Errorf("cells %q", got)
	}
	if len(is[7]) != 4 || len(is[5]) != 0 || len(is[0]) != 1 {
		t.Errorf("what is no row has cells of ours: %q %q %q", is[0], is[5], is[7])
	}
	if kind, err := book.GetCellType("Sheet1", "G5"); err != nil || kind == excelize.CellTypeInlineString {
		t.Errorf("the score is of type %v, %v", kind, err)
	}
	for _, cell := range []string{"A3", "C4", "F3"} {
		got, err := book.GetCellStyle("Sheet1", cell)
		if err != nil {
			t.Fatal(err)
		}
		from := cell
		if cell == "F3" {
			from = "E3"
		}
		want, err := before.GetCellStyle("Sheet1", from)
		if err != nil || got != want || want == 0 {
			t.Errorf("style of %s is %d, want %d, %v", cell, got, want, err)
		}
	}
	if got, err := book.GetCellFormula("Sheet1", "E4"); err != nil || got != "D4*2" {
		t.Errorf("formula %q, %v", got, err)
	}
	if diff := cmp.Diff(cellsOf(t, before, "Other"), cellsOf(t, book, "Other")); diff != "" {
		t.Errorf("the other sheet (-want +got):\n%s", diff)
	}
}

func TestColumnsOfAnEarlierRunAreReplacedInAWorkbook(t *testing.T) {
	path := sheet(t, people, decorate(t))
	for round := range 2 {
		r, err := lists.Open(path, lists.Options{})
		if err != nil {
			t.Fatal(err)
		}
		book, content := withWorkbook(t, r, func(lists.Row) []lists.Record {
			return []lists.Record{{Verdict: strings.Repeat("again ", round) + "ok"}}
		})
		r.Close()
		rows := cellsOf(t, book, "Sheet1")
		if n := len(rows[2]); n != 5+15 {
			t.Errorf("round %d: the header has %d cells: %q", round, n, rows[2])
		}
		if got, want := rows[3][5], strings.Repeat("again ", round)+"ok"; got != want {
			t.Errorf("round %d: verdict %q, want %q", round, got, want)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAColumnOfAnEarlierRunBeforeOthersLosesItsCells(t *testing.T) {
	path := sheet(t, [][]any{{"verify_verdict", "Email", "Name"}, {"old", "ann@x.lab", "Ann"}}, nil)
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	book, _ := withWorkbook(t, r, func(lists.Row) []lists.Record { return []lists.Record{{Verdict: "new"}} })
	got := cellsOf(t, book, "Sheet1")
	if diff := cmp.Diff([]string{"", "ann@x.lab", "Ann", "new"}, got[1]); diff != "" || got[0][0] != "" ||
		got[0][3] != "verify_verdict" {
		t.Errorf("header %q, row (-want +got):\n%s", got[0], diff)
	}
}

func TestASheetThatIsHiddenIsNotTakenUnasked(t *testing.T) {
	path := sheet(t, people, func(book *excelize.File) {
		book.SetActiveSheet(1)
		if err := book.SetSheetVisible("Sheet1", false); err != nil {
			t.Fatal(err)
		}
	})
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Understood().Sheet; got != "Other" {
		t.Errorf("sheet %q, want the one that is visible", got)
	}
}

func TestASheetIsTakenByNameOrNumber(t *testing.T) {
	path := sheet(t, people, nil)
	for _, wanted := range []string{"other", "2"} {
		r, err := lists.Open(path, lists.Options{Sheet: wanted})
		if err != nil {
			t.Fatal(err)
		}
		if got := addresses(t, r); !cmp.Equal(got, []string{"other@x.lab"}) {
			t.Errorf("sheet %s: %q", wanted, got)
		}
		r.Close()
	}
	var none *lists.NoSheetError
	if _, err := lists.Open(path, lists.Options{Sheet: "third"}); !errors.As(err, &none) ||
		!strings.Contains(err.Error(), "Sheet1, Other") {
		t.Errorf("error %v, want a NoSheetError with the names", err)
	}
}

func TestACoverSheetIsPassedOver(t *testing.T) {
	for name, cover := range map[string][][]any{
		"notes": {{"Notes", "Date"}, {"nothing here", "today"}, {"more", "today"}}, "an empty sheet": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := lists.Open(sheet(t, cover, nil), lists.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got := addresses(t, r); r.Understood().Sheet != "Other" || !cmp.Equal(got, []string{"other@x.lab"}) {
				t.Errorf("%q of sheet %s", got, r.Understood().Sheet)
			}
		})
	}
}

func TestASheetWithoutAddressesNamesTheOthers(t *testing.T) {
	notes := [][]any{{"Notes", "Date"}, {"nothing here", "today"}, {"more", "today"}}
	for name, change := range map[string]func(*excelize.File) error{
		"two others hold some": func(book *excelize.File) error {
			_, err := book.NewSheet("Third")
			return errors.Join(err, book.SetSheetRow("Third", "A1", &[]any{"third@x.lab"}))
		},
		"the other is hidden": func(book *excelize.File) error { return book.SetSheetVisible("Other", false) },
	} {
		path := sheet(t, notes, func(book *excelize.File) {
			if err := change(book); err != nil {
				t.Fatal(err)
			}
		})
		var none *lists.NoColumnError
		if _, err := lists.Open(path, lists.Options{}); !errors.As(err, &none) ||
			!strings.Contains(err.Error(), "Sheet1, Other") {
			t.Errorf("%s: error %v, want a NoColumnError with the names of the sheets", name, err)
		}
	}
}

func TestRowsOfAWorkbookHaveTheNumbersOfTheSheet(t *testing.T) {
	path := sheet(t, [][]any{{"Title"}, {}, {"Name", "Email"}, {"two\nlines", "a@x.lab"}, {"Bob", "b@x.lab"}}, nil)
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var lines []int64
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, row.Line)
	}
	if !cmp.Equal(lines, []int64{4, 5}) || r.Understood().Header != 3 {
		t.Errorf("rows %v below %d", lines, r.Understood().Header)
	}
}

func TestAWorkbookThatIsNoneIsRefused(t *testing.T) {
	if _, err := lists.Open(write(t, "PK\x03\x04[Content_Types].xml xl/ and nothing else"), lists.Options{}); err == nil ||
		!strings.Contains(err.Error(), "workbook") {
		t.Errorf("error %v", err)
	}
}

func TestSeveralColumnsOfAWorkbookGetTheirOwn(t *testing.T) {
	path := sheet(t, [][]any{{"Email", "Work Email"}, {"a@x.lab", "b@x.lab"}}, nil)
	r, err := lists.Open(path, lists.Options{AllColumns: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	book, _ := withWorkbook(t, r, func(row lists.Row) (records []lists.Record) {
		for _, address := range row.Addresses() {
			records = append(records, lists.Record{Normalized: address})
		}
		return records
	})
	rows := cellsOf(t, book, "Sheet1")
	if rows[0][17] != "verify_2_verdict" || rows[1][12] != "a@x.lab" || rows[1][27] != "b@x.lab" {
		t.Errorf("%q", rows)
	}
}
