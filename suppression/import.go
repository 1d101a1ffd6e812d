package suppression

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"strings"

	"presend/verify/reply"
	"presend/verify/syntax"
)

// Row is a row that was read from a suppression list.
type Row struct {
	Entry
	Line int64  // the line at which it begins, from 1; in JSON the number of the record
	Left string // why the row is left out; empty if it counts
}

// Reader is an open suppression list. Close it.
type Reader struct {
	path       string
	records    *records
	service    service
	classifier *reply.Classifier
}

// Open opens a list in any of the formats, as CSV or as the JSON of a service's API, and recognises the format by the
// columns. In any other list with an address column every address counts, with the reason [Manual]. So does a record of
// a known format without a reason. The path "-" is stdin. The classifier decides which bounces are about the address.
func Open(path string, stdin io.Reader, c *reply.Classifier) (*Reader, error) {
	rows, err := openRecords(path, stdin)
	if err != nil {
		return nil, err
	}
	if len(rows.columns) == 0 && rows.second("BOUNCE", "COMPLAINT") {
		rows.columns = []string{"EmailAddress", "Reason"}
	}
	s, ok := serviceOf(rows.columns)
	if !ok {
		rows.keep(rows.address, "email")
		s = service{format: Plain, decode: decode[csvEntry]}
	}
	return &Reader{path, rows, s, c}, nil
}

// Format returns the format of the list.
func (r *Reader) Format() Format { return r.service.format }

// Close closes the list's file.
func (r *Reader) Close() error { return r.records.close() }

// Rows yields all rows of the list, also those that are left out. It ends at the first error.
func (r *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		has := func(column string) bool { return indexOf(r.records.columns, column) >= 0 }
		for batch, err := range r.records.batches() {
			if err != nil {
				yield(Row{}, err)
				return
			}
			entries, err := r.service.decode(batch)
			if err != nil {
				yield(Row{}, fmt.Errorf("list %s: %w", r.path, err))
				return
			}
			for i, e := range entries {
				row := Row{Line: batch.lines[i]}
				row.Entry, row.Left = e.entry(has, r.classifier)
				if !yield(checked(row), nil) {
					return
				}
			}
		}
	}
}

// checked marks a row as left out if it is not about an address or a domain.
func checked(row Row) Row {
	row.Name = strings.TrimSpace(row.Name)
	row.Reason = cmp.Or(row.Reason, Manual)
	address := row.Name
	if strings.HasPrefix(address, "@") {
		address = "postmaster" + address
	}
	if _, err := syntax.Parse(address); err != nil && row.Left == "" {
		row.Left = err.Error()
	}
	return row
}

// Tally counts the rows of a list.
type Tally struct {
	Taken int
	Left  map[string]int // how many rows were left out, by the reason in short
}

// Entries yields the rows that count, and adds all rows to a tally. It calls left, if not nil, for each row that is
// left out.
func (r *Reader) Entries(tally *Tally, left func(Row)) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for row, err := range r.Rows() {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if row.Left == "" {
				tally.Taken++
				if !yield(row.Entry, nil) {
					return
				}
				continue
			}
			if tally.Left == nil {
				tally.Left = map[string]int{}
			}
			why, _, _ := strings.Cut(row.Left, ":")
			tally.Left[why]++
			if left != nil {
				left(row)
			}
		}
	}
}
