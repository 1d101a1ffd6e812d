package lists

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// column is what a column's name and its sample tell of it.
type column struct {
	index     int
	rank      rank
	filled    int // cells that hold something and no placeholder
	withAt    int // cells with an @
	addresses int // cells that are one or several addresses
	distinct  int // different ones among them
}

// holds reports whether most of a column's cells are addresses.
func (c column) holds() bool { return c.addresses > 0 && c.addresses*2 >= c.filled }

// isCandidate reports whether the column may be one of addresses.
func (c column) isCandidate() bool {
	if c.rank == secret {
		return false
	}
	if c.rank < weak {
		return c.addresses > 0 || c.filled == 0
	}
	return c.holds()
}

// surveyColumns looks at the columns of a sample, those left out that a writer of ours added.
func (r *Reader) surveyColumns(rows []sampled, width int) (columns []column) {
	for i := range width {
		c := column{index: i, rank: nameless}
		if i < len(r.columns) {
			if isOurs(r.columns[i]) {
				r.ours = append(r.ours, i)
				continue
			}
			c.rank = rankOf(r.columns[i])
		}
		seen := map[string]bool{}
		for _, row := range rows {
			if i >= len(row.cells) || NoAddress(row.cells[i]) {
				continue
			}
			c.filled++
			if hasAt(row.cells[i]) {
				c.withAt++
			}
			if row.addresses[i] {
				c.addresses++
				seen[strings.ToLower(strings.TrimSpace(row.cells[i]))] = true
			}
		}
		c.distinct = len(seen)
		columns = append(columns, c)
	}
	return columns
}

// chooseColumns decides which column holds the addresses, or several.
func (r *Reader) chooseColumns(rows []sampled, options Options) error {
	width := len(r.columns)
	for _, row := range rows {
		width = max(width, len(row.cells))
	}
	all := r.surveyColumns(rows, width)
	var candidates []column
	for _, c := range all {
		if c.isCandidate() {
			candidates = append(candidates, c)
		}
	}
	if wanted := options.wanted(); len(wanted) > 0 {
		for _, name := range wanted {
			index, err := r.findColumn(name, width)
			if err != nil {
				return err
			}
			if !slices.Contains(r.chosen, index) {
				r.chosen = append(r.chosen, index)
			}
		}
		r.nameOthers(candidates)
		return nil
	}
	if len(candidates) == 0 {
		return r.lastResort(all, rows, width)
	}
	if isWhole := len(rows) < enoughRecords; isWhole {
		candidates = withoutEmpty(candidates)
	}
	best := bestColumn(candidates)
	r.chosen, r.first = []int{best.index}, best
	if options.AllColumns {
		for _, c := range candidates {
			if c.index != best.index && c.addresses > 0 {
				r.chosen = append(r.chosen, c.index)
			}
		}
	}
	r.nameOthers(candidates)
	return nil
}

// withoutEmpty leaves out the columns of a whole list that hold no address, if another one that is named as well as
// them or nearly so holds some: of a form that also has a column for who was logged in.
func withoutEmpty(candidates []column) []column {
	isFull := func(c column) bool { return c.rank <= own && c.addresses > 0 }
	if !slices.ContainsFunc(candidates, isFull) {
		return candidates
	}
	return slices.DeleteFunc(candidates, func(c column) bool { return c.addresses == 0 })
}

// bestColumn returns the address column of several candidates: the one with the best name; of equals the first that
// is filled as the others are and does not repeat one address. A column without a name that is full of different
// addresses beats a named one that repeats a few.
func bestColumn(candidates []column) column {
	first := slices.MinFunc(candidates, func(a, b column) int { return cmp.Compare(a.rank, b.rank) }).rank
	most, varies := 0, false
	for _, c := range candidates {
		if c.rank == first {
			most, varies = max(most, c.addresses), varies || c.distinct > 1
		}
	}
	at := slices.IndexFunc(candidates, func(c column) bool {
		same := c.distinct == 1 && c.addresses > 1 && varies // the host of all meetings, the shop of all orders
		return c.rank == first && !same && (c.addresses*2 > most || most == 0)
	})
	if at < 0 {
		at = slices.IndexFunc(candidates, func(c column) bool { return c.rank == first && c.distinct > 1 })
	}
	best := candidates[at]
	const often = 5
	if best.addresses >= 2*often && best.distinct*often <= best.addresses {
		for _, c := range candidates {
			if c.holds() && c.distinct >= 3*best.distinct && c.distinct*often > c.addresses {
				return c
			}
		}
	}
	if first == others && most == 0 {
		// Columns of other people's addresses are no better than one without a name that holds addresses.
		if full := slices.IndexFunc(candidates, column.holds); full >= 0 {
			return candidates[full]
		}
	}
	return best
}

// lastResort takes a column that is named right though none of its cells is an address, or the only column.
func (r *Reader) lastResort(all []column, rows []sampled, width int) error {
	for _, c := range all {
		if c.rank <= own {
			r.chosen, r.first = []int{c.index}, c
			return nil
		}
	}
	if width-len(r.ours) == 1 && (r.header != nil || someAt(rows)) {
		r.chosen, r.first = []int{all[0].index}, all[0]
		return nil
	}
	return &NoColumnError{Columns: r.describe(width)}
}

func someAt(rows []sampled) bool {
	return slices.ContainsFunc(rows, func(row sampled) bool { return slices.ContainsFunc(row.cells, hasAt) })
}

// nameOthers keeps the names of the address columns that were not chosen.
func (r *Reader) nameOthers(candidates []column) {
	for _, c := range candidates {
		if c.addresses > 0 && !slices.Contains(r.chosen, c.index) {
			r.others = append(r.others, r.columnName(c.index))
		}
	}
}

// columnName returns a column's name, or its number from 1 where it has none.
func (r *Reader) columnName(index int) string {
	if index < len(r.columns) && r.columns[index] != "" {
		return r.columns[index]
	}
	return strconv.Itoa(index + 1)
}

func (r *Reader) describe(width int) (names []string) {
	for i := range width {
		names = append(names, quoteName(r.columns, i))
	}
	return names
}

// quoteName names a column for a message: by its name, else by its number.
func quoteName(names []string, index int) string {
	if index < len(names) && names[index] != "" {
		return fmt.Sprintf("%q (number %d)", names[index], index+1)
	}
	return fmt.Sprintf("number %d", index+1)
}

// findColumn finds the column that the user named.
func (r *Reader) findColumn(wanted string, width int) (int, error) {
	var matches []int
	for i, name := range r.columns {
		if name == wanted {
			matches = append(matches, i)
		}
	}
	if len(matches) == 0 {
		for i, name := range r.columns {
			if sameName(name, wanted) {
				matches = append(matches, i)
			}
		}
	}
	switch {
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1:
		err := &AmbiguousColumnError{Wanted: wanted}
		for _, i := range matches {
			err.Candidates = append(err.Candidates, quoteName(r.columns, i))
		}
		return 0, err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(wanted)); err == nil && n >= 1 && n <= width {
		return n - 1, nil
	}
	return 0, &NoColumnError{Wanted: wanted, Columns: r.describe(width)}
}
