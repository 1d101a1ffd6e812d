// Package score turns evidence into a score: the estimated probability, in percent, that a message sent now would not
// bounce.
//
// A reason has a score of its own (package verdict), and a flag adds points to it, which are stored in flags.toml. The
// sum keeps to the borders of the verdict: an invalid address never scores above 5, a deliverable one never below 90.
package score

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/BurntSushi/toml"

	"presend/verify/verdict"
)

// Evidence is what is known of an address when its score is asked for.
type Evidence struct {
	Reason verdict.Reason
	Flags  []verdict.Flag
}

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
	for flag := range file.Flag {
		if !slices.Contains(verdict.Flags(), flag) {
			return nil, fmt.Errorf("score: flags.toml: no flag is called %q", flag)
		}
	}
	return file.Flag, nil
}

// Of returns the score of some evidence, from 0 to 100.
func Of(e Evidence) int {
	facts := e.Reason.Facts()
	sum := facts.Score
	for _, f := range e.Flags {
		sum += points()[f]
	}
	low, high := facts.Verdict.Bounds()
	return min(max(sum, low), high)
}
