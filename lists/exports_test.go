package lists_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"presend/lists"
)

// export is what is right for a file of testdata/exports.
type export struct {
	Name, Product, Source string
	Format, Encoding      string
	Delimiter             string
	Header                int64
	Column                string
	Others                []string
	Addresses             []string
	Rows                  int    // in place of Addresses: how many there are
	Last                  string // and the last of them
	NoAddress             int    `toml:"no_address"` // how many of Addresses hold none on purpose; 0: not looked at
	Refused               string
}

func exports(t testing.TB) []export {
	t.Helper()
	var all struct{ File []export }
	if _, err := toml.DecodeFile("testdata/exports/expect.toml", &all); err != nil {
		t.Fatal(err)
	}
	return all.File
}

// difference returns what was understood wrongly of a file; empty: nothing.
func (e export) difference(t testing.TB) string {
	t.Helper()
	r, err := lists.Open(filepath.Join("testdata/exports", e.Name), lists.Options{})
	if e.Refused != "" {
		if err == nil {
			r.Close()
			return "it is not refused"
		}
		if !strings.Contains(err.Error(), e.Refused) {
			return fmt.Sprintf("it is refused without the word %q: %v", e.Refused, err)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	d := r.Dialect()
	if string(d.Encoding) != e.Encoding || e.Delimiter != "" && string(d.Delimiter) != e.Delimiter {
		return fmt.Sprintf("%s with %q, want %s with %q", d.Encoding, d.Delimiter, e.Encoding, e.Delimiter)
	}
	index, column := r.Column()
	if column == "" {
		column = strconv.Itoa(index + 1)
	}
	if column != e.Column {
		return fmt.Sprintf("column %q, want %q", column, e.Column)
	}
	u := r.Understood()
	if string(u.Format) != e.Format || u.Header != e.Header {
		return fmt.Sprintf("%s with its header in line %d, want %s and %d", u.Format, u.Header, e.Format, e.Header)
	}
	if diff := cmp.Diff(e.Others, r.Understood().Others, cmpopts.EquateEmpty()); diff != "" {
		return "other columns (-want +got):\n" + diff
	}
	got := addresses(t, r)
	if e.Rows > 0 {
		if len(got) != e.Rows || got[len(got)-1] != e.Last {
			return fmt.Sprintf("%d rows, want %d", len(got), e.Rows)
		}
		return ""
	}
	if diff := cmp.Diff(e.Addresses, got); diff != "" {
		return diff
	}
	blank := 0
	for _, cell := range got {
		if lists.NoAddress(cell) {
			blank++
		}
	}
	if e.NoAddress > 0 && blank != e.NoAddress {
		return fmt.Sprintf("%d rows without an address, want %d", blank, e.NoAddress)
	}
	return ""
}

func TestExportsOfWellKnownProductsAreUnderstood(t *testing.T) {
	right, all := map[string]int{}, map[string]int{}
	total := 0
	for _, e := range exports(t) {
		all[e.Product]++
		t.Run(e.Name, func(t *testing.T) {
			if diff := e.difference(t); diff != "" {
				t.Error(diff)
				return
			}
			right[e.Product]++
			total++
		})
	}
	var table bytes.Buffer
	for product, n := range all {
		fmt.Fprintf(&table, "%d of %d %s\n", right[product], n, product)
	}
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(a[strings.Index(a, " of ")+6:], b[strings.Index(b, " of ")+6:])
	})
	t.Logf("%d of %d files are understood:\n%s", total, len(exports(t)), strings.Join(lines, "\n"))
}

func TestEveryFileOfTheExportsIsExpected(t *testing.T) {
	entries, err := os.ReadDir("testdata/exports")
	if err != nil {
		t.Fatal(err)
	}
	known := exports(t)
	for _, entry := range entries {
		if entry.Name() != "expect.toml" &&
			!slices.ContainsFunc(known, func(e export) bool { return e.Name == entry.Name() }) {
			t.Errorf("%s is not in expect.toml", entry.Name())
		}
	}
}
