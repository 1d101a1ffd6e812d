package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"presend/verify"
	"presend/verify/verdict"
)

// plainEvery is how often a run that is not on a terminal says where it is.
const plainEvery = 30 * time.Second

// progress shows a job: a bar on a terminal, a line now and then elsewhere. It is a job.Observer.
type progress struct {
	app      *app
	mu       sync.Mutex
	bar      *progressbar.ProgressBar // of the pass under way; nil: plain lines
	total    int
	begun    time.Time
	done     int
	verdicts map[verify.Verdict]int
	waiting  string
	spoken   time.Time
	shown    time.Time
}

func newProgress(a *app) *progress { return &progress{app: a} }

// Pass implements job.Observer.
func (p *progress) Pass(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.total, p.begun, p.spoken, p.shown, p.done, p.waiting = total, now, now, time.Time{}, 0, ""
	p.verdicts = map[verify.Verdict]int{}
	if file, ok := p.app.stderr.(*os.File); ok && !p.app.flags.quiet && term.IsTerminal(int(file.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(file),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("addresses"),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(24),
			progressbar.OptionClearOnFinish(),
		)
	}
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
	if !p.app.flags.quiet {
		fmt.Fprintf(p.app.stderr, "waiting until %s for temporary answers that can be asked again\n", due.Local().Format(time.TimeOnly))
	}
}

// Done implements verify.Observer.
func (p *progress) Done(r verify.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.verdicts[r.Verdict]++
	p.show()
	if p.bar != nil {
		_ = p.bar.Add(1) // a bar that cannot be drawn is no reason to stop
	}
}

// Waiting implements verify.Observer.
func (p *progress) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = what
	p.show()
}

// show brings the words up to date, not more often than an eye can read.
func (p *progress) show() {
	now := time.Now()
	switch {
	case p.bar != nil && now.Sub(p.shown) > 200*time.Millisecond:
		p.shown = now
		p.bar.Describe(p.fit(p.words()))
	case p.bar == nil && !p.app.flags.quiet && now.Sub(p.spoken) > plainEvery:
		p.spoken = now
		rate := float64(p.done) / now.Sub(p.begun).Seconds()
		left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
		fmt.Fprintf(p.app.stderr, "%d of %d addresses, %.0f a second, about %s left: %s\n", p.done, p.total, rate, left.Round(time.Second), p.words())
	}
}

func (p *progress) words() string {
	var parts []string
	for _, v := range verdict.Verdicts() {
		parts = append(parts, fmt.Sprintf("%d %s", p.verdicts[v], v))
	}
	words := strings.Join(parts, ", ")
	if p.waiting != "" {
		words += "; waiting for " + p.waiting
	}
	return words
}

// barWidth is what the bar, the count, the rate and the times take beside the words.
const barWidth = 80

// fit shortens the words to what the terminal has room for, since a line that wraps cannot be drawn over.
func (p *progress) fit(words string) string {
	width, _, err := term.GetSize(int(p.app.stderr.(*os.File).Fd()))
	if err != nil {
		return words
	}
	room := max(0, width-barWidth)
	if len(words) <= room {
		return words
	}
	return words[:room]
}
