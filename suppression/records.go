package suppression

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"presend/lists"
)

// records are the rows of a list as cells under named columns, whatever format it comes in. Close them.
type records struct {
	list    *lists.Reader
	columns []string // none if there is no header
	width   int      // of the rows of the sample
	sample  [][]string
	address int // the column of addresses, if it was found
	asked   int // the column that the user says decides; -1: none
}

type record struct {
	line  int64
	cells []string
}

// batchSize is how many records gocsv reads or writes at a time.
const batchSize = 512

// sampleSize is how many rows are looked at to learn what a list's columns say.
const sampleSize = 1000

// recordBatch is a gocsv.CSVReader of a header and some rows.
type recordBatch struct {
	rows  [][]string // the first is the header
	lines []int64    // the line of each other row
}

// Read implements gocsv.CSVReader.
func (b *recordBatch) Read() ([]string, error) {
	if len(b.rows) == 0 {
		return nil, io.EOF
	}
	row := b.rows[0]
	b.rows = b.rows[1:]
	return row, nil
}

// ReadAll implements gocsv.CSVReader.
func (b *recordBatch) ReadAll() ([][]string, error) { return b.rows, nil }

// openRecords opens a list; path "-" is stdin.
func openRecords(path string, o Options) (*records, error) {
	list, err := lists.Open(path, lists.Options{Stdin: o.Stdin, Column: o.Column, Doubtful: true})
	if err != nil {
		return nil, err
	}
	r := &records{list: list, columns: list.Columns(), asked: -1}
	if err := r.learn(o); err != nil {
		return nil, errors.Join(fmt.Errorf("list %s: %w", cmp.Or(strings.Trim(path, "-"), "standard input"), err),
			list.Close())
	}
	return r, nil
}

// learn reads a sample and finds the column of the address.
func (r *records) learn(o Options) error {
	for row, err := range r.rows() {
		if err != nil {
			return err
		}
		r.width = max(r.width, len(row.cells))
		if r.sample = append(r.sample, row.cells); len(r.sample) == sampleSize {
			break
		}
	}
	r.width = max(r.width, len(r.columns))
	r.address, _ = r.list.Column()
	if o.Says != "" {
		if r.asked = r.find(o.Says); r.asked < 0 {
			return &lists.NoColumnError{Wanted: o.Says, Columns: r.describe()}
		}
	}
	if o.Column != "" {
		return nil
	}
	for i, name := range r.columns { // before one of senders, or of who asked
		if r.holdsNames(i) && roleOf(name).kind == "who" && strings.HasPrefix(squash(last(name)), "r") {
			r.address = i
			return nil
		}
	}
	if r.list.Doubt() == nil {
		return nil
	}
	for i, name := range r.columns {
		if r.holdsNames(i) && roleOf(name).kind == "who" {
			r.address = i
			return nil
		}
	}
	if _, ok := serviceOf(r.columns); ok {
		return nil // in the format of a service it is known which column holds the address
	}
	if r.width == 1 && r.holdsNames(0) {
		return nil // whole domains
	}
	var doubt *lists.NoColumnError
	if errors.As(r.list.Doubt(), &doubt) {
		return doubt
	}
	return r.list.Doubt()
}

// last returns the last part of a name with dots, as those of JSON are.
func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// holdsNames reports whether most cells of a column are addresses or whole domains.
func (r *records) holdsNames(column int) bool {
	filled, names := 0, 0
	for _, cells := range r.sample {
		if column < len(cells) && cells[column] != "" {
			if filled++; isName(cells[column]) {
				names++
			}
		}
	}
	return names > 0 && names*2 >= filled
}

// find finds a column by its name, or by its number from 1.
func (r *records) find(wanted string) int {
	if i := indexOf(r.columns, wanted); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= r.width {
		return n - 1
	}
	return -1
}

func (r *records) describe() (names []string) {
	for i := range r.width {
		name := "number " + strconv.Itoa(i+1)
		if i < len(r.columns) && r.columns[i] != "" {
			name = strconv.Quote(r.columns[i])
		}
		names = append(names, name)
	}
	return names
}

// cellsOf returns the cells of a column that are filled, in the sample.
func (r *records) cellsOf(column int) (cells []string) {
	for _, row := range r.sample {
		if column < len(row) && strings.TrimSpace(row[column]) != "" {
			cells = append(cells, row[column])
		}
	}
	return cells
}

// rows yields the rows.
func (r *records) rows() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for row, err := range r.list.Rows() {
			one := record{line: row.Line}
			for i := 0; err == nil; i++ {
				cell, ok := row.Field(i)
				if !ok {
					break
				}
				one.cells = append(one.cells, cell)
			}
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
}

// batches yields the rows with their header. Each row has a cell for each column.
func (r *records) batches() iter.Seq2[*recordBatch, error] {
	return func(yield func(*recordBatch, error) bool) {
		batch := &recordBatch{}
		for row, err := range r.rows() {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(batch.rows) == 0 {
				batch.rows = append(batch.rows, slices.Clone(r.columns))
			}
			cells := make([]string, len(r.columns))
			copy(cells, row.cells)
			batch.rows, batch.lines = append(batch.rows, cells), append(batch.lines, row.line)
			if len(batch.lines) == batchSize {
				if !yield(batch, nil) {
					return
				}
				batch = &recordBatch{}
			}
		}
		if len(batch.lines) > 0 {
			yield(batch, nil)
		}
	}
}

// format returns the service that the columns tell. Amazon SES imports a file without a header.
func (r *records) format() Format {
	isSES := func(cells []string) bool {
		return len(cells) == 2 && (sameName(cells[1], "BOUNCE") || sameName(cells[1], "COMPLAINT"))
	}
	if len(r.columns) == 0 && len(r.sample) > 0 && isSES(r.sample[0]) {
		return SES
	}
	return formatOf(r.columns)
}

// plain reports whether the list holds addresses and nothing else.
func (r *records) plain() bool { return r.width <= 1 }

// decider returns what decides which rows are suppressed; nil if nothing does.
func (r *records) decider(d decider) *decider {
	d.asked, d.addresses = r.asked, r.addresses()
	decides := false
	for i := range r.width {
		name := ""
		if i < len(r.columns) {
			name = r.columns[i]
		}
		role := roleOf(name)
		switch cells := r.cellsOf(i); {
		case i == r.asked:
			role.kind = "says"
		case slices.ContainsFunc(d.addresses, func(group []int) bool { return slices.Contains(group, i) }):
			role.kind = "who"
		case role.kind == "" && len(cells) > 0:
			role = contentRole(cells)
		}
		d.roles = append(d.roles, role)
	}
	for _, cells := range r.sample {
		decides = decides || d.decides(cells)
	}
	if !decides && r.asked < 0 {
		return nil
	}
	return &d
}

// addresses returns the columns of the address in groups, of which the first that is filled counts: one group, but for
// JSON whose records have them in different members, as notifications of bounces and of complaints do.
func (r *records) addresses() (groups [][]int) {
	group := func(first int) (all []int) {
		all = []int{first}
		for i, name := range r.columns {
			if first < len(r.columns) && isNumbered(name, r.columns[first]) {
				all = append(all, i)
			}
		}
		return all
	}
	groups = [][]int{group(r.address)}
	for i, name := range r.columns {
		if i == r.address || !strings.Contains(name, ".") || roleOf(name).kind != "who" || !r.holdsNames(i) {
			continue
		}
		if folded := squash(name); strings.Contains(folded, "bounced") || strings.Contains(folded, "complained") {
			groups = slices.Insert(groups, 0, group(i))
		} else {
			groups = append(groups, group(i))
		}
	}
	return groups
}

// isNumbered reports whether a column is one more of another, as "email 2" is of "email".
func isNumbered(name, first string) bool {
	number, ok := strings.CutPrefix(name, first+" ")
	_, err := strconv.Atoi(number)
	return ok && err == nil
}
