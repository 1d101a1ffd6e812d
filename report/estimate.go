package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// Estimate says how long it takes at least to ask about the addresses of a list, by the pace table. Where the table
// has no rate, mail hosts answer as fast as they can, and no bound is known. Make one with NewEstimate, then Add.
type Estimate struct {
	pace    *smtpprobe.Pace
	sources int
	quick   int // addresses of a provider that accepts any address that are asked; 0: all
	at      map[string]*Load
	others  int
	domains int
}

// Load is how many addresses a provider is asked about, and how long that takes.
type Load struct {
	Provider   string
	Addresses  int
	LeftOut    int           // of them, by --quick
	Tomorrow   int           // of them, those that today's budget does not allow
	Rate       float64       // recipients a second, over all our addresses; 0: no limit
	Takes      time.Duration // at least; 0: no limit
	AcceptsAll bool
}

// NewEstimate returns the estimate of an empty list, for so many source addresses. Quick is how many addresses of a
// provider that accepts any address are asked; 0: all.
func NewEstimate(pace *smtpprobe.Pace, sources, quick int) *Estimate {
	return &Estimate{pace: pace, sources: max(1, sources), quick: quick, at: map[string]*Load{}}
}

// Add counts the addresses of a domain at a provider; the zero Provider is any other mail host.
func (e *Estimate) Add(provider mx.Provider, addresses int) {
	e.domains++
	if provider.Name == "" {
		e.others += addresses
		return
	}
	load := e.at[provider.Name]
	if load == nil {
		load = &Load{Provider: provider.Name, AcceptsAll: provider.AcceptsAll}
		e.at[provider.Name] = load
	}
	load.Addresses += addresses
}

// Loads returns what is asked of each provider, first what takes longest.
func (e *Estimate) Loads() (loads []Load) {
	for _, load := range slices.Collect(maps.Values(e.at)) {
		loads = append(loads, e.timed(*load, e.sources, e.quick))
	}
	slices.SortFunc(loads, func(a, b Load) int {
		return cmp.Or(
			cmp.Compare(b.Takes, a.Takes), cmp.Compare(b.Addresses, a.Addresses), cmp.Compare(a.Provider, b.Provider),
		)
	})
	return loads
}

// timed fills in how long a load takes. What the first transaction of each of our addresses may hold goes at once.
func (e *Estimate) timed(load Load, sources, quick int) Load {
	limits := e.pace.For(load.Provider)
	asked := load.Addresses
	if load.AcceptsAll && quick > 0 {
		asked = min(asked, quick)
		load.LeftOut = load.Addresses - asked
	}
	if most := limits.Day * sources; most > 0 && asked > most {
		load.Tomorrow, asked = asked-most, most
	}
	if load.Rate = limits.Rate * float64(sources); load.Rate > 0 {
		load.Takes = time.Duration(float64(max(0, asked-limits.Recipients*sources)) / load.Rate * float64(time.Second))
	}
	return load
}

// worth is how long a run takes at least for its estimate to be worth a line.
const worth = 10 * time.Second

// Short returns the estimate in one line, and in another one what would shorten it most, if anything; empty where no
// bound is known that is worth a line.
func (e *Estimate) Short() string {
	loads := e.Loads()
	if len(loads) == 0 || loads[0].Takes < worth {
		return ""
	}
	text := fmt.Sprintf("This takes at least %s: %s.\n", Duration(loads[0].Takes), loads[0].words())
	if advice := e.advice(loads); len(advice) > 0 {
		text += advice[0] + ".\n"
	}
	return text
}

// words tells what is asked of a provider, and how fast.
func (l Load) words() string {
	return fmt.Sprintf("%s at %s, %s a second", Count(l.Addresses-l.LeftOut-l.Tomorrow, "address", "addresses"),
		l.Provider, perSecond(l.Rate))
}

func perSecond(rate float64) string { return strconv.FormatFloat(rate, 'f', -1, 64) }

// advice names what would shorten it, what helps most first, a sentence without a full stop each.
func (e *Estimate) advice(loads []Load) (advice []string) {
	if quick := e.with(e.sources, verify.QuickSample); e.quick == 0 && quick < loads[0].Takes {
		advice = append(advice,
			fmt.Sprintf("With --quick at least %s: %s to every address anyway", atLeast(quick), acceptors(loads)))
	}
	if more := e.with(e.sources+1, e.quick); more < loads[0].Takes {
		advice = append(advice, fmt.Sprintf("With one more --source-ip at least %s", atLeast(more)))
	}
	return advice
}

// with returns how long it takes with so many source addresses and such a sample.
func (e *Estimate) with(sources, quick int) (longest time.Duration) {
	for _, load := range e.at {
		longest = max(longest, e.timed(*load, sources, quick).Takes)
	}
	return longest
}

// acceptors names the providers that accept any address, with "says yes" or "say yes".
func acceptors(loads []Load) string {
	var names []string
	for _, load := range loads {
		if load.AcceptsAll {
			names = append(names, load.Provider)
		}
	}
	return strings.Join(names, " and ") + " " + either(len(names), "says yes", "say yes")
}

// atLeast writes a bound: of nothing that is worth a word as "a few seconds".
func atLeast(d time.Duration) string {
	if d < worth {
		return "a few seconds"
	}
	return Duration(d)
}

// Text returns the whole estimate for a person: a line for each provider that is known, and what would shorten it.
func (e *Estimate) Text() string {
	var b strings.Builder
	loads := e.Loads()
	total := e.others
	for _, load := range loads {
		total += load.Addresses
	}
	fmt.Fprintf(&b, "%s at %s\n\n", Count(total, "address", "addresses"), Count(e.domains, "domain", "domains"))
	line := func(name string, n int, rate, takes string) {
		fmt.Fprintf(&b, "  %-16s %18s  %-13s %s\n", name, Count(n, "address", "addresses"), rate, takes)
	}
	for _, load := range loads {
		rate, takes := "no limit", "as fast as it answers"
		if load.Rate > 0 {
			rate, takes = perSecond(load.Rate)+" a second", Duration(load.Takes)
		}
		if load.LeftOut > 0 {
			takes += number.Sprintf("; %d left out by --quick", load.LeftOut)
		}
		if load.Tomorrow > 0 {
			takes += number.Sprintf("; %d are left for the next days", load.Tomorrow)
		}
		line(load.Provider, load.Addresses, rate, takes)
	}
	if e.others > 0 {
		line("other hosts", e.others, "no limit", "as fast as they answer")
	}
	b.WriteByte('\n')
	if len(loads) == 0 || loads[0].Takes < worth {
		b.WriteString("The pace table slows nothing down: it takes as long as the mail hosts need to answer.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "At least %s, since all are asked at the same time.\n", Duration(loads[0].Takes))
	for _, advice := range e.advice(loads) {
		b.WriteString(advice + ".\n")
	}
	return b.String()
}

// Duration writes a duration for people: "40 s", "12 min", "3 h 5 min".
func Duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
