package smtpprobe

import (
	"crypto/tls"
	"net/netip"
	"testing"
)

func TestTicketsAreBoundedAndTheLeastUsedGoesFirst(t *testing.T) {
	store := newTickets(2)
	addr := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, last}) }
	put := func(last byte, session *tls.ClientSessionState) {
		(&ticketsOf{store: store, addr: addr(last), host: "mx.lab"}).Put("", session)
	}
	check := func(when string, want ...byte) {
		t.Helper()
		if len(store.byAddr) != len(want) || store.recent.Len() != len(want) {
			t.Errorf("%s: %d addresses and %d tickets, want %d", when, len(store.byAddr), store.recent.Len(), len(want))
		}
		for _, last := range want {
			if _, ok := store.byAddr[addr(last)]; !ok {
				t.Errorf("%s: no ticket of %s", when, addr(last))
			}
		}
	}
	put(1, &tls.ClientSessionState{})
	put(2, &tls.ClientSessionState{})
	if _, ok := store.find(addr(1), "mx.lab"); !ok {
		t.Error("the first ticket is not found")
	}
	if _, ok := store.find(addr(1), "other.lab"); ok {
		t.Error("a ticket is found under another name, without a certificate that holds it")
	}
	put(3, &tls.ClientSessionState{})
	check("after a third", 1, 3)
	put(3, &tls.ClientSessionState{})
	check("after a newer one of the same address", 1, 3)
	put(3, nil) // crypto/tls says so after a handshake that failed
	check("after one was taken back", 1)
	put(3, nil)
	check("after it was taken back again", 1)
}
