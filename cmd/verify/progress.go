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
	if !p.app.flags.quiet {
		fmt.Fprintln(p.app.stderr, list)
	}
}

// Note implements job.Observer.
func (p *progress) Note(sentence string) {
	if !p.app.flags.quiet {
		fmt.Fprintf(p.app.stderr, "Note: %s.\n", sentence)
	}
}

// Pass implements job.Observer.
func (p *progress) Pass(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.pass = pass{total: total, begun: now, verdicts: map[verify.Verdict]int{}}
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
	if !p.app.flags.quiet {
		fmt.Fprintf(p.app.stderr, "waiting until %s for temporary answers that can be asked again\n", due.Local().Format(time.TimeOnly))
	}
}

// Done implements verify.Observer.
func (p *progress) Done(r verify.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass.done++
	p.pass.verdicts[r.Verdict]++
	p.show()
	if p.bar != nil {
		_ = p.bar.Add(1) // as above
	}
}

// Waiting implements verify.Observer.
func (p *progress) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass.waiting = what
	p.show()
}

func (p *progress) show() {
	now := time.Now()
	switch {
	case p.bar != nil && now.Sub(p.spoke) > barEvery:
		p.spoke = now
		p.bar.Describe(p.words(now))
	case p.bar == nil && !p.app.flags.quiet && now.Sub(p.spoke) > plainEvery:
		p.spoke = now
		fmt.Fprintln(p.app.stderr, p.pass.line(now, 0))
	}
}

// barWidth is how wide the bar itself is, and barRest what the library writes around it.
const (
	barWidth = 10
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
	begun       time.Time
	verdicts    map[verify.Verdict]int
	waiting     string // what the engine waits for; empty: nothing
}

// line tells how far the pass is, in at most width cells; 0: as long as it gets. What matters least is left out first:
// what is waited for, the words of the verdicts, the time left, the verdicts.
func (p pass) line(now time.Time, width int) string {
	count := report.Count(p.total, "address", "addresses")
	if p.done < p.total {
		count = fmt.Sprintf("%d of %s", p.done, count)
	}
	var long, short []string
	for _, v := range verdict.Verdicts() {
		long = append(long, fmt.Sprintf("%d %s", p.verdicts[v], v))
		short = append(short, fmt.Sprintf("%d %s", p.verdicts[v], string(v)[:1]))
	}
	left := "time left unknown"
	if d, known := p.left(now); known {
		left = "about " + inWords(d) + " left"
	}
	verdicts, shorter := strings.Join(long, ", "), strings.Join(short, " ")
	tries := [][]string{
		{count, verdicts, left}, {count, shorter, left}, {fmt.Sprint(p.done), shorter, left}, {fmt.Sprint(p.done), shorter}, {fmt.Sprint(p.done)},
	}
	if p.waiting != "" {
		tries = append([][]string{{count, verdicts, left, "waiting for " + p.waiting}}, tries...)
	}
	var line string
	for _, parts := range tries {
		line = strings.Join(parts, "; ")
		if width == 0 || uniseg.StringWidth(line) <= width {
			return line
		}
	}
	return line
}

// left returns how long the pass will take, by how it went so far. It is not known before there is a basis.
func (p pass) left(now time.Time) (d time.Duration, known bool) {
	took := now.Sub(p.begun)
	if p.done == 0 || took < 2*time.Second || p.done*50 < p.total && took < 20*time.Second {
		return 0, false
	}
	return time.Duration(float64(took) * float64(p.total-p.done) / float64(p.done)), true
}

// inWords writes a duration for people: "40 s", "12 min", "3 h 5 min".
func inWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
