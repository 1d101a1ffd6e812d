package mx

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed providers.toml
var providersTable string

// Provider is who runs a mail host, as far as its name tells.
type Provider struct {
	Name        string // a word of providers.toml; empty: unknown
	AcceptsAll  bool   // a 2xx to RCPT says nothing
	Gateway     bool   // a filter; the mailbox is behind it
	IgnoresCase bool   // local parts that differ in case are one mailbox
	Parked      bool   // it takes mail for names that are for sale or wait for typos, whoever it is addressed to
}

// providers finds the provider of a mail host.
type providers struct {
	exact    map[string]Provider // host names
	suffixes map[string]Provider // of host names, from a dot on
	patterns []pattern           // with a * inside
	free     map[string]Provider // domains of free mail
	names    map[string]Provider // all
}

type pattern struct {
	before, after string
	provider      Provider
}

// providerTable returns the embedded table. It is read once and never changed, so all share it.
var providerTable = sync.OnceValues(loadProviders)

func loadProviders() (*providers, error) {
	var rows map[string]struct {
		Hosts       []string `toml:"hosts"`
		Source      string   `toml:"source"`
		Domains     []string `toml:"domains"`
		AcceptsAll  bool     `toml:"accepts_all"`
		Gateway     bool     `toml:"gateway"`
		IgnoresCase bool     `toml:"ignores_case"`
		Parked      bool     `toml:"parked"`
	}
	meta, err := toml.Decode(providersTable, &rows)
	if err != nil {
		return nil, fmt.Errorf("mx: providers.toml: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("mx: providers.toml: no such setting: %s", unknown[0])
	}
	p := &providers{
		exact: map[string]Provider{}, suffixes: map[string]Provider{}, free: map[string]Provider{},
		names: map[string]Provider{},
	}
	for name, row := range rows {
		provider := Provider{
			Name: name, AcceptsAll: row.AcceptsAll, Gateway: row.Gateway, IgnoresCase: row.IgnoresCase, Parked: row.Parked,
		}
		if row.Parked && row.Source == "" {
			return nil, fmt.Errorf("mx: providers.toml: [%s] is parked and names no source", name)
		}
		p.names[name] = provider
		for _, domain := range row.Domains {
			p.free[domain] = provider
		}
		for _, host := range row.Hosts {
			before, after, star := strings.Cut(host, "*")
			switch {
			case !star:
				p.exact[host] = provider
			case before == "" && strings.HasPrefix(after, ".") && !strings.Contains(after, "*"):
				p.suffixes[after] = provider
			default:
				p.patterns = append(p.patterns, pattern{before, after, provider})
			}
		}
	}
	return p, nil
}

// Guess returns the provider of a well-known free-mail domain, by its name alone. It is for estimates: who takes a
// domain's mail is known only when DNS was asked.
func Guess(domain string) (Provider, bool) {
	table, err := providerTable()
	if err != nil { // New says so
		return Provider{}, false
	}
	provider, known := table.free[domain]
	return provider, known
}

// Named returns the provider of a name, such as "yahoo".
func Named(name string) (Provider, bool) {
	table, err := providerTable()
	if err != nil { // as above
		return Provider{}, false
	}
	provider, known := table.names[name]
	return provider, known
}

// match returns the provider of the first host that has one: backups are often a gateway's or a registrar's, so the
// order counts. A domain is parked only if all its hosts are: one of another kind may serve real mailboxes.
func (p *providers) match(hosts []Host) Provider {
	parked := 0
	for _, host := range hosts {
		provider, ok := p.of(host.Name)
		switch {
		case !ok:
		case !provider.Parked:
			return provider
		default:
			if parked++; parked == len(hosts) {
				return provider
			}
		}
	}
	return Provider{}
}

func (p *providers) of(host string) (Provider, bool) {
	if provider, ok := p.exact[host]; ok {
		return provider, true
	}
	// The longest suffix wins: *.olc.protection.outlook.com before *.protection.outlook.com.
	for rest := host; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			break
		}
		if provider, ok := p.suffixes[rest[dot:]]; ok {
			return provider, true
		}
		rest = rest[dot+1:]
	}
	for _, pat := range p.patterns {
		rest, ok := strings.CutPrefix(host, pat.before)
		if ok && len(rest) > len(pat.after) && matchTail(rest, pat.after) {
			return pat.provider, true
		}
	}
	return Provider{}, false
}

// matchTail matches what follows a *, which may hold further ones.
func matchTail(s, after string) bool {
	part, rest, more := strings.Cut(after, "*")
	if !more {
		return strings.HasSuffix(s, part)
	}
	i := strings.Index(s, part)
	return i >= 0 && matchTail(s[i+len(part):], rest)
}
