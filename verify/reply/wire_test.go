package reply_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/verify/reply"
)

// onWire returns a reader of lines as a connection has them.
func onWire(octets string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(octets), reply.MaxLine)
}

func readWire(in *bufio.Reader) (reply.Reply, error) {
	return reply.Read(func() ([]byte, error) { return in.ReadSlice('\n') })
}

func TestReadTakesTheCodesOffEachLineOfAReply(t *testing.T) {
	unknown := reply.Enhanced{Class: 5, Subject: 1, Detail: 1}
	for name, test := range map[string]struct {
		octets string
		want   reply.Reply
	}{
		"one line": {"250 Ok\r\n", reply.Reply{Code: 250, Lines: []string{"Ok"}}},
		"several lines": {
			"550-5.1.1 The account\r\n550 5.1.1 does not exist\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"The account", "does not exist"}},
		},
		"lines that end with LF alone": {"250-a\n250 b\n", reply.Reply{Code: 250, Lines: []string{"a", "b"}}},
		"more than one CR before LF":   {"250-a\r\r\n250\r\r\r\n", reply.Reply{Code: 250, Lines: []string{"a", ""}}},
		"a bare code":                  {"451\r\n", reply.Reply{Code: 451, Lines: []string{""}}},
		"a bare code with a space":     {"451 \r\n", reply.Reply{Code: 451, Lines: []string{""}}},
		"lines without text": {
			"250-\r\n250-PIPELINING\r\n250-\r\n250\r\n",
			reply.Reply{Code: 250, Lines: []string{"", "PIPELINING", "", ""}},
		},
		"a bare enhanced code": {"550 5.1.1\r\n", reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{""}}},
		"an enhanced code on the last line only": {
			"550-no\r\n550 5.1.1 user\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"no", "user"}},
		},
		"another enhanced code on the second line": {
			"550-5.1.1 no\r\n550 5.7.1 user\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"no", "5.7.1 user"}},
		},
		"an enhanced code of another class": {
			"450 5.1.1 no user\r\n",
			reply.Reply{Code: 450, Enhanced: unknown, Lines: []string{"no user"}},
		},
		"an enhanced code behind the words": {
			"550 no mailbox (#5.1.1)\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"no mailbox (#5.1.1)"}},
		},
		"an enhanced code of another class behind the words": {
			"450 no mailbox (#5.1.1)\r\n",
			reply.Reply{Code: 450, Lines: []string{"no mailbox (#5.1.1)"}},
		},
		"a number sign before the enhanced code": {
			"550 #5.1.1 no user\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"no user"}},
		},
		"an IP address is no enhanced code": {
			"554 5.6.7.8 is blocked\r\n",
			reply.Reply{Code: 554, Lines: []string{"5.6.7.8 is blocked"}},
		},
		"the code twice": {
			"550 550 5.1.1 no user\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"no user"}},
		},
		"another code in the words": {
			"550 250 5.1.1 Ok\r\n",
			reply.Reply{Code: 550, Lines: []string{"250 5.1.1 Ok"}},
		},
		"what looks like another line in the words": {
			"550-5.1.1 a 550-5.1.1 b\r\n550 5.1.1 c 550 5.1.1 d\r\n",
			reply.Reply{Code: 550, Enhanced: unknown, Lines: []string{"a 550-5.1.1 b", "c 550 5.1.1 d"}},
		},
		"the quoted reply of another server is kept whole": {
			"550 host x said: 550 5.1.1 no user (in reply to RCPT TO command); ask them\r\n",
			reply.Reply{
				Code: 550, Enhanced: unknown,
				Lines: []string{"host x said: 550 5.1.1 no user (in reply to RCPT TO command); ask them"},
			},
		},
		"Latin-1": {"550 Bo\xeete pleine\r\n", reply.Reply{Code: 550, Lines: []string{"Boîte pleine"}}},
		"UTF-8 on one line and Latin-1 on another": {
			"550-Boîte\r\n550 ferm\xe9e\r\n",
			reply.Reply{Code: 550, Lines: []string{"Boîte", "fermée"}},
		},
		"ISO-2022-JP": {"550 \x1b$B$\"\x1b(B\r\n", reply.Reply{Code: 550, Lines: []string{"あ"}}},
		"ISO-2022-JP that a line leaves open": {
			"550-\x1b$B$\r\n550 no\r\n",
			reply.Reply{Code: 550, Lines: []string{"\ufffd", "no"}},
		},
		"control characters":    {"550 a\x00b\x07\tc\r\n", reply.Reply{Code: 550, Lines: []string{"a\x00b\x07\tc"}}},
		"space around the text": {"550   no \t\r\n", reply.Reply{Code: 550, Lines: []string{"no"}}},
	} {
		t.Run(name, func(t *testing.T) {
			in := onWire(test.octets + "250 next\r\n")
			got, err := readWire(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if next, err := readWire(in); err != nil || next.String() != "250 next" {
				t.Errorf("the next reply is %q, %v", next, err)
			}
		})
	}
}

func TestReadRefusesWhatIsNotOneReply(t *testing.T) {
	long := strings.Repeat("x", reply.MaxLine)
	for name, octets := range map[string]string{
		"an empty line":                       "\r\n",
		"LF alone":                            "\n",
		"words":                               "hello\r\n",
		"two digits":                          "25\r\n",
		"four digits":                         "2500\r\n",
		"a code below 200":                    "150 go on\r\n",
		"a code above 599":                    "600 no\r\n",
		"a space before the code":             " 250 ok\r\n",
		"a tab behind the code":               "250\tok\r\n",
		"a letter behind the code":            "250ok\r\n",
		"digits that are not ASCII":           "2５0 ok\r\n",
		"a CR behind the code":                "250\r550 5.1.1 no user\r\n",
		"a CR in the words":                   "250 ok\r550 5.1.1 no user\r\n",
		"a CR at the front":                   "\r250 ok\r\n",
		"a CR behind the hyphen":              "250-\r250 ok\r\n250 ok\r\n",
		"two codes":                           "250-ok\r\n550 5.1.1 no user\r\n",
		"two codes of one class":              "250-ok\r\n251 ok\r\n",
		"a 421 in another reply":              "250-ok\r\n421 closing\r\n",
		"a line without a code":               "250-ok\r\nwords\r\n250 ok\r\n",
		"an empty line between lines":         "250-ok\r\n\r\n250 ok\r\n",
		"a line that is too long":             "250 " + long + "\r\n",
		"a line that is one octet too long":   "250 " + long[:reply.MaxLine-5] + "\r\n",
		"one line too many":                   strings.Repeat("250-x\r\n", reply.MaxLines) + "250 x\r\n",
		"a reply that is one octet too long":  replyOf(reply.MaxReply + 1),
		"a reply of too much that has no end": strings.Repeat("250-"+long[:1000]+"\r\n", 200),
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := readWire(onWire(octets)); !errors.Is(err, reply.ErrMalformed) || r.Code != 0 || r.Lines != nil {
				t.Errorf("%v, %v; want ErrMalformed", r, err)
			}
		})
	}
}

// replyOf returns a reply of a size.
func replyOf(size int) string {
	last := "250 x\r\n"
	var b strings.Builder
	for left := size - len(last); left > 0; left = size - len(last) - b.Len() {
		b.WriteString("250-" + strings.Repeat("x", min(left, 1<<10)-6) + "\r\n")
	}
	return b.String() + last
}

func TestReadTakesWhatTheLimitsAllow(t *testing.T) {
	for name, octets := range map[string]string{
		"the longest line":  "250 " + strings.Repeat("x", reply.MaxLine-6) + "\r\n",
		"the most lines":    strings.Repeat("250-x\r\n", reply.MaxLines-1) + "250 x\r\n",
		"the largest reply": replyOf(reply.MaxReply),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := readWire(onWire(octets))
			if err != nil || len(r.Lines) != strings.Count(octets, "\n") {
				t.Errorf("%d lines, %v", len(r.Lines), err)
			}
		})
	}
}

func TestReadReturnsTheErrorThatEndsTheLines(t *testing.T) {
	for _, octets := range []string{"", "250 o", "250-ok\r\n", "250-ok\r\n25", "250 ok\r"} {
		if r, err := readWire(onWire(octets)); err != io.EOF || r.Code != 0 {
			t.Errorf("%q: %v, %v; want io.EOF as it is", octets, r, err)
		}
	}
}

func TestReadAllocatesTheTextAndTheListOfLines(t *testing.T) {
	for _, octets := range []string{"250 2.1.5 Ok\r\n", "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n"} {
		lines := bytes.SplitAfter([]byte(octets), []byte("\n"))
		if got := testing.AllocsPerRun(100, func() {
			n := -1
			if _, err := reply.Read(func() ([]byte, error) { n++; return lines[n], nil }); err != nil {
				t.Fatal(err)
			}
		}); got > 2 {
			t.Errorf("%q: %v allocations, want 2", octets, got)
		}
	}
}

// TestRepliesOfTheCorpusMeanTheSameOnTheWireAndQuoted: what the corpus and the rules say about replies was measured
// with Parse.
func TestRepliesOfTheCorpusMeanTheSameOnTheWireAndQuoted(t *testing.T) {
	c := newClassifier(t)
	compared := 0
	for _, s := range readCorpus(t) {
		quoted, err := reply.Parse(s.Text)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := readWire(onWire(strings.Join(strings.Fields(s.Text), " ") + "\r\n"))
		if s.Kind != "wire" || err != nil {
			continue
		}
		compared++
		cmd := reply.Command(s.Command)
		if got, want := c.Classify(wire, cmd, ""), c.Classify(quoted, cmd, ""); got != want {
			t.Errorf("%q:\n%+v on the wire\n%+v quoted", s.Text, got, want)
		}
	}
	t.Logf("%d replies compared", compared)
}

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{
		"250 Ok\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "250\r550 5.1.1 no\r\n", "250-a\r\n550 b\r\n", "250-\n250\r\r\n",
		"550 Bo\xeete\r\n", "550 \x1b$B%f\x1b(B\r\n", "550-\x1b$B%\r\n550 b\r\n", "550 550 #5.1.1 x\r\n250 next\r\n",
		"550 a 550-b 550 5.1.1 c\r\n", "421 4.3.2 no (#4.3.2)\r\n", "250 a\x00b\r\n", "2500\r\n", "\r\n",
	} {
		f.Add([]byte(seed))
	}
	c := newClassifier(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		in := bytes.NewReader(octets)
		buffered := bufio.NewReaderSize(in, reply.MaxLine)
		r, err := readWire(buffered)
		if err != nil {
			if !errors.Is(err, reply.ErrMalformed) && err != io.EOF || r.Code != 0 || r.Lines != nil {
				t.Errorf("%v, %v", r, err)
			}
			return
		}
		checkReply(t, c, r, reply.RCPT)
		taken := string(octets[:len(octets)-in.Len()-buffered.Buffered()])
		lines := strings.SplitAfter(strings.TrimSuffix(taken, "\n"), "\n")
		if len(lines) != len(r.Lines) || len(lines) > reply.MaxLines || len(taken) > reply.MaxReply {
			t.Fatalf("%d lines of %q", len(r.Lines), taken)
		}
		for i, line := range lines {
			line = strings.TrimRight(line, "\r\n")
			rest, ok := strings.CutPrefix(line, strconv.Itoa(r.Code))
			if !ok || strings.Contains(line, "\r") || strings.HasPrefix(rest, "-") != (i < len(lines)-1) {
				t.Errorf("line %d of %q", i, taken)
			}
		}
		if quoted, err := reply.Parse(taken); err != nil || quoted.Code != r.Code {
			t.Errorf("%q has code %d quoted, %v", taken, quoted.Code, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, octets := range map[string]string{
		"one line": "550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in virtual mailbox table\r\n",
		"EHLO":     "250-mx.lab\r\n250-PIPELINING\r\n250-SIZE 35882577\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			wire := strings.NewReader(octets)
			in := bufio.NewReaderSize(wire, reply.MaxLine)
			b.ReportAllocs()
			for b.Loop() {
				wire.Reset(octets)
				in.Reset(wire)
				if _, err := readWire(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
