package doctor

import (
	_ "embed"
	"fmt"
	"net/netip"
	"slices"

	"github.com/BurntSushi/toml"
)

//go:embed facts.toml
var factsFile string

// facts is what facts.toml holds.
type facts struct {
	Providers  []provider       `toml:"provider"`
	Blocklists []blocklist      `toml:"blocklist"`
	Public     []publicResolver `toml:"public"`
	DNSSEC     struct {
		Signed, Broken, Source string
	} `toml:"dnssec"`
	Route struct {
		IPv4, IPv6 netip.Addr
		Source     string
	} `toml:"route"`
}

// provider is a large receiver of mail with one of its mail hosts.
type provider struct {
	Name, Host, Source string
}

// blocklist is a DNS blocklist (RFC 5782).
type blocklist struct {
	Zone, Name, Lookup, Source, Note string
	IPv6                             bool
	Codes                            map[string]string
}

// publicResolver is a resolver that anybody may use.
type publicResolver struct {
	Name, Source string
	Addresses    []netip.Addr
}

func loadFacts() (facts, error) {
	var f facts
	meta, err := toml.Decode(factsFile, &f)
	if err != nil {
		return facts{}, fmt.Errorf("doctor: facts.toml: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return facts{}, fmt.Errorf("doctor: facts.toml: unknown keys %v", unknown)
	}
	return f, nil
}

// publicName returns who runs a resolver that anybody may use; empty for any other address.
func (f *facts) publicName(a netip.Addr) string {
	for _, p := range f.Public {
		if slices.Contains(p.Addresses, a.Unmap()) {
			return p.Name
		}
	}
	return ""
}
