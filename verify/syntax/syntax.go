// Package syntax reads addresses as lists really hold them, and reports whether SMTP can carry them.
//
//	a, err := syntax.Parse(" mailto:Alice@Example.COM ")
//	a.String() // Alice@example.com
//	a.Repairs  // [surrounding space mailto:]
//
// What is taken is RFC 5321's Mailbox as public mail hosts accept it, not all of RFC 5322: a dot-atom or quoted local
// part of at most 64 octets, and a domain of at least two labels, ASCII or international (UTS 46, kept as A-labels).
// There are no comments, no folding white space and no domain literals. Local parts beyond ASCII are RFC 6531's.
package syntax

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits in octets (RFC 5321 section 4.5.3.1, RFC 3696 erratum 1690).
const (
	maxLocal   = 64
	maxDomain  = 253
	maxLabel   = 63
	maxAddress = 254
)

// Address is a mailbox that SMTP can carry.
type Address struct {
	Local      string   // as on the wire, quoted where it was written so
	Domain     string   // A-labels in lower case
	Repairs    []string // what had to be repaired to read it, in words
	Fallback   string   // what it may mean if it does not exist, as sam@corp.lab for 'sam@corp.lab; empty: nothing else
	Quoted     bool     // the local part is quoted
	SMTPUTF8   bool     // the local part needs RFC 6531
	Subaddress bool     // the local part is user+detail (RFC 5233)
}

// String returns the normalised address.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// Wire returns the address as RCPT TO carries it: one that needs SMTPUTF8 has its domain in U-labels, since a server
// looks such an address up as its user writes it (RFC 6531 section 3.2; Postfix converts nothing).
func (a Address) Wire() string {
	if !a.SMTPUTF8 {
		return a.String()
	}
	domain, err := profile.ToUnicode(a.Domain)
	if err != nil {
		return a.String()
	}
	return a.Local + "@" + domain
}

// Key returns what two spellings of the same mailbox have in common: the domain in lower case, the local part as it
// is, since only its own host knows whether case counts there.
func (a Address) Key() string { return a.String() }

// Mailbox returns what the addresses of one mailbox have in common as mail services count them: it is in small letters
// and without +detail, and at Gmail without dots. Another provider may deliver them to different people.
func (a Address) Mailbox() string {
	local, domain := strings.ToLower(a.Local), a.Domain
	if a.Quoted {
		return local + "@" + domain
	}
	if plus := strings.IndexByte(local, '+'); plus > 0 {
		local = local[:plus]
	}
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = strings.ReplaceAll(local, ".", "")
	}
	return local + "@" + domain
}

// Error says why a text is not an address.
type Error struct {
	Problem string // a sentence
	Pos     int    // the octet, from 0, of the text as far as it was repaired, where it shows; -1 for the whole

	Suggestion string // the address that may be meant; empty: none
}

func (e *Error) Error() string { return "not an address: " + e.Problem }

func problem(pos int, format string, args ...any) *Error {
	return &Error{Problem: fmt.Sprintf(format, args...), Pos: pos}
}

// Parse reads one address. What is legal as it is stays as it is, but for signs that are never meant, such as
// zero-width characters; what is not is repaired where that is safe. A key and a value, as mail=bob@acme.com, is
// refused though it is legal. The error is an *Error.
func Parse(s string) (Address, error) {
	text, repairs := readable(s)
	if plain(text) {
		if a, err := parse(text); err == nil {
			a.Repairs, a.Fallback = repairs, fallback(a)
			return a, nil
		}
	}
	literal, err := parse(text)
	if err == nil && !isKeyed(text) {
		literal.Repairs, literal.Fallback = repairs, fallback(literal)
		return literal, nil
	}
	if !utf8.ValidString(s) {
		return Address{}, problem(-1, "the text is not valid UTF-8")
	}
	repaired, repairs := repair(text, repairs)
	if isKeyed(repaired) {
		return Address{}, &Error{Problem: "this is a key and a value, not an address", Pos: -1, Suggestion: guess(repaired)}
	}
	a, err := parse(repaired)
	if err == nil {
		a.Repairs, a.Fallback = repairs, fallback(a)
		return a, nil
	}
	var wrong *Error
	if errors.As(err, &wrong) {
		wrong.Suggestion = guess(repaired)
	}
	return Address{}, err
}

// parse reads an address that needs no repair.
func parse(text string) (Address, error) {
	if text == "" {
		return Address{}, problem(-1, "the field is empty")
	}
	if !utf8.ValidString(text) {
		return Address{}, problem(-1, "the text is not valid UTF-8")
	}
	local, domain, err := split(text)
	if err != nil {
		return Address{}, err
	}
	a := Address{}
	if err := a.readLocal(local); err != nil {
		return Address{}, err
	}
	if err := a.readDomain(domain, len(local)+1); err != nil {
		return Address{}, err
	}
	if n := len(a.Local) + 1 + len(a.Domain); n > maxAddress {
		return Address{}, problem(-1, "the address has %d octets, more than %d", n, maxAddress)
	}
	return a, nil
}

// Stored returns the address whose Local and Domain an earlier Parse returned. It checks nothing, so a stored address
// is never refused by a later version of Parse, and it costs little.
func Stored(local, domain string) Address {
	a := Address{Local: local, Domain: domain, Quoted: strings.HasPrefix(local, `"`)}
	a.Subaddress = !a.Quoted && strings.IndexByte(local, '+') > 0
	for i := range len(local) {
		if local[i] >= utf8.RuneSelf {
			a.SMTPUTF8 = true
			break
		}
	}
	return a
}

// split finds the @ between local part and domain, and refuses several addresses.
func split(text string) (local, domain string, err error) {
	at := -1
	quoted, escaped := false, false
	count := 0
	for i := range len(text) {
		switch c := text[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"' && (quoted || i == 0):
			quoted = !quoted
		case c == '@' && !quoted:
			at = i
			count++
		}
	}
	switch {
	case quoted:
		return "", "", problem(0, "a quotation mark is not closed")
	case count == 0:
		return "", "", problem(-1, "there is no @")
	case count > 1:
		if n := several(text); n > 1 {
			return "", "", problem(-1, "the field holds %d addresses; give each a row of its own", n)
		}
		return "", "", problem(strings.IndexByte(text, '@'), "there is more than one @")
	}
	return text[:at], text[at+1:], nil
}

// several counts the addresses of a field that holds more than one.
func several(text string) (n int) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;|/ \t\r\n", r) }) {
		if strings.Count(part, "@") == 1 {
			n++
		}
	}
	return n
}

func (a *Address) readLocal(local string) error {
	switch {
	case local == "":
		return problem(0, "there is nothing before the @")
	case len(local) > maxLocal:
		return problem(maxLocal, "the part before the @ has %d octets, more than %d", len(local), maxLocal)
	case local[0] == '"':
		return a.readQuoted(local)
	case local[0] == '.':
		return problem(0, "the part before the @ begins with a dot")
	case local[len(local)-1] == '.':
		return problem(len(local)-1, "the part before the @ ends with a dot")
	}
	for i, r := range local {
		switch {
		case r == '.' && local[i-1] == '.':
			return problem(i, "two dots follow each other before the @")
		case r >= utf8.RuneSelf:
			if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
				return problem(i, "%U before the @ cannot be part of an address", r)
			}
			a.SMTPUTF8 = true
		case r != '.' && !isAtext(byte(r)):
			if r == ' ' || r == '\t' {
				return problem(i, "there is a space before the @")
			}
			return problem(i, "%q before the @ cannot be part of an address", r)
		}
	}
	a.Local = local
	a.Subaddress = strings.IndexByte(local, '+') > 0
	return nil
}

// readQuoted reads a quoted local part (RFC 5321 Quoted-string), which keeps its quotes.
func (a *Address) readQuoted(local string) error {
	if len(local) < 2 || local[len(local)-1] != '"' {
		return problem(0, "a quoted part before the @ must be quoted as a whole")
	}
	inner := local[1 : len(local)-1]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		switch {
		case c == '\\':
			if i++; i == len(inner) {
				return problem(i, "a backslash quotes nothing")
			}
			if inner[i] < ' ' || inner[i] > '~' {
				return problem(i+1, "there is a control character in the quotes before the @")
			}
		case c == '"':
			return problem(i+1, "there is a quotation mark inside the quotes")
		case c < ' ' || c == 0x7f:
			return problem(i+1, "there is a control character in the quotes before the @")
		case c >= utf8.RuneSelf:
			a.SMTPUTF8 = true
		}
	}
	if inner == "" {
		return problem(0, "there is nothing in the quotes before the @")
	}
	a.Local, a.Quoted = local, true
	return nil
}

func isAtext(c byte) bool {
	return isLetterOrDigit(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// profile maps as browsers do (UTS 46, non-transitional) and checks what DNS needs.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

func (a *Address) readDomain(domain string, pos int) error {
	if domain == "" {
		return problem(pos, "there is nothing after the @")
	}
	if domain[0] == '[' {
		return problem(pos, "the domain is an IP address, which no list should hold")
	}
	ascii := true
	for i := range len(domain) {
		if domain[i] >= utf8.RuneSelf {
			ascii = false
		}
	}
	lower := strings.ToLower(domain)
	if !ascii || strings.Contains(lower, "xn--") {
		mapped, err := profile.ToASCII(lower)
		if err != nil {
			return problem(pos, "the domain %q cannot be a name in DNS", domain)
		}
		lower = mapped
	}
	if len(lower) > maxDomain {
		return problem(pos, "the domain has %d octets, more than %d", len(lower), maxDomain)
	}
	labels := strings.Split(lower, ".")
	if len(labels) < 2 {
		return problem(pos, "the domain %q has no dot", domain)
	}
	at := pos
	for _, label := range labels {
		if err := checkLabel(label, at); err != nil {
			return err
		}
		at += len(label) + 1
	}
	if tld := labels[len(labels)-1]; strings.Trim(tld, "0123456789") == "" {
		return problem(at-len(tld)-1, "no top-level domain is a number (%s)", tld)
	}
	a.Domain = lower
	return nil
}

// checkLabel checks one label of a host name (RFC 1123 section 2.1).
func checkLabel(label string, pos int) error {
	switch {
	case label == "":
		return problem(pos, "the domain begins with a dot or holds two in a row")
	case len(label) > maxLabel:
		return problem(pos, "a label of the domain has %d octets, more than %d", len(label), maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return problem(pos, "the label %q of the domain begins or ends with a hyphen", label)
	}
	for i := range len(label) {
		if c := label[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return problem(pos+i, "%q cannot be part of a domain", c)
		}
	}
	return nil
}
