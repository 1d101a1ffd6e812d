package main

import (
	"context"
	"hash/maphash"

	"presend/lists"
	"presend/verify"
)

// survey is the run that asks no mail host and remembers nothing: one pass over the list for its domains, which DNS is
// asked about, and one that writes.
func (a *app) survey(ctx context.Context, reader *lists.Reader, verifier *verify.Verifier, f listFlags, rules map[verify.Flag]verify.Verdict, tally *tally) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // there is nothing to keep: the first interrupt ends it
		select {
		case <-a.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	known, err := verifier.Survey(ctx, func(yield func(string, error) bool) {
		for row, err := range reader.Rows() {
			if err != nil {
				yield("", err)
				return
			}
			if address := toVerify(verifier, row.Address); address != nil && !yield(address.Domain, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	seen := newSeen()
	return a.write(reader, f, rules, tally, func(row lists.Row) (rowResult, error) {
		if ctx.Err() != nil {
			return rowResult{}, ctx.Err()
		}
		parsed, result, final := verifier.Examine(row.Address)
		r := rowResult{Result: result, final: final}
		if !final {
			r.Result = asGiven(known.Result(parsed), row.Address, parsed)
			r.duplicate = seen.before(parsed.Key())
		}
		return r, nil
	}, verifier)
}

// seen remembers addresses by two hashes, which for the size of any list do not collide.
type seen struct {
	seeds [2]maphash.Seed
	keys  map[[2]uint64]struct{}
}

func newSeen() *seen {
	return &seen{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, map[[2]uint64]struct{}{}}
}

func (s *seen) before(key string) bool {
	hashed := [2]uint64{maphash.String(s.seeds[0], key), maphash.String(s.seeds[1], key)}
	_, known := s.keys[hashed]
	s.keys[hashed] = struct{}{}
	return known
}
