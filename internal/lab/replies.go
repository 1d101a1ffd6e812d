package lab

import (
	"fmt"
	"time"
)

// Replies as mail servers word them.
const (
	ok             = "250 2.0.0 Ok"
	senderOK       = "250 2.1.0 Ok"
	readyForTLS    = "220 2.0.0 Ready to start TLS"
	noTLS          = "454 4.7.0 TLS not available due to local problem"
	cannotVerify   = "252 2.0.0 Cannot VRFY user, but will accept message and attempt delivery"
	notUnderstood  = "502 5.5.1 Error: command not implemented"
	badSyntax      = "501 5.5.4 Syntax error in parameters or arguments"
	badAddress     = "501 5.1.3 Bad recipient address syntax"
	noParameter    = "555 5.5.4 Unsupported option: SMTPUTF8"
	helloFirst     = "503 5.5.1 Error: send HELO/EHLO first"
	nestedMail     = "503 5.5.1 Error: nested MAIL command"
	mailFirst      = "503 5.5.1 Error: need MAIL command"
	noData         = "554 5.5.1 Error: no valid recipients"
	lineTooLong    = "500 5.5.2 Error: line too long"
	notInRouteList = "421 Recipient not in route list"
	tooManyRcpts   = "452 4.5.3 Error: too many recipients"
	garbage        = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Bad Request</h1>"
)

func banner(host string) string        { return "220 " + host + " ESMTP ready" }
func endlessBanner(host string) string { return "220-" + host + " ESMTP, one moment please" }
func bye(host string) string           { return "221 2.0.0 " + host + " closing connection" }
func shutDown(host string) string {
	return "421 4.3.2 " + host + " Service not available, closing channel"
}

func tooManySessions(host string) string {
	return "421 4.7.0 " + host + " Error: too many connections from your address, try again later"
}

func tooIdle(host string) string { return "421 4.4.2 " + host + " Error: timeout exceeded" }

func tooManyErrors(host string) string { return "421 4.7.0 " + host + " Error: too many errors" }

func bannerBlocked(host, client string) string {
	return fmt.Sprintf("554 5.7.1 %s: your address [%s] is blocked using zen.spamhaus.org; "+
		"https://www.spamhaus.org/query/ip/%s", host, client, client)
}

func blocked(client string) string {
	return fmt.Sprintf("554 5.7.1 Service unavailable; Client host [%s] blocked using zen.spamhaus.org; "+
		"https://www.spamhaus.org/query/ip/%s", client, client)
}

func noPTR(client string) string {
	return fmt.Sprintf("550 5.7.25 [%s] The IP address sending this message does not have a PTR record setup", client)
}

func greylisted(address string, wait time.Duration) string {
	return fmt.Sprintf("451 4.7.1 <%s>: Recipient address rejected: Greylisted, please try again in %d seconds",
		address, int(wait.Round(time.Second)/time.Second))
}

func wantsSMTPUTF8(address string) string {
	return fmt.Sprintf("553 5.6.7 <%s>: the recipient address needs SMTPUTF8", address)
}

func softUnknown(address string) string {
	return fmt.Sprintf("450 4.1.1 <%s>: Recipient address rejected: unverified address: User unknown", address)
}

// recipient is the reply to an RCPT for a mailbox of this temper.
func recipient(t Temper, address string) string {
	switch t {
	case Mailbox:
		return "250 2.1.5 Ok"
	case Full:
		return fmt.Sprintf("452 4.2.2 <%s>: The recipient's mailbox is over quota", address)
	case OverQuota:
		return fmt.Sprintf("552 5.2.2 <%s>: Mailbox full, quota exceeded", address)
	case Disabled:
		return fmt.Sprintf("550 5.2.1 <%s>: The email account that you tried to reach is disabled", address)
	case Restricted:
		return fmt.Sprintf("550 5.7.124 <%s>: Sender not in allowed-senders list of the recipient's group", address)
	case Busy:
		return fmt.Sprintf("450 4.2.1 <%s>: The user you are trying to contact is receiving mail at a rate that "+
			"prevents additional messages from being delivered", address)
	case NoRelay:
		return fmt.Sprintf("554 5.7.1 <%s>: Relay access denied", address)
	default:
		return fmt.Sprintf("550 5.1.1 <%s>: Recipient address rejected: User unknown", address)
	}
}
