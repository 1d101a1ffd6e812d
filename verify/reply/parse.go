package reply

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

// ErrEmpty is returned by [Parse] for text without a letter or a digit.
var ErrEmpty = errors.New("reply: no text")

// maxText bounds how much of a text is read, in bytes; a server's reply is at most some kilobytes.
const maxText = 64 << 10

var (
	// wrapped finds a reply inside the words that a mail system puts around it: "host x said: 550 ...",
	// "smtp; 550 ...", "<<< 550 ...", "Remote Server returned '550 ...'".
	wrapped = regexp.MustCompile(`(?i)(?:[:;]|<<<|['"<(#]|\b(?:said|was|returned|response|responded|with|error|code|` +
		`by))[ \t\r\n'"<(#:]*([245]\d\d)[ \t-]+\S`)

	// embedded finds an enhanced code behind the words: "(#5.1.1)", "[5.2.2]", "- 5.7.1 [BL23]".
	embedded = regexp.MustCompile(`(?:[#(\[]|(?:^|\s)- |dsn=|[Ss]tatus[:=] ?|(?:^|[\s:])[45]\d\d[ -])([245]\.\d{1,` +
		`3}\.\d{1,3})(?:[^\d.]|\.(?:\D|$)|$)`)

	inReplyTo = regexp.MustCompile(`(?i)\(in reply to (?:end of )?([a-z]+)(?: (?:to|from|command))*\)`)
	afterSent = regexp.MustCompile(`(?i)(?:\bafter (?:end of |pipelined |initial )*|>>> ?)(connection|ehlo|helo|` +
		`starttls|mail|rcpt|data)\b`)
)

// Parse reads a reply that somebody quotes: a bounce message, a log, a person who pasted it. The reply may have one
// line or many ("550-5.1.1 ..."), folded into one or not, and it may be alone or inside words as "host x said: 550
// 5.1.1 ... (in reply to RCPT TO command)". A bare code ("451"), a bare enhanced code ("5.2.2") and words without any
// code are replies as well; what is missing stays zero. The one error is [ErrEmpty]. Only the first 64 KiB are read.
//
// Parse guesses, as a quotation requires. What a server sends is for [Read], which does not guess.
func Parse(text string) (Reply, error) {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	text = decode(text)
	if strings.IndexFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		return Reply{}, ErrEmpty
	}
	text = unwrap(strings.TrimSpace(text))

	var r Reply
	for line := range strings.SplitSeq(text, "\n") {
		r.addLine(strings.TrimSpace(line))
	}
	if r.Enhanced == (Enhanced{}) {
		r.Enhanced = r.findEnhanced()
	}
	return r, nil
}

// decode reads the character sets that servers still send besides UTF-8: ISO-2022-JP, told by its escapes, and
// Windows-1252, taken for whatever is not UTF-8.
func decode(text string) string {
	if strings.Contains(text, "\x1b$") {
		if decoded, err := japanese.ISO2022JP.NewDecoder().String(text); err == nil {
			return decoded
		}
	}
	if !utf8.ValidString(text) {
		if decoded, err := charmap.Windows1252.NewDecoder().String(text); err == nil {
			return decoded
		}
	}
	return text
}

// unwrap drops what a mail system wrote before and behind the reply that it quotes.
func unwrap(text string) string {
	if leadingCode(text) != 0 || leadingEnhanced(text) > 0 {
		return dropSuffix(text)
	}
	if m := wrapped.FindStringSubmatchIndex(text); m != nil {
		return dropSuffix(strings.TrimRight(text[m[2]:], "'\">"))
	}
	return text
}

func dropSuffix(text string) string {
	if m := inReplyTo.FindStringIndex(text); m != nil {
		return strings.TrimSpace(text[:m[0]])
	}
	return text
}

// addLine takes one physical line, which may hold a reply of several lines folded into one.
func (r *Reply) addLine(line string) {
	for line != "" {
		line = r.takeCodes(line)
		next := r.nextContinuation(line)
		if next < 0 {
			next = len(line)
		}
		if part := strings.TrimSpace(line[:next]); part != "" {
			r.Lines = append(r.Lines, part)
		}
		line = strings.TrimSpace(line[next:])
	}
}

// takeCodes strips the code, repeated as it may be, and the enhanced code from the front of a line.
func (r *Reply) takeCodes(line string) string {
	for range 3 {
		code := leadingCode(line)
		if code == 0 {
			break
		}
		if r.Code != 0 && code != r.Code {
			return line
		}
		r.Code = code
		line = strings.TrimLeft(line[3:], "- \t")
	}
	if e, rest, ok := cutEnhanced(line); ok && (r.Enhanced == Enhanced{} || r.Enhanced == e) {
		r.Enhanced = e
		line = rest
	}
	return line
}

// nextContinuation finds where the next line of the same reply begins in a line that folding has joined. The
// hyphen of a continuation line, or the code and enhanced code of this reply again, marks it.
func (r *Reply) nextContinuation(line string) int {
	if r.Code == 0 {
		return -1
	}
	code := " " + strconv.Itoa(r.Code)
	for from := 0; ; {
		i := strings.Index(line[from:], code)
		if i < 0 {
			return -1
		}
		at := from + i + 1
		rest := line[at+3:]
		if strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "--") {
			return at
		}
		if r.Enhanced != (Enhanced{}) && strings.HasPrefix(rest, " "+r.Enhanced.String()) {
			return at
		}
		from = at
	}
}

// findEnhanced looks for an enhanced code behind the words, as qmail and others write it.
func (r *Reply) findEnhanced() Enhanced {
	for _, line := range r.Lines {
		if strings.Count(line, ".") < 2 { // most lines, and much faster than the pattern
			continue
		}
		if m := embedded.FindStringSubmatch(line); m != nil {
			if e, err := ParseEnhanced(m[1]); err == nil && (r.Code == 0 || e.Class == r.Code/100) {
				return e
			}
		}
	}
	return Enhanced{}
}

// leadingCode returns the code at the front of a line, or 0.
func leadingCode(line string) int {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0
	}
	if len(line) > 3 && line[3] != ' ' && line[3] != '\t' && line[3] != '-' {
		return 0
	}
	return number(line[:3])
}

// leadingEnhanced returns the length of the enhanced code at the front of a line, or 0. An IP address is none.
func leadingEnhanced(line string) int {
	if line == "" || line[0] != '2' && line[0] != '4' && line[0] != '5' {
		return 0
	}
	n := 1
	for range 2 {
		if n == len(line) || line[n] != '.' {
			return 0
		}
		digits := leadingDigits(line[n+1:])
		if digits == 0 || digits > 3 {
			return 0
		}
		n += 1 + digits
	}
	if n+1 < len(line) && line[n] == '.' && isDigit(line[n+1]) {
		return 0
	}
	return n
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// cutEnhanced takes an enhanced code, "#5.1.0" as IronPort writes it too, from the front of a line.
func cutEnhanced(line string) (Enhanced, string, bool) {
	trimmed := strings.TrimPrefix(line, "#")
	n := leadingEnhanced(trimmed)
	if n == 0 {
		return Enhanced{}, line, false
	}
	subject, detail, _ := strings.Cut(trimmed[2:n], ".")
	e := Enhanced{Class: int(trimmed[0] - '0'), Subject: number(subject), Detail: number(detail)}
	return e, strings.TrimLeft(trimmed[n:], " \t-:"), true
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// ParseEnhanced reads an enhanced status code such as "5.1.1" (RFC 3463 section 2): class 2, 4 or 5, subject and
// detail of at most three digits. Spaces, hyphens and colons behind it are ignored.
func ParseEnhanced(s string) (Enhanced, error) {
	e, rest, ok := cutEnhanced(s)
	if !ok || rest != "" || strings.HasPrefix(s, "#") {
		return Enhanced{}, fmt.Errorf("reply: %q is no enhanced status code", s)
	}
	return e, nil
}

// CommandIn says which command a quoted reply answered where the words around it tell, as in "(in reply to RCPT TO
// command)" or "after RCPT TO:"; otherwise it is empty.
func CommandIn(text string) Command {
	m := inReplyTo.FindStringSubmatch(text)
	if m == nil {
		m = afterSent.FindStringSubmatch(text)
	}
	if m == nil {
		return ""
	}
	switch strings.ToUpper(m[1]) {
	case "CONNECTION":
		return Connect
	case "EHLO", "HELO":
		return EHLO
	case "STARTTLS":
		return STARTTLS
	case "MAIL":
		return MAIL
	case "RCPT":
		return RCPT
	case "DATA":
		return DATA
	}
	return ""
}

// String returns the code as servers write it, "5.1.1", and nothing for the zero value.
func (e Enhanced) String() string {
	if e == (Enhanced{}) {
		return ""
	}
	return strconv.Itoa(e.Class) + "." + strconv.Itoa(e.Subject) + "." + strconv.Itoa(e.Detail)
}

// Text returns the lines as one, joined by spaces. Empty lines are left out.
func (r Reply) Text() string {
	if len(r.Lines) == 1 {
		return r.Lines[0]
	}
	if !slices.Contains(r.Lines, "") {
		return strings.Join(r.Lines, " ")
	}
	lines := slices.DeleteFunc(slices.Clone(r.Lines), func(line string) bool { return line == "" })
	return strings.Join(lines, " ")
}

// String returns the reply on one line: code, enhanced code and text, as far as they are known.
func (r Reply) String() string {
	var parts []string
	if r.Code != 0 {
		parts = append(parts, strconv.Itoa(r.Code))
	}
	if r.Enhanced != (Enhanced{}) {
		parts = append(parts, r.Enhanced.String())
	}
	if text := r.Text(); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}
