package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"
)

// host is a mail host at work.
type host struct {
	Host
	lab      *Lab
	listener net.Listener

	mu    sync.Mutex // guards what follows
	open  int        // sessions now
	peak  int
	at    map[netip.Addr]*gauge // sessions by the address that was dialled
	asked int                   // RCPTs in its life
	calls int                   // sessions in its life
	seen  map[string]time.Time  // first attempt by client, sender and recipient, for greylisting
}

// gauge counts sessions at a time.
type gauge struct{ open, peak int }

func newHost(l *Lab, declared Host) *host {
	h := &host{Host: declared, lab: l, seen: map[string]time.Time{}, at: map[netip.Addr]*gauge{}}
	for _, addr := range declared.addrs() {
		h.at[addr] = &gauge{}
	}
	return h
}

// accept takes connections until the listener is closed.
func (h *host) accept() {
	for {
		c, err := h.listener.Accept()
		if errors.Is(err, net.ErrClosed) || h.lab.ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return
		}
		if err != nil { // out of file descriptors: others will be given back
			if !pause(h.lab.ctx, 5*time.Millisecond) {
				return
			}
			continue
		}
		h.lab.wg.Go(func() { h.serve(c, h.Addr, 2*h.Latency) })
	}
}

// serve owns a connection to one of the host's addresses from beginning to end. The banner arrives after the time that
// is given.
func (h *host) serve(raw net.Conn, addr netip.Addr, banner time.Duration) {
	defer h.lab.forget(raw)
	if !h.lab.track(raw) {
		return
	}
	ctx, cancel := context.WithCancel(h.lab.ctx)
	defer cancel()
	s := newSession(ctx, h, raw, addr)
	h.lab.tally.connection(s.client)
	if h.Latency > 0 {
		w := newWire(ctx, raw, h.Latency)
		h.lab.wg.Go(w.pump)
		s.wire = w
		s.attach(w)
	}
	if !pause(ctx, banner) {
		return
	}
	within := h.enter(ctx, addr)
	s.number = h.call()
	defer s.leave()
	s.run(within)
}

// call counts a session, and returns how many there have been.
func (h *host) call() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	return h.calls
}

// enter counts a connection in when its banner is due, and reports whether it is within the cap. On a network a QUIT
// that is sent before a connection is opened arrives long before its banner is due; where round trips take no time,
// a QUIT under way gets some milliseconds to arrive.
func (h *host) enter(ctx context.Context, addr netip.Addr) bool {
	for range 10 {
		if h.admit(addr, h.Sessions) {
			return true
		}
		if !pause(ctx, time.Millisecond) {
			break
		}
	}
	h.admit(addr, 0)
	return false
}

// admit counts a connection in unless there are so many already; 0: in any case.
func (h *host) admit(addr netip.Addr, limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if limit > 0 && h.open >= limit {
		return false
	}
	h.open++
	h.peak = max(h.peak, h.open)
	at := h.at[addr]
	at.open++
	at.peak = max(at.peak, at.open)
	return true
}

func (h *host) leave(addr netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	h.at[addr].open--
}

// note counts an RCPT, and returns how many there have been.
func (h *host) note(address string) int {
	h.lab.tally.probe(address)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	return h.asked
}

// greylisted returns how much longer a sender must wait before this recipient is taken; 0: it may come in.
func (h *host) greylisted(triplet string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.lab.Now()
	first, known := h.seen[triplet]
	if !known {
		first = now
		h.seen[triplet] = now
	}
	return max(0, first.Add(h.Greylist).Sub(now))
}

// selfSigned makes the certificate that every host shows.
func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mail host of the lab"},
		DNSNames:     []string{"*.lab", "*.mail.protection.outlook.com"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}, nil
}
