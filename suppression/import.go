package suppression

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"presend/lists"
	"presend/verify/reply"
	"presend/verify/syntax"
)

// Row is a row that was read from a suppression list.
type Row struct {
	Entry
	Line int64  // the line at which it begins, from 1; in JSON the number of the record
	Left string // why the row is left out; empty if it counts
}

// Options tell what the caller knows about a list before it is read.
type Options struct {
	Stdin  io.Reader // what path "-" reads
	Column string    // the address column: its name, or its number from 1; empty: found out
	Says   string    // the column that says which addresses are suppressed, named likewise; empty: found out
	All    bool      // every address of the list is suppressed
}

// WhichColumnError is returned for a list of which no column says which of its addresses are suppressed.
type WhichColumnError struct{ Columns []string }

func (e *WhichColumnError) Error() string {
	return fmt.Sprintf("no column says which of the addresses are suppressed, such as a reason or a status. "+
		"Which one is it? Name it with --says, or say with --all that every address is; the columns are %s",
		strings.Join(e.Columns, ", "))
}

// Reader is an open suppression list. The caller must close it.
type Reader struct {
	path       string
	records    *records
	service    service
	decider    *decider // nil: the service's columns are read
	classifier *reply.Classifier
}

// Open opens a list in any format that package lists reads. The columns decide which addresses are suppressed: those of
// a service's export have the meaning that it documents, those of any other list the meaning of their names and words.
// In a list of addresses alone each counts, with the reason [Manual]. For another list whose columns do not say which
// address is suppressed, the error is a [*WhichColumnError]. The path "-" is Options.Stdin. The classifier decides
// which bounces are about the address.
func Open(path string, o Options, c *reply.Classifier) (*Reader, error) {
	rows, err := openRecords(path, o)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, records: rows, classifier: c}
	s, ok := serviceOf(rows.columns)
	if isAsked := o.Says != "" || o.All; ok && !isAsked {
		r.service = s
		return r, nil
	}
	r.service = service{format: rows.format()}
	r.decider = &decider{addresses: rows.addresses(), asked: -1}
	switch {
	case o.All, rows.plain() && o.Says == "":
		r.service.format = Plain
		return r, nil
	}
	r.decider = rows.decider(decider{classifier: c, now: time.Now()})
	if r.decider == nil {
		err := fmt.Errorf("list %s: %w", path, &WhichColumnError{rows.describe()})
		if closed := r.Close(); closed != nil {
			return nil, closed
		}
		return nil, err
	}
	return r, nil
}

// Format returns the format of the list.
func (r *Reader) Format() Format { return r.service.format }

// Close closes the list's file.
func (r *Reader) Close() error { return r.records.list.Close() }

// Rows yields all rows of the list, also those that are left out. It ends at the first error.
func (r *Reader) Rows() iter.Seq2[Row, error] {
	if r.decider != nil {
		return r.decided()
	}
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

// decided yields the rows of a list whose columns decide, one for each address of a row.
func (r *Reader) decided() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for one, err := range r.records.rows() {
			if err != nil {
				yield(Row{}, err)
				return
			}
			row := Row{Line: one.line}
			if len(r.decider.roles) > 0 {
				row.Entry, row.Left = r.decider.row(one.cells)
			}
			for _, name := range r.decider.names(one.cells) {
				row.Name = name
				if !yield(checked(row), nil) {
					return
				}
			}
		}
	}
}

// names returns the addresses of a row; an empty one if it has none.
func (d *decider) names(cells []string) (names []string) {
	for _, group := range d.addresses {
		for _, i := range group {
			if i >= len(cells) || strings.TrimSpace(cells[i]) == "" {
				continue
			}
			if strings.Count(cells[i], "@") > 1 {
				names = append(names, lists.SplitCell(cells[i])...)
				continue
			}
			names = append(names, cells[i])
		}
		if names != nil {
			return names
		}
	}
	return []string{""}
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
