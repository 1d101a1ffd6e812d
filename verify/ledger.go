package verify

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Ledger is what a Queue may be, too: it keeps from run to run how many recipients were asked today, where the pace
// table has a budget for a day. A Queue that is none lets each process begin with a budget that nothing was taken from.
type Ledger interface {
	// Spent returns what was kept of a day.
	Spent(ctx context.Context, day time.Time) ([]Spent, error)
	// Spend keeps counts. A smaller count than the one that is kept of the same day changes nothing.
	Spend(ctx context.Context, list []Spent) error
}

// Spent is how many recipients were asked at a destination from one of our addresses in a day.
type Spent struct {
	Day         time.Time // midnight, UTC
	Destination string
	Source      netip.Addr // the zero Addr is the system's choice
	Recipients  int
}

// account is a destination's budget of a day as one of our addresses uses it up.
type account struct {
	destination string
	source      int
}

// spend counts recipients that a session is about to ask, where there is a budget for a day.
func (p *plan) spend(s *session, recipients int) {
	d := s.dest
	if d.table.Day == 0 {
		return
	}
	s.lane().asked += recipients // of today, since leftToday was asked before
	for _, r := range p.runs {
		if !r.check {
			r.spent[account{d.name, s.source}] = struct{}{}
		}
	}
	if d.leftToday(s.source, p.now) == 0 {
		p.touchAll(d) // what waits has its result
	}
}

// remember takes what a Ledger kept of today.
func (p *plan) remember(list []Spent) {
	for _, x := range list {
		n := slices.Index(p.rules.addrs, x.Source)
		limits := p.rules.pace.For(x.Destination)
		if n < 0 || limits.Day == 0 || !x.Day.Equal(p.now.UTC().Truncate(wholeDay)) {
			continue
		}
		d := p.destinations[x.Destination]
		if d == nil {
			d = newDestination(x.Destination, limits, len(p.sources))
			d.usedAt = p.now
			p.destinations[d.name] = d
		}
		d.leftToday(n, p.now)
		d.lanes[n].asked = max(d.lanes[n].asked, x.Recipients)
	}
}

// accounts returns what a run's recorder has to keep of budgets.
func (p *plan) accounts(r *runState) (list []Spent) {
	for a := range r.spent {
		if d := p.destinations[a.destination]; d != nil && d.lanes[a.source].asked > 0 {
			l := &d.lanes[a.source]
			list = append(list, Spent{l.today, a.destination, p.rules.addrs[a.source], l.asked})
		}
	}
	clear(r.spent)
	slices.SortFunc(list, func(a, b Spent) int {
		if c := strings.Compare(a.Destination, b.Destination); c != 0 {
			return c
		}
		return a.Source.Compare(b.Source)
	})
	return list
}
