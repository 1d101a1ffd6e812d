package bounce

import (
	"cmp"
	"strings"

	"presend/verify/reply"
)

// statuses reads the fields of a delivery status notification (RFC 3464 section 2). The fields of the message come
// first. An empty line, or a second Final-Recipient, begins the next recipient.
func statuses(text string) []Recipient {
	var recipients []Recipient
	for _, fields := range groups(text) {
		address := cmp.Or(typed(fields["original-recipient"]), typed(fields["final-recipient"]))
		if address == "" && fields["action"] == "" {
			continue // fields of the message
		}
		if final := typed(fields["final-recipient"]); !strings.Contains(address, "@") && strings.Contains(final, "@") {
			address = final
		}
		r := Recipient{
			Address: strings.Trim(address, "<>"), Action: action(fields["action"]), Host: typed(fields["remote-mta"]),
		}
		r.Host, _, _ = strings.Cut(r.Host, " ")
		if text := fields["diagnostic-code"]; text != "" {
			r.Text = typed(text)
			r.Reply, r.Command = quoted(r.Text)
		}
		status, _, _ := strings.Cut(fields["status"], " ")
		if e, err := reply.ParseEnhanced(status); err == nil && r.Reply.Enhanced == (reply.Enhanced{}) {
			if r.Reply.Code == 0 || r.Reply.Code/100 == e.Class {
				r.Reply.Enhanced = e
			}
		}
		recipients = append(recipients, r)
	}
	return recipients
}

// groups returns the groups of fields, with the names in lower case and the values unfolded. It skips lines that are no
// fields.
func groups(text string) []map[string]string {
	var all []map[string]string
	current := map[string]string{}
	end := func() {
		if len(current) > 0 {
			all = append(all, current)
			current = map[string]string{}
		}
	}
	last := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		switch m := headerField.FindStringSubmatch(line); {
		case strings.TrimSpace(line) == "":
			end()
			last = ""
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				current[last] += " " + strings.TrimSpace(line)
			}
		case m != nil:
			last = strings.ToLower(m[1])
			if _, twice := current[last]; twice && last == "final-recipient" {
				end()
			}
			current[last] = strings.TrimSpace(line[len(m[0]):])
		}
	}
	end()
	return all
}

// typed returns the value after a type, as in "rfc822; ann@example.com".
func typed(value string) string {
	if kind, rest, ok := strings.Cut(value, ";"); ok && !strings.ContainsAny(strings.TrimSpace(kind), " @<") {
		value = rest
	}
	return strings.TrimSpace(value)
}

func action(word string) Action {
	word, _, _ = strings.Cut(strings.ToLower(word), " ")
	switch a := Action(word); a {
	case Delayed, Delivered, Relayed, Expanded:
		return a
	}
	return Failed
}

// complained reads the fields of a feedback report (RFC 5965 section 3). Many reporters hide the recipient.
func complained(text string) []Recipient {
	var recipients []Recipient
	for _, fields := range groups(text) {
		if to := cmp.Or(fields["original-rcpt-to"], fields["removal-recipient"]); to != "" {
			recipients = append(recipients, Recipient{Address: strings.Trim(to, "<>")})
		}
	}
	return recipients
}

// quoted parses a reply that a mail system quotes.
func quoted(text string) (reply.Reply, reply.Command) {
	text = strings.Join(strings.Fields(text), " ")
	r, err := reply.Parse(text)
	if err != nil {
		return reply.Reply{}, "" // a text without a letter says nothing
	}
	return r, reply.CommandIn(text)
}
