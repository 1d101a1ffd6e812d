package lists

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASheetIsDividedIntoRowsWithoutLosingAByte(t *testing.T) {
	for _, test := range []struct {
		name, xml string
		rows      []string
		numbers   []int64
	}{
		{
			"as Excel writes it", `<?xml version="1.0"?><worksheet><sheetData><row r="1" spans="1:2"><c r="A1"><v>1</v></c>` +
				`</row><row r="4"/></sheetData><x/></worksheet>`,
			[]string{`<row r="1" spans="1:2"><c r="A1"><v>1</v></c></row>`, `<row r="4"/>`},
			[]int64{1, 4},
		},
		{
			"with a prefix, line breaks and no numbers",
			"<x:sheetData>\n <x:row>\n<x:c/></x:row>\n<x:row><x:c><x:v>2</x:v></x:c></x:row>\n</x:sheetData>",
			[]string{"<x:row>\n<x:c/></x:row>", "<x:row><x:c><x:v>2</x:v></x:c></x:row>"},
			[]int64{1, 2},
		},
		{
			"a comment and CDATA with what looks like a row",
			`<a><!-- <row> --><row r="2"><c t="str"><v><![CDATA[</row>]]></v></c></row></a>`,
			[]string{`<row r="2"><c t="str"><v><![CDATA[</row>]]></v></c></row>`},
			[]int64{2},
		},
		{"no row", "<worksheet/>", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSheetRows(strings.NewReader(test.xml))
			var all strings.Builder
			var rows []string
			var numbers []int64
			for {
				part, isRow, err := s.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				all.Write(part)
				if isRow {
					rows, numbers = append(rows, string(part)), append(numbers, s.number)
				}
			}
			if all.String() != test.xml {
				t.Errorf("came out as %q", all.String())
			}
			if diff := cmp.Diff(test.rows, rows) + cmp.Diff(test.numbers, numbers); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestASheetThatIsCutIsAnError(t *testing.T) {
	for _, xml := range []string{"<a><row><c>", `<a><row r="1"><c r="A1"`} {
		s := newSheetRows(strings.NewReader(xml))
		var last error
		for last == nil {
			_, _, last = s.next()
		}
		if last == io.EOF {
			t.Errorf("%q: no error", xml)
		}
	}
}

func TestTheDimensionIsWidened(t *testing.T) {
	for in, want := range map[string]string{
		`<dimension ref="A1:C9"/>`: `<dimension ref="A1:AB9"/>`, `<dimension ref="A1"/>`: `<dimension ref="A1"/>`,
		`<dimension ref="A1:ZZ9"/>`: `<dimension ref="A1:ZZ9"/>`, "<x/>": "<x/>",
	} {
		if got := string(widen([]byte(in), 27)); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func TestColumnsHaveLetters(t *testing.T) {
	for index, ref := range map[int]string{0: "A", 25: "Z", 26: "AA", 27: "AB", 701: "ZZ", 702: "AAA", 16383: "XFD"} {
		if got := columnRef(index); got != ref {
			t.Errorf("column %d is %s, want %s", index, got, ref)
		}
		if got := columnIndex(ref + "12"); got != index {
			t.Errorf("%s is column %d, want %d", ref, got, index)
		}
	}
}

func FuzzSheetRowsKeepEveryByte(f *testing.F) {
	f.Add(`<a><row r="1"><c r="A1"><v>1</v></c></row> <row/></a>`)
	f.Add(`<x:row><!-- > --></x:row><![CDATA[<row>]]>`)
	f.Fuzz(func(t *testing.T, xml string) {
		s := newSheetRows(strings.NewReader(xml))
		var all strings.Builder
		for {
			part, isRow, err := s.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			all.Write(part)
			if isRow {
				_, _, _, _, _ = cellsOf(part) // it must not panic
			}
		}
		if all.String() != xml {
			t.Errorf("%q came out as %q", xml, all.String())
		}
	})
}

func TestARowHasNoSpansOfItsOldColumns(t *testing.T) {
	for in, want := range map[string]string{
		`<row r="1" spans="1:3" ht="2">`: `<row r="1" ht="2">`, `<row spans='1:3'>`: `<row>`, `<row r="1">`: `<row r="1">`,
	} {
		if got := string(withoutSpans([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestACellIsNoLongerThanAWorkbookTakes(t *testing.T) {
	var b bytes.Buffer
	writeCell(&b, "", 0, 1, "", strings.Repeat("ö", maxCellText+1), false)
	if n := strings.Count(b.String(), "ö"); n != maxCellText {
		t.Errorf("%d characters, want %d", n, maxCellText)
	}
}

func TestAHalfWidthLetterOfShiftJISIsOneByte(t *testing.T) {
	record := []byte("\xb1|ann@x.lab") // the byte is a letter in Shift_JIS, and the first of two in GB18030
	for pairs, want := range map[pairs]int{noPairs: 2, sjisPairs: 2, highPairs: 1} {
		if got := (cut{delimiter: '|', pairs: pairs}).count(record); got != want {
			t.Errorf("pairs %d: %d fields, want %d", pairs, got, want)
		}
	}
}
