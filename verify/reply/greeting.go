package reply

import "strings"

// GreetingName returns the name, in lower case, with which a server greets: the first word of its first line. It is
// empty where the greeting has none. masked says that it is written over with asterisks, as firewalls with SMTP
// inspection do.
func GreetingName(r Reply) (name string, masked bool) {
	if len(r.Lines) == 0 {
		return "", false
	}
	name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(r.Lines[0])), " ")
	switch {
	case name == "esmtp", name == "smtp":
		return "", false
	case strings.Trim(name, "*") == "":
		return "", name != ""
	}
	return name, false
}
