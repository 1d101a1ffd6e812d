package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slowAndFast has a domain that takes 10 seconds for every command, one that takes no time and one that never answers.
const slowAndFast = `
	host mx.slow.lab latency=10s
	domain slow.lab mx=mx.slow.lab
	mailbox ann@slow.lab
	host mx.fast.lab
	domain fast.lab mx=mx.fast.lab
	mailbox ann@fast.lab
	host mx.mute.lab blackhole
	domain mute.lab mx=mx.mute.lab`

// shownAt are when and with which verdict addresses are shown, in order.
type shownAt struct {
	Address, Verdict string
	After            time.Duration
}

// clocked takes down when each address of verify check is shown.
type clocked struct {
	begun time.Time
	shown []shownAt
}

var resultLine = regexp.MustCompile(`(?m)^(\S+): (\w+) \(`)

// Write implements io.Writer.
func (c *clocked) Write(b []byte) (int, error) {
	for _, m := range resultLine.FindAllSubmatch(b, -1) {
		c.shown = append(c.shown, shownAt{string(m[1]), string(m[2]), time.Since(c.begun).Truncate(time.Second)})
	}
	return len(b), nil
}

func TestAddressesAreCheckedAtTheSameTimeAndShownInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		args      []string
		interrupt time.Duration // 0: none
		code      int
		want      []shownAt
	}{
		"a result is shown once those before it are": {
			args: []string{"ann@fast.lab", "ann@slow.lab", "bob@fast.lab", "nonsense"},
			code: exitInvalid,
			want: []shownAt{
				{"ann@fast.lab", "deliverable", 0},
				{"ann@slow.lab", "deliverable", 40 * time.Second}, // connection, banner, EHLO, one flight
				{"bob@fast.lab", "invalid", 40 * time.Second},
				{"nonsense", "invalid", 40 * time.Second},
			},
		},
		"the first interrupt ends it, and what is known is shown": {
			args:      []string{"ann@fast.lab", "ann@slow.lab", "bob@fast.lab", "ann@mute.lab"},
			interrupt: 5 * time.Second,
			code:      exitInterrupted,
			want:      []shownAt{{"ann@fast.lab", "deliverable", 0}, {"bob@fast.lab", "invalid", 5 * time.Second}},
		},
		"the first interrupt ends it with a state too": {
			args:      []string{"ann@fast.lab", "ann@slow.lab", "bob@fast.lab", "ann@mute.lab", "--state", "crm.db"},
			interrupt: 5 * time.Second,
			code:      exitInterrupted,
			want:      []shownAt{{"ann@fast.lab", "deliverable", 5 * time.Second}, {"bob@fast.lab", "invalid", 5 * time.Second}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, slowAndFast, func(s *simulation) {
				args := slices.Clone(c.args)
				if i := slices.Index(args, "crm.db"); i > 0 {
					args[i] = s.path("crm.db")
				}
				if c.interrupt > 0 {
					time.AfterFunc(c.interrupt, func() { close(s.stop) })
				}
				out, said := &clocked{begun: time.Now()}, &output{}
				if code := s.begin(out, said, append([]string{"check"}, args...)...); code != c.code {
					t.Errorf("exit %d, want %d: %s", code, c.code, said)
				}
				if diff := cmp.Diff(c.want, out.shown); diff != "" {
					t.Errorf("shown (-want +got):\n%s", diff)
				}
				if took := time.Since(out.begun); c.interrupt > 0 && took > c.interrupt+3*time.Second {
					t.Errorf("it ended %v after its beginning, want soon after the interrupt at %v", took, c.interrupt)
				}
			})
		})
	}
}

// torn is a standard output that nobody reads any more.
type torn struct{}

// Write implements io.Writer.
func (torn) Write([]byte) (int, error) { return 0, errors.New("nobody reads this") }

func TestAResultThatCannotBeShownEndsTheCheck(t *testing.T) {
	simulate(t, slowAndFast, func(s *simulation) {
		said := &output{}
		code := s.begin(torn{}, said, "check", "--json", "ann@fast.lab", "ann@slow.lab", "ann@mute.lab")
		if code != exitFailed || !strings.Contains(said.String(), "nobody reads this") {
			t.Errorf("exit %d, want 1 and why: %s", code, said)
		}
		if took := time.Since(s.midnight); took > 5*time.Second {
			t.Errorf("it took %v: the other addresses were waited for", took)
		}
	})
}

func TestAHostMuteAtQUITDoesNotHoldTheResult(t *testing.T) {
	simulate(t, "host mx.one.lab mute-quit\ndomain one.lab mx=mx.one.lab\nmailbox ann@one.lab", func(s *simulation) {
		out, said := &clocked{begun: time.Now()}, &output{}
		if code := s.begin(out, said, "check", "ann@one.lab"); code != 0 {
			t.Errorf("exit %d: %s", code, said)
		}
		if diff := cmp.Diff([]shownAt{{"ann@one.lab", "deliverable", 0}}, out.shown); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
		if took := time.Since(out.begun); took != time.Second {
			t.Errorf("it ended after %v, want the second for which an answer to QUIT is waited for", took)
		}
	})
}
