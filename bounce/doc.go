// Package bounce reads what mail systems write back: which recipients of a message failed, and what the server said
// about each.
//
//	classifier, err := reply.New()
//	m, err := bounce.Read(file)              // one message
//	for _, r := range m.Recipients {
//		meaning := r.Meaning(classifier)     // hard or soft, whose fault, what to do
//	}
//
// Messages of many come from [Each], which reads an mbox, a Maildir, a directory of messages or a single one.
//
// A delivery status notification (RFC 3464) is read field by field. Where a mail system writes none, or leaves it
// empty, the notice meant for people is read instead: forms.toml holds how Exim, qmail, sendmail, Postfix, Exchange,
// Gmail and others name the recipient and quote the server. A message that answers by itself (RFC 3834), a complaint
// (RFC 5965) and a receipt (RFC 8098) are told apart and never taken for a bounce.
//
// What a reply means is decided by package reply alone.
package bounce
