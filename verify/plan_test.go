package verify

import (
	"errors"
	"testing"
)

func TestEachAddressOfAPlainListHasItsResult(t *testing.T) {
	w := newSim(t, nil)
	w.host("10.0.0.1")
	r := w.verifyAll(answerOf("a.lab", "10 mx.a.lab 10.0.0.1"), append(addresses(300, "good", "a.lab"), addresses(40, "bad", "a.lab")...)...)
	if got := r.reasons(); got["accepted"] != 300 || got["mailbox_unknown"] != 40 {
		t.Errorf("%v; want 300 accepted, 40 unknown", got)
	}
	t.Log(len(w.opens), len(w.flights), len(r.kept), w.now.Sub(w.start))
}

var errDown = errors.New("connection refused")
