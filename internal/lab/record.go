package lab

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// AddRecord adds a DNS record, in the form of a zone file. It may be at a name that is a host or a domain too, and is
// then there in addition to what that says.
func (w *World) AddRecord(line string) error {
	rr, err := dns.NewRR(strings.TrimSpace(line))
	switch {
	case err != nil:
		return fmt.Errorf("lab: record: %w", err)
	case rr == nil:
		return fmt.Errorf("lab: record %q is none", line)
	}
	rr.Header().Ttl = ttl
	name := strings.ToLower(strings.TrimSuffix(rr.Header().Name, "."))
	w.records[name] = append(w.records[name], rr)
	return nil
}

// declared returns the records of a kind that AddRecord gave a name, and whether it gave the name any.
func (w *World) declared(name string, kind uint16) (records []dns.RR, exists bool) {
	for _, rr := range w.records[name] {
		if rr.Header().Rrtype == kind {
			records = append(records, dns.Copy(rr))
		}
	}
	return records, len(w.records[name]) > 0
}
