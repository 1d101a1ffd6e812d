package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	idle   = 5 * time.Minute // RFC 5321 section 4.5.3.2.7
	linger = 2 * time.Second // how long a session that is over listens for what should not come

	pipeline = 16 << 10 // octets of commands that are read at once; TLS makes no larger records
)

// session is one SMTP session, at the level of lines, since it must be able to misbehave.
type session struct {
	host *host
	ctx  context.Context
	raw  net.Conn // the TCP connection
	wire *wire    // on raw, where the host has a latency
	conn net.Conn // what is spoken on: raw, with latency, with TLS
	r    *bufio.Reader
	w    *bufio.Writer
	said time.Time // when replies were last sent

	addr   netip.Addr // the host's address that was dialled
	client netip.Addr

	left      bool // no longer counted as open
	over      bool // the server has said its last word
	closing   bool // that word was 421
	announced bool // PIPELINING
	utf8      bool // SMTPUTF8 in this transaction

	greeted bool
	secure  bool
	sender  *string // nil outside a transaction
	rcpts   int     // in this transaction
	asked   int     // RCPTs in this session
	errors  int

	number   int // of the session at its host, from 1
	mails    int // MAIL commands
	position int // RCPTs in this transaction
	refused  int // of the RCPTs in this session
}

func newSession(ctx context.Context, h *host, raw net.Conn, addr netip.Addr) *session {
	s := &session{host: h, ctx: ctx, raw: raw, addr: addr}
	if client, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		s.client = client.AddrPort().Addr().Unmap()
	}
	s.attach(raw)
	return s
}

// attach makes the session speak on conn.
func (s *session) attach(conn net.Conn) {
	s.conn, s.r, s.w = conn, bufio.NewReaderSize(conn, pipeline), bufio.NewWriter(conn)
}

// leave gives the session's place back. It happens before the last reply is sent, so that a client that waits for
// this may open the next one.
func (s *session) leave() {
	if !s.left {
		s.left = true
		s.host.leave(s.addr)
	}
}

// run speaks SMTP until one side ends.
func (s *session) run(withinCap bool) {
	switch {
	case !withinCap:
		s.host.lab.tally.violation("%s: session cap of %d exceeded", s.host.Name, s.host.Sessions)
		s.end(tooManySessions(s.host.Name))
	case s.host.Fault == Silent:
		_, _ = io.Copy(io.Discard, s.conn)
		return
	case s.host.Fault == Tarpit:
		s.dribble()
		return
	case s.host.Fault == Garbage:
		s.end(garbage)
	case s.host.Fault == Banner421:
		s.end(shutDown(s.host.Name))
	case s.host.Fault == Banner554:
		s.end(bannerBlocked(s.host.Name, s.client.String()))
	default:
		s.say(banner(s.host.Name))
	}
	for !s.over {
		line, err := s.next()
		if err != nil {
			s.lost(err)
			continue
		}
		if s.host.CutIdle > 0 && s.idled() > s.host.CutIdle {
			s.vanish()
			break
		}
		s.host.lab.tally.commands.Add(1)
		s.command(line)
		if s.host.CutAfter > 0 && s.asked >= s.host.CutAfter && !s.over {
			s.vanish()
		}
		if s.host.Errors > 0 && s.errors >= s.host.Errors && !s.over {
			s.host.lab.tally.errorLimits.Add(1)
			s.end(tooManyErrors(s.host.Name))
		}
	}
	s.finish()
}

// dribble sends the lines of a banner that never ends.
func (s *session) dribble() {
	for {
		s.say(endlessBanner(s.host.Name))
		if s.flush() != nil || !pause(s.ctx, time.Second) {
			return
		}
	}
}

// say queues a reply. Replies go out together once there is no further command at hand.
func (s *session) say(reply string) { _, _ = s.w.WriteString(reply + "\r\n") } // a lost client shows when reading

// refuse queues a reply that counts as an error. After half of the errors that it allows, the server takes a second
// over each, as Postfix does.
func (s *session) refuse(reply string) {
	s.errors++
	if s.host.Errors > 0 && s.errors > s.host.Errors/2 && s.flush() == nil {
		pause(s.ctx, time.Second)
	}
	s.say(reply)
}

// end queues the last reply of a session; empty for none.
func (s *session) end(reply string) {
	s.over = true
	s.closing = strings.HasPrefix(reply, "421")
	if reply != "" {
		s.say(reply)
	}
}

// flush sends the replies queued.
func (s *session) flush() error {
	if s.w.Buffered() > 0 {
		s.said = time.Now()
	}
	return s.w.Flush()
}

// next reads a command line.
func (s *session) next() (string, error) {
	if at, _ := s.r.Peek(s.r.Buffered()); bytes.IndexByte(at, '\n') < 0 {
		if err := s.flush(); err != nil {
			return "", err
		}
		if err := s.raw.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return "", err
		}
	}
	line, err := s.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// idled returns how long nothing had been said when the last command arrived.
func (s *session) idled() time.Duration {
	if s.wire != nil {
		return s.wire.arrived.Sub(s.said)
	}
	return time.Since(s.said)
}

// vanish ends a session without telling the client: what was answered is sent, and nothing is heard or said any more
// until the client closes.
func (s *session) vanish() {
	s.over = true
	if s.flush() == nil && s.raw.SetReadDeadline(time.Time{}) == nil {
		_, _ = io.Copy(io.Discard, s.conn)
	}
}

// unheard reports whether what was read last was sent before the client could know the last reply.
func (s *session) unheard() bool { return s.wire != nil && s.wire.arrived.Before(s.said) }

// lost ends a session that next could not read from.
func (s *session) lost(err error) {
	var timeout net.Error
	switch {
	case s.host.lab.ctx.Err() != nil:
		s.end("")
	case errors.As(err, &timeout) && timeout.Timeout():
		s.end(tooIdle(s.host.Name))
	case errors.Is(err, bufio.ErrBufferFull):
		s.end(lineTooLong)
	case errors.Is(err, errLost): // its QUIT cannot have arrived
		s.end("")
	case !s.greeted && s.unheard(): // gone before the banner: a connection that another one was faster than
		s.end("")
	default:
		s.host.lab.tally.violation("%s: closed without QUIT", s.host.Name)
		s.end("")
	}
}

// finish sends what is queued and half-closes the connection, then listens until the client closes its half: closing
// at once could destroy replies under way. After a 421 nothing but QUIT may come, other than what came before it.
func (s *session) finish() {
	s.leave()
	before := s.r.Buffered()
	_ = s.raw.SetDeadline(time.Now().Add(linger + 2*s.host.Latency))
	if s.flush() != nil {
		return
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	if half, ok := s.raw.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	if _, err := s.r.Discard(before); err != nil {
		return
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		if verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); s.closing && !s.unheard() &&
			!strings.EqualFold(verb, "QUIT") {
			s.host.lab.tally.violation("%s: %s after 421", s.host.Name, verb)
		}
	}
}

// command obeys one line.
func (s *session) command(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if !s.announced && (s.r.Buffered() > 0 || s.unheard()) ||
		s.r.Buffered() > 0 && (verb == "EHLO" || verb == "STARTTLS") {
		s.host.lab.tally.violation("%s: pipelined after %s without leave", s.host.Name, verb)
	}
	switch verb {
	case "EHLO":
		s.ehlo(rest)
	case "HELO":
		s.helo(rest)
	case "STARTTLS":
		s.startTLS()
	case "MAIL":
		s.mail(rest)
	case "RCPT":
		s.rcpt(rest)
	case "DATA", "BDAT":
		s.host.lab.tally.violation("%s: %s", s.host.Name, verb)
		s.refuse(noData)
	case "RSET":
		s.reset()
		s.say(ok)
	case "NOOP":
		s.say(ok)
	case "VRFY":
		s.say(cannotVerify)
	case "QUIT":
		s.quit()
	default:
		s.refuse(notUnderstood)
	}
}

func (s *session) quit() {
	if s.host.MuteQuit {
		s.leave()
		s.vanish()
		return
	}
	s.end(bye(s.host.Name))
}

func (s *session) reset() { s.sender, s.rcpts, s.position, s.utf8 = nil, 0, 0, false }

func (s *session) hello(name string) bool {
	if name == "" {
		s.refuse(badSyntax)
		return false
	}
	s.reset()
	if !s.greeted {
		s.greeted = true
		s.host.lab.tally.sessions.Add(1)
	}
	return true
}

func (s *session) helo(name string) {
	if s.hello(name) {
		s.announced = false
		s.say("250 " + s.host.Name)
	}
}

func (s *session) ehlo(name string) {
	if s.host.Fault == HELOOnly {
		s.refuse(notUnderstood)
		return
	}
	if !s.hello(name) {
		return
	}
	s.announced = !s.host.NoPipelining
	lines := []string{s.host.Name}
	if s.announced {
		lines = append(lines, "PIPELINING")
	}
	lines = append(lines, "SIZE 36700160")
	if s.host.startTLS() && !s.secure {
		lines = append(lines, "STARTTLS")
	}
	lines = append(lines, "ENHANCEDSTATUSCODES", "8BITMIME")
	if !s.host.NoSMTPUTF8 {
		lines = append(lines, "SMTPUTF8")
	}
	if s.host.Limits != "" {
		lines = append(lines, "LIMITS "+s.host.Limits)
	}
	last := len(lines) - 1
	for _, line := range lines[:last] {
		s.say("250-" + line)
	}
	s.say("250 " + lines[last])
}

// startTLS reports whether STARTTLS is offered.
func (h *host) startTLS() bool { return h.STARTTLS || h.TLSBroken }

func (s *session) startTLS() {
	if !s.host.startTLS() || s.secure {
		s.refuse(notUnderstood)
		return
	}
	config, err := s.host.lab.tls()
	if s.host.TLSBroken {
		config = &tls.Config{} // no certificate
	}
	if err != nil || s.r.Buffered() > 0 {
		s.refuse(noTLS)
		return
	}
	s.say(readyForTLS)
	if s.flush() != nil {
		return
	}
	secure := tls.Server(s.conn, config)
	if err := secure.HandshakeContext(s.ctx); err != nil {
		s.end("") // the client may try again in plain text; that it says no QUIT into a broken handshake is right
		return
	}
	s.host.lab.tally.handshakes.Add(1)
	if secure.ConnectionState().DidResume {
		s.host.lab.tally.resumed.Add(1)
	}
	s.attach(secure)
	s.secure, s.announced = true, false
	s.reset()
}

func (s *session) mail(rest string) {
	path, parameters, ok := argument(rest, "FROM:")
	s.mails++
	switch {
	case !ok:
		s.refuse(badSyntax)
	case !s.greeted:
		s.refuse(helloFirst)
	case s.sender != nil:
		s.refuse(nestedMail)
	case s.scripted("MAIL", path):
	case s.host.Fault == NoPTR:
		s.refuse(noPTR(s.client.String()))
	default:
		s.utf8 = strings.Contains(strings.ToUpper(parameters), "SMTPUTF8")
		if s.utf8 && s.host.NoSMTPUTF8 {
			s.utf8 = false
			s.refuse(noParameter)
			return
		}
		s.sender = &path
		s.say(senderOK)
	}
}

func (s *session) rcpt(rest string) {
	path, _, ok := argument(rest, "TO:")
	switch {
	case !ok:
		s.refuse(badSyntax)
		return
	case s.sender == nil:
		s.refuse(mailFirst)
		return
	}
	errors := s.errors
	s.recipient(path)
	s.position++
	s.refused += s.errors - errors
}

// recipient answers an RCPT in a transaction.
func (s *session) recipient(path string) {
	if s.scripted("RCPT", path) {
		s.asked++
		return
	}
	s.host.lab.tally.rcpts.Add(1)
	local, domain, err := split(path)
	if err != nil {
		s.refuse(badAddress)
		return
	}
	s.asked++
	total := s.host.note(local + "@" + domain)
	if s.host.Fault == DropsAfter && s.asked > s.host.After || s.host.Crash != "" && local == s.host.Crash {
		s.end("")
		return
	}
	if s.host.Rcpts > 0 && s.rcpts >= s.host.Rcpts {
		s.host.lab.tally.tooManyRcpts.Add(1)
		s.refuse(tooManyRcpts)
		return
	}
	if s.host.Fault == Blocks || s.host.Fault == BlocksAfter && total > s.host.After ||
		slices.Contains(s.host.BlocksFrom, s.client) {
		s.refuse(blocked(s.client.String()))
		return
	}
	reply, taken := s.judge(path, local, domain)
	switch {
	case taken:
		s.rcpts++
		s.say(reply)
	case s.host.DropsUnknown:
		s.end("")
		return
	case s.host.ClosesUnknown:
		s.end(notInRouteList)
		return
	default:
		s.refuse(reply)
	}
	if s.host.TwoReplies && total%10 == 0 {
		s.say(reply)
	}
}

// judge returns the reply to a recipient, and whether it is taken.
func (s *session) judge(path, local, domain string) (reply string, taken bool) {
	if !isASCII(local) && !s.utf8 {
		return wantsSMTPUTF8(path), false
	}
	temper := NoRelay
	if d := s.host.serves(domain); d != nil &&
		!(s.host.ALabels && !isASCII(path[strings.LastIndexByte(path, '@')+1:])) {
		temper = d.temper(local)
	}
	if s.host.Greylist > 0 && temper != NoRelay && (temper != Unknown || s.host.GreylistFirst) {
		triplet := strings.Join([]string{s.client.String(), *s.sender, local + "@" + domain}, " ")
		if wait := s.host.greylisted(triplet); wait > 0 {
			return greylisted(path, wait), false
		}
	}
	if temper == Unknown && s.host.SoftUnknown {
		return softUnknown(path), false
	}
	return recipient(temper, path), temper == Mailbox
}

// serves returns the domain if this host carries it.
func (h *host) serves(name string) *Domain {
	d := h.lab.world.domains[h.lab.world.canonical(name)]
	if d == nil {
		return nil
	}
	for _, mx := range d.hosts() {
		if slices.Contains(h.lab.world.servers(mx), h.Name) {
			return d
		}
	}
	return nil
}

// argument takes FROM:<path> parameters apart.
func argument(s, keyword string) (path, parameters string, ok bool) {
	if len(s) < len(keyword) || !strings.EqualFold(s[:len(keyword)], keyword) {
		return "", "", false
	}
	s = strings.TrimLeft(s[len(keyword):], " ")
	end := strings.LastIndexByte(s, '>')
	if !strings.HasPrefix(s, "<") || end < 0 {
		return "", "", false
	}
	return s[1:end], s[end+1:], true
}
