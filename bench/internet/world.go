package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"presend/internal/lab"
)

// scale is how large the simulated internet is.
type scale struct {
	addresses, domains, hosts int
}

// provider is the host of the most popular domain. The verifier takes it for google.
const provider = "aspmx.l.google.com"

// place is a mail host with its domains and how many addresses each has in the list.
type place struct {
	host    lab.Host
	domains []*settlement
}

type settlement struct {
	name      string
	addresses int
	unknown   int // of these, mailboxes that do not exist
	catchAll  bool
}

// internet is the world, the list, and what the floor is computed from.
type internet struct {
	world  *lab.World
	list   []string
	places []*place
}

// large is how many of the most popular domains have a host of their own, which is near, pipelines and has no limit on
// refusals, as the hosts of large providers are.
const large = 100

// build makes the world. The first domain has 30 % of the addresses, and the popularity of the others follows Zipf's
// law. A host has caps and a round trip of 5 to 200 ms, more often a short one. 80 % announce PIPELINING, 40 % end a
// session after 20 refusals, as Postfix does, 5 % greylist, 1 % are dead, 1 % are tarpits, and 2 % block us after a
// while. 10 % of the domains are catch-all, and 15 % of the other addresses do not exist.
func build(s scale, random *rand.Rand) (*internet, error) {
	in := &internet{world: lab.NewWorld()}
	in.world.Latency = time.Millisecond
	chance := func(percent float64) bool { return random.Float64()*100 < percent }
	for i := range s.hosts {
		h := lab.Host{
			Name:         fmt.Sprintf("mx.host%d.lab", i),
			Latency:      time.Duration(5+195*math.Pow(random.Float64(), 2)) * time.Millisecond,
			Sessions:     5 + random.IntN(16),
			Rcpts:        50 + 50*random.IntN(2),
			NoPipelining: chance(20),
		}
		if chance(40) {
			h.Errors = 20
		}
		switch at := random.Float64() * 100; {
		case i == 0:
			h = lab.Host{Name: provider, Latency: 20 * time.Millisecond, Sessions: 20, Rcpts: 100}
		case i < large:
			h.Latency, h.NoPipelining, h.Errors = time.Duration(5+random.IntN(36))*time.Millisecond, false, 0
		case at < 5:
			h.Greylist, h.GreylistFirst = 5*time.Minute, true
		case at < 6:
			h.Fault = lab.Dead
		case at < 7:
			h.Fault = lab.Tarpit
		case at < 9:
			h.Fault, h.After, h.Errors = lab.BlocksAfter, 20+random.IntN(100), 0
		}
		if err := in.world.AddHost(h); err != nil {
			return nil, err
		}
		in.places = append(in.places, &place{host: h})
	}
	for i, n := range popularity(s) {
		at := in.places[0]
		name := "gmail.com"
		if i > 0 {
			at, name = in.places[large+random.IntN(s.hosts-large)], fmt.Sprintf("domain%d.lab", i)
			if i < large {
				at = in.places[i]
			}
		}
		d := lab.Domain{Name: name, MX: []lab.MX{{Preference: 10, Host: at.host.Name}}, CatchAll: i > 0 && chance(10)}
		if err := in.world.AddDomain(d); err != nil {
			return nil, err
		}
		town := &settlement{name: name, addresses: n, catchAll: d.CatchAll}
		for k := range n {
			address := fmt.Sprintf("user%d@%s", k, name)
			if d.CatchAll || !chance(15) {
				if err := in.world.AddMailbox(address, lab.Mailbox); err != nil {
					return nil, err
				}
			} else {
				town.unknown++
			}
			in.list = append(in.list, address)
		}
		at.domains = append(at.domains, town)
	}
	random.Shuffle(len(in.list), func(i, j int) { in.list[i], in.list[j] = in.list[j], in.list[i] })
	return in, nil
}

// popularity returns how many of the addresses each domain has: the first 30 %, the others by Zipf's law, at least one.
func popularity(s scale) []int {
	sum := 0.0
	for i := 1; i < s.domains; i++ {
		sum += 1 / float64(i)
	}
	counts := make([]int, s.domains)
	left := s.addresses
	for i := range counts {
		share := 0.3
		if i > 0 {
			share = 0.7 / sum / float64(i)
		}
		counts[i] = max(1, int(share*float64(s.addresses)))
		left -= counts[i]
	}
	for i := 1; left > 0 && i < s.domains; i++ { // addresses that rounding left over
		counts[i]++
		left--
	}
	return counts
}
