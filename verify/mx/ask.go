package mx

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Servers returns the resolvers that are asked, as host:port.
func (r *Resolver) Servers() []string { return slices.Clone(r.config.Servers) }

// Ask asks one question and returns the reply as it came, with the care that Lookup takes: other resolvers, other ways,
// several tries. The reply is NOERROR or NXDOMAIN. The error is a *TemporaryError, or that of the context, or says that
// the resolver is closed.
func (r *Resolver) Ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	reply, _, err := r.client.query(ctx, question{strings.TrimSuffix(strings.ToLower(name), "."), kind}, 0)
	if err != nil {
		if ended := ended(ctx); ended != nil {
			err = ended
		}
		return nil, fmt.Errorf("%s %s: %w", name, dns.TypeToString[kind], err)
	}
	return reply, nil
}
