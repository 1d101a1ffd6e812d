package lists_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocarina/gocsv"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"presend/lists"
)

func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, content string, options lists.Options) *lists.Reader {
	t.Helper()
	r, err := lists.Open(write(t, content), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func addresses(t testing.TB, r *lists.Reader) (all []string) {
	t.Helper()
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row.Address)
	}
	return all
}

// annotate writes the list with the same record for every row.
func annotate(t testing.TB, r *lists.Reader, record lists.Record) string {
	t.Helper()
	var b bytes.Buffer
	w, err := lists.NewWriter(&b, r)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, r, func(lists.Row) []lists.Record { return []lists.Record{record} })
	return b.String()
}

// jsonLines writes the list as JSON lines, with the same record for every row.
func jsonLines(t testing.TB, r *lists.Reader, record lists.Record) string {
	t.Helper()
	var b bytes.Buffer
	w, err := lists.NewJSONWriter(&b, r)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, r, func(lists.Row) []lists.Record { return []lists.Record{record} })
	return b.String()
}

// writeAll writes a list with a writer of any kind, and closes that.
func writeAll(t testing.TB, w allWriter, r *lists.Reader, records func(lists.Row) []lists.Record) {
	t.Helper()
	for row, err := range r.Lines() {
		if err == nil && row.Blank {
			err = w.Blank(row)
		} else if err == nil {
			err = w.WriteAll(row, records(row))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// allWriter is what the writers have in common.
type allWriter interface {
	WriteAll(lists.Row, []lists.Record) error
	Blank(lists.Row) error
	Close() error
}

// comesOut reports an error unless a list has these addresses, and is written as wanted with a verdict for every row.
func comesOut(t *testing.T, list string, wantAddresses []string, want string) {
	t.Helper()
	r := open(t, list, lists.Options{})
	if diff := cmp.Diff(wantAddresses, addresses(t, r)); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, annotate(t, r, lists.Record{Verdict: "ok"})); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func utf16(s string, mark unicode.BOMPolicy) string {
	out, err := unicode.UTF16(unicode.LittleEndian, mark).NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return out
}

func cp1252(s string) string {
	out, err := charmap.Windows1252.NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return out
}

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

const (
	head = ",verify_verdict,verify_score,verify_reason,verify_detail,verify_suggestion,verify_flags,verify_provider" +
		",verify_mx,verify_smtp_code,verify_enhanced_code,verify_normalized,verify_checked_at,verify_retry_at" +
		",verify_action,verify_advice"
	tail = ",ok,,,,,,,,,,,,,,"
)

func semi(s string) string { return strings.ReplaceAll(s, ",", ";") }

func TestListsComeOutAsTheyCameInWithColumnsAdded(t *testing.T) {
	tests := []struct {
		name, in  string
		addresses []string
		want      string
	}{
		{
			"commas", "name,email\nAnn,a@x.lab\nBob,b@x.lab\n",
			[]string{"a@x.lab", "b@x.lab"},
			"name,email" + head + "\nAnn,a@x.lab" + tail + "\nBob,b@x.lab" + tail + "\n",
		},
		{"semicolons", "name;email\nAnn;a@x.lab\n", []string{"a@x.lab"}, "name;email" + semi(head) + "\nAnn;a@x.lab" +
			semi(tail) + "\n"},
		{"tabs", "email\tname\na@x.lab\tAnn, B.\n", []string{"a@x.lab"}, "email\tname" + strings.ReplaceAll(head, ",", "\t") +
			"\na@x.lab\tAnn, B." + strings.ReplaceAll(tail, ",", "\t") + "\n"},
		{"pipes", "email|name\na@x.lab|Ann\n", []string{"a@x.lab"}, "email|name" + strings.ReplaceAll(head, ",", "|") +
			"\na@x.lab|Ann" + strings.ReplaceAll(tail, ",", "|") + "\n"},
		{
			"one column", "email\na@x.lab\nb@x.lab\n",
			[]string{"a@x.lab", "b@x.lab"},
			"email" + head + "\na@x.lab" + tail + "\nb@x.lab" + tail + "\n",
		},
		{
			"no header", "a@x.lab,Ann\nb@x.lab,Bob\n",
			[]string{"a@x.lab", "b@x.lab"},
			"a@x.lab,Ann" + tail + "\nb@x.lab,Bob" + tail + "\n",
		},
		{
			"a plain list of addresses", "a@x.lab\nb@x.lab\n",
			[]string{"a@x.lab", "b@x.lab"},
			"a@x.lab" + tail + "\nb@x.lab" + tail + "\n",
		},
		{"no line end at the end", "email\na@x.lab", []string{"a@x.lab"}, "email" + head + "\na@x.lab" + tail},
		{
			"line ends of Windows", "email,n\r\na@x.lab,1\r\n",
			[]string{"a@x.lab"},
			"email,n" + head + "\r\na@x.lab,1" + tail + "\r\n",
		},
		{
			"line ends of old Macs", "email,n\ra@x.lab,1\r",
			[]string{"a@x.lab"},
			"email,n" + head + "\ra@x.lab,1" + tail + "\r",
		},
		{
			"quotes stay where they are", "\"name\",\"email\"\n\"Lee, \"\"A\"\"\",\"a@x.lab\"\n",
			[]string{"a@x.lab"},
			"\"name\",\"email\"" + head + "\n\"Lee, \"\"A\"\"\",\"a@x.lab\"" + tail + "\n",
		},
		{
			"line breaks in quotes stay", "note,email\n\"one\r\ntwo\n\nthree\",a@x.lab\nx,b@x.lab\n",
			[]string{"a@x.lab", "b@x.lab"},
			"note,email" + head + "\n\"one\r\ntwo\n\nthree\",a@x.lab" + tail + "\nx,b@x.lab" +
				tail + "\n",
		},
		{
			"a quotation mark inside a cell is a character", "size,email\n5\" disk,a@x.lab\n",
			[]string{"a@x.lab"},
			"size,email" + head + "\n5\" disk,a@x.lab" + tail + "\n",
		},
		{
			"short rows are filled up", "a,email,c\n1,a@x.lab\n",
			[]string{"a@x.lab"},
			"a,email,c" + head + "\n1,a@x.lab," + tail + "\n",
		},
		{"long rows widen the list", "a,email\n1,a@x.lab,extra\n2,b@x.lab\n3,c@x.lab\n", []string{
			"a@x.lab", "b@x.lab",
			"c@x.lab",
		}, "a,email," + head + "\n1,a@x.lab,extra" + tail + "\n2,b@x.lab," + tail + "\n3,c@x.lab," + tail + "\n"},
		{
			"blank lines are passed through", "email,n\n\na@x.lab,1\n  \nb@x.lab,2\n",
			[]string{"a@x.lab", "b@x.lab"},
			"email,n" + head + "\n\na@x.lab,1" + tail + "\n  \nb@x.lab,2" + tail + "\n",
		},
		{"a row without an address is a row", "email,n\n,1\n", []string{""}, "email,n" + head + "\n,1" + tail + "\n"},
		{
			"a byte order mark", "\ufeffemail,n\na@x.lab,é\n",
			[]string{"a@x.lab"},
			"\ufeffemail,n" + head + "\na@x.lab,é" + tail + "\n",
		},
		{
			"UTF-16 from Excel", utf16("email\tname\r\na@x.lab\tZoë\r\n", unicode.UseBOM),
			[]string{"a@x.lab"},
			utf16("email\tname"+strings.ReplaceAll(head, ",", "\t")+"\r\na@x.lab\tZoë"+strings.ReplaceAll(tail, ",", "\t")+
				"\r\n", unicode.UseBOM),
		},
		{
			"Windows-1252", cp1252("email;name\na@x.lab;Zoë €\n"),
			[]string{"a@x.lab"},
			cp1252("email;name" + semi(head) + "\na@x.lab;Zoë €" + semi(tail) + "\n"),
		},
		{
			"an international address in Windows-1252", cp1252("email;n\ninfo@bücher.lab;1\n"),
			[]string{"info@bücher.lab"},
			cp1252("email;n" + semi(head) + "\ninfo@bücher.lab;1" + semi(tail) + "\n"),
		},
		{
			"blank lines before the header stay there", "\n \nemail,n\na@x.lab,1\n",
			[]string{"a@x.lab"},
			"\n \nemail,n" + head + "\na@x.lab,1" + tail + "\n",
		},
		{"blank lines before the first row stay there", "\na@x.lab,1\n", []string{"a@x.lab"}, "\na@x.lab,1" + tail + "\n"},
		{
			"Excel's hint is no row", "sep=;\r\nemail;n\r\na@x.lab;1\r\n",
			[]string{"a@x.lab"},
			"sep=;\r\nemail;n" + semi(head) + "\r\na@x.lab;1" + semi(tail) + "\r\n",
		},
		{
			"Excel's hint in a file of one column", "\"sep=|\"\na@x.lab\n",
			[]string{"a@x.lab"},
			"\"sep=|\"\na@x.lab" + strings.ReplaceAll(tail, ",", "|") + "\n",
		},
		{
			"names with a comma between semicolons", "Lee, Ann;a@x.lab\nRay, Bob;b@x.lab\n",
			[]string{"a@x.lab", "b@x.lab"},
			"Lee, Ann;a@x.lab" + semi(tail) + "\nRay, Bob;b@x.lab" + semi(tail) + "\n",
		},
		{
			"rows of every length", "email;a;b;c\na@x.lab;1\nb@x.lab;1;2\nc@x.lab;1;2;3\nd@x.lab\n",
			[]string{"a@x.lab", "b@x.lab", "c@x.lab", "d@x.lab"},
			"email;a;b;c" + semi(head) + "\na@x.lab;1;;" + semi(tail) +
				"\nb@x.lab;1;2;" + semi(tail) + "\nc@x.lab;1;2;3" + semi(tail) + "\nd@x.lab;;;" + semi(tail) + "\n",
		},
		{
			"two addresses in a cell stay in it", "email\na@x.lab\nb@x.lab;c@x.lab\nd@x.lab\n",
			[]string{"a@x.lab", "b@x.lab;c@x.lab", "d@x.lab"},
			"email" + head + "\na@x.lab" + tail + "\nb@x.lab;c@x.lab" + tail +
				"\nd@x.lab" + tail + "\n",
		},
		{
			"a slip in the first row of a list without a header", "ann.x.lab\nb@x.lab\n",
			[]string{"ann.x.lab", "b@x.lab"},
			"ann.x.lab" + tail + "\nb@x.lab" + tail + "\n",
		},
		{
			"UTF-8 with a stray byte of Windows-1252", "email;n\nzoë@x.lab;Zoë\ninfo@bücher.lab;" + cp1252("é") + "\n",
			[]string{"zoë@x.lab", "info@bücher.lab"},
			"email;n" + semi(head) + "\nzoë@x.lab;Zoë" + semi(tail) +
				"\ninfo@bücher.lab;" + cp1252("é") + semi(tail) + "\n",
		},
		{"gzip", zip("email\na@x.lab\n"), []string{"a@x.lab"}, "email" + head + "\na@x.lab" + tail + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { comesOut(t, test.in, test.addresses, test.want) })
	}
}

func TestTheAddressColumnIsFoundByNameAndThenByContent(t *testing.T) {
	for header, want := range map[string]int{
		"name,email": 1, "E-Mail,name": 0, "First,Email Address": 1, "EMAIL,x": 0, "x,Work Email": 1,
		"name,E-mail 1 - Value": 1, "E-mail 1 - Type,E-mail 1 - Value": 1,
		"Nom,Courriel": 1, "Nombre,Correo electrónico": 1, "a,b": 1, "id,почта": 1, "email status,email": 1, "id,contact": 1,
	} {
		cells := []string{"x1", "x1"}
		cells[want] = "a@x.lab"
		r := open(t, header+"\n"+strings.Join(cells, ",")+"\n", lists.Options{})
		if got, _ := r.Column(); got != want {
			t.Errorf("%s: column %d, want %d", header, got, want)
		}
	}
}

func TestAColumnThatIsAskedForMakesAHeader(t *testing.T) {
	r := open(t, "contact@,x\na@x.lab,1\n", lists.Options{Column: "Contact@"})
	if got := addresses(t, r); !cmp.Equal(got, []string{"a@x.lab"}) {
		t.Errorf("addresses %q", got)
	}
}

func TestAColumnThatIsAskedForTwiceIsRefused(t *testing.T) {
	list := "name,email,email\nAnn,a@x.lab,b@x.lab\n"
	_, err := lists.Open(write(t, list), lists.Options{Column: "email"})
	var ambiguous *lists.AmbiguousColumnError
	if !errors.As(err, &ambiguous) || !strings.Contains(err.Error(), "(number 2)") ||
		!strings.Contains(err.Error(), "(number 3)") || !strings.Contains(err.Error(), "--column") {
		t.Errorf("error %v, want both numbers and the flag", err)
	}
}

func TestAColumnIsTakenByNameOrNumber(t *testing.T) {
	list := "name,email,work email\nAnn,a@x.lab,b@x.lab\n"
	for wanted, index := range map[string]int{"work email": 2, "Work Email": 2, "2": 1} {
		r := open(t, list, lists.Options{Column: wanted})
		if got, _ := r.Column(); got != index {
			t.Errorf("--column %s is column %d, want %d", wanted, got, index)
		}
	}
	for _, content := range []string{"a,b\n1,2\n3,4\n"} {
		var none *lists.NoColumnError
		if _, err := lists.Open(write(t, content), lists.Options{}); !errors.As(err, &none) {
			t.Errorf("error %v, want a NoColumnError", err)
		}
	}
	var none *lists.NoColumnError
	if _, err := lists.Open(write(t, list), lists.Options{Column: "mobile"}); !errors.As(err, &none) ||
		!strings.Contains(err.Error(), "mobile") {
		t.Errorf("error %v, want a NoColumnError that names mobile", err)
	}
}

func TestWhatIsNoListIsRefusedClearly(t *testing.T) {
	for content, want := range map[string]string{
		"": "empty", "PK\x03\x04xxxx": "xlsx", "\xd0\xcf\x11\xe0xxxx": "xls", "a\x01\x00\x02\x03b": "binary",
		"\n\n\n": "no rows",
	} {
		if _, err := lists.Open(write(t, content), lists.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want a word of %q", content, err, want)
		}
	}
	if _, err := lists.Open(filepath.Join(t.TempDir(), "missing.csv"), lists.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want os.ErrNotExist", err)
	}
}

func TestAQuotationMarkThatIsNeverClosedIsNamedByItsLine(t *testing.T) {
	r := open(t, "email,n\na@x.lab,1\nb@x.lab,\"open\nc@x.lab,3\n", lists.Options{Column: "email"})
	var last error
	for _, err := range r.Rows() {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "row 2, line 3") {
		t.Errorf("error %v, want one that names row 2 and line 3", last)
	}
}

func TestRowsBeyondAllBoundsAreNamed(t *testing.T) {
	for name, long := range map[string]string{
		"a long line": strings.Repeat("x", 2<<20), "a long cell of short lines": "\"" + strings.Repeat("x\n", 1<<20) + "\"",
		"more fields than a spreadsheet has": strings.Repeat(",", 1<<15),
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, "email\n"+strings.Repeat("a@x.lab\n", 200_000)+long+"\n", lists.Options{})
			var last error
			for _, err := range r.Rows() {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "row 200001, line 200002:") {
				t.Errorf("error %v, want one that names row 200001 and line 200002", last)
			}
		})
	}
}

func TestAListThatChangesBetweenTwoReadingsIsNoticed(t *testing.T) {
	path := write(t, "email\na@x.lab\n")
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	addresses(t, r)
	if err := os.WriteFile(path, []byte("email\na@x.lab\nb@x.lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range r.Rows() {
		if !errors.Is(err, lists.ErrChanged) {
			t.Errorf("error %v, want ErrChanged", err)
		}
	}
}

func TestAListThatGrowsWhileItIsReadIsNoticed(t *testing.T) {
	path := write(t, "email\na@x.lab\n")
	r, err := lists.Open(path, lists.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var last error
	for row, err := range r.Rows() {
		if last = err; err == nil && row.N == 1 {
			if err := os.WriteFile(path, []byte("email\na@x.lab\nb@x.lab\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(last, lists.ErrChanged) {
		t.Errorf("error %v, want ErrChanged", last)
	}
}

func TestStandardInputCanBeReadTwice(t *testing.T) {
	r, err := lists.Open("-", lists.Options{Stdin: strings.NewReader("email\na@x.lab\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if got := addresses(t, r); len(got) != 1 {
			t.Errorf("addresses %v, want one", got)
		}
	}
}

func TestTextOfServersCannotBecomeAFormulaOrSteerATerminal(t *testing.T) {
	r := open(t, "email\na@x.lab\n", lists.Options{})
	out := annotate(t, r, lists.Record{
		Verdict: "=HYPERLINK(\"http://x\")", Detail: "550 \x1b[31mred\x07",
		Suggestion: "+1", Flags: "-1", Provider: "@x", Reason: "a,b",
	})
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := records[1][1]; got != "'=HYPERLINK(\"http://x\")" {
		t.Errorf("verdict %q", got)
	}
	for i, want := range map[int]string{4: "550  [31mred", 5: "'+1", 6: "'-1", 7: "'@x", 3: "a,b"} {
		if records[1][i] != want {
			t.Errorf("column %d is %q, want %q", i, records[1][i], want)
		}
	}
}

func TestOurCellsFitTheListsEncoding(t *testing.T) {
	r := open(t, cp1252("email\nzoë@x.lab\n"), lists.Options{})
	if out := annotate(t, r, lists.Record{Verdict: "é 東"}); !strings.Contains(out, cp1252("zoë@x.lab,é ")+"?,") {
		t.Errorf("%q", out)
	}
}

func TestTextOfServersCannotTurnTheDirectionOfWriting(t *testing.T) {
	r := open(t, "email\na@x.lab\n", lists.Options{})
	if out := annotate(t, r, lists.Record{Verdict: "\u202egnp\u2028\xff", Score: "\uff1d1"}); !strings.Contains(out,
		"a@x.lab,gnp \ufffd,'\uff1d1,") {
		t.Errorf("%q", out)
	}
}

func TestJSONHoldsNeitherWhatTurnsTheDirectionOfWritingNorAnEarlierRun(t *testing.T) {
	r := open(t, "verify_detail,email\nold,a@x.lab\n", lists.Options{})
	out := jsonLines(t, r, lists.Record{Detail: "\u202egnp\u2028x"})
	if !strings.Contains(out, `"verify_detail":"gnp x"`) || strings.Contains(out, "old") {
		t.Errorf("%q", out)
	}
}

// full has something else in every column.
var full = lists.Record{
	Verdict: "risky", Score: "80", Reason: "catch_all", Detail: "<all>", Suggestion: "s", Flags: "free", Provider: "p",
	MX:       "mx.x.lab",
	SMTPCode: "250", EnhancedCode: "2.1.5", Normalized: "n", CheckedAt: "c", RetryAt: "r", Action: "a", Advice: "d",
}

func TestEveryCellStandsUnderItsName(t *testing.T) {
	out := annotate(t, open(t, "email\na@x.lab\n", lists.Options{}), full)
	if want := "\na@x.lab,risky,80,catch_all,<all>,s,free,p,mx.x.lab,250,2.1.5,n,c,r,a,d\n"; !strings.HasSuffix(out,
		want) {
		t.Errorf("%q does not end with %q", out, want)
	}
}

func TestJSONLinesHoldTheSame(t *testing.T) {
	r := open(t, "name,email,name\nAnn,a@x.lab,\"x\"\"y\"\n", lists.Options{})
	want := `{"name":"Ann","email":"a@x.lab","name_2":"x\"y","verify_verdict":"risky","verify_score":"80",` +
		`"verify_reason":"catch_all","verify_detail":"<all>",` +
		`"verify_suggestion":"s","verify_flags":"free","verify_provider":"p","verify_mx":"mx.x.lab",` +
		`"verify_smtp_code":"250","verify_enhanced_code":"2.1.5",` +
		`"verify_normalized":"n","verify_checked_at":"c","verify_retry_at":"r","verify_action":"a","verify_advice":"d"}` +
		"\n"
	if diff := cmp.Diff(want, jsonLines(t, r, full)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ExampleOpen() {
	list, err := lists.Open("-", lists.Options{Stdin: strings.NewReader("Name;E-Mail\nAnn;ann@corp.lab\n")})
	if err != nil {
		panic(err)
	}
	defer list.Close()
	for row, err := range list.Rows() {
		fmt.Println(row.N, row.Address, err)
	}
	// Output: 1 ann@corp.lab <nil>
}

func FuzzRowsComeOutByteForByte(f *testing.F) {
	f.Add("email,n\na@x.lab,1\n")
	f.Add("\"a\nb\";a@x.lab\r\nc;d@x.lab")
	f.Add("sep=;\n\n\"a\"\"\";b@x.lab\r\n \n\"c\nd;\"e;f")
	f.Fuzz(func(t *testing.T, content string) {
		r, err := lists.Open("-", lists.Options{Column: "1", Stdin: strings.NewReader(content)})
		if err != nil {
			return
		}
		defer r.Close()
		if e := r.Dialect().Encoding; e == lists.UTF16BE || e == lists.UTF16LE || strings.HasPrefix(content, "\x1f\x8b") {
			return
		}
		for _, err := range r.Rows() {
			if err != nil {
				return
			}
		}
		out := annotate(t, r, lists.Record{Verdict: "\x01"}) // a cell that no input has
		delimiter := string(r.Dialect().Delimiter)
		added := strings.Repeat(delimiter, 15)
		header := delimiter + strings.ReplaceAll(strings.TrimPrefix(head, ","), ",", delimiter)
		got := strings.Replace(out, header, "", 1)
		if rest := strings.ReplaceAll(got, delimiter, ""); rest != strings.ReplaceAll(content, delimiter, "") {
			t.Errorf("%q comes out as %q", content, out)
		}
		if n := strings.Count(got, added); n < len(addresses(t, r)) {
			t.Errorf("%q comes out as %q: %d rows have our columns", content, out, n)
		}
	})
}

func BenchmarkRows(b *testing.B) {
	var content strings.Builder
	content.WriteString("id,name,email,company\n")
	for i := range 100_000 {
		fmt.Fprintf(&content, "%d,First Last,first.last%d@company%d.lab,Company of Some Name\n", i, i, i%1000)
	}
	path := write(b, content.String())
	b.Run("lists", func(b *testing.B) {
		b.SetBytes(int64(content.Len()))
		for b.Loop() {
			r, err := lists.Open(path, lists.Options{})
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range r.Rows() {
				if err != nil {
					b.Fatal(err)
				}
			}
			r.Close()
		}
	})
	b.Run("encoding-csv", func(b *testing.B) {
		b.SetBytes(int64(content.Len()))
		for b.Loop() {
			r := csv.NewReader(strings.NewReader(content.String()))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	var content strings.Builder
	content.WriteString("id,name,email,company\n")
	for i := range 100_000 {
		fmt.Fprintf(&content, "%d,First Last,first.last%d@company%d.lab,Company of Some Name\n", i, i, i%1000)
	}
	r := open(b, content.String(), lists.Options{})
	for name, create := range map[string]func(io.Writer, *lists.Reader) (rowWriter, error){
		"csv":   func(w io.Writer, r *lists.Reader) (rowWriter, error) { return lists.NewWriter(w, r) },
		"jsonl": func(w io.Writer, r *lists.Reader) (rowWriter, error) { return lists.NewJSONWriter(w, r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(content.Len()))
			b.ReportAllocs()
			for b.Loop() {
				w, err := create(io.Discard, r)
				if err != nil {
					b.Fatal(err)
				}
				for row, err := range r.Rows() {
					if err != nil {
						b.Fatal(err)
					}
					if err := w.Write(row, full); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type rowWriter interface {
	Write(lists.Row, lists.Record) error
	Close() error
}

func TestAWrittenListIsReadBackIntoRecords(t *testing.T) {
	want := lists.Record{
		Verdict: "risky", Score: "1", Reason: "2", Detail: "a, \"b\"", Suggestion: "4", Flags: "5", Provider: "6", MX: "7",
		SMTPCode: "8", EnhancedCode: "9", Normalized: "10", CheckedAt: "11", RetryAt: "12", Action: "13", Advice: "14",
	}
	var got []lists.Record
	if err := gocsv.UnmarshalString(annotate(t, open(t, "email,id\nann@corp.lab,1\n", lists.Options{}), want),
		&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]lists.Record{want}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAListWithoutACertainAddressColumnOpensWhereThatIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		doubt         any
	}{
		{"two columns", "email,e-mail\nann@corp.lab,bob@corp.lab\n", nil},
		{"no column", "name,phone\nAnn,1\n", new(*lists.NoColumnError)},
		{"one column", "name,email\nAnn,ann@corp.lab\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := open(t, tt.content, lists.Options{Doubtful: true})
			if tt.doubt == nil && list.Doubt() != nil || tt.doubt != nil && !errors.As(list.Doubt(), tt.doubt) {
				t.Errorf("doubt %v, want %T", list.Doubt(), tt.doubt)
			}
			if index, _ := list.Column(); tt.doubt != nil && index != 0 {
				t.Errorf("column %d, want the first", index)
			}
		})
	}
}
