package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ahead tells which destinations a run still waits for, as far as its domains were looked up.
type Ahead struct {
	Slowest string        // the destination that needs most time; empty: none waits
	Words   string        // what holds the work up most; empty: nothing in particular
	Left    time.Duration // at least how long what waits will take, by the pace of each destination; 0: not known
	Closing bool          // the run was stopped, and Words name the sessions that are being closed
}

// ahead tells a run what it waits for.
func (p *plan) ahead(id runID) (a Ahead) {
	if r := p.runs[id]; r != nil && r.stopping {
		return Ahead{Closing: true, Words: p.closingWords()}
	}
	if a.Words = p.awayWords(); a.Words != "" {
		return a
	}
	var slowest *destination
	for _, d := range p.destinations {
		if d.waiting == 0 {
			continue
		}
		need := p.need(d)
		if slowest == nil || need > a.Left || need == a.Left && d.name < slowest.name {
			slowest, a.Left = d, need
		}
	}
	if slowest == nil {
		a.Slowest = p.answering()
		if a.Slowest != "" {
			a.Words = a.Slowest + " to answer"
		}
		return a
	}
	a.Slowest, a.Words = slowest.name, p.waitsAt(slowest)
	return a
}

// answering returns where all that is left has been asked and not answered yet; of several places, one.
func (p *plan) answering() (name string) {
	for _, s := range p.sessions {
		if (s.flight != nil || s.state == openingSession) && (name == "" || s.dest.name < name) {
			name = s.dest.name
		}
	}
	return name
}

// waitsAt says in words what waits at a destination.
func (p *plan) waitsAt(d *destination) string {
	words := fmt.Sprintf("%s (%d to ask", d.name, d.waiting)
	if d.sessions == 1 {
		words += ", 1 session"
	} else {
		words += fmt.Sprintf(", %d sessions", d.sessions)
	}
	if d.limits.Rate > 0 {
		words += fmt.Sprintf(", %s a second", strconv.FormatFloat(d.limits.Rate*float64(len(d.lanes)), 'f', -1, 64))
	}
	for i := range d.lanes {
		if wait := d.lanes[i].paused.Sub(p.now); wait > 0 {
			return words + fmt.Sprintf(", it asked for a pause of %s)", wait.Round(time.Second))
		}
	}
	return words + ")"
}

// need returns how long what waits at a destination will take at least: the pause that it asked for, and then what its
// rate or its round trips allow. It is 0 where nothing is known yet.
func (p *plan) need(d *destination) time.Duration {
	var rate, burst float64
	budget, pause := 0, time.Duration(1<<62)
	for i := range d.lanes {
		l := &d.lanes[i]
		if left := d.leftToday(i, p.now); budget < d.waiting {
			budget += min(left, d.waiting)
		}
		if l.limiter != nil {
			rate += float64(l.limiter.Limit())
			burst += max(0, l.limiter.TokensAt(p.now))
		}
		pause = min(pause, max(0, l.paused.Sub(p.now)))
	}
	asks := float64(min(d.waiting, budget))
	var takes time.Duration
	if d.trip > 0 {
		takes = time.Duration(d.trips() * float64(d.trip) / float64(max(1, d.sessions)))
	}
	if rate > 0 {
		takes = max(takes, time.Duration(max(0, asks-burst)/rate*float64(time.Second)))
	}
	return pause + takes
}

// closingMost is how many destinations are named that sessions are being closed with.
const closingMost = 3

// closingWords names the sessions that are still open; empty where there are none.
func (p *plan) closingWords() string {
	var names []string
	for _, s := range p.sessions {
		if !slices.Contains(names, s.dest.name) {
			names = append(names, s.dest.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	words := "1 session"
	if len(p.sessions) > 1 {
		words = fmt.Sprintf("%d sessions", len(p.sessions))
	}
	if more := len(names) - closingMost; more > 0 {
		return fmt.Sprintf("%s with %s and %d more", words, strings.Join(names[:closingMost], ", "), more)
	}
	return words + " with " + strings.Join(names, ", ")
}
