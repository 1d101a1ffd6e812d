package verify

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"presend/verify/mx"
)

// randomReply makes a server answer in one of many ways, by a number of its own.
func randomReply(rnd *rand.Rand, kind int) func(*simSession, string) string {
	words := []string{
		"250 2.1.5 Ok", "550 5.1.1 User unknown", "450 4.1.1 User unknown", "452 4.2.2 Mailbox full",
		"451 4.7.1 Greylisted, please try again in 60 seconds", "450 4.7.1 Too much mail from your address, slow down",
		"421 4.7.0 Too many connections", "421 4.3.2 Service not available", "554 5.7.1 Relay access denied",
		"554 5.7.1 Client host blocked using zen.spamhaus.org", "550 5.7.1 Rejected due to local policy", hangsUp, stalls,
		"452 4.5.3 Error: too many recipients", "550 No", "451 4.3.0 Local error",
	}
	switch {
	case kind < 5:
		return ordinary
	case kind < 8: // one word for all
		only := words[rnd.IntN(len(words))]
		return func(*simSession, string) string { return only }
	case kind < 10:
		limit := 1 + rnd.IntN(9)
		return func(s *simSession, recipient string) string {
			if s.asked >= limit {
				return hangsUp
			}
			return ordinary(s, recipient)
		}
	case kind == 10:
		return func(s *simSession, recipient string) string {
			if text := ordinary(s, recipient); text[0] == '2' {
				return text
			}
			return "550 nobody reads this"
		}
	default:
		return func(s *simSession, recipient string) string {
			if rnd.IntN(4) > 0 {
				return ordinary(s, recipient)
			}
			return words[rnd.IntN(len(words))]
		}
	}
}

func TestNothingIsLostOrCountedWrongInRandomWorlds(t *testing.T) {
	worlds, first := 200, uint64(1)
	if text := os.Getenv("PLAN_SEED"); text != "" { // one world again
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		worlds, first = 1, n
	}
	for seed := first; seed < first+uint64(worlds); seed++ {
		ok := t.Run(fmt.Sprintf("PLAN_SEED=%d", seed), func(t *testing.T) { randomWorld(t, seed) })
		if !ok {
			return
		}
	}
}

func randomWorld(t *testing.T, seed uint64) {
	rnd := simRand(t, seed)
	w := newSim(t, func(r *rules) {
		r.slots = 1 + rnd.IntN(12)
		rows := fmt.Sprintf("[default]\nsessions = %d\nrecipients = %d\nsession = %d\nerrors = %d\n",
			1+rnd.IntN(4), 1+rnd.IntN(30), 5+rnd.IntN(100), 2+rnd.IntN(9))
		if rnd.IntN(3) == 0 {
			rows += fmt.Sprintf("rate = %d.0\n", 2+rnd.IntN(30))
		}
		r.pace = paced(t, rows)
		switch rnd.IntN(4) {
		case 0:
			twoSources(r)
		case 1:
			threeSources(r)
		case 2:
			r.addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::99")}
		}
		r.ipv6 = rnd.IntN(4) > 0
	})
	var hosts []string
	for i := range 3 + rnd.IntN(12) {
		addr := fmt.Sprintf("10.0.0.%d", i+1)
		if rnd.IntN(4) == 0 {
			addr = fmt.Sprintf("2001:db8::%d", i+1)
		}
		hosts = append(hosts, addr)
		h := w.host(addr)
		h.trip = time.Duration(1+rnd.IntN(300)) * time.Millisecond
		if rnd.IntN(8) == 0 {
			h.trip = 3 * time.Second
		}
		h.stepwise, h.garbled = rnd.IntN(3) == 0, rnd.IntN(15) == 0
		h.rcpt = randomReply(rnd, rnd.IntN(14))
		switch rnd.IntN(14) {
		case 0:
			h.dead, h.fault = errDown, fault(rnd.IntN(3))
		case 1:
			words := []string{
				"421 4.7.0 Too many connections",
				"554 5.7.1 blocked using zen.spamhaus.org",
				"421 4.3.2 No",
			}
			h.banner = words[rnd.IntN(len(words))]
		case 2:
			h.closedTo = netip.MustParseAddr("192.0.2.1")
		case 3:
			h.mail = func(netip.Addr, string) string {
				words := []string{
					"",
					"451 4.3.0 Later",
					"421 4.7.0 Too many",
					"550 5.7.1 blocked using x",
					"450 4.7.1 slow down",
				}
				return words[rnd.IntN(len(words))]
			}
		}
	}
	answers := map[string]mx.Answer{}
	answer := func() mx.Answer {
		domain := fmt.Sprintf("d%d.lab", rnd.IntN(25))
		if a, ok := answers[domain]; ok && rnd.IntN(8) > 0 {
			return a
		}
		var targets []string
		for i := range 1 + rnd.IntN(3) {
			text := fmt.Sprintf("%d mx%d.h%d.lab", 10*(i/(1+rnd.IntN(2))), rnd.IntN(3), rnd.IntN(5))
			for range rnd.IntN(3) {
				text += " " + hosts[rnd.IntN(len(hosts))]
			}
			targets = append(targets, text)
		}
		targets[0] += " " + hosts[rnd.IntN(len(hosts))]
		answers[domain] = answerOf(domain, targets...)
		return answers[domain]
	}
	var live []*simRun
	id := runID(0)
	for range 10 + rnd.IntN(40) {
		switch k := rnd.IntN(12); {
		case k < 3 || len(live) == 0:
			id++
			live = append(live, w.begin(id))
		case k < 8:
			r := live[rnd.IntN(len(live))]
			a := answer()
			list := append(addresses(rnd.IntN(60), "good", a.Domain), addresses(1+rnd.IntN(12), "bad", a.Domain)...)
			var all []Task
			for _, text := range list {
				w.last++
				x := simTask(t, int64(w.last), text)
				switch rnd.IntN(12) {
				case 0:
					x.Source = w.plan.rules.addrs[rnd.IntN(len(w.plan.rules.addrs))]
				case 1:
					x.Heard = &Result{Reason: "catch_all_unknown", Reply: &Reply{Code: 250}}
				}
				all = append(all, x)
			}
			if !r.stopped {
				w.findTasks(r, a, all...)
			}
		case k < 10:
			id++
			a := answer()
			c := w.check(id, a, "good@"+a.Domain)
			if rnd.IntN(3) == 0 {
				w.later(time.Duration(rnd.IntN(2000))*time.Millisecond, nil, func() {
					c.stopped = c.last == 0
					w.feed(gone{c.id})
				})
			}
		default:
			r := live[rnd.IntN(len(live))]
			r.stopped = true
			if rnd.IntN(2) == 0 {
				w.feed(stop{r.id})
			} else {
				w.feed(gone{r.id})
			}
		}
		w.runFor(time.Duration(rnd.IntN(1500)) * time.Millisecond)
	}
	for _, r := range live {
		w.feed(fed{r.id})
	}
	w.run()
	for _, r := range w.list() {
		for _, f := range r.results {
			if f.evidence.reason == "" {
				t.Errorf("%s has a result without a reason", f.task.Address)
			}
			if e := f.evidence; strings.HasPrefix(e.detail, "not asked:") && (e.reply != nil || e.host != "") {
				t.Errorf("%s was not asked and carries a reply: %+v", f.task.Address, e)
			}
		}
	}
	if len(w.opens) > 2000 {
		t.Errorf("%d sessions", len(w.opens))
	}
}
