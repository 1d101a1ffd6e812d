// Package bounce reads the messages that mail systems send back. It tells which recipients of a message failed, and
// what the server said about each of them.
//
//	classifier, err := reply.New()
//	m, err := bounce.Read(file)              // one message
//	for _, r := range m.Recipients {
//		meaning := r.Meaning(classifier)     // hard or soft, about the mailbox or the sender, what to do
//	}
//
// [Each] yields the messages of an mbox, a Maildir or a directory.
//
// A delivery status notification (RFC 3464) is read field by field. Where a mail system sends none, or an empty one,
// the package reads the notice that is meant for people: forms.toml describes how Exim, qmail, sendmail, Postfix,
// Exchange, Gmail and others name the recipient and quote the server. Automatic replies (RFC 3834), complaints (RFC
// 5965) and receipts (RFC 8098) are recognised and never taken for a bounce.
//
// Package reply decides what a reply means.
package bounce
