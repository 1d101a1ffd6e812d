// Package score turns evidence into a verdict and a score.
//
// A [Table] holds for every reason of the verdict table its verdict and the share of messages, in percent, that are
// expected not to bounce, with adjustments for flags. The example shows the common path.
//
// The numbers are data: they are stored in table.toml with the thought behind each. Scores keep to the borders of the
// contract: an invalid address never scores above 5, a deliverable one never below 90.
package score

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/BurntSushi/toml"

	"presend/verify/reply"
)

// Verdict is the advice about sending to an address now.
type Verdict string

// The four verdicts.
const (
	Deliverable Verdict = "deliverable"
	Risky       Verdict = "risky"
	Invalid     Verdict = "invalid"
	Unknown     Verdict = "unknown"
)

// Flag is a word that is added to a verdict and never replaces it.
type Flag string

// The flags of the contract.
const (
	Role       Flag = "role"        // the local part names a function, not a person (RFC 2142 and similar)
	Free       Flag = "free"        // a mailbox provider that anybody can join
	Disposable Flag = "disposable"  // a throw-away domain
	CatchAll   Flag = "catch_all"   // the domain accepts every recipient
	Quoted     Flag = "quoted"      // the local part must be quoted
	SMTPUTF8   Flag = "smtputf8"    // the local part needs RFC 6531
	Subaddress Flag = "subaddress"  // user+detail (RFC 5233)
	ImplicitMX Flag = "implicit_mx" // no MX record; mail goes to the domain's own address (RFC 5321 section 5.1)
	Typo       Flag = "typo"        // the domain looks like a slip of a well-known one
	Duplicate  Flag = "duplicate"   // an earlier row of the list holds the same address
	Unengaged  Flag = "unengaged"   // no sign of life for a long time
)

// Flags lists every flag.
func Flags() []Flag {
	return []Flag{Role, Free, Disposable, CatchAll, Quoted, SMTPUTF8, Subaddress, ImplicitMX, Typo, Duplicate, Unengaged}
}

// Evidence is what is known of an address when its score is asked for.
type Evidence struct {
	Reason reply.Reason
	Flags  []Flag
}

//go:embed table.toml
var embedded string

// Table maps reasons to verdicts and evidence to scores. It never changes, so it is safe for concurrent use.
type Table struct {
	reasons map[reply.Reason]entry
	flags   map[Flag]int
}

type entry struct {
	Verdict Verdict `toml:"verdict"`
	Score   int     `toml:"score"`
}

// New returns the embedded table. It is read at the first call; every call returns the same Table.
func New() (*Table, error) { return embeddedTable() }

var embeddedTable = sync.OnceValues(readTable)

func readTable() (*Table, error) {
	var file struct {
		Reason map[reply.Reason]entry `toml:"reason"`
		Flag   map[Flag]int           `toml:"flag"`
	}
	if _, err := toml.Decode(embedded, &file); err != nil {
		return nil, fmt.Errorf("score: reading table.toml: %w", err)
	}
	for reason, e := range file.Reason {
		if low, high := bounds(e.Verdict); e.Score < low || e.Score > high {
			return nil, fmt.Errorf("score: table.toml: %s scores %d, outside %d to %d of verdict %q",
				reason, e.Score, low, high, e.Verdict)
		}
	}
	for flag := range file.Flag {
		if !slices.Contains(Flags(), flag) {
			return nil, fmt.Errorf("score: table.toml: no flag is called %q", flag)
		}
	}
	return &Table{reasons: file.Reason, flags: file.Flag}, nil
}

// Verdict returns the verdict of a reason; Unknown for a reason that is not in the table.
func (t *Table) Verdict(r reply.Reason) Verdict {
	if e, ok := t.reasons[r]; ok {
		return e.Verdict
	}
	return Unknown
}

// Score returns the estimated probability, in percent from 0 to 100, that a message sent now would not bounce.
func (t *Table) Score(e Evidence) int {
	base, ok := t.reasons[e.Reason]
	if !ok {
		base = entry{Verdict: Unknown, Score: 50}
	}
	points := base.Score
	for _, f := range e.Flags {
		points += t.flags[f]
	}
	low, high := bounds(base.Verdict)
	return min(max(points, low), high)
}

// bounds are the lowest and highest score that a verdict allows.
func bounds(v Verdict) (low, high int) {
	switch v {
	case Deliverable:
		return 90, 100
	case Invalid:
		return 0, 5
	case Risky, Unknown:
		return 1, 99
	}
	return 0, 0
}
