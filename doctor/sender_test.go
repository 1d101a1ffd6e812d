package doctor

import (
	"fmt"
	"strings"
	"testing"

	"blitiri.com.ar/go/spf"
)

func TestSPFIsAskedForEachAddress(t *testing.T) {
	const none = "-example.com. TXT\n"
	record := func(text string) string { return none + `example.com. TXT "` + text + `"` }
	var many strings.Builder
	many.WriteString(none + `example.com. TXT "v=spf1`)
	for i := range 11 {
		fmt.Fprintf(&many, " include:i%d.test", i)
	}
	many.WriteString(` ip4:198.51.100.7 -all"` + "\n")
	for i := range 11 {
		fmt.Fprintf(&many, "i%d.test. TXT \"v=spf1 ip4:192.0.2.%d -all\"\n", i, i)
	}
	for name, test := range map[string]struct {
		records string
		world   func(*world)
		config  func(*Config)
		want    []want
	}{
		"allowed": {want: []want{{OK, "SPF allows"}, {OK, "SPF allows"}, {OK, "takes 1 of 10"}}},
		"one is forbidden": {
			records: record("v=spf1 ip4:198.51.100.7 -all"),
			want:    []want{{OK, "SPF allows"}, {Failure, "SPF forbids"}},
		},
		"two sources": {
			config: sourceIP("198.51.100.7", "198.51.100.8"), records: record("v=spf1 ip4:198.51.100.7 -all"),
			want: []want{{OK, "SPF allows"}, {Failure, "SPF forbids"}},
		},
		"softfail": {config: v4, records: record("v=spf1 ~all"), want: []want{{Warning, "~all"}}},
		"neutral":  {config: v4, records: record("v=spf1 ?all"), want: []want{{Warning, "nothing about"}}},
		"none":     {config: v4, records: none, want: []want{{Warning, "no SPF record"}}},
		"error": {
			config: v4, records: record("v=spf1 ipv4:198.51.100.7"),
			want: []want{{Failure, "in error: unknown field"}},
		},
		"two records": {
			config: v4, records: `example.com. TXT "v=spf1 -all"`,
			want: []want{{Failure, "in error: multiple"}},
		},
		"no answer": {config: v4, world: failing("example.com."), want: []want{{Warning, "could not be looked up"}}},
		"too many look-ups": {
			config: v4, records: many.String(),
			want: []want{{Failure, "lookup limit"}, {Failure, "takes 11 look-ups, and 10 are allowed"}},
		},
		"just enough look-ups": {
			config: v4, records: strings.Replace(many.String(), "include:i10.test ", "", 1),
			want: []want{{OK, "SPF allows"}, {Warning, "takes 10 look-ups, all"}},
		},
		"all kinds of look-ups count once": {
			config: v4, records: record("v=spf1 a:mail.example.com mx exists:gone.test redirect=_spf.test") + "\n" +
				`_spf.test. TXT "v=spf1 -all"`,
			want: []want{{OK, "SPF allows"}, {OK, "takes 4 of 10"}},
		},
		"the null sender has the EHLO name's": {
			config: func(c *Config) { v4(c); from("")(c) }, records: `mail.example.com. TXT "v=spf1 a -all"`,
			want: []want{{OK, "SPF allows"}, {OK, "takes 1 of 10"}},
		},
		"the null sender is the postmaster": {
			config:  func(c *Config) { v4(c); from("")(c) },
			records: `mail.example.com. TXT "v=spf1 exists:%{l}.ok.test -all"` + "\npostmaster.ok.test. A 127.0.0.1",
			want:    []want{{OK, "SPF allows"}, {OK, "takes 1 of 10"}},
		},
		"look-ups that find nothing count": {
			config: v4, records: record("v=spf1 ip4:198.51.100.7 exists:a.gone.test exists:b.gone.test exists:c.gone.test " +
				"exists:d.gone.test -all"),
			want: []want{{OK, "SPF allows"}, {OK, "takes 4 of 10"}},
		},
		"the address is not known": {
			config: func(c *Config) { c.AllowPrivate, c.HELO = false, "x.test" },
			want:   []want{{OK, "takes 1 of 10"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.records)
			if test.world != nil {
				test.world(w)
			}
			findings, _ := w.examine(t, "spf", test.config)
			compare(t, findings, test.want)
		})
	}
}

func TestCountingLookupsAsksNothingTwice(t *testing.T) {
	w := newWorld(t, "")
	e := newExam(t.Context(), Config{DNS: w, Hosts: w, HELO: "mail.example.com", Network: w.network()}, facts{})
	resolver := &spfResolver{exam: e, known: map[string]spfAnswer{}}
	count, err := countLookups(t.Context(), resolver, "mail.example.com", "a@example.com")
	if err != nil || count != 1 {
		t.Errorf("%d look-ups, %v", count, err)
	}
	for name, n := range w.asked {
		if n > 2 { // of two families at most
			t.Errorf("%s was asked %d times", name, n)
		}
	}
}

func TestEveryResultOfSPFHasItsWords(t *testing.T) {
	seen := map[string]bool{}
	for _, result := range []spf.Result{
		spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.TempError,
		spf.PermError,
	} {
		f := judgeSPF(result, errBoom)
		if f.Found == "" || seen[f.Found] || f.Level != OK && f.Fix == "" {
			t.Errorf("%s: %+v", result, f)
		}
		seen[f.Found] = true
	}
}

func TestThePTRMechanismAndMacrosAreUnderstood(t *testing.T) {
	w := newWorld(t, "-example.com. TXT\n"+`example.com. TXT "v=spf1 exists:%{i}._spf.%{d} ptr:example.com -all"`)
	findings, _ := w.examine(t, "spf", v4)
	compare(t, findings, []want{{OK, "SPF allows"}, {OK, "takes 2 of 10"}})
}
