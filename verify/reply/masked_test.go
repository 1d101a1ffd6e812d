package reply_test

import (
	"strings"
	"testing"
	"unicode"

	"presend/verify/reply"
)

func TestRepliesInTheSameWordsAreTheSameWhateverTheyName(t *testing.T) {
	read := func(text string) reply.Reply {
		r, err := reply.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const ann, bob = "ann@corp.example", "bob.x@corp.example"
	for _, pair := range []struct {
		toAnn, toBob string
		same         bool
	}{
		{"550 no", "550 no", true},
		{"550 no", "551 no", false},
		{"550 5.0.0 no", "550 no", false},
		{"550 no", "550 nein", false},
		{"550 <ann@corp.example>: no [a1b2]", "550 <bob.x@corp.example>: no [99zz]", true},
		{"550 sorry, ann is closed", "550 sorry, bob.x is closed", true},
		{"550 No (see https://a.example/x?y)", "550 No (see https://a.example/z)", true},
		{"550 No, from mx1.example at 12:30:01", "550 no, from mx2.example at 12:31:44", true},
		{"550 no hQxKzLmnop", "550 no aBcDeFghij", true},
		{"550-no\n550 more", "550-no\n550 more", true},
		{"550-no\n550 more", "550 no", false},
		{"550", "550", true},
	} {
		a, b := reply.Masked(read(pair.toAnn), ann), reply.Masked(read(pair.toBob), bob)
		if (a == b) != pair.same {
			t.Errorf("%q and %q are masked as %q and %q", pair.toAnn, pair.toBob, a, b)
		}
	}
}

func FuzzMasked(f *testing.F) {
	f.Add("550 5.1.1 <bob@corp.example>: no", "bob@corp.example")
	f.Add("550", "@")
	f.Fuzz(func(t *testing.T, text, recipient string) {
		r, err := reply.Parse(text)
		if err != nil {
			t.Skip()
		}
		r.Code, r.Enhanced = 0, reply.Enhanced{}
		if words := strings.TrimPrefix(reply.Masked(r, recipient), "0"); strings.ContainsFunc(words, unicode.IsDigit) {
			t.Errorf("%q holds a number", words)
		}
	})
}
