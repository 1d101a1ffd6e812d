package suppression

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"presend/lists"
)

// maxJSON is the largest suppression list in JSON, in octets. It is read into memory.
const maxJSON = 256 << 20

// records are rows of cells under named columns, from CSV or JSON. Close them.
type records struct {
	columns []string // none if there is no header
	address int      // the column of addresses, if it was found
	rows    iter.Seq2[record, error]
	close   func() error
}

type record struct {
	line  int64
	cells []string
}

// batchSize is how many records gocsv reads or writes at a time.
const batchSize = 512

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

// batches yields the rows with their header. Each row has a cell for each column.
func (r *records) batches() iter.Seq2[*recordBatch, error] {
	return func(yield func(*recordBatch, error) bool) {
		batch := &recordBatch{}
		for row, err := range r.rows {
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

// keep removes all columns but one, and renames that.
func (r *records) keep(column int, name string) {
	all := r.rows
	r.columns = []string{name}
	r.rows = func(yield func(record, error) bool) {
		for row, err := range all {
			kept := ""
			if column < len(row.cells) {
				kept = row.cells[column]
			}
			if !yield(record{row.line, []string{kept}}, err) {
				return
			}
		}
	}
}

// second reports whether the first row's second cell is one of the words.
func (r *records) second(words ...string) bool {
	for row, err := range r.rows {
		isSecond := func(word string) bool { return sameName(word, row.cells[1]) }
		return err == nil && len(row.cells) == 2 && slices.ContainsFunc(words, isSecond)
	}
	return false
}

// openRecords opens a file of records; path "-" is stdin.
func openRecords(path string, stdin io.Reader) (*records, error) {
	options := lists.Options{Stdin: stdin, Doubtful: true}
	from := path
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			var problem *os.PathError
			if errors.As(err, &problem) {
				err = problem.Err
			}
			return nil, fmt.Errorf("list %s: %w", path, err)
		}
		defer file.Close() // read only
		info, err := file.Stat()
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", path, err)
		}
		if options.Stdin = file; !info.Mode().IsRegular() && !info.IsDir() {
			from = "-" // a pipe can be read only once
		}
	}
	if options.Stdin != nil {
		start := bufio.NewReader(options.Stdin)
		if isJSON(start) {
			r, err := jsonRecords(start)
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", path, err)
			}
			return r, nil
		}
		options.Stdin = start
	}
	list, err := lists.Open(from, options)
	if err != nil {
		return nil, err
	}
	// In the format of a service it is known which column holds the address.
	if _, ok := serviceOf(list.Columns()); !ok && list.Doubt() != nil {
		return nil, errors.Join(list.Doubt(), list.Close())
	}
	return csvRecords(list), nil
}

// isJSON reports whether a file begins as JSON does.
func isJSON(r *bufio.Reader) bool {
	start, _ := r.Peek(512) // the error comes back when the file is read
	start = bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

func csvRecords(list *lists.Reader) *records {
	r := &records{columns: list.Columns(), close: list.Close}
	r.address, _ = list.Column()
	r.rows = func(yield func(record, error) bool) {
		for row, err := range list.Rows() {
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
	return r
}

// jsonRecords reads the JSON of services' APIs: objects in arrays, in a member of an object, or one on each line.
func jsonRecords(r io.Reader) (*records, error) {
	counted := &io.LimitedReader{R: r, N: maxJSON}
	decoder := json.NewDecoder(bufio.NewReader(counted))
	decoder.UseNumber()
	var objects []map[string]any
	for {
		var value any
		err := decoder.Decode(&value)
		if err == io.EOF {
			break
		}
		if counted.N == 0 {
			return nil, fmt.Errorf("it is larger than %d MiB; split it", maxJSON>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		objects = append(objects, objectsIn(value)...)
	}
	if len(objects) == 0 {
		return nil, errors.New("there are no records in this JSON")
	}
	named := map[string]bool{}
	for _, o := range objects {
		for name := range o {
			named[name] = true
		}
	}
	columns := slices.Sorted(maps.Keys(named))
	address := slices.IndexFunc(columns, lists.NamesAddresses)
	if address < 0 {
		return nil, &lists.NoColumnError{Columns: columns}
	}
	rows := &records{columns: columns, address: address, close: func() error { return nil }}
	rows.rows = func(yield func(record, error) bool) {
		for i, o := range objects {
			row := record{line: int64(i + 1)}
			for _, name := range columns {
				row.cells = append(row.cells, text(o[name]))
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	return rows, nil
}

// objectsIn returns the objects of a JSON value. An object that has lists of objects as members is not a record itself:
// its records are those of the list that names addresses, else of the first list in the order of the members' names.
func objectsIn(value any) (objects []map[string]any) {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			objects = append(objects, objectsIn(one)...)
		}
	case map[string]any:
		var records []any
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list, _ := v[name].([]any)
			if len(list) == 0 {
				continue
			}
			first, ok := list[0].(map[string]any)
			if !ok {
				continue
			}
			if slices.ContainsFunc(slices.Collect(maps.Keys(first)), lists.NamesAddresses) {
				return objectsIn(list)
			}
			if records == nil {
				records = list
			}
		}
		if records != nil {
			return objectsIn(records)
		}
		objects = append(objects, v)
	}
	return objects
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		var words []string
		for _, one := range v {
			words = append(words, text(one))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(value)
}
