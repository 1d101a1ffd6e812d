package smtpprobe

import (
	"container/list"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"sync"
)

// ticketsMost is how many addresses a Prober keeps a TLS session of.
const ticketsMost = 1000

// tickets keeps the newest TLS session of each server address, so that the next session there is resumed. It drops the
// one that was used longest ago when it is full. Providers serve thousands of host names from a few addresses, so
// sessions are kept by address and not by name.
type tickets struct {
	mu     sync.Mutex
	most   int
	recent *list.List // of ticket, the last used first
	byAddr map[netip.Addr]*list.Element
}

type ticket struct {
	addr        netip.Addr
	host        string
	certificate *x509.Certificate
	session     *tls.ClientSessionState
}

func newTickets(most int) *tickets {
	return &tickets{most: most, recent: list.New(), byAddr: map[netip.Addr]*list.Element{}}
}

// find returns the session to resume at an address, if the certificate of that session was good for the host: RFC 8446
// section 4.6.1 asks for it, and a server may refuse another name.
func (s *tickets) find(addr netip.Addr, host string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.byAddr[addr]
	if !ok {
		return nil, false
	}
	kept := element.Value.(ticket)
	if kept.host != host && (kept.certificate == nil || kept.certificate.VerifyHostname(host) != nil) {
		return nil, false
	}
	s.recent.MoveToFront(element)
	return kept.session, true
}

// keep replaces the session of an address. A nil session is forgotten.
func (s *tickets) keep(t ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if element, ok := s.byAddr[t.addr]; ok {
		s.recent.Remove(element)
		delete(s.byAddr, t.addr)
	}
	if t.session == nil {
		return
	}
	s.byAddr[t.addr] = s.recent.PushFront(t)
	if s.recent.Len() > s.most {
		oldest := s.recent.Remove(s.recent.Back()).(ticket)
		delete(s.byAddr, oldest.addr)
	}
}

// ticketsOf is the tls.ClientSessionCache of one connection.
type ticketsOf struct {
	store       *tickets
	addr        netip.Addr
	host        string
	certificate *x509.Certificate
}

func (c *ticketsOf) Get(string) (*tls.ClientSessionState, bool) { return c.store.find(c.addr, c.host) }

func (c *ticketsOf) Put(_ string, session *tls.ClientSessionState) {
	c.store.keep(ticket{addr: c.addr, host: c.host, certificate: c.certificate, session: session})
}

// connected is called in each handshake, before the server's ticket arrives.
func (c *ticketsOf) connected(state tls.ConnectionState) error {
	if len(state.PeerCertificates) > 0 {
		c.certificate = state.PeerCertificates[0]
	}
	return nil
}

// tlsConfig returns the TLS settings for a session. The certificate is not checked: this is opportunistic TLS
// (RFC 7435), and a probe carries nothing that is worth a refusal.
func (p *Prober) tlsConfig(addr netip.Addr, host string) *tls.Config {
	cache := &ticketsOf{store: p.tickets, addr: addr, host: host}
	return &tls.Config{
		ServerName:         host,
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10,
		ClientSessionCache: cache,
		VerifyConnection:   cache.connected,
	}
}
