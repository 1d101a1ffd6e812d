// Package score turns evidence into a score: the estimated probability, in percent, that a message sent now would not
// bounce.
//
// A reason has a score of its own (package verdict), a flag takes points from it (flags.toml), and a deliverable
// address loses some with its age. Where the evidence leaves the mailbox open, the score comes from the list that the
// address is in: of two lists, that with many unknown mailboxes has more of them behind its catch-all domains, too. A
// [List] counts them.
//
// The sum keeps to the borders of the verdict: an invalid address never scores above 5, and flags take no deliverable
// one below 90. Age may. No flag adds points: what was accepted may still bounce.
package score

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"presend/verify/verdict"
)

// Evidence is what is known of an address when its score is asked for.
type Evidence struct {
	Reason verdict.Reason
	Flags  []verdict.Flag
}

// List counts the clear answers that a list got. The zero List is that of an address that is in none.
type List struct {
	All  Answers
	Free Answers // of them, those of free-mail addresses
}

// Answers counts mailboxes by what their mail hosts said.
type Answers struct {
	Missing  int // unknown or disabled
	Accepted int // by a domain that is no catch-all
}

// What is assumed of a list before its answers are counted: as if that many had answered, with that share missing.
const (
	assumedAnswers = 20
	assumedMissing = 0.15
)

// missing returns the estimated share of mailboxes that do not exist.
func (a Answers) missing() float64 {
	return (float64(a.Missing) + assumedMissing*assumedAnswers) / (float64(a.Missing+a.Accepted) + assumedAnswers)
}

// Add counts n addresses with a reason and flags.
func (l *List) Add(reason verdict.Reason, flags []verdict.Flag, n int) {
	add := func(a *Answers) {
		switch reason {
		case verdict.MailboxUnknown, verdict.MailboxDisabled:
			a.Missing += n
		case verdict.Accepted:
			a.Accepted += n
		}
	}
	add(&l.All)
	if slices.Contains(flags, verdict.FlagFree) {
		add(&l.Free)
	}
}

// yearly is the share of mailboxes that close in a year: 23 %, a guess after the decay that list owners report.
const yearly = 0.23

// Of returns the score of some evidence in a list, from 0 to 100, if the address was asked just now. It is not rounded,
// so that sums are right; Round does that for people.
func Of(e Evidence, l List) float64 {
	facts := e.Reason.Facts()
	answers := l.All
	if e.Reason == verdict.AcceptsAllProvider {
		answers = l.Free
	}
	sum := float64(facts.Score) - float64(facts.Risk)*answers.missing()
	for _, f := range e.Flags {
		sum += float64(points()[f])
	}
	low, high := facts.Verdict.Bounds()
	return min(max(sum, float64(low)), float64(high))
}

// Aged returns a score once the address was asked some time ago: mailboxes of deliverable addresses close.
func Aged(score float64, r verdict.Reason, age time.Duration) float64 {
	if age <= 0 || r.Verdict() != verdict.Deliverable {
		return score
	}
	return score * math.Pow(1-yearly, age.Hours()/(365*24))
}

// Round returns a score as people see it.
func Round(score float64) int { return int(math.Round(score)) }

//go:embed flags.toml
var embedded string

// points are those of each flag. A file that cannot be read is a fault of the build, which the tests of the package
// find.
var points = sync.OnceValue(func() map[verdict.Flag]int {
	p, err := readPoints(embedded)
	if err != nil {
		panic(err)
	}
	return p
})

func readPoints(text string) (map[verdict.Flag]int, error) {
	var file struct{ Flag map[verdict.Flag]int }
	if _, err := toml.Decode(text, &file); err != nil {
		return nil, fmt.Errorf("score: flags.toml: %w", err)
	}
	for flag, points := range file.Flag {
		if points > 0 {
			return nil, fmt.Errorf("score: flags.toml: %s adds %d points, and 99 is the most that an answer tells", flag, points)
		}
		if !slices.Contains(verdict.Flags(), flag) {
			return nil, fmt.Errorf("score: flags.toml: no flag is called %q", flag)
		}
	}
	return file.Flag, nil
}
