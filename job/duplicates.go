package job

import (
	"hash/maphash"
	"strings"

	"presend/verify/syntax"
)

// seen remembers addresses and their mailboxes by a hash of 64 bits. Of ten million addresses, two have the same hash
// in one of some hundred thousand lists.
type seen struct {
	seed maphash.Seed
	keys map[uint64]seenAs
}

// seenAs says in which way a text was seen.
type seenAs byte

const (
	seenAddress seenAs = 1 << iota
	seenMailbox
)

func newSeen() *seen { return &seen{maphash.MakeSeed(), map[uint64]seenAs{}} }

// before reports whether an address came before, the case of letters aside, or else another one of the same mailbox. It
// takes what is no address for one that never came.
func (s *seen) before(address string) (same, mailbox bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return false, false
	}
	whole := strings.ToLower(address)
	of := syntax.Stored(address[:at], address[at+1:]).Mailbox()
	same = s.mark(whole, seenAddress)
	mailbox = s.mark(of, seenMailbox)
	return same, mailbox && !same
}

func (s *seen) mark(text string, as seenAs) bool {
	key := maphash.String(s.seed, text)
	had := s.keys[key]
	s.keys[key] = had | as
	return had&as != 0
}
