package reply

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"presend/verify/verdict"

	"github.com/BurntSushi/toml"
)

//go:embed rules.toml
var rulesTOML []byte

//go:embed enhanced.toml
var enhancedTOML []byte

// rule is one entry of rules.toml; see the head of that file.
type rule struct {
	Name     string
	Reason   verdict.Reason
	Subject  Subject
	Kind     Kind
	Action   string
	Code     []string
	Enhanced []string
	Command  []Command
	Provider []string
	Text     []string
	Without  []string
	Sure     float64
	Tests    []string

	id       string
	codes    []codePattern
	statuses []statusPattern
}

// ruleFile is rules.toml. The order of its groups is the order in which they are asked.
type ruleFile struct {
	Words    map[string][]string
	Provider []rule
	Sender   []rule
	Message  []rule
	Check    []rule
	Domain   []rule
	Mailbox  []rule
	Server   []rule
	Weak     []rule
	Code     []rule
}

// status is one entry of enhanced.toml, a row of the IANA registry.
type status struct {
	Status string // "X.1.1"
	Name   string
	RFC    string
	Reason verdict.Reason // for class 5
	Soft   verdict.Reason // for class 4, where it is another reason
	Vague  bool           // servers use it for so many things that words come first
	Sure   float64        // confidence in it without words; 0.85, or 0.5 where it is vague, if not given
}

type subjectDetail struct{ subject, detail int }

// Classifier tells what replies mean. It never changes, so it is safe for concurrent use.
type Classifier struct {
	strong   []rule // asked before the enhanced code
	weak     []rule // asked after it
	codes    []rule // asked last
	words    map[string][]string
	book     *phraseBook
	rules    []*rule // strong, then weak
	statuses map[subjectDetail]status
}

// New returns the Classifier that knows the embedded rules. It compiles them at the first call; every call returns the
// same Classifier. The error is a fault in these rules.
func New() (*Classifier, error) { return embeddedRules() }

var embeddedRules = sync.OnceValues(func() (*Classifier, error) { return newClassifier(rulesTOML, enhancedTOML) })

func newClassifier(rulesText, enhancedText []byte) (*Classifier, error) {
	var file ruleFile
	if err := decodeStrictly(rulesText, &file); err != nil {
		return nil, fmt.Errorf("reply: rules.toml: %w", err)
	}
	var registry struct{ Status []status }
	if err := decodeStrictly(enhancedText, &registry); err != nil {
		return nil, fmt.Errorf("reply: enhanced.toml: %w", err)
	}

	c := &Classifier{words: file.Words, statuses: map[subjectDetail]status{}}
	for _, s := range registry.Status {
		key, err := parseRegistryStatus(s.Status)
		if err != nil {
			return nil, fmt.Errorf("reply: enhanced.toml: %w", err)
		}
		c.statuses[key] = s
	}
	for _, group := range []struct {
		name  string
		rules []rule
	}{
		{"provider", file.Provider},
		{"sender", file.Sender},
		{"message", file.Message},
		{"check", file.Check},
		{"domain", file.Domain},
		{"mailbox", file.Mailbox},
		{"server", file.Server},
	} {
		c.strong = append(c.strong, named(group.name, group.rules)...)
	}
	c.weak = named("weak", file.Weak)
	c.codes = named("code", file.Code)
	if err := c.compile(); err != nil {
		return nil, fmt.Errorf("reply: rules.toml: %w", err)
	}
	return c, nil
}

// Registered returns the name of an enhanced status code in the IANA registry and the document that defines it, as
// "no such mailbox" and "RFC 3463"; empty for a code that is not there.
func (c *Classifier) Registered(e Enhanced) (name, document string) {
	s := c.statuses[subjectDetail{e.Subject, e.Detail}]
	if s.RFC != "" {
		document = "RFC " + s.RFC
	}
	return s.Name, document
}

func decodeStrictly(data []byte, into any) error {
	meta, err := toml.Decode(string(data), into)
	if err != nil {
		return err
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		return fmt.Errorf("unknown key %q", keys[0].String())
	}
	return nil
}

func named(group string, rules []rule) []rule {
	for i := range rules {
		rules[i].id = group + "/" + rules[i].Name
	}
	return rules
}

func (c *Classifier) compile() error {
	c.book = newPhraseBook()
	for _, list := range [][]rule{c.strong, c.weak, c.codes} {
		for i := range list {
			if err := c.compileRule(&list[i]); err != nil {
				return fmt.Errorf("rule %s: %w", list[i].id, err)
			}
		}
	}
	for i := range c.strong {
		c.rules = append(c.rules, &c.strong[i])
	}
	for i := range c.weak {
		c.rules = append(c.rules, &c.weak[i])
	}
	for i, r := range c.rules {
		// Phrase 2i speaks for rule i, phrase 2i+1 against it.
		if err := c.addPhrases(r.Text, int32(2*i)); err != nil {
			return fmt.Errorf("rule %s: %w", r.id, err)
		}
		if err := c.addPhrases(r.Without, int32(2*i+1)); err != nil {
			return fmt.Errorf("rule %s: %w", r.id, err)
		}
	}
	return nil
}

func (c *Classifier) addPhrases(phrases []string, number int32) error {
	for _, phrase := range phrases {
		phrase, err := resolve(phrase, c.words)
		if err != nil {
			return err
		}
		if err := c.book.add(phrase, number); err != nil {
			return err
		}
	}
	return nil
}

func (c *Classifier) compileRule(r *rule) error {
	if aboutReply(r.Reason).Means == "" {
		return fmt.Errorf("%q is no reason that a reply can have", r.Reason)
	}
	for _, pattern := range r.Code {
		p, err := parseCodePattern(pattern)
		if err != nil {
			return err
		}
		r.codes = append(r.codes, p)
	}
	for _, pattern := range r.Enhanced {
		p, err := parseStatusPattern(pattern)
		if err != nil {
			return err
		}
		r.statuses = append(r.statuses, p)
	}
	return nil
}

// Classify tells what r means as the answer to cmd, empty where unknown, from a provider, a short lower-case word as
// "google" or "microsoft", empty where unknown. It asks in this order: the class of the code, words that leave no
// doubt, the enhanced code where servers use it as registered, words of less weight, enhanced codes that servers use
// for anything, the bare code. Words about this client come before words about the mailbox; before RCPT nothing is
// about the mailbox or its domain. Where a reply to RCPT quotes that of a host behind the server ([Reply.Inner]), what
// is quoted decides.
func (c *Classifier) Classify(r Reply, cmd Command, provider string) Meaning {
	class := r.Code / 100
	if class == 0 {
		class = r.Enhanced.Class
	}
	q := query{class: class, reply: r, command: cmd, provider: provider}
	if class == 2 || class == 3 {
		return c.positive(q)
	}
	if cmd == RCPT || cmd == "" {
		if inner, innerCommand, ok := r.Inner(); ok {
			return c.wrapped(r, inner, innerCommand)
		}
	}
	return c.classify(q)
}

// classify is Classify for a refusal that quotes no other one.
func (c *Classifier) classify(q query) Meaning {
	if q.class == 2 {
		return c.positive(q)
	}
	if q.reply.Enhanced.Class == 2 {
		q.reply.Enhanced = Enhanced{} // a failure cannot have one of class 2
	}

	text := q.reply.Text()
	hits := newBits(2 * len(c.rules))
	c.book.find(text, hits.set)
	registered, known := c.statuses[subjectDetail{q.reply.Enhanced.Subject, q.reply.Enhanced.Detail}]
	known = known && q.reply.Enhanced.Class != 0

	if m, ok := c.firstOf(q, hits, 0, len(c.strong)); ok {
		return c.finish(m, q, text, registered, known)
	}
	if known && !registered.Vague {
		if m, ok := c.fromStatus(q, registered, max(0.85, registered.Sure)); ok {
			return c.finish(m, q, text, registered, false)
		}
	}
	if m, ok := c.firstOf(q, hits, len(c.strong), len(c.rules)); ok {
		return c.finish(m, q, text, registered, known)
	}
	if known {
		if m, ok := c.fromStatus(q, registered, 0.5); ok {
			return c.finish(m, q, text, registered, false)
		}
	}
	return c.finish(c.fromCode(q), q, text, registered, false)
}

// query is one question to the rules.
type query struct {
	class    int // 2 to 5; 0 where only words are known
	reply    Reply
	command  Command
	provider string
}

func (c *Classifier) positive(q query) Meaning {
	m := Meaning{
		Reason: verdict.Unclear, Subject: SubjectServer, Kind: Info, Means: "nothing is wrong", Action: "go on",
		Confidence: 0.99, Rule: "code/positive",
	}
	if q.class == 2 && (q.command == RCPT || q.command == "") {
		m.Reason, m.Subject = verdict.Accepted, SubjectMailbox
		m.Action, m.Means = aboutReply(verdict.Accepted).Hard, aboutReply(verdict.Accepted).Means
	}
	return m
}

// firstOf returns what the first of rules[from:to] that holds says.
func (c *Classifier) firstOf(q query, hits bits, from, to int) (Meaning, bool) {
	for i := from; i < to; i++ {
		r := c.rules[i]
		if len(r.Text) > 0 && !hits.has(2*i) || hits.has(2*i+1) {
			continue
		}
		if !r.holds(q) || !possible(subject(r.Subject, r.Reason), q.command) {
			continue
		}
		return c.said(r), true
	}
	return Meaning{}, false
}

func (c *Classifier) said(r *rule) Meaning {
	m := Meaning{
		Reason: r.Reason, Subject: subject(r.Subject, r.Reason), Kind: r.Kind, Action: r.Action,
		Confidence: r.Sure, Rule: r.id,
	}
	if m.Confidence == 0 {
		m.Confidence = 0.95
	}
	return m
}

// subject returns what a rule is about: its own subject, or that of its reason.
func subject(own Subject, reason verdict.Reason) Subject {
	if own != "" {
		return own
	}
	return Subject(aboutReply(reason).Subject)
}

// aboutReply returns what the replies of a reason have in common.
func aboutReply(reason verdict.Reason) verdict.ReplyMeaning { return reason.Facts().Reply }

// possible reports whether a reply to cmd can be about subject: the mailbox is named in RCPT only.
func possible(subject Subject, cmd Command) bool {
	switch cmd {
	case Connect, EHLO, STARTTLS, MAIL:
		return subject != SubjectMailbox && subject != SubjectDomain
	}
	return true
}

func (c *Classifier) fromStatus(q query, s status, sure float64) (Meaning, bool) {
	reason := s.Reason
	if q.soft() && s.Soft != "" {
		reason = s.Soft
	}
	if reason == verdict.Unclear || !possible(subject("", reason), q.command) {
		return Meaning{}, false
	}
	return Meaning{Reason: reason, Subject: subject("", reason), Confidence: sure, Rule: "enhanced/" + s.Status}, true
}

func (c *Classifier) fromCode(q query) Meaning {
	for i := range c.codes {
		r := &c.codes[i]
		if r.holds(q) && possible(subject(r.Subject, r.Reason), q.command) {
			return c.said(r)
		}
	}
	return Meaning{Reason: verdict.Unclear, Subject: SubjectServer, Confidence: 0.2, Rule: "code/none"}
}

// soft reports whether code or enhanced code calls the failure temporary. Where they disagree, it is: a retry is the
// smaller mistake.
func (q query) soft() bool {
	return q.class == 4 || q.reply.Enhanced.Class == 4
}

// finish fills in kind, action, the wait asked for, and how far the enhanced code supports the words.
func (c *Classifier) finish(m Meaning, q query, text string, s status, known bool) Meaning {
	info := aboutReply(m.Reason)
	m.Means = info.Means
	if m.Kind == "" {
		switch {
		case q.soft():
			m.Kind = Soft
		case q.class == 5:
			m.Kind = Hard
		default:
			m.Kind = Kind(info.Kind)
		}
	}
	if m.Action == "" {
		m.Action = info.Hard
		if m.Kind == Soft && info.Soft != "" {
			m.Action = info.Soft
		}
	}
	if known {
		m.Confidence = weigh(m, s, q.soft())
	}
	if m.Reason.Verdict() == verdict.Invalid && m.Kind == Hard && !m.Sure() {
		m.Action = "ask again before you remove anything: the words leave a doubt about the reason"
	}
	if m.Kind == Soft {
		m.RetryAfter = waitIn(text)
	}
	return m
}

// weigh moves the confidence in words by the enhanced code: up where it says the same, down where it is of use and
// says another thing. Marks of one provider are certain, words that a check failed say why the code is not to be
// believed, and two reasons may both say that a mailbox is of no use.
func weigh(m Meaning, s status, soft bool) float64 {
	reason := s.Reason
	if soft && s.Soft != "" {
		reason = s.Soft
	}
	ofNoUse := func(r verdict.Reason) bool {
		return r.Verdict() == verdict.Invalid && aboutReply(r).Subject == string(SubjectMailbox)
	}
	switch {
	case reason == m.Reason:
		return min(0.99, m.Confidence+0.04)
	case s.Vague, reason == verdict.Unclear, strings.HasPrefix(m.Rule, "provider/"), strings.HasPrefix(m.Rule, "check/"),
		ofNoUse(reason) && ofNoUse(m.Reason):
		return m.Confidence
	}
	return max(0.1, m.Confidence-0.15)
}

func (r *rule) holds(q query) bool {
	return matchesCode(r.codes, q) &&
		matchesStatus(r.statuses, q.reply.Enhanced) &&
		(len(r.Command) == 0 || slices.Contains(r.Command, q.command)) &&
		(len(r.Provider) == 0 || slices.Contains(r.Provider, q.provider))
}

// codePattern is "550", or "5xx" with exact 0.
type codePattern struct{ class, exact int }

func parseCodePattern(s string) (codePattern, error) {
	if class, ok := strings.CutSuffix(s, "xx"); ok {
		s = class + "00"
		if n, err := strconv.Atoi(s); err == nil && n >= 200 && n < 600 {
			return codePattern{class: n / 100}, nil
		}
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 200 && n < 600 && n%100 != 0 || s == "500" {
		return codePattern{class: n / 100, exact: n}, nil
	}
	return codePattern{}, fmt.Errorf("%q is no code", s)
}

func matchesCode(patterns []codePattern, q query) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		if p.exact == q.reply.Code && p.exact != 0 || p.exact == 0 && p.class == q.class {
			return true
		}
	}
	return false
}

// statusPattern is an enhanced code whose parts may be -1 for any.
type statusPattern Enhanced

func parseStatusPattern(s string) (statusPattern, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return statusPattern{}, fmt.Errorf("%q is no pattern of an enhanced code", s)
	}
	var n [3]int
	for i, part := range parts {
		if part == "*" {
			n[i] = -1
			continue
		}
		var err error
		if n[i], err = strconv.Atoi(part); err != nil {
			return statusPattern{}, fmt.Errorf("%q is no pattern of an enhanced code", s)
		}
	}
	return statusPattern{Class: n[0], Subject: n[1], Detail: n[2]}, nil
}

func matchesStatus(patterns []statusPattern, e Enhanced) bool {
	if len(patterns) == 0 {
		return true
	}
	if e == (Enhanced{}) {
		return false
	}
	for _, p := range patterns {
		if (p.Class < 0 || p.Class == e.Class) && (p.Subject < 0 || p.Subject == e.Subject) &&
			(p.Detail < 0 || p.Detail == e.Detail) {
			return true
		}
	}
	return false
}

var errStatus = errors.New("a status is written X.subject.detail")

func parseRegistryStatus(s string) (subjectDetail, error) {
	e, err := ParseEnhanced("5" + strings.TrimPrefix(s, "X"))
	if err != nil || !strings.HasPrefix(s, "X.") {
		return subjectDetail{}, fmt.Errorf("%q: %w", s, errStatus)
	}
	return subjectDetail{e.Subject, e.Detail}, nil
}

// bits is a set of small numbers.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

func (b bits) set(i int32)    { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
