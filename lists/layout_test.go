package lists_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"presend/lists"
)

// withoutDelimiters takes away the delimiters, and with them the empty fields that fill up short rows.
func withoutDelimiters(text, delimiter string) string { return strings.ReplaceAll(text, delimiter, "") }

func TestEveryExportComesOutByteForByte(t *testing.T) {
	for _, e := range exports(t) {
		isText := (e.Format == "CSV" || e.Format == "text") && !strings.HasSuffix(e.Name, ".gz")
		if e.Refused != "" || !isText || e.Product == "verify" {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			path := filepath.Join("testdata/exports", e.Name)
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := lists.Open(path, lists.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			out := annotate(t, r, lists.Record{Verdict: "ok"})
			if order, ok := strings.CutPrefix(e.Encoding, "UTF-16"); ok {
				endianness := unicode.LittleEndian
				if order == "BE" {
					endianness = unicode.BigEndian
				}
				decoder := unicode.UTF16(endianness, unicode.IgnoreBOM).NewDecoder()
				if out, err = decoder.String(out); err != nil {
					t.Fatal(err)
				}
				if in, err = decoder.Bytes(in); err != nil {
					t.Fatal(err)
				}
			}
			d := string(r.Dialect().Delimiter)
			ours := d + "ok" + strings.Repeat(d, 14)
			if n := strings.Count(out, ours); n != len(addresses(t, r)) {
				t.Errorf("%d rows have our columns, want %d", n, len(addresses(t, r)))
			}
			out = strings.ReplaceAll(strings.ReplaceAll(out, ours, ""), strings.ReplaceAll(head, ",", d), "")
			if diff := cmp.Diff(withoutDelimiters(string(in), d), withoutDelimiters(out, d)); diff != "" {
				t.Errorf("-in +out:\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoRowIsPassedThroughAndNotCounted(t *testing.T) {
	for _, test := range []struct {
		name, in  string
		addresses []string
		want      string
	}{
		{
			"a title", "Members, friends\n\nname,email\nAnn,a@x.lab\n",
			[]string{"a@x.lab"},
			"Members, friends\n\nname,email" + head + "\nAnn,a@x.lab" + tail + "\n",
		},
		{
			"a footer", "name,email\nAnn,a@x.lab\n\nMade by us\nat home\n",
			[]string{"a@x.lab"},
			"name,email" + head + "\nAnn,a@x.lab" + tail + "\n\nMade by us\nat home\n",
		},
		{
			"a sum", "email,n\na@x.lab,1\nTotal:,1\n",
			[]string{"a@x.lab"},
			"email,n" + head + "\na@x.lab,1" + tail + "\nTotal:,1\n",
		},
		{
			"a sum in the middle is a row", "email,n\na@x.lab,1\nTotal,1\nb@x.lab,2\n",
			[]string{"a@x.lab", "Total", "b@x.lab"},
			"email,n" + head + "\na@x.lab,1" + tail + "\nTotal,1" + tail + "\nb@x.lab,2" + tail + "\n",
		},
		{
			"a title between rows", "email,n\na@x.lab,1\n\nThe others\nb@x.lab,2\n",
			[]string{"a@x.lab", "b@x.lab"},
			"email,n" + head + "\na@x.lab,1" + tail + "\n\nThe others\nb@x.lab,2" + tail + "\n",
		},
		{
			"the header again", "email,n\na@x.lab,1\nemail,n\nb@x.lab,2\n",
			[]string{"a@x.lab", "b@x.lab"},
			"email,n" + head + "\na@x.lab,1" + tail + "\nemail,n\nb@x.lab,2" + tail + "\n",
		},
		{
			"a last row without an address", "name,email,n\nAnn,a@x.lab,1\nBob,,2\n",
			[]string{"a@x.lab", ""},
			"name,email,n" + head + "\nAnn,a@x.lab,1" + tail + "\nBob,,2" + tail + "\n",
		},
		{
			"a last row that is short", "name,email,n\nAnn,a@x.lab,1\nBob\n",
			[]string{"a@x.lab", ""},
			"name,email,n" + head + "\nAnn,a@x.lab,1" + tail + "\nBob,," + tail + "\n",
		},
		{
			"a second table of the same addresses", "name,email,n\nAnn,a@x.lab,1\n\nLog\nemail,when\na@x.lab,today\n",
			[]string{"a@x.lab"},
			"name,email,n" + head + "\nAnn,a@x.lab,1" + tail + "\n\nLog\nemail,when\na@x.lab,today\n",
		},
		{
			"years and dates as names", "name,email,2023,01.02.2024\nAnn,a@x.lab,1,x\n",
			[]string{"a@x.lab"},
			"name,email,2023,01.02.2024" + head + "\nAnn,a@x.lab,1,x" + tail + "\n",
		},
		{"lines of dashes", "email | n\n------+---\na@x.lab | 1\n", []string{"a@x.lab "}, "email | n" +
			strings.ReplaceAll(head, ",", "|") + "\n------+---\na@x.lab | 1" + strings.ReplaceAll(tail, ",", "|") + "\n"},
		{
			"spaces before quotes", "id, name, email\n1, \"Lee, A\", \"a@x.lab\"\n",
			[]string{"a@x.lab"},
			"id, name, email" + head + "\n1, \"Lee, A\", \"a@x.lab\"" + tail + "\n",
		},
		{
			"a byte order mark before a quoted cell", "\"email\",n\n\"a@x.lab\",1\n\ufeff\"b@x.lab\",2\n",
			[]string{"a@x.lab", "b@x.lab"},
			"\"email\",n" + head + "\n\"a@x.lab\",1" + tail + "\n\ufeff\"b@x.lab\",2" + tail +
				"\n",
		},
		{
			"a line that is only a byte order mark", "email,n\na@x.lab,1\n\ufeff\nb@x.lab,2\n",
			[]string{"a@x.lab", "b@x.lab"},
			"email,n" + head + "\na@x.lab,1" + tail + "\n\ufeff\nb@x.lab,2" + tail + "\n",
		},
		{"one address a line with commas in some", "a@x.lab\nb@x.lab, Bob\nc@x.lab\n", []string{
			"a@x.lab", "b@x.lab, Bob",
			"c@x.lab",
		}, "a@x.lab" + semi(tail) + "\nb@x.lab, Bob" + semi(tail) + "\nc@x.lab" + semi(tail) + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) { comesOut(t, test.in, test.addresses, test.want) })
	}
}

func TestManyLastRowsWithoutAnAddressAreRows(t *testing.T) {
	r := open(t, "name,email\nAnn,a@x.lab\n\n"+strings.Repeat("no address\n", 500), lists.Options{})
	if n := len(addresses(t, r)); n < 400 {
		t.Errorf("%d rows, want nearly all: a footer has no 500 lines", n)
	}
}

func TestASecondByteThatLooksLikeASignIsNone(t *testing.T) {
	for name, codec := range map[lists.Encoding]encoding.Encoding{
		lists.ShiftJIS: japanese.ShiftJIS, lists.GB18030: simplifiedchinese.GB18030, lists.Big5: traditionalchinese.Big5,
	} {
		// 0x7C is the second byte of a character of each of them, and | the delimiter.
		word := map[lists.Encoding]string{lists.ShiftJIS: "ポイント東京", lists.GB18030: "亅亅有限公司北京", lists.Big5: "育育有限公司台北"}[name]
		var in strings.Builder
		in.WriteString("n|email|" + word + "\n")
		for i := range 20 {
			fmt.Fprintf(&in, "%d|a%d@x.lab|%s\n", i, i, word)
		}
		if bytes, err := codec.NewEncoder().String(word); err != nil || !strings.Contains(bytes, "|") {
			t.Fatalf("%s: the word has no such byte, %v", name, err)
		}
		encoded, err := codec.NewEncoder().String(in.String())
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, encoded, lists.Options{})
		if d := r.Dialect(); d.Encoding != name || d.Delimiter != '|' {
			t.Errorf("%s: taken for %s with %q", name, d.Encoding, d.Delimiter)
		}
		if got := addresses(t, r); len(got) != 20 || got[7] != "a7@x.lab" {
			t.Errorf("%s: addresses %q", name, got)
		}
		for row, err := range r.Rows() {
			if cell, _ := row.Field(2); err != nil || cell != word {
				t.Errorf("%s: cell %q, want %q, %v", name, cell, word, err)
			}
		}
	}
}

func TestSeveralColumnsGetColumnsEach(t *testing.T) {
	in := "Owner Email,Email,Work Email,n\no@x.lab,a@x.lab,b@x.lab,1\no@x.lab,c@x.lab,,2\n"
	for _, test := range []struct {
		name    string
		options lists.Options
		columns []int
		others  []string
		first   []string
	}{
		{"the best", lists.Options{}, []int{1}, []string{"Owner Email", "Work Email"}, []string{"a@x.lab"}},
		{"all", lists.Options{AllColumns: true}, []int{1, 0, 2}, nil, []string{"a@x.lab", "o@x.lab", "b@x.lab"}},
		{
			"by name and number",
			lists.Options{Columns: []string{"work email", "1"}},
			[]int{2, 0},
			[]string{"Email"},
			[]string{"b@x.lab", "o@x.lab"},
		},
		{
			"one and others",
			lists.Options{Column: "Email", Columns: []string{"Work Email", "Email"}},
			[]int{1, 2},
			[]string{"Owner Email"},
			[]string{"a@x.lab", "b@x.lab"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := open(t, in, test.options)
			if diff := cmp.Diff(test.columns, r.AddressColumns()) + cmp.Diff(test.others, r.Understood().Others); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var out bytes.Buffer
			w, err := lists.NewWriter(&out, r)
			if err != nil {
				t.Fatal(err)
			}
			var first []string
			for row, err := range r.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				if row.N == 1 {
					first = row.Addresses()
				}
				var records []lists.Record
				for _, address := range row.Addresses() {
					records = append(records, lists.Record{Verdict: "v " + address})
				}
				if err := w.WriteAll(row, records); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.first, first); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			lines := strings.Split(out.String(), "\n")
			names, cells := strings.Split(lines[0], ","), strings.Split(lines[1], ",")
			for i, address := range test.first {
				name := "verify_verdict"
				if i > 0 {
					name = fmt.Sprintf("verify_%d_verdict", i+1)
				}
				if at := slices.Index(names, name); at < 0 || cells[at] != "v "+address {
					t.Errorf("%s is not %q in %q", name, address, lines[1])
				}
			}
			if len(names) != 4+15*len(test.first) || len(cells) != len(names) {
				t.Errorf("%d names and %d cells", len(names), len(cells))
			}
		})
	}
}

func TestOneRecordForSeveralColumnsLeavesTheOthersEmpty(t *testing.T) {
	r := open(t, "email,email 2\na@x.lab,b@x.lab\n", lists.Options{AllColumns: true})
	if out := annotate(t, r, lists.Record{Verdict: "ok"}); !strings.HasSuffix(out,
		"\na@x.lab,b@x.lab"+tail+strings.Repeat(",", 15)+"\n") {
		t.Errorf("%q", out)
	}
}

func TestColumnsOfAnEarlierRunAreReplacedWhereverTheyAre(t *testing.T) {
	for name, in := range map[string]string{
		"at the end": "email,n" + head + "\na@x.lab,1,old,1,2,3,b@x.lab,4,5,6,7,8,c@x.lab,9,10,11,12\n",
		"in front":   "verify_verdict,verify_normalized,email,n\nold,c@x.lab,a@x.lab,1\n",
		"between":    "email,verify_2_verdict,verify_suggestion,n\na@x.lab,old,\"c,@x.lab\",1\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, in, lists.Options{})
			if diff := cmp.Diff("email,n"+head+"\na@x.lab,1"+tail+"\n",
				annotate(t, r, lists.Record{Verdict: "ok"})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(r.Understood().Others) > 0 || r.Understood().Replaced == 0 {
				t.Errorf("%+v", r.Understood())
			}
		})
	}
}

func TestAnAddressIsNeverNeutralised(t *testing.T) {
	r := open(t, "email\n+bob@x.lab\n", lists.Options{})
	out := annotate(t, r, lists.Record{Normalized: "+bob@x.lab", Suggestion: "-bob@x.lab", Detail: "+bob@x.lab is fine"})
	if !strings.Contains(out, ",'+bob@x.lab is fine,-bob@x.lab,") || !strings.Contains(out, ",+bob@x.lab,") {
		t.Errorf("%q", out)
	}
}

func TestAFileThatIsTouchedIsTheSame(t *testing.T) {
	path := write(t, "email\na@x.lab\n")
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	addresses(t, r)
	if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := addresses(t, r); len(got) != 1 {
		t.Errorf("addresses %q", got)
	}
	if err := os.WriteFile(path, []byte("email\nb@x.lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range r.Rows() {
		last = err
	}
	if !errors.Is(last, lists.ErrChanged) {
		t.Errorf("other bytes of the same number: error %v, want ErrChanged", last)
	}
}

func TestTwoTablesOfDifferentAddressesAreRefused(t *testing.T) {
	in := "Customer,Email\nAnn,a@x.lab\nBob,b@x.lab\n\nSupplier,Phone,Email\nCid,1,c@x.lab\nDee,2,d@x.lab\n"
	var tables *lists.TablesError
	if _, err := lists.Open(write(t, in), lists.Options{}); !errors.As(err, &tables) ||
		!cmp.Equal(tables.Lines, []int64{1, 5}) {
		t.Errorf("error %v, want a TablesError with lines 1 and 5", err)
	}
}

func TestWhatReadsAsNoListIsATypedError(t *testing.T) {
	for _, content := range []string{
		"a^b@x.lab^c\nd^e@x.lab^f\n", "name,email\n" + strings.Repeat("Ann,yes\n", 20), "mail=a@x.lab\n", "Hello\nthere\n",
		"one word\n", "Ann a@x.lab Bonn\nBob b@x.lab Trier\n", "Email: see a@x.lab for it, or ask at the desk downstairs\n",
	} {
		_, err := lists.Open(write(t, content), lists.Options{})
		var other *lists.NotAListError
		if !errors.As(err, &other) || other.Seems == "" || other.Do == "" {
			t.Errorf("%q: error %v, want a NotAListError", content, err)
		}
		if r, err := lists.Open(write(t, content), lists.Options{Column: "1"}); err != nil {
			t.Errorf("%q with its column named: %v", content, err)
		} else {
			r.Close()
		}
	}
}

func TestWhatWasUnderstoodIsALine(t *testing.T) {
	for in, want := range map[string]string{
		"Notes:\n\nEmail;Owner Email\n" +
			"a@x.lab;b@x.lab\n": `CSV in UTF-8, delimiter semicolon, header in line 3; addresses in "Email",` +
			` not in "Owner Email"`,
		"a@x.lab\tAnn\nb@x.lab\tBob\n": `CSV in UTF-8, delimiter tab, no header; addresses in column 1`,
		"Host,Email\nAnn,a@x.lab\n\nName,E-Mail,n\nBob,b@x.lab,1\n" +
			"Cid,c@x.lab,2\n": `CSV in UTF-8, delimiter comma, header in line 4; addresses in "E-Mail"; the table below line ` +
			`1 is left out`,
		"a@x.lab\nb@x.lab\n":    `text in UTF-8, one address a line`,
		`[{"email":"a@x.lab"}]`: `JSON; addresses in "email"`,
		"email,verify_verdict\na@x.lab,ok\n": `CSV in UTF-8, delimiter comma, header in line 1; addresses in "email";` +
			` a column of an earlier run is replaced`,
	} {
		if got := open(t, in, lists.Options{}).Understood().String(); got != want {
			t.Errorf("%q is understood as %q, want %q", in, got, want)
		}
	}
}
