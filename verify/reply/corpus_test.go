package reply_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"presend/verify/reply"
	"presend/verify/verdict"
)

type sample struct {
	ID, Kind, Code, Enhanced, Command, Provider, Class, Text string
	Doubtful                                                 bool
}

// corpusReason maps the corpus's classes to reasons where the words differ.
var corpusReason = map[string]verdict.Reason{
	"domain_invalid":     verdict.NoSuchDomain,
	"relay_denied":       verdict.DomainNotServed,
	"sender_blocklisted": verdict.SenderBlocked,
	"policy_or_content":  verdict.Policy,
}

func readCorpus(t *testing.T) []sample {
	t.Helper()
	f, err := os.Open("../../../shared/corpus/replies.jsonl")
	if err != nil {
		t.Skip("the corpus is not here")
	}
	defer f.Close()
	var samples []sample
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	return samples
}

func (s sample) want() verdict.Reason {
	if r, ok := corpusReason[s.Class]; ok {
		return r
	}
	return verdict.Reason(s.Class)
}

func (s sample) reply(t *testing.T) reply.Reply {
	t.Helper()
	r, err := reply.Parse(s.Text)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code == 0 {
		r.Code, _ = strconv.Atoi(s.Code)
	}
	return r
}

func sameClass(got, want verdict.Reason) bool {
	switch got {
	case verdict.NullMX, verdict.NoMailHost:
		got = verdict.NoSuchDomain
	case verdict.Unreachable, verdict.Timeout, verdict.DNSFailure:
		got = verdict.ServerUnavailable
	}
	return got == want
}

func TestUndoubtfulWireRepliesOfTheCorpusAreClassifiedRightly(t *testing.T) {
	c, err := reply.New()
	if err != nil {
		t.Fatal(err)
	}
	var total, right, blamed, blamedRightly int
	byClass := map[verdict.Reason][2]int{} // right, all
	for _, s := range readCorpus(t) {
		cmd := reply.Command(s.Command)
		if cmd == "HELO" {
			cmd = reply.EHLO
		}
		got := c.Classify(s.reply(t), cmd, "")
		ok := sameClass(got.Reason, s.want())
		if !ok {
			t.Logf("%s %s doubtful=%v %s: want %s, got %s by %s (%.2f)\n\t%.300s", s.ID, s.Kind, s.Doubtful, s.Command, s.want(),
				got.Reason, got.Rule, got.Confidence, s.Text)
		}
		if s.Kind != "wire" || s.Doubtful {
			continue
		}
		total++
		count := byClass[s.want()]
		count[1]++
		if ok {
			right++
			count[0]++
		}
		byClass[s.want()] = count
		if got.AgainstAddress() {
			blamed++
			if ok {
				blamedRightly++
			}
		}
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		t.Logf("%-20s %3d of %3d", class, byClass[class][0], byClass[class][1])
	}
	t.Logf("%d of %d in the right class; of %d called mailbox or domain, %d rightly", right, total, blamed, blamedRightly)
	if right*100 < total*94 {
		t.Errorf("%d of %d undoubtful wire replies are right: less than 94 %%", right, total)
	}
	if blamedRightly*100 < blamed*99 {
		t.Errorf("%d of %d replies called mailbox or domain reasons are rightly so: less than 99 %%", blamedRightly, blamed)
	}
}
