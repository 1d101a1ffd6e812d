package mx

import (
	"testing"

	"github.com/miekg/dns"
)

func TestAnIDThatWasAnsweredAndTakenAgainIsNotForgotten(t *testing.T) {
	k := &socket{waiting: map[uint16]waiter{}}
	first, second := make(chan *dns.Msg, 1), make(chan *dns.Msg, 1)
	id, err := k.expect(dns.Question{Name: "first.lab."}, first)
	if err != nil {
		t.Fatal(err)
	}
	delete(k.waiting, id) // the answer came
	k.waiting[id] = waiter{dns.Question{Name: "second.lab."}, second}
	k.forget(id, first)
	if k.waiting[id].reply != second {
		t.Error("the question that has the ID now would never get its answer")
	}
	k.forget(id, second)
	if len(k.waiting) > 0 {
		t.Error("an ID is kept for nobody")
	}
}
