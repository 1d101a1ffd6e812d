package reply

// Command names the SMTP command that a reply answered; Connect stands for the banner.
type Command string

// The commands that a verifier or a sending MTA waits for an answer to.
const (
	Connect  Command = "connect"
	EHLO     Command = "EHLO"
	STARTTLS Command = "STARTTLS"
	MAIL     Command = "MAIL"
	RCPT     Command = "RCPT"
	DATA     Command = "DATA"
)

// Reply is an SMTP reply (RFC 5321 section 4.2) with its enhanced status code (RFC 3463), which is taken out of the
// text where it comes before the words.
type Reply struct {
	Code     int      // 200 to 599; 0 where it is not known
	Enhanced Enhanced // the zero value where the server gave none
	Lines    []string // the text of each line, without the codes before it
}

// Enhanced is an enhanced mail system status code, class.subject.detail (RFC 3463).
type Enhanced struct{ Class, Subject, Detail int }
