package lab

import (
	"fmt"
	"math/rand/v2"
)

// Nights is a world whose truth changes by night, as that of a CRM's contacts does: mailboxes open and close, or are
// full for a while; domains lapse and come back, or never do; domains become catch-alls; servers fail for a night.
// Which changes come when is decided by a seed.
type Nights struct {
	domains []nightDomain
	boxes   []nightBox
}

// nightDomain is a domain with the nights in which it is not as it was. A night 0 never comes.
type nightDomain struct {
	name     string
	lapses   int // the first night without the domain
	returns  int // the night in which it is back; 0: never
	catchAll int // the first night in which it accepts everybody
	down     int // the night in which its server refuses connections
}

// nightBox is a mailbox; of the nights in which it is there, it may be full in some.
type nightBox struct {
	local  string
	domain int
	opens  int // 0: it is there from the beginning
	closes int // 0: never
	full   int // the first of ten nights
}

// NewNights returns a world of so many addresses, ten in each domain. All changes come within so many nights.
func NewNights(seed uint64, addresses, nights int) *Nights {
	random := rand.New(rand.NewPCG(seed, 0))
	n := &Nights{}
	some := func(percent int) int {
		if random.IntN(100) >= percent {
			return 0
		}
		return 2 + random.IntN(max(1, nights-2))
	}
	for i := range addresses {
		if i%10 == 0 {
			d := nightDomain{name: fmt.Sprintf("d%d.lab", i/10), lapses: some(5), catchAll: some(5), down: some(20)}
			if d.lapses > 0 && random.IntN(2) == 0 {
				d.returns = d.lapses + 2
			}
			n.domains = append(n.domains, d)
		}
		b := nightBox{local: fmt.Sprintf("user%d", i), domain: i / 10, opens: some(3), full: some(2)}
		if b.opens == 0 {
			b.closes = some(5)
		}
		n.boxes = append(n.boxes, b)
	}
	return n
}

// Addresses returns all addresses.
func (n *Nights) Addresses() []string {
	addresses := make([]string, len(n.boxes))
	for i, b := range n.boxes {
		addresses[i] = b.local + "@" + n.domains[b.domain].name
	}
	return addresses
}

// World returns the world of a night, from 1.
func (n *Nights) World(night int) (*World, error) {
	w := NewWorld()
	for _, d := range n.domains {
		host := Host{Name: "mx." + d.name}
		if night == d.down {
			host.Fault = Dead
		}
		if err := w.AddHost(host); err != nil {
			return nil, err
		}
		domain := Domain{Name: d.name, MX: []MX{{Preference: 10, Host: host.Name}}, CatchAll: since(night, d.catchAll)}
		if since(night, d.lapses) && !since(night, d.returns) {
			domain = Domain{Name: d.name, Answer: NXDomain}
		}
		if err := w.AddDomain(domain); err != nil {
			return nil, err
		}
	}
	for _, b := range n.boxes {
		if night < b.opens || since(night, b.closes) {
			continue
		}
		temper := Mailbox
		if since(night, b.full) && night < b.full+10 {
			temper = Full
		}
		if err := w.AddMailbox(b.local+"@"+n.domains[b.domain].name, temper); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// since reports whether a night has come that may never come.
func since(night, first int) bool { return first > 0 && night >= first }
