package state

import "math/bits"

// set is a set of addresses, by their ids, which are dense.
type set []uint64

func (s *set) add(id int64) {
	for int(id/64) >= len(*s) {
		*s = append(*s, make([]uint64, max(1024, len(*s)))...)
	}
	(*s)[id/64] |= 1 << (id % 64)
}

func (s set) has(id int64) bool { return int(id/64) < len(s) && s[id/64]&(1<<(id%64)) != 0 }

// without returns what is in s and not in other.
func (s set) without(other set) set {
	left := append(set{}, s...)
	for i := range min(len(left), len(other)) {
		left[i] &^= other[i]
	}
	return left
}

func (s set) size() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// each yields the members in order.
func (s set) each(yield func(int64) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(int64(i*64 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}
