package job

import (
	"fmt"
	"slices"
	"strings"

	"presend/report"
	"presend/verify"
	"presend/verify/verdict"
)

// judged is the result of an address as the list shows it, and as it is counted.
type judged struct {
	result  verify.Result
	counted report.Row
}

// cellResult holds the results of the addresses of one cell, in their order.
type cellResult []judged

// best returns the result of the cell: that of the address that is best to send to. Where there are
// several addresses, its detail names all of them.
func (c cellResult) best() judged {
	best := c[0]
	for _, other := range c[1:] {
		if rank(other) < rank(best) || rank(other) == rank(best) && other.counted.Score > best.counted.Score {
			best = other
		}
	}
	if len(c) == 1 {
		return best
	}
	all := make([]string, len(c))
	for i, one := range c {
		name := one.result.Normalized
		if name == "" {
			name = one.result.Address
		}
		all[i] = fmt.Sprintf("%s %s (%s)", name, one.result.Verdict, one.result.Reason)
	}
	best.result.Detail = fmt.Sprintf("the best of %d addresses: %s. %s", len(c), strings.Join(all, ", "),
		best.result.Detail)
	return best
}

// rank orders results by how good they are to send to, the best first.
func rank(j judged) int {
	if j.result.Verdict == "" {
		return len(verdict.Verdicts())
	}
	order := []verify.Verdict{verdict.Deliverable, verdict.Risky, verdict.Unknown, verdict.Invalid}
	return slices.Index(order, j.result.Verdict)
}
