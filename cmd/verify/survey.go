package main

import (
	"context"
	"hash/maphash"
	"strings"

	"presend/lists"
	"presend/verify"
)

// survey is the run that asks no mail host and remembers nothing: one pass over the list for its domains, which DNS is
// asked about, and one that writes.
func (a *app) survey(ctx context.Context, reader *lists.Reader, verifier *verify.Verifier, f listFlags, rules map[verify.Flag]verify.Verdict, tally *tally) error {
	ctx, cancel := a.untilStop(ctx)
	defer cancel()
	known, err := verifier.Survey(ctx, func(yield func(string, error) bool) {
		written := map[string]bool{} // domains as they are written, of addresses that were read
		for row, err := range reader.Rows() {
			if err != nil {
				yield("", err)
				return
			}
			domain := row.Address[strings.LastIndexByte(row.Address, '@')+1:]
			if written[domain] {
				continue
			}
			if address := toVerify(verifier, row.Address); address != nil {
				if !yield(address.Domain, nil) {
					return
				}
				written[domain] = true
			}
		}
	})
	if err != nil {
		return err
	}
	seen := newSeen()
	return a.write(reader, f, rules, tally, results{of: func(row lists.Row) (rowResult, error) {
		if ctx.Err() != nil {
			return rowResult{}, ctx.Err()
		}
		var err error
		parsed, result, final := verifier.Examine(row.Address)
		r := rowResult{Result: result, final: final}
		if !final {
			if result, err = known.Result(ctx, parsed); err != nil {
				return rowResult{}, err
			}
			r.Result = asGiven(result, row.Address, parsed)
			r.duplicate = seen.before(r.Normalized)
		}
		return r, nil
	}, end: func() error { return nil }}, verifier)
}

// untilStop returns a context that the first interrupt ends, for work of which there is nothing to keep.
func (a *app) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
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
	had := len(s.keys)
	s.keys[hashed] = struct{}{}
	return len(s.keys) == had
}
