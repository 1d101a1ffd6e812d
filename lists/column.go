package lists

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// AmbiguousColumnError says that several columns hold addresses.
type AmbiguousColumnError struct{ Candidates []string }

func (e *AmbiguousColumnError) Error() string {
	return fmt.Sprintf("%d columns hold addresses: %s; say which one with --column", len(e.Candidates), strings.Join(e.Candidates, " and "))
}

// NoColumnError says that the address column was not found.
type NoColumnError struct {
	Wanted  string // what was asked for; empty: any
	Columns []string
}

func (e *NoColumnError) Error() string {
	if e.Wanted != "" {
		return fmt.Sprintf("there is no column %q; the columns are %s", e.Wanted, strings.Join(e.Columns, ", "))
	}
	return fmt.Sprintf("no column seems to hold addresses; the columns are %s; say which one with --column", strings.Join(e.Columns, ", "))
}

// isDoubt reports whether an error says that the address column is missing or in doubt.
func isDoubt(err error) bool {
	var none *NoColumnError
	var many *AmbiguousColumnError
	return errors.As(err, &none) || errors.As(err, &many)
}

// addressNames are what columns of addresses are called, letters and digits only.
var addressNames = []string{
	"email", "emailaddress", "emailaddr", "mail", "mailaddress", "emailid", "emails", "eaddress", "address",
	"emailadresse", "mailadresse", "epost", "epostadresse", "eposta", "courriel", "adressemail", "adresseemail", "adressecourriel",
	"correo", "correoelectronico", "direccioncorreo", "indirizzoemail", "posta", "enderecoemail", "adresemail", "sahkoposti",
	"почта", "емейл", "электроннаяпочта", "メール", "メールアドレス", "邮箱", "电子邮件", "電子郵件",
}

// findColumn tells whether there is a header, and which column holds the addresses.
func (r *Reader) findColumn(records []sampled, wanted string) error {
	width := 0
	for _, record := range records {
		width = max(width, len(record.cells))
	}
	if first := records[0]; hasHeader(records, wanted) {
		r.columns = first.cells
		r.header = &Row{Raw: first.raw, End: first.end, reader: r}
		r.skip++
		records = records[1:]
	}
	if wanted != "" {
		return r.takeColumn(wanted, width)
	}
	var named, filled []int
	for i := range width {
		isNamed := i < len(r.columns) && NamesAddresses(r.columns[i])
		share := addressShare(records, i)
		if isNamed && (share > 0 || len(records) == 0 || blank(records, i)) {
			named = append(named, i)
		}
		if share >= 0.5 {
			filled = append(filled, i)
		}
	}
	// A column that is named so but empty stands back behind one that holds addresses.
	if full := slices.DeleteFunc(slices.Clone(named), func(i int) bool { return addressShare(records, i) == 0 }); len(full) > 0 {
		named = full
	}
	candidates := named
	if len(candidates) == 0 {
		candidates = filled
	}
	switch {
	case len(candidates) == 1:
		r.column = candidates[0]
		return nil
	case len(candidates) > 1:
		err := &AmbiguousColumnError{}
		for _, i := range candidates {
			err.Candidates = append(err.Candidates, quoteName(r.columns, i))
		}
		return err
	case width == 1:
		r.column = 0
		return nil
	}
	return &NoColumnError{Columns: r.describe(width)}
}

func (r *Reader) describe(width int) (names []string) {
	for i := range max(width, len(r.columns)) {
		names = append(names, quoteName(r.columns, i))
	}
	return names
}

// takeColumn finds the column that the user named.
func (r *Reader) takeColumn(wanted string, width int) error {
	var matches []int
	for i, name := range r.columns {
		if name == wanted {
			matches = append(matches, i)
		}
	}
	if len(matches) == 0 {
		for i, name := range r.columns {
			if sameName(name, wanted) {
				matches = append(matches, i)
			}
		}
	}
	switch {
	case len(matches) == 1:
		r.column = matches[0]
		return nil
	case len(matches) > 1:
		err := &AmbiguousColumnError{}
		for _, i := range matches {
			err.Candidates = append(err.Candidates, quoteName(r.columns, i))
		}
		return err
	}
	if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= width {
		r.column = n - 1
		return nil
	}
	return &NoColumnError{Wanted: wanted, Columns: r.describe(width)}
}

// hasHeader says whether the first record names the columns: it has the name that was asked for; or it holds no
// address, and either a name that columns of addresses have, or some text over a column of addresses.
func hasHeader(records []sampled, wanted string) bool {
	first := records[0].cells
	if wanted != "" && slices.ContainsFunc(first, func(cell string) bool { return sameName(cell, wanted) }) {
		return true
	}
	if slices.ContainsFunc(first, func(cell string) bool { return strings.Contains(cell, "@") }) {
		return false
	}
	if slices.ContainsFunc(first, NamesAddresses) {
		return true
	}
	for i, cell := range first {
		// An address without its @ is a slip in the first row of a list without a header.
		if strings.TrimSpace(cell) != "" && !strings.Contains(cell, ".") && addressShare(records[1:], i) >= 0.5 {
			return true
		}
	}
	return false
}

func sameName(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// addressShare is the share of a column's filled cells that hold an @.
func addressShare(records []sampled, column int) float64 {
	with, filled := 0, 0
	for _, record := range records {
		if column < len(record.cells) && strings.TrimSpace(record.cells[column]) != "" {
			filled++
			if strings.ContainsAny(record.cells[column], "@\uff20") {
				with++
			}
		}
	}
	if filled == 0 {
		return 0
	}
	return float64(with) / float64(filled)
}

func blank(records []sampled, column int) bool {
	for _, record := range records {
		if column < len(record.cells) && strings.TrimSpace(record.cells[column]) != "" {
			return false
		}
	}
	return true
}

// NamesAddresses reports whether a column's name is one of a column of addresses: a word of addressNames, or one of them
// at the end behind other words (Work Email, Owner e-mail), or as Google's contacts have it (E-mail 1 - Value).
func NamesAddresses(name string) bool {
	folded := fold(name)
	if slices.Contains(addressNames, folded) {
		return true
	}
	for _, ending := range []string{"email", "emailaddress", "emailadresse", "mailadresse", "courriel"} {
		if strings.HasSuffix(folded, ending) {
			return true
		}
	}
	number, isValue := strings.CutSuffix(folded, "value")
	number, isMail := strings.CutPrefix(number, "email")
	return isValue && isMail && strings.Trim(number, "0123456789") == "" ||
		strings.HasPrefix(folded, "email") && strings.Trim(folded[len("email"):], "0123456789") == ""
}

// fold keeps letters and digits, in lower case and without the accents of Latin letters.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case r == 'é' || r == 'è':
			return 'e'
		case r == 'ó':
			return 'o'
		case r == 'ä':
			return 'a'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == 'ー':
			return r
		}
		return -1
	}, name)
}
