// Package lab is an internet in one process: DNS and SMTP servers on loopback sockets or in memory, whose domains,
// mailboxes and temper are declared in a line or two each, so that the truth about every address is known.
//
//	l, err := lab.Start(ctx, `
//		host    mx1.corp.lab latency=20ms sessions=5
//		domain  corp.lab mx=10:mx1.corp.lab
//		mailbox alice@corp.lab bob@corp.lab
//		full    carol@corp.lab`)
//	defer l.Close()
//
// [Lab.DNS] is the address of the name server. Every host has an address of its own in 127.77.0.0/16, and all of them
// listen on one port, [Lab.SMTPPort]. Where such addresses cannot be bound (only 127.0.0.1 exists on some systems),
// the hosts listen on random ports of 127.0.0.1, and [Lab.Dial] finds them; a client that always dials with it works
// on both. With [InMemory] there are no sockets: [Lab.Dial] and [Lab.Resolver] take their place, and the lab runs in a
// testing/synctest bubble. [Lab.Count] tells how the clients behaved, [Lab.Probes] how often an address was asked
// about, and [Lab.Truth] what should have been found.
//
// [World.Script] gives a host replies of its own.
//
// # Declarations
//
// A line is a word, a name and options; # begins a comment. Names may be IDN in either form.
//
//	dns latency=1ms                      every answer takes so long
//	host NAME [ADDRESS]... OPTION...     a mail host; it may have an IPv4 and, in memory, an IPv6 address
//	name NAME HOST,HOST                  one more name, with the addresses of these hosts
//	domain NAME OPTION...                a mail domain
//	alias NAME TARGET                    a CNAME
//	record NAME. TYPE ...                one more DNS record, as in a zone file: record corp.lab. TXT "v=spf1 -all"
//	TEMPER ADDRESS...                    mailboxes; TEMPER is a word of [Tempers], and a,b@corp.lab are two
//
// Options of a host, all off where not given:
//
//	latency=20ms     a round trip: TCP's handshake, the banner, and every flight of commands take one each
//	sessions=5       more sessions at a time get 421 4.7.0, and are a violation
//	rcpts=50         more recipients in a transaction get 452 4.5.3
//	errors=20        so many refusals end a session with 421 4.7.0, and from half of them on each takes a second, as
//	                 Postfix does
//	mails=5          more transactions in a session get 421 4.7.0
//	first-visit      450 4.3.2 to every recipient of the first session in its life, as postscreen does
//	tarpits=8s       so long over a refusal, and twice as long over the next one in the session, as Courier does
//	rate=30          more recipients a minute get 450 4.7.1 slow down
//	hourly=100       more recipients an hour get 450 4.7.1 hourly limit exceeded
//	refusal=550_no   what is said to a recipient that is not a mailbox, with _ for spaces
//	limits=RCPTMAX=1,MAILMAX=5   what EHLO says of LIMITS (RFC 9422)
//	starttls         offered, with a certificate that nobody signed; nostarttls is the default
//	nopipelining     PIPELINING is not offered, and using it is a violation
//	nosmtputf8       SMTPUTF8 is not offered
//	alabels          a domain in U-labels is one it does not carry, as where a table of domains holds A-labels only
//	closes-unknown   421 Recipient not in route list to every recipient that is not a mailbox, and the end
//	drops-unknown    the same end without a word
//	soft-unknown     450 4.1.1 to unknown mailboxes
//	mute-quit        never answers QUIT, and does not close before the client does
//	tls-broken       STARTTLS is offered, and the handshake fails
//	two-replies      every tenth RCPT in its life gets two replies
//	crash=bob        a recipient with this local part makes it close without a word
//	cut-after=20     after so many answered RCPTs a connection is lost: nothing arrives any more, not even its end
//	cut-idle=60s     the same happens to a connection on which nothing was said for longer than this
//	stall=1400       a write of more octets never arrives, nor what follows it; in memory only
//	blocks-from=127.0.0.2,127.0.0.3   554 5.7.1 blocklisted to every RCPT from these clients
//	closed-from=127.0.0.2             connections from these clients never complete; in memory only
//	a fault          one of [Faults]; the sessions or recipients it counts follow a =, as in drops-after=3
//	greylist=300s    a mailbox is refused until so long after it was first asked for; unknown ones are refused at once
//	greylist-first=300s  the same for every recipient, known or not
//
// Options of a domain:
//
//	mx=10:mx1.lab,20:mx2.lab   its mail hosts; a bare name has preference 10, and an IP literal is allowed
//	implicit=mx1.lab           no MX but an address, that of the host
//	catchall                   every recipient is accepted
//	acceptsall                 the same, by a provider whose answers say nothing
//	norelay                    its mail hosts do not carry it
//	tcp                        DNS answers over UDP are empty and truncated
//	nullmx nomail nxdomain servfail timeout    what DNS says in place of mail hosts; nomail is neither MX nor address
package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Lab is a running internet. Close it.
type Lab struct {
	world  *World
	names  *nameServer
	hosts  map[string]*host
	byAddr map[netip.Addr]*host
	port   int
	mapped bool
	memory bool

	dialled atomic.Uint32 // connections opened in memory

	clock  func() time.Time
	offset atomic.Int64 // time.Duration by which Advance moved the clock
	tls    func() (*tls.Config, error)

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
	fewer *sync.Cond // conns has lost one

	tally tally
}

// Option changes how a lab runs.
type Option func(*Lab)

// WithClock makes greylisting go by a clock other than time.Now.
func WithClock(now func() time.Time) Option { return func(l *Lab) { l.clock = now } }

// OnPorts makes hosts listen on random ports of 127.0.0.1, as on systems that have no other loopback address. Only
// Dial finds them.
func OnPorts() Option { return func(l *Lab) { l.mapped = true } }

// Start reads a declaration and brings its world up. The lab runs until Close or until ctx ends; Close is needed in
// either case.
func Start(ctx context.Context, declaration string, options ...Option) (*Lab, error) {
	w, err := Parse(declaration)
	if err != nil {
		return nil, err
	}
	return w.Start(ctx, options...)
}

// Start brings the world up. The world must not be changed afterwards.
func (w *World) Start(ctx context.Context, options ...Option) (*Lab, error) {
	l := &Lab{
		world:  w,
		hosts:  map[string]*host{},
		byAddr: map[netip.Addr]*host{},
		clock:  time.Now,
		tls:    sync.OnceValues(selfSigned),
		conns:  map[net.Conn]struct{}{},
	}
	l.fewer = sync.NewCond(&l.mu)
	for _, option := range options {
		option(l)
	}
	l.ctx, l.cancel = context.WithCancel(ctx)
	for name, declared := range w.hosts {
		h := newHost(l, declared)
		l.hosts[name] = h
		for _, addr := range declared.addrs() {
			l.byAddr[addr] = h
		}
	}
	l.names = newNameServer(l.ctx, w, &l.tally)
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.wg.Go(func() {
		<-l.ctx.Done()
		l.hangUp()
		_ = l.names.close() // Close reports
	})
	for _, h := range l.hosts {
		if h.listener != nil {
			l.wg.Go(h.accept)
		}
	}
	return l, nil
}

// open opens the sockets.
func (l *Lab) open() error {
	if l.memory {
		l.port = smtpPort
		return nil
	}
	for _, h := range l.hosts {
		if what := h.needsMemory(); what != "" {
			return fmt.Errorf("lab: host %s has %s, which needs a lab in memory", h.Name, what)
		}
	}
	if err := l.listen(); err != nil {
		return err
	}
	return l.names.serve()
}

// listen opens a listener for every host that is not dead: on its own address and one port for all, or, where that
// cannot be, on ports of 127.0.0.1.
func (l *Lab) listen() error {
	const attempts = 20 // the port that the system chose may be taken on another address
	var err error
	for range attempts {
		if l.mapped {
			break
		}
		if err = l.listenOnOnePort(); err == nil {
			return nil
		}
		l.closeListeners()
		if !errors.Is(err, syscall.EADDRINUSE) {
			l.mapped = true
		}
	}
	if !l.mapped {
		return fmt.Errorf("lab: no port is free on every address: %w", err)
	}
	for _, h := range l.hosts {
		if h.Fault == Dead {
			continue
		}
		if h.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		l.port = h.listener.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (l *Lab) listenOnOnePort() (err error) {
	l.port = 0
	for _, h := range l.hosts {
		if h.Fault == Dead {
			continue
		}
		if h.listener, err = net.Listen("tcp4", netip.AddrPortFrom(h.Addr, uint16(l.port)).String()); err != nil {
			h.listener = nil
			return err
		}
		l.port = h.listener.Addr().(*net.TCPAddr).Port
	}
	if l.port == 0 {
		l.port = 1 // all hosts are dead, and a client wants a port that refuses it
	}
	return nil
}

func (l *Lab) closeListeners() {
	for _, h := range l.hosts {
		if h.listener != nil {
			h.listener.Close()
			h.listener = nil
		}
	}
}

// DNS returns host:port of the name server, the same for UDP and TCP; nothing for a lab in memory.
func (l *Lab) DNS() string { return l.names.addr }

// SMTPPort returns the port that every mail host listens on.
func (l *Lab) SMTPPort() int { return l.port }

// Dial opens a TCP connection to a mail host, given as IP:port with the IP that DNS told. Source is the client's
// address; the zero Addr leaves it to the system.
func (l *Lab) Dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	if l.memory {
		return l.connect(ctx, source, address)
	}
	var d net.Dialer
	if source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
	}
	if l.mapped {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		h := l.byAddr[to.Addr()]
		if h == nil || h.listener == nil {
			return nil, &net.OpError{
				Op:   "dial",
				Net:  "tcp",
				Addr: net.TCPAddrFromAddrPort(to),
				Err:  syscall.ECONNREFUSED,
			}
		}
		address = h.listener.Addr().String()
	}
	return d.DialContext(ctx, "tcp4", address)
}

// Now returns the lab's time, by which greylisting goes.
func (l *Lab) Now() time.Time { return l.clock().Add(time.Duration(l.offset.Load())) }

// Advance moves the lab's time forward.
func (l *Lab) Advance(d time.Duration) { l.offset.Add(int64(d)) }

// Close takes the lab down and waits for all it started. Sessions still open are cut. It may be called again.
func (l *Lab) Close() error {
	l.cancel()
	l.hangUp()
	err := l.names.close()
	l.wg.Wait()
	return err
}

// hangUp ends all that waits on a mail host's socket.
func (l *Lab) hangUp() {
	for _, h := range l.hosts {
		if h.listener != nil {
			h.listener.Close()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// track remembers a connection so that hangUp can close it; false means that the lab is closing.
func (l *Lab) track(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return l.ctx.Err() == nil
}

func (l *Lab) forget(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.fewer.Broadcast()
}

// Settle waits until no connection to a mail host is open, so that all that clients did has been counted. It returns
// the error of ctx if that ends first.
func (l *Lab) Settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fewer.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.conns) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("lab: %d connections are still open: %w", len(l.conns), err)
		}
		l.fewer.Wait()
	}
	return nil
}
