package smtpprobe

import (
	"regexp"
	"strconv"
	"strings"
)

// ServerLimits are the limits that a server names in its answer to EHLO (RFC 9422). A field of zero is no limit.
type ServerLimits struct {
	Transactions int // MAILMAX: transactions in a session
	Recipients   int // RCPTMAX: recipients in a transaction
	Domains      int // RCPTDOMAINMAX: recipient domains in a session
}

// Limits returns the limits that the server named in its last answer to EHLO.
func (s *Session) Limits() ServerLimits { return s.offers.limits }

// Forms of a limit (RFC 9422 section 3): any limit, and the value of those that are defined.
var (
	limitForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(=[!-:<-~]+)?$`)
	limitValue = regexp.MustCompile(`^[1-9][0-9]{0,5}$`)
)

// serverLimits reads the words after LIMITS. A line with a syntax error is ignored as a whole, since nobody knows what
// it wanted to say.
func serverLimits(text string) ServerLimits {
	var limits ServerLimits
	for limit := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(limit, "=")
		var field *int
		switch strings.ToUpper(name) {
		case "MAILMAX":
			field = &limits.Transactions
		case "RCPTMAX":
			field = &limits.Recipients
		case "RCPTDOMAINMAX":
			field = &limits.Domains
		}
		if !limitForm.MatchString(limit) || field != nil && !limitValue.MatchString(value) {
			return ServerLimits{}
		}
		if field != nil {
			*field, _ = strconv.Atoi(value) // at most six digits
		}
	}
	return limits
}
