package mx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const udpSize = 1232 // what passes every path unfragmented (DNS flag day 2020)

// exchange asks a resolver once, within its window, which the caller has entered; again says that it is not the first
// try of the question. It reports whether a reply that is no answer is one of too many questions at a time.
func (u *upstream) exchange(
	ctx context.Context, q question, w way, again bool, timeout time.Duration,
) (reply *dns.Msg, congested bool, err error) {
	asked := time.Now()
	reply, err = u.ask(ctx, q, w, asked.Add(timeout))
	if err != nil && ctx.Err() != nil {
		u.window.leave(asked, nothing)
		return nil, false, ctx.Err()
	}
	o := outcomeOf(reply)
	if w == overTCP && isTimeout(err) || isShortage(err) {
		congested = u.window.leave(asked, late)
	} else {
		congested = u.window.leave(asked, o)
	}
	u.report(asked, o, again, isUnreachable(err))
	switch {
	case err == nil:
		return reply, congested, nil
	case isTimeout(err):
		err = fmt.Errorf("no answer from %s within %s", u.address, timeout)
		return nil, false, &TemporaryError{Kind: "timeout", Err: err}
	}
	return nil, false, &TemporaryError{Kind: "network", Err: err}
}

func outcomeOf(reply *dns.Msg) outcome {
	switch {
	case reply == nil:
		return silent
	case reply.Rcode == dns.RcodeRefused:
		return refused
	case reply.Rcode == dns.RcodeServerFailure:
		return servfail
	}
	return answered
}

// isAnswer reports whether a reply says something about the name.
func isAnswer(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// isUnreachable reports whether an error says at once that nothing can be sent to a resolver, or that nobody listens.
func isUnreachable(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && !isTimeout(err) && errno != syscall.ECONNRESET && errno != syscall.EPIPE &&
		!isShortage(err)
}

// isShortage reports whether an error says that this machine has not enough of something for one more question.
func isShortage(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EAGAIN,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// ask asks in one way, and in another at once where the reply says that this one does not work. With an error, a reply
// is one that came truncated, and could not be had in full.
func (u *upstream) ask(ctx context.Context, q question, w way, deadline time.Time) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), q.kind)
	if w != withoutEDNS {
		m.SetEdns0(udpSize, false)
	}
	reply, err := u.carry(ctx, m, w, deadline)
	switch {
	case err == nil && u.mayLackEDNS(m, reply):
		m.Extra = nil
		other := max(w, withoutEDNS)
		again, err := u.carry(ctx, m, other, deadline)
		if err != nil || !isAnswer(again) {
			return reply, nil
		}
		u.learn(w, false)
		u.learn(other, true)
		return again, nil
	case err == nil && isAnswer(reply):
		u.learn(w, true)
	case err != nil && reply == nil && ctx.Err() == nil:
		u.learn(w, false)
		if w != overTCP && isUnreachable(err) && !u.hasUDP() { // nobody listens, at least not on UDP
			u.learn(withoutEDNS, false)
			if reply, err := u.carry(ctx, m, overTCP, deadline); err == nil {
				u.learn(overTCP, true)
				return reply, nil
			}
		}
	}
	return reply, err
}

// mayLackEDNS reports whether a reply may be about the EDNS of a query: a server from before EDNS says FORMERR or
// NOTIMP, and some say SERVFAIL.
func (u *upstream) mayLackEDNS(m, reply *dns.Msg) bool {
	switch {
	case m.IsEdns0() == nil:
		return false
	case reply.Rcode == dns.RcodeServerFailure:
		return !u.hasEDNS()
	}
	return reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented
}

// carry sends a question and returns the reply, over TCP where it does not fit into UDP.
func (u *upstream) carry(ctx context.Context, m *dns.Msg, w way, deadline time.Time) (*dns.Msg, error) {
	if w == overTCP {
		return u.stream(ctx, m, deadline)
	}
	reply, err := u.pool.exchange(ctx, m, deadline)
	if err != nil || !reply.Truncated {
		return reply, err
	}
	whole, err := u.stream(ctx, m, deadline)
	if err != nil {
		return reply, fmt.Errorf("a truncated answer, and over TCP: %w", err)
	}
	return whole, nil
}

// stream asks over TCP, on a connection of its own. The connection is closed when the context ends or the pool is
// closed, which ends every read and write on it at once.
func (u *upstream) stream(ctx context.Context, m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	asking, cancel := u.alive(ctx)
	defer cancel()
	reply, err := u.streamed(asking, m, deadline)
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(context.Cause(asking), errClosed):
		return nil, errClosed
	}
	return nil, cmp.Or(ctx.Err(), err)
}

func (u *upstream) streamed(ctx context.Context, m *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := u.dial(dialing, "tcp", u.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stream := &dns.Conn{Conn: conn}
	if err := stream.WriteMsg(m); err != nil {
		return nil, err
	}
	reply, err := stream.ReadMsg()
	switch {
	case err != nil:
		return nil, err
	case !answers(m, reply):
		return nil, errors.New("the answer is to another question")
	}
	return reply, nil
}

// isTimeout reports whether an error is one of a deadline.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
