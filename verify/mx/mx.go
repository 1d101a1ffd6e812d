// Package mx finds the mail hosts of a domain and recognises who runs them. The example shows the common path.
//
// NXDOMAIN, no data, SERVFAIL, REFUSED and a time-out are five different things, and only the first two are about the
// domain. Those become the errors [ErrNoSuchDomain], [ErrNoMailHost] and [ErrNullMX]; the others become a
// [TemporaryError]. Every MX target stays in the answer with its addresses of both families or with its error.
//
// Queries go over UDP with EDNS0, over TCP where the answer is truncated, and to another resolver where one fails. The
// number of queries under way follows what a resolver tolerates. A resolver that does not answer so is asked without
// EDNS0, and then over TCP; one that does not answer at all is asked once a second at most. A question is asked once
// for any number of waiters, and answers are kept for their TTL, from 30 seconds to a day. That a domain has no mail
// host is confirmed by a second look-up. [Resolver.Preflight] tells whether the resolvers can be trusted.
package mx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Errors that are conclusions about the domain or about one of its mail hosts.
var (
	// ErrNoSuchDomain: NXDOMAIN, confirmed by a second query, to another resolver where there is one.
	ErrNoSuchDomain = errors.New("no such domain")
	// ErrNullMX: the domain says that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("null MX")
	// ErrNoMailHost: the domain has neither MX nor A nor AAAA, or every one of its MX targets has ErrNoAddress.
	ErrNoMailHost = errors.New("no mail host")
	// ErrNotPublic: a mail host has only loopback, private or otherwise non-public addresses. Of a domain: every mail
	// host has this error, ErrLocalhostMX or ErrNoAddress. It is what our resolver shows of the domain, and no conclusion
	// about it, unless the error is an ErrNoMailHost, too: two different resolvers with public addresses agree.
	ErrNotPublic = errors.New("non-public addresses only")
	// ErrLocalhostMX: an MX target is literally localhost or a loopback address, with which the domain says that it
	// takes no mail. Of a domain: every mail host has this error or ErrNoAddress. It is an ErrNoMailHost and an
	// ErrNoAddress.
	ErrLocalhostMX error = localhostError{}
	// ErrNoAddress: a mail host is known not to resolve. Its name does not exist, or it has neither A nor AAAA.
	ErrNoAddress = errors.New("no address")
)

type localhostError struct{}

func (localhostError) Error() string { return "the mail host is localhost" }

func (localhostError) Is(target error) bool { return target == ErrNoMailHost || target == ErrNoAddress }

// errAgreedNotPublic is the ErrNotPublic that two independent resolvers agree on.
var errAgreedNotPublic = agreedNotPublicError{}

type agreedNotPublicError struct{}

func (agreedNotPublicError) Error() string {
	return ErrNotPublic.Error() + ", as two public resolvers say"
}

func (agreedNotPublicError) Is(target error) bool {
	return target == ErrNoMailHost || target == ErrNotPublic
}

// TemporaryError is the error of a question that DNS gave no answer to. It says nothing about the domain.
type TemporaryError struct {
	// Kind is servfail (any other status than refused, answers that disagree, too many CNAMEs), refused, timeout, network,
	// lame (delegated to servers that do not know the zone) or limit (one MX target of so many that it was not looked up).
	Kind string
	Err  error // the cause
}

func (e *TemporaryError) Error() string {
	if e.Err != nil {
		return e.Kind + ": " + e.Err.Error()
	}
	return e.Kind
}

func (e *TemporaryError) Unwrap() error { return e.Err }

// Config holds the settings of a Resolver. The zero value of a field means its default.
type Config struct {
	// Servers are the resolvers, as host:port or as host for port 53. The default is those of /etc/resolv.conf with its
	// options rotate, timeout, attempts and use-vc, as far as the fields below do not say otherwise.
	Servers []string
	// Timeout is for one try. By default it is one second for the first tries of a question, two for the others.
	Timeout time.Duration
	// Attempts is how many tries of a question, over all resolvers, may stay without a reply; default 9.
	Attempts     int
	Rotate       bool // begin each question with the next resolver, not always with the first that answers
	TCP          bool // ask over TCP only
	AllowPrivate bool // keep addresses that are loopback, private or otherwise not public
	CacheSize    int  // answers kept; default 200,000
	// KnownNames are domains with MX records that Preflight asks about, or "." for the name servers of the root. The
	// default is well-known ones.
	KnownNames []string
}

// Resolver looks up mail hosts. It is safe for concurrent use. Close it after use.
type Resolver struct {
	config Config
	client *client
	cache  *cache
}

// New returns a Resolver. It fails where no resolver is given and the system's file cannot be read.
func New(config Config) (*Resolver, error) {
	return newResolver(config, (&net.Dialer{}).DialContext)
}

func newResolver(config Config, dial dialer) (*Resolver, error) {
	if _, err := providerTable(); err != nil {
		return nil, err
	}
	config.Servers = slices.Clone(config.Servers)
	if len(config.Servers) == 0 {
		system, err := system()
		if err != nil {
			return nil, err
		}
		config.Servers = system.Servers
		config.Timeout = cmp.Or(config.Timeout, system.Timeout)
		config.Attempts = cmp.Or(config.Attempts, system.Attempts)
		config.Rotate = config.Rotate || system.Rotate
		config.TCP = config.TCP || system.TCP
	}
	for i, server := range config.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			config.Servers[i] = net.JoinHostPort(strings.Trim(server, "[]"), "53")
		}
	}
	config.Attempts = cmp.Or(config.Attempts, defaultAttempts)
	config.CacheSize = cmp.Or(config.CacheSize, 200_000)
	if len(config.KnownNames) == 0 {
		config.KnownNames = knownNames()
	}
	return &Resolver{config: config, client: newClient(config, dial), cache: newCache(config.CacheSize)}, nil
}

// Close closes the resolver's connections; look-ups that need one fail at once.
func (r *Resolver) Close() error { return r.client.close() }

// ended returns the error of a context that has ended. A deadline ends it by the clock as well: a connection with the
// same deadline may fail a moment before the context knows.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Lookup returns where mail for a domain goes. The domain is a name in A-labels. If the context has ended, the error is
// the context's; else it is one of the errors above or a *TemporaryError, or says that the resolver is closed. Where
// the error is about the hosts, the answer still holds every host with its own error.
func (r *Resolver) Lookup(ctx context.Context, domain string) (Answer, error) {
	answer, err := r.lookup(ctx, strings.TrimSuffix(strings.ToLower(domain), "."))
	if ended := ended(ctx); err != nil && ended != nil {
		err = ended
	}
	if err != nil {
		return answer, fmt.Errorf("mail hosts of %s: %w", domain, err)
	}
	return answer, nil
}
