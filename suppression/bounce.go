package suppression

import (
	"presend/verify/reply"
	"presend/verify/verdict"
)

// Enhanced returns the enhanced code of the bounce that an entry is, as 5.1.1; empty where it has none. A bounce that
// says in words that there is no such domain gets 5.1.2, and one that finds no mail host 5.4.4.
func (e Entry) Enhanced(c *reply.Classifier) string {
	said, err := reply.Parse(e.Reply)
	if e.Reason != HardBounce || err != nil { // no words at all
		return e.Code
	}
	switch c.Classify(said, reply.CommandIn(e.Reply), "").Reason {
	case verdict.NoSuchDomain:
		return "5.1.2"
	case verdict.NoMailHost:
		return "5.4.4"
	}
	return e.Code
}
