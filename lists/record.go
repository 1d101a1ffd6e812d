package lists

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Record is what is added to a row: the columns of the contract, in their order. The tags are for gocsv, with which a
// program reads a written list back.
type Record struct {
	Verdict      string `csv:"verify_verdict"`
	Score        string `csv:"verify_score"`
	Reason       string `csv:"verify_reason"`
	Detail       string `csv:"verify_detail"`
	Suggestion   string `csv:"verify_suggestion"`
	Flags        string `csv:"verify_flags"` // joined by spaces
	Provider     string `csv:"verify_provider"`
	MX           string `csv:"verify_mx"`
	SMTPCode     string `csv:"verify_smtp_code"`
	EnhancedCode string `csv:"verify_enhanced_code"`
	Normalized   string `csv:"verify_normalized"`
	CheckedAt    string `csv:"verify_checked_at"` // RFC 3339
	RetryAt      string `csv:"verify_retry_at"`   // RFC 3339; empty: no
	Action       string `csv:"verify_action"`     // what to do with the address, in one word
	Advice       string `csv:"verify_advice"`     // and in a sentence
}

// recordColumns are the names of the columns, in their order.
var recordColumns = []string{
	"verify_verdict", "verify_score", "verify_reason", "verify_detail", "verify_suggestion", "verify_flags",
	"verify_provider", "verify_mx", "verify_smtp_code", "verify_enhanced_code", "verify_normalized", "verify_checked_at",
	"verify_retry_at", "verify_action", "verify_advice",
}

// namesOf returns the names of the columns for the address column that was chosen as number set, from 0: verify_verdict
// for the first one, verify_2_verdict for the second.
func namesOf(set int) []string {
	if set == 0 {
		return recordColumns
	}
	names := make([]string, len(recordColumns))
	for i, name := range recordColumns {
		names[i] = "verify_" + strconv.Itoa(set+1) + "_" + strings.TrimPrefix(name, "verify_")
	}
	return names
}

// addedNames returns the names of all columns that are added to a list.
func (r *Reader) addedNames() (names []string) {
	for set := range r.chosen {
		names = append(names, namesOf(set)...)
	}
	return names
}

// appendValues appends the cells in the order of recordColumns.
func (r *Record) appendValues(cells []string) []string {
	return append(cells,
		r.Verdict, r.Score, r.Reason, r.Detail, r.Suggestion, r.Flags,
		r.Provider, r.MX, r.SMTPCode, r.EnhancedCode, r.Normalized, r.CheckedAt,
		r.RetryAt, r.Action, r.Advice)
}

// appendRecords appends the cells of as many records as a list has address columns. Those that are missing are empty.
func appendRecords(cells []string, records []Record, sets int, one func(*Record, []string) []string) []string {
	for set := range sets {
		record := Record{}
		if set < len(records) {
			record = records[set]
		}
		cells = one(&record, cells)
	}
	return cells
}

// appendCells appends the cells as they may be written into a table: without what steers a terminal, and free text
// without what a spreadsheet takes for a formula. An address is never changed, since a mailer uses it as it is.
func (r *Record) appendCells(cells []string) []string {
	from := len(cells)
	cells = r.appendValues(cells)
	for i, cell := range cells[from:] {
		if cell == "" {
			continue
		}
		cell = harmless(cell)
		isAddress := i == normalizedColumn || i == suggestionColumn
		if safe := neutral(cell); safe != cell && !(isAddress && IsAddress(cell)) {
			cell = safe
		}
		cells[from+i] = cell
	}
	return cells
}

// Where some cells are among recordColumns.
const (
	scoreColumn      = 1
	suggestionColumn = 4
	normalizedColumn = 10
)

// harmless takes out of text of others what steers a terminal or deceives the eye: control characters and those that
// turn the direction of writing.
func harmless(text string) string {
	if isPlain(text) {
		return text
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text))
}

func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// neutral makes of harmless text a cell that no spreadsheet reads as a formula, full-width signs included.
func neutral(cell string) string {
	if cell == "" || cell[0] < utf8.RuneSelf && strings.IndexByte("=+-@", cell[0]) < 0 {
		return cell
	}
	for _, sign := range []string{"=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"} {
		if strings.HasPrefix(cell, sign) {
			return "'" + cell
		}
	}
	return cell
}
