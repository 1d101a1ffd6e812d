package lists

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// pair is a named value of an entry of a vCard, LDIF or JSON file.
type pair struct{ name, value string }

// entry is a person in such a file. A name may come several times.
type entry []pair

// entryReader yields the entries of a file.
type entryReader func(r io.Reader, yield func(entry) error) error

// convert makes a table of a list in another format, into a file of its own.
func (r *Reader) convert(sheet string) error {
	if r.format == Workbook {
		return r.convertWorkbook(sheet)
	}
	read := map[Format]entryReader{VCard: readVCards, LDIF: readLDIF, JSON: readJSON, NDJSON: readNDJSON}[r.format]
	table := tableOf{most: map[string]int{}}
	if err := r.entries(read, table.learn); err != nil {
		return err
	}
	if len(table.names) == 0 {
		return fmt.Errorf("the %s file holds no entries", r.format)
	}
	file, err := spool(func(w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(table.header()); err != nil {
			return err
		}
		write := func(e entry) error {
			cells := table.cells(e)
			if len(cells) == 1 && cells[0] == "" {
				cells[0] = " " // an empty line would be none
			}
			return out.Write(cells)
		}
		if err := r.entries(read, write); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	})
	if err != nil {
		return err
	}
	return r.setText(file)
}

// entries reads the file's entries once.
func (r *Reader) entries(read entryReader, yield func(entry) error) error {
	raw, done, err := r.source.read()
	if err != nil {
		return err
	}
	if err := read(&bomSkipper{r: raw}, yield); err != nil {
		return err
	}
	return done()
}

// tableOf is the columns of a table that is made of entries: a name each, and for addresses as many as an entry has.
type tableOf struct {
	names []string
	most  map[string]int // how often a name comes in an entry
}

// maxAddresses is how many columns one name may have. More addresses of an entry go into the last.
const maxAddresses = 10

func (t *tableOf) learn(e entry) error {
	seen := map[string]int{}
	for _, p := range e {
		seen[p.name]++
		if _, known := t.most[p.name]; !known {
			if t.names = append(t.names, p.name); len(t.names) > maxFields {
				return fmt.Errorf("the entries have more than %d different fields", maxFields)
			}
			t.most[p.name] = 1
		}
		if rankOf(p.name) < weak {
			t.most[p.name] = min(maxAddresses, max(t.most[p.name], seen[p.name]))
		}
	}
	return nil
}

func (t *tableOf) header() (names []string) {
	for _, name := range t.names {
		names = append(names, name)
		for i := 2; i <= t.most[name]; i++ {
			names = append(names, name+" "+strconv.Itoa(i))
		}
	}
	return names
}

func (t *tableOf) cells(e entry) (cells []string) {
	for _, name := range t.names {
		values := make([]string, t.most[name])
		i := 0
		for _, p := range e {
			if p.name != name || p.value == "" {
				continue
			}
			last := min(i, len(values)-1)
			if values[last] != "" {
				values[last] += "; "
			}
			values[last] += p.value
			i++
		}
		cells = append(cells, values...)
	}
	return cells
}

// bomSkipper leaves out a byte order mark.
type bomSkipper struct {
	r     io.Reader
	begun bool
}

func (s *bomSkipper) Read(p []byte) (int, error) {
	if s.begun {
		return s.r.Read(p)
	}
	s.begun = true
	start := make([]byte, len(utf8BOM))
	n, err := io.ReadFull(s.r, start)
	if err != nil && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	if start = start[:n]; slices.Equal(start, utf8BOM) {
		start = nil
	}
	s.r = io.MultiReader(bytes.NewReader(start), s.r)
	return s.r.Read(p)
}
