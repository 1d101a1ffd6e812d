package lists

import "slices"

// mostColumns is more than a list has.
const mostColumns = 1 << 16

// Choose takes a column, given by its name or its number from 1, for the one that holds the addresses, in place of
// those that were found. It must be called before anything is read or written.
func (r *Reader) Choose(name string) error {
	index, err := r.findColumn(name, mostColumns)
	if err != nil {
		return err
	}
	for _, before := range r.chosen {
		if other := r.columnName(before); before != index && !slices.Contains(r.others, other) {
			r.others = append(r.others, other)
		}
	}
	r.chosen = []int{index}
	r.others = slices.DeleteFunc(r.others, func(other string) bool { return other == r.columnName(index) })
	return nil
}
