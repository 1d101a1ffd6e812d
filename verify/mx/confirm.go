package mx

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// lookup finds the mail hosts of a domain. That the domain has none is believed only when a second look-up says the
// same, past the cache and first at other resolvers. Where the two disagree, the one that finds a mail host is right;
// where neither does, nothing is concluded.
func (r *Resolver) lookup(ctx context.Context, domain string) (Answer, error) {
	first := &view{r: r}
	answer, err := first.lookup(ctx, domain)
	hidden := errors.Is(err, ErrNotPublic)
	switch {
	case hidden && len(r.config.Servers) < 2: // a fact about this resolver's view; only another one can tell more
		return answer, err
	case hidden, errors.Is(err, ErrNoSuchDomain), errors.Is(err, ErrNoMailHost):
	default:
		return answer, err
	}
	if confirmed := r.cache.confirmed(domain, err); confirmed != nil {
		return answer, confirmed
	}
	second := &view{r: r, again: true, avoid: first.heard()}
	other, otherErr := second.lookup(ctx, domain)
	var temporary *TemporaryError
	switch {
	case otherErr == nil, errors.Is(otherErr, ErrNullMX):
		return other, otherErr
	case hidden && errors.Is(otherErr, ErrNotPublic):
		confirmed := err
		if r.independent(first.heard(), second.heard()) {
			confirmed = errAgreedNotPublic
		}
		r.cache.confirm(domain, confirmation{err, confirmed, answer.Expires})
		return answer, confirmed
	case hidden: // it stays what it is: not the domain's fault
		return answer, err
	case errors.Is(otherErr, err):
		r.cache.confirm(domain, confirmation{err, err, answer.Expires})
		return answer, err
	case errors.As(otherErr, &temporary), ctx.Err() != nil:
		return answer, otherErr
	}
	return answer, &TemporaryError{
		Kind: "servfail", Err: errors.New("two answers disagree: " + err.Error() + ", and: " + otherErr.Error()),
	}
}

// independent reports whether two views are from different resolvers, each with a public address: none of them can be
// one that shows an inside view of a network.
func (r *Resolver) independent(a, b upstreamSet) bool {
	if a.overlaps(b) {
		return false
	}
	for _, u := range r.client.upstreams {
		if !(a | b).has(u) {
			continue
		}
		host, _, err := net.SplitHostPort(u.address)
		if err != nil {
			return false
		}
		if addr, err := netip.ParseAddr(host); err != nil || !IsPublic(addr) {
			return false
		}
	}
	return true
}

// confirmation is what a second look-up made of a conclusion.
type confirmation struct {
	of, is  error
	expires time.Time
}
