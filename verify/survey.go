package verify

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"presend/verify/mx"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// Survey is what DNS says of the domains of a list: enough for a run that asks no mail host, and then a run needs no
// queue, since nothing is lost that could not be had again at once.
type Survey struct {
	verifier *Verifier
	domains  map[string]evidence
}

// Survey looks up each domain once, Config.Lookups at a time. It returns the error of ctx or of domains.
func (v *Verifier) Survey(ctx context.Context, domains iter.Seq2[string, error]) (*Survey, error) {
	s := &Survey{verifier: v, domains: map[string]evidence{}}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	names := make(chan string, v.config.Lookups)
	for range v.config.Lookups {
		group.Go(func() error {
			for name := range names {
				e := v.onDomain(ctx, name)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				mu.Lock()
				s.domains[name] = e
				mu.Unlock()
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(names)
		seen := map[string]bool{}
		for name, err := range domains {
			if err != nil {
				return err
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			select {
			case names <- name:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return s, group.Wait()
}

// Domains yields the domains that were looked up, with the reason that the result of each of their addresses has as far
// as DNS tells.
func (s *Survey) Domains() iter.Seq2[string, Reason] {
	return func(yield func(string, Reason) bool) {
		for name, e := range s.domains {
			if !yield(name, e.reason) {
				return
			}
		}
	}
}

// Provider returns who takes the mail of a domain that was looked up, and whether any host does.
func (s *Survey) Provider(domain string) (provider mx.Provider, takesMail bool) {
	e, known := s.domains[domain]
	return e.answer.Provider, known && e.reason == verdict.NotProbed
}

// onDomain is all that a result shows of a domain.
func (v *Verifier) onDomain(ctx context.Context, name string) evidence {
	e, _ := v.byName(ctx, name)
	e.name, e.at = v.nameFacts(name), time.Now() // once a domain, not once an address
	e.answer.Hosts = slices.Clone(e.answer.Hosts[:min(1, len(e.answer.Hosts))])
	for i := range e.answer.Hosts {
		e.answer.Hosts[i].Addrs = nil
	}
	return e
}

// Trouble returns what is wrong with DNS where no resolver said anything about any domain; nil where one did.
func (s *Survey) Trouble() *Trouble {
	var detail string
	for _, e := range s.domains {
		if !e.silent {
			return nil
		}
		detail = e.detail
	}
	if detail == "" {
		return nil
	}
	return silence(detail)
}

// Result returns what is known of an address. A domain that was not among those looked up is looked up now. Not safe
// for concurrent use. The error is that of ctx.
func (s *Survey) Result(ctx context.Context, a syntax.Address) (Result, error) {
	e, known := s.domains[a.Domain]
	if !known {
		e = s.verifier.onDomain(ctx, a.Domain)
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		s.domains[a.Domain] = e
	}
	return s.verifier.unprobed(Task{Address: a}, e), nil
}
