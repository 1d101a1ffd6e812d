package suppression_test

import (
	"bytes"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/suppression"
	"presend/verify/reply"
	"presend/verify/syntax"
)

func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"ann@example.com\n@gone.example\n",
		"email,reason,date\nann@example.com,unsubscribe,2026-11-24T02:30:00Z\n",
		"status,reason,email,created\n5.1.1,550 5.1.1 no such user,ann@example.com,1700000000\n",
		"address,code,error,created_at\nann@example.com,550,,\"Tue, 24 Nov 2026 02:30:00 UTC\"\n",
		"EmailAddress,SuppressionReason,Origin,CreatedAt\nann@example.com,HardBounce,Recipient,\n",
		"ann@example.com,BOUNCE\nbob@example.com,COMPLAINT\n",
		"Email Address,CLEAN_TIME\nann@example.com,2026-11-24 02:30:00\n",
		"Email;Portal Bounce;Portal Unsubscribe\r\nann@example.com;TRUE;\r\n",
		`[{"email":"ann@example.com","reason":"550 5.1.1","created":1700000000}]`,
		`{"items":[{"address":"ann@example.com","tags":["*"]}],"paging":[{"next":"x"}]}`,
		"{\"email\":\"ann@example.com\"}\n{\"email\":\"bob@example.com\"}\n", "[[[", "\xff\xfee\x00m\x00", "",
	} {
		f.Add([]byte(seed))
	}
	classifier, err := reply.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, format, err := imported(text, classifier)
		again, _, errAgain := imported(text, classifier)
		if difference := cmp.Diff(rows, again); difference != "" || (err == nil) != (errAgain == nil) {
			t.Fatalf("two readings differ: %v, %v\n%s", err, errAgain, difference)
		}
		var entries []suppression.Entry
		for _, row := range rows {
			if row.Left != "" {
				continue
			}
			address := row.Name
			if strings.HasPrefix(address, "@") {
				address = "postmaster" + address
			}
			if _, err := syntax.Parse(address); err != nil || row.Reason == "" {
				t.Fatalf("%s: a row that is no address counts, or has no reason: %+v", format, row)
			}
			entries = append(entries, row.Entry)
		}
		if len(entries) > 0 {
			comesBack(t, entries, classifier)
		}
	})
}

// imported returns the rows of a list, up to the error that ends it.
func imported(text []byte, c *reply.Classifier) (rows []suppression.Row, f suppression.Format, err error) {
	list, err := suppression.Open("-", suppression.Options{Stdin: bytes.NewReader(text)}, c)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = list.Close() }() // standard input
	for row, err := range list.Rows() {
		if err != nil {
			return rows, list.Format(), err
		}
		rows = append(rows, row)
	}
	return rows, list.Format(), nil
}

// comesBack checks that entries which are written in our own format are read as they were.
func comesBack(t *testing.T, entries []suppression.Entry, c *reply.Classifier) {
	t.Helper()
	var written bytes.Buffer
	if _, err := suppression.Export(&written, suppression.CSV, all(entries)); err != nil {
		t.Fatal(err)
	}
	rows, format, err := imported(written.Bytes(), c)
	if err != nil || format != suppression.CSV || len(rows) != len(entries) {
		t.Fatalf("%d entries were written and %d read as %q: %v\n%s", len(entries), len(rows), format, err, written.Bytes())
	}
	for i, row := range rows {
		want := entries[i]
		if row.Left != "" || row.Name != want.Name || !row.At.Equal(want.At) {
			t.Fatalf("%+v was written and comes back as %+v", want, row)
		}
	}
}

func all(entries []suppression.Entry) iter.Seq2[suppression.Entry, error] {
	return func(yield func(suppression.Entry, error) bool) {
		for entry := range slices.Values(entries) {
			if !yield(entry, nil) {
				return
			}
		}
	}
}
