package reply

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrMalformed is the error of [Read] for what is not one SMTP reply within the limits. It is not known where the next
// reply begins after it.
var ErrMalformed = errors.New("malformed reply")

// Limits on a reply that [Read] accepts. RFC 5321 section 4.5.3.1.5 allows 512 octets a line, and servers exceed it.
const (
	MaxLine  = 8 << 10  // octets of a line, with its end
	MaxLines = 100      // lines of a reply
	MaxReply = 64 << 10 // octets of a reply
)

// Read reads one reply from the wire (RFC 5321 sections 4.2 and 4.2.1). It calls next for each line until the last line
// of the reply and never beyond it. The function next works as ReadSlice('\n') of a [bufio.Reader]: a line includes its
// end and may be overwritten by the following call. Read returns an error of next as it is, but [bufio.ErrBufferFull]
// is a line that is too long.
//
// Read is strict about the form, because a client that finds other replies in the octets than the server meant gives
// an address the answer of another. A line ends with LF, and CRs in front of it belong to the end; a CR anywhere else
// is an error. A line begins with three digits from 200 to 599, and a hyphen (more lines follow), a space or the end
// of the line. All lines have the same code.
//
// Read is tolerant about the words. Text that is not UTF-8 is decoded, and control characters stay. The enhanced code
// is taken out of the text even if its class is not that of the code, since servers do answer "450 5.1.1", and
// [Classifier.Classify] weighs both. Codes that a server repeats within its text are skipped. Lines has one element
// for each line of the reply, which is empty if the line has no text.
//
// [Parse] reads replies that somebody quotes, and guesses where Read refuses.
func Read(next func() ([]byte, error)) (Reply, error) {
	var (
		space [1 << 10]byte
		text  = space[:0] // the lines without their codes, with LF between them
		r     Reply
	)
	for n, size, more := 1, 0, true; more; n++ {
		if n > MaxLines {
			return Reply{}, fmt.Errorf("%w: more than %d lines", ErrMalformed, MaxLines)
		}
		line, err := next()
		if errors.Is(err, bufio.ErrBufferFull) || len(line) > MaxLine {
			return Reply{}, fmt.Errorf("%w: a line of more than %d octets", ErrMalformed, MaxLine)
		}
		if err != nil {
			return Reply{}, err
		}
		if size += len(line); size > MaxReply {
			return Reply{}, fmt.Errorf("%w: more than %d octets", ErrMalformed, MaxReply)
		}
		code, rest, ok := cutCode(line)
		switch {
		case !ok:
			return Reply{}, fmt.Errorf("%w: %.60q", ErrMalformed, line)
		case n > 1 && code != r.Code:
			return Reply{}, fmt.Errorf("%w: lines with the codes %d and %d", ErrMalformed, r.Code, code)
		case n > 1:
			text = append(text, '\n')
		}
		r.Code = code
		more = len(rest) > 0 && rest[0] == '-'
		text = append(text, rest...)
		if !more {
			r.Lines = make([]string, 0, n)
		}
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimSpace(r.takeCodes(strings.TrimLeft(strings.TrimSpace(decode(line)), "- \t")))
		r.Lines = append(r.Lines, line)
	}
	if r.Enhanced == (Enhanced{}) {
		r.Enhanced = r.findEnhanced()
	}
	return r, nil
}

// cutCode takes the code and the end off a line, and reports whether the line has the form of a reply. What it leaves
// is empty, or begins with the space or the hyphen behind the code.
func cutCode(line []byte) (code int, rest []byte, ok bool) {
	end := len(line) - 1
	if end < 3 || line[end] != '\n' || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, nil, false
	}
	for line[end-1] == '\r' { // the digits are in front of it
		end--
	}
	if rest = line[3:end]; len(rest) > 0 && rest[0] != ' ' && rest[0] != '-' || bytes.IndexByte(rest, '\r') >= 0 {
		return 0, nil, false
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'), rest, true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
