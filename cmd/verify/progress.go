package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"presend/lists"
	"presend/report"
	"presend/verify"
	"presend/verify/verdict"
)

// How often a run says where it is: on a terminal as fast as an eye can read, elsewhere now and then.
const (
	barEvery   = 200 * time.Millisecond
	plainEvery = 30 * time.Second
)

// progress shows a job: a bar on a terminal, a line now and then elsewhere. It is a job.Observer.
type progress struct {
	app   *app
	mu    sync.Mutex
	bar   *progressbar.ProgressBar // of the pass under way; nil: plain lines
	spoke time.Time
	pass  pass
}

func newProgress(a *app) *progress { return &progress{app: a} }

// Opened implements job.Observer.
func (p *progress) Opened(list lists.Understood) {
	p.app.say(list.String())
}

// Note implements job.Observer.
func (p *progress) Note(sentence string) { p.app.say("Note: " + sentence + ".") }

// Pass implements job.Observer.
func (p *progress) Pass(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.pass = pass{total: total, begun: now, last: now, verdicts: map[verify.Verdict]int{}}
	p.spoke = now
	if file, drawn := p.app.drawsOn(); drawn {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(file),
			progressbar.OptionSetWidth(barWidth),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(barEvery),
			progressbar.OptionClearOnFinish(),
		)
		p.bar.Describe(p.words(now))
	}
}

// drawsOn returns the terminal on which a bar is drawn, if there is one.
func (a *app) drawsOn() (file *os.File, drawn bool) {
	file, isFile := a.stderr.(*os.File)
	if !isFile || a.flags.quiet || a.flags.progress == "plain" || a.flags.verbose > 0 {
		return nil, false
	}
	if a.flags.progress != "bar" && os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	return file, term.IsTerminal(int(file.Fd()))
}

// PassEnded implements job.Observer.
func (p *progress) PassEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish() // a bar that cannot be drawn is no reason to stop
		p.bar = nil
	}
}

// WaitingUntil implements job.Observer.
func (p *progress) WaitingUntil(due time.Time) {
	at := due.Local().Format(time.TimeOnly)
	p.app.say("waiting until " + at + " for temporary answers that can be asked again")
}

// Done implements verify.Observer.
func (p *progress) Done(r verify.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass.done++
	p.pass.last = time.Now()
	p.pass.verdicts[r.Verdict]++
	p.show()
	if p.bar != nil {
		_ = p.bar.Add(1) // as above
	}
}

// Waiting implements verify.Observer.
func (p *progress) Waiting(ahead verify.Ahead) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closes := ahead.Closing && ahead.Words != "" && !p.pass.ahead.Closing
	p.pass.ahead = ahead
	if !closes {
		p.show()
		return
	}
	if p.bar != nil {
		_ = p.bar.Clear() // as in PassEnded
	}
	p.app.say("closing " + ahead.Words)
}

// Estimated implements job.Observer.
func (p *progress) Estimated(e *report.Estimate) {
	for line := range strings.Lines(e.Short()) {
		p.app.say(strings.TrimSpace(line))
	}
}

func (p *progress) show() {
	now := time.Now()
	switch {
	case p.bar != nil && now.Sub(p.spoke) > barEvery:
		p.spoke = now
		p.bar.Describe(p.words(now))
	case p.bar == nil && now.Sub(p.spoke) > plainEvery:
		p.spoke = now
		p.app.say(p.pass.line(now, 0))
	}
}

// barWidth is how wide the bar itself is, and barRest what the library writes around it.
const (
	barWidth = 5
	barRest  = len(" 100% |") + barWidth + len("|  ")
)

// words are what is written before the bar, within what the terminal has space for: a line that wraps cannot be drawn
// over.
func (p *progress) words(now time.Time) string {
	width := 80
	if file, ok := p.app.stderr.(*os.File); ok {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	return p.pass.line(now, max(1, width-barRest))
}

// pass is what is known of a pass of the engine.
type pass struct {
	total, done int
	begun, last time.Time // when it began, and when a result came last
	verdicts    map[verify.Verdict]int
	ahead       verify.Ahead
}

// line tells how far the pass is, in at most width cells; 0: as long as it gets. What matters least is left out first:
// what is waited for, the number of addresses, the words of the verdicts, the verdicts, the time left.
func (p pass) line(now time.Time, width int) string {
	count := report.Count(p.total, "address", "addresses")
	if p.done < p.total {
		count = fmt.Sprintf("%s of %s", report.Number(p.done), count)
	}
	var long, short []string
	for _, v := range verdict.Verdicts() {
		long = append(long, fmt.Sprintf("%d %s", p.verdicts[v], v))
		short = append(short, fmt.Sprintf("%d %s", p.verdicts[v], string(v)[:1]))
	}
	verdicts, shorter, left := strings.Join(long, ", "), strings.Join(short, " "), p.left(now)
	var tries []string
	try := func(parts ...string) { tries = append(tries, strings.Join(parts, "; ")) }
	if words := p.ahead.Words; words != "" {
		try(count, verdicts, left, "waiting for "+words)
	}
	try(count, verdicts, left)
	switch name := p.ahead.Slowest; {
	case name != "" && left == leftUnknown:
		left = "waiting for " + name
	case name != "":
		try(verdicts, left+" ("+name+")")
	}
	try(verdicts, left)
	bare := strings.TrimPrefix(strings.TrimPrefix(left, "about "), "at least ")
	try(strings.Join(long, " "), bare) // what 80 columns have space for
	try(fmt.Sprint(p.done), shorter, left)
	try(shorter, left)
	try(shorter, bare)
	try(fmt.Sprint(p.done), bare)
	try(fmt.Sprint(p.done))
	for _, line := range tries {
		if width == 0 || uniseg.StringWidth(line) <= width {
			return line
		}
	}
	return tries[len(tries)-1]
}

// How long a pass has to be under way, and how many in a hundred of its addresses have to be done, before its own speed
// says something; and after how long without a result it says nothing any more.
const (
	basisLeast  = 2 * time.Second
	basisAlways = 20 * time.Second
	basisShare  = 2
	silenceMost = 5 * time.Second
	leftUnknown = "time left unknown"
)

// left says how long the pass will take: as long as it took so far for its part, and at least what the engine knows of
// the destinations that are left. It is not known before there is a basis, nor while nothing comes.
func (p pass) left(now time.Time) string {
	took, known := now.Sub(p.begun), p.ahead.Left
	basis := p.done > 0 && took >= basisLeast && (100*p.done >= basisShare*p.total || took >= basisAlways)
	silent := now.Sub(p.last) > silenceMost && p.done < p.total
	switch {
	case basis && !(silent && known < silenceMost):
		own := time.Duration(float64(took) * float64(p.total-p.done) / float64(max(1, p.done)))
		return "about " + report.Duration(max(own, known)) + " left"
	case known >= silenceMost:
		return "at least " + report.Duration(known) + " left"
	}
	return leftUnknown
}
