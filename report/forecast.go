package report

import (
	"math"
	"slices"

	"presend/verify"
	"presend/verify/verdict"
)

// Cut is a part of a list that somebody may send to.
type Cut string

// The parts.
const (
	All         Cut = "all"         // the list as it is
	Sendable    Cut = "sendable"    // without invalid rows
	Deliverable Cut = "deliverable" // deliverable rows only
)

// cuts are the parts, the largest first.
var cuts = [...]Cut{All, Sendable, Deliverable}

// Cuts returns the parts, the largest first.
func Cuts() []Cut { return slices.Clone(cuts[:]) }

func (c Cut) holds(v verify.Verdict) bool {
	switch c {
	case Sendable:
		return v != verdict.Invalid
	case Deliverable:
		return v == verdict.Deliverable
	}
	return true
}

// Forecast says how many messages would bounce if a part of the list were sent to now.
type Forecast struct {
	Cut     Cut     `json:"cut"`
	Rows    int     `json:"rows"`
	Bounces float64 `json:"bounces"` // expected, in percent of Rows
	Low     float64 `json:"low"`     // Low to High hold the bounces of 95 in 100 such lists, in percent
	High    float64 `json:"high"`
	Age     float64 `json:"age"` // of Bounces, what comes from the age of the results
	Word    Word    `json:"word"`
}

// Word is the assessment of a forecast in a few words.
type Word string

// The words, by the thresholds of 2, 5 and 10 %.
const (
	Healthy      Word = "healthy"
	Attention    Word = "needs attention"
	Serious      Word = "serious: clean first"
	Stop         Word = "stop: do not send"
	CannotBeTold Word = "cannot be told"
	Nothing      Word = "nothing to send"
)

// unknownShare is the share of unknown rows above which a forecast says nothing.
const unknownShare = 1.0 / 3

// sum adds up the rows of a part.
type sum struct {
	rows, unknown           int
	bounces, variance, aged float64 // in rows
}

func (s *sum) add(r Row) {
	p := 1 - r.Score/100
	s.rows++
	s.bounces += p
	s.variance += p * (1 - p)
	s.aged += max(0, r.Fresh-r.Score) / 100
	if r.Verdict == verdict.Unknown {
		s.unknown++
	}
}

// forecast puts the sums into percent. The interval is that of a sum of independent events, in the approximation by the
// normal distribution.
func (s *sum) forecast(cut Cut) Forecast {
	f := Forecast{Cut: cut, Rows: s.rows, Word: Nothing}
	if s.rows == 0 {
		return f
	}
	percent := 100 / float64(s.rows)
	half := 1.96 * math.Sqrt(s.variance)
	f.Bounces, f.Age = round(s.bounces*percent), round(s.aged*percent)
	f.Low, f.High = round(max(0, s.bounces-half)*percent), round(min(float64(s.rows), s.bounces+half)*percent)
	switch {
	case float64(s.unknown) > unknownShare*float64(s.rows):
		f.Word = CannotBeTold
	case f.Bounces < 2:
		f.Word = Healthy
	case f.Bounces <= 5:
		f.Word = Attention
	case f.Bounces <= 10:
		f.Word = Serious
	default:
		f.Word = Stop
	}
	return f
}

// round leaves two decimals, which is more than a forecast knows.
func round(percent float64) float64 { return math.Round(percent*100) / 100 }
