package reply

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"presend/verify/verdict"
)

// spoken takes "RCPT> " and "qq> " off the front of a rule's test.
var spoken = regexp.MustCompile(`^([A-Za-z]+)> `)

func readTest(t *testing.T, s string) (Reply, Command, string) {
	t.Helper()
	var cmd Command
	var provider string
	if m := spoken.FindStringSubmatch(s); m != nil {
		s = s[len(m[0]):]
		switch c := Command(m[1]); c {
		case Connect, EHLO, STARTTLS, MAIL, RCPT, DATA:
			cmd = c
		default:
			provider = m[1]
		}
	}
	r, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r, cmd, provider
}

// linesOf returns the lines of a reply as a server sends them, the last of them as such.
func linesOf(text string) func() ([]byte, error) {
	lines := strings.Split(text, "\n")
	n := -1
	return func() ([]byte, error) {
		n++
		line := strings.TrimRight(lines[n], "\r") + "\r\n"
		if n == len(lines)-1 && line[3] == '-' {
			line = line[:3] + " " + line[4:]
		}
		return []byte(line), nil
	}
}

func newTestClassifier(t testing.TB) *Classifier {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Classifier) everyRule() []*rule {
	all := slices.Clone(c.rules)
	for i := range c.codes {
		all = append(all, &c.codes[i])
	}
	return all
}

func TestEveryRuleDecidesItsOwnReplies(t *testing.T) {
	c := newTestClassifier(t)
	names := map[string]bool{}
	for _, r := range c.everyRule() {
		if names[r.id] {
			t.Errorf("two rules are called %s", r.id)
		}
		names[r.id] = true
		if len(r.Tests) == 0 {
			t.Errorf("rule %s has no test", r.id)
		}
		for _, test := range r.Tests {
			parsed, cmd, provider := readTest(t, test)
			if got := c.Classify(parsed, cmd, provider); got.Rule != r.id {
				t.Errorf("rule %s: %q is decided by %s (%s)", r.id, test, got.Rule, got.Reason)
			}
			text := strings.TrimPrefix(test, spoken.FindString(test))
			if leadingCode(text) == 0 {
				continue // no server sends it like this
			}
			sent, err := Read(linesOf(text))
			if err != nil {
				t.Errorf("rule %s: %q: %v", r.id, test, err)
			}
			if got := c.Classify(sent, cmd, provider); got.Rule != r.id {
				t.Errorf("rule %s: %q on the wire is decided by %s (%s)", r.id, test, got.Rule, got.Reason)
			}
		}
	}
}

// TestNoPhraseIsDeadOrContradicted writes the plainest reply for every phrase and asks who decides it. A phrase whose
// every form is taken by an earlier rule can go; two rules that give one form different reasons disagree, and one of
// them needs a narrower phrase.
func TestNoPhraseIsDeadOrContradicted(t *testing.T) {
	c := newTestClassifier(t)
	for _, r := range c.rules {
		for _, phrase := range r.Text {
			own := 0
			for _, variant := range variantsOf(t, c, phrase) {
				got := c.Classify(plainReply(r, variant), plainCommand(r), plainProvider(r))
				switch {
				case got.Rule == r.id:
					own++
				case got.Reason != r.Reason:
					t.Errorf("rule %s says %s of %q, rule %s says %s", r.id, r.Reason, variant, got.Rule, got.Reason)
				}
			}
			if own == 0 {
				t.Errorf("rule %s: %q never decides", r.id, phrase)
			}
		}
	}
}

func variantsOf(t *testing.T, c *Classifier, phrase string) []string {
	t.Helper()
	resolved, err := resolve(phrase, c.words)
	if err != nil {
		t.Fatal(err)
	}
	variants, err := expand(resolved)
	if err != nil {
		t.Fatal(err)
	}
	return variants
}

// plainReply is the shortest reply that the phrase and the conditions of the rule allow.
func plainReply(r *rule, variant string) Reply {
	var words []string
	inLink := false
	for _, word := range newPhraseBook().patternWords(variant) {
		wasInLink := inLink
		inLink = strings.HasPrefix(word, "/")
		switch {
		case word == "*":
			words = append(words, "anything")
		case word == addressWord:
			words = append(words, "bob@example.com")
		case word == ipWord:
			words = append(words, "192.0.2.1")
		case inLink && wasInLink:
			words[len(words)-1] += strings.ReplaceAll(word, "*", "label")
		case inLink:
			words = append(words, "http:/"+strings.ReplaceAll(word, "*", "label"))
		default:
			words = append(words, strings.TrimSuffix(word, "*"))
		}
	}
	text := strings.Join(words, " ")
	reply := Reply{Code: 550, Lines: []string{text}}
	if len(r.codes) > 0 {
		reply.Code = r.codes[0].exact
		if reply.Code == 0 {
			reply.Code = r.codes[0].class*100 + 50
		}
	}
	if len(r.statuses) > 0 {
		reply.Enhanced = Enhanced(r.statuses[0])
		reply.Code = reply.Enhanced.Class*100 + 50
	}
	return reply
}

func plainCommand(r *rule) Command {
	if len(r.Command) > 0 {
		return r.Command[0]
	}
	return RCPT
}

func plainProvider(r *rule) string {
	if len(r.Provider) > 0 {
		return r.Provider[0]
	}
	return ""
}

func TestTheWholeRegistryOfEnhancedCodesIsKnown(t *testing.T) {
	c := newTestClassifier(t)
	last := []int{0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
	total := 0
	for subject, detail := range last {
		for d := range detail + 1 {
			total++
			s, ok := c.statuses[subjectDetail{subject, d}]
			if !ok {
				t.Errorf("X.%d.%d is missing", subject, d)
				continue
			}
			if s.Name == "" || s.Reason == "" {
				t.Errorf("%s lacks a name or a reason", s.Status)
			}
			for _, reason := range []verdict.Reason{s.Reason, s.Soft} {
				if reason != "" && aboutReply(reason).Means == "" {
					t.Errorf("%s: %q is no reason that a reply can have", s.Status, reason)
				}
			}
			for _, class := range []int{4, 5} {
				got := c.Classify(Reply{Enhanced: Enhanced{class, subject, d}}, "", "")
				if got.Action == "" || got.Kind == "" || got.Subject == "" || (class == 4) != (got.Kind == Soft) &&
					got.Kind != Soft {
					t.Errorf("%d.%d.%d: %+v", class, subject, d, got)
				}
			}
		}
	}
	if total != len(c.statuses) {
		t.Errorf("%d entries, want %d", len(c.statuses), total)
	}
}

func TestFaultyRulesAreRefused(t *testing.T) {
	for name, rules := range map[string]string{
		"unknown key":              "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ntxt = [\"a\"]",
		"unknown reason":           "[[weak]]\nname = \"x\"\nreason = \"lost\"",
		"reason of no reply":       "[[weak]]\nname = \"x\"\nreason = \"gave_up\"",
		"bad code":                 "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ncode = [\"6xx\"]",
		"bad enhanced code":        "[[weak]]\nname = \"x\"\nreason = \"unknown\"\nenhanced = [\"5.1\"]",
		"unknown set":              "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ntext = [\"{nobody} home\"]",
		"open parenthesis":         "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ntext = [\"(a|b\"]",
		"phrase ending with a gap": "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ntext = [\"a *\"]",
		"only a filler and a word": "[[weak]]\nname = \"x\"\nreason = \"unknown\"\ntext = [\"being moved\"]",
		"no TOML":                  "[",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newClassifier([]byte(rules), nil); err == nil {
				t.Error("no error")
			}
		})
	}
}
