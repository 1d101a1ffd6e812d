package suppression

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"presend/lists"
	"presend/verify/reply"
)

// decider decides by the columns of a list which of its rows are suppressed.
type decider struct {
	roles      []role
	asked      int     // the column that the user named; -1: none
	addresses  [][]int // the columns of the address: the first group that is filled
	classifier *reply.Classifier
	now        time.Time
}

// told is what a row says.
type told struct {
	kinds       map[meaning]bool
	is          map[meaning]bool // by a column of its own, with yes
	state       []bool           // whether it is suppressed now
	expired     bool
	unknown     []string // words that say nothing
	reply, code string
	reason      string // a reason of a verdict
	since, at   time.Time
}

// row returns what a row means. The second result is why it is left out, and empty if it counts.
func (d *decider) row(cells []string) (Entry, string) {
	t := d.told(cells)
	e, left := d.judge(t)
	e.At = t.at
	if !t.since.IsZero() {
		e.At = t.since
	}
	if e.Reply == "" {
		e.Reply = t.reply
	}
	return e, left
}

// told returns what a row says.
func (d *decider) told(cells []string) told {
	t := told{kinds: map[meaning]bool{}, is: map[meaning]bool{}}
	for i, cell := range cells {
		if cell = strings.TrimSpace(cell); cell != "" && i < len(d.roles) {
			d.read(&t, d.roles[i], cell, i == d.asked)
		}
	}
	return t
}

// read takes what a cell says.
func (d *decider) read(t *told, r role, cell string, asked bool) {
	is, isYesNo := yes(cell)
	switch r.kind {
	case "says":
		t.says(cell, asked)
	case "class":
		t.kinds[words().class[cell]] = true
	case "state", "nostate":
		if isYesNo {
			t.state = append(t.state, is == (r.kind == "state"))
		} else {
			t.says(cell, false)
		}
	case "is":
		if isYesNo {
			t.is[r.what] = t.is[r.what] || is
		} else if at := moment(cell); !at.IsZero() {
			t.is[r.what], t.since = true, at
		} else {
			t.says(cell, false)
		}
	case "isnot":
		if isYesNo && !is {
			t.is[r.what] = true
		} else if !isYesNo {
			t.says(cell, false)
		}
	case "since":
		t.kinds[r.what] = true
		t.since = moment(cell)
	case "expired":
		t.expired = t.expired || is
	case "until":
		if at := moment(cell); !at.IsZero() && at.Before(d.now) {
			t.expired = true
		}
	case "reply":
		t.reply = strings.TrimSpace(t.reply + " " + cell)
	case "code":
		t.code = cmp.Or(t.code, cell)
	case "at":
		if at := moment(cell); t.at.IsZero() {
			t.at = at
		}
	}
}

// says takes a word.
func (t *told) says(cell string, asked bool) {
	m := saying(cell)
	switch is, isYesNo := yes(cell); {
	case m != saysNothing:
		t.kinds[m] = true
		if reason := reasonIn(cell); reason != "" && m == hard {
			t.reason = string(reason)
		}
	case asked && isYesNo:
		t.state = append(t.state, is)
	case asked && !moment(cell).IsZero():
		t.kinds[manual], t.since = true, moment(cell)
	case ownWordsIn(cell, "") != saysNothing:
		t.kinds[ownWordsIn(cell, "")] = true
	case isCode(cell):
		t.code = cmp.Or(t.code, cell)
	case isReply(cell):
		t.reply = strings.TrimSpace(cell + " " + t.reply)
	default:
		t.unknown = append(t.unknown, cell)
	}
}

// judge decides. What the person asked for comes first, then what says that it is no suppression.
func (d *decider) judge(t told) (Entry, string) {
	s := Entry{Reason: HardBounce}
	own := ownWordsIn(t.reply, t.code)
	has := func(m meaning) bool { return t.kinds[m] || t.is[m] }
	for _, now := range t.state {
		if !now {
			return s, "not suppressed now"
		}
	}
	switch {
	case t.expired:
		return s, "expired"
	case has(complaint), own == complaint:
		s.Reason = Complaint
	case t.is[unsubscribe], t.kinds[unsubscribe] && !t.kinds[no], own == unsubscribe:
		s.Reason = Unsubscribe
	case own == hard:
	case t.kinds[no]:
		return s, "not a suppression but a delivery, a subscription or similar"
	case has(soft), t.kinds[blocked] && has(bounce):
		return s, "a soft bounce"
	case has(hard):
		s.Reason = cmp.Or(t.reason, HardBounce)
		return bounced(s, t.reply, cmp.Or(t.code, "550"), d.classifier)
	case has(bounce):
		return bounced(s, t.reply, t.code, d.classifier)
	case has(manual), t.kinds[blocked], own == manual:
		s.Reason = Manual
	case len(t.state) > 0:
		s.Reason = Manual
		if t.reply != "" || t.code != "" {
			return bounced(Entry{}, t.reply, t.code, d.classifier)
		}
	case isReply(t.reply), isCode(t.code):
		return bounced(s, t.reply, t.code, d.classifier)
	case len(t.unknown) > 0:
		return s, fmt.Sprintf("no known word says that it is suppressed: %q", t.unknown[0])
	default:
		return s, "nothing says that it is suppressed"
	}
	return s, ""
}

// decides reports whether a row says anything at all by which it can be told from others.
func (d *decider) decides(cells []string) bool {
	t := d.told(cells)
	return len(t.kinds) > 0 || len(t.is) > 0 || len(t.state) > 0 || t.expired || isReply(t.reply) || isCode(t.code) ||
		ownWordsIn(t.reply, t.code) != saysNothing
}

// isCode reports whether a cell is a code of SMTP, basic or enhanced, for a refusal or a failure.
func isCode(cell string) bool {
	if n, err := strconv.Atoi(cell); err == nil {
		_, own := words().codes[cell]
		return n >= 400 && n < 600 || own
	}
	e, err := reply.ParseEnhanced(cell)
	return err == nil && e.String() == cell
}

// isReply reports whether a text begins as a server's reply does.
func isReply(text string) bool {
	r, err := reply.Parse(text)
	return err == nil && (r.Code >= 400 && r.Code < 600 || r.Enhanced != reply.Enhanced{})
}

// contentRole returns what a column is for whose name does not say so: one all of whose cells are words that are known,
// or addresses.
func contentRole(cells []string) role {
	says, suppressed := 0, 0
	for _, cell := range cells {
		if m := saying(cell); m != saysNothing {
			says++
			if m != no {
				suppressed++
			}
		}
	}
	if says == len(cells) && suppressed > 0 {
		return role{kind: "says"}
	}
	return role{}
}

// isName reports whether a cell is an address or a whole domain, @example.com.
func isName(cell string) bool {
	return lists.IsAddress(cell) || strings.HasPrefix(cell, "@") && lists.IsAddress("postmaster"+cell)
}
