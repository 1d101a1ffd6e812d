// Package reply tells what SMTP replies mean: whether a reply is evidence about the mailbox, its domain, the message,
// the server and the moment, or about the client that asked, and what to do next. The example shows the common path.
//
// The evidence is read in this order: the class of the code (2xx, 4xx, 5xx), words that leave no doubt, the enhanced
// code (RFC 3463) where servers use it as registered, weaker words, enhanced codes that servers use for anything, the
// bare code with the command it answered. Words about this client come before words about the mailbox, and before RCPT
// nothing is about the mailbox, so what a server holds against the client never counts against the address. A reply
// that says too little is [verdict.Unclear], not a guess.
//
// What is known about replies is data: rules.toml holds the rules, each with real replies as its tests, and
// enhanced.toml the IANA registry of enhanced status codes. Phrases are compared word by word, all at once, in time
// linear in the length of the reply.
package reply
