package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Errors of a proxy that is there.
var (
	errNotSOCKS = errors.New("it does not speak SOCKS5")
	errMethod   = errors.New("it takes none of the ways to log in that are known here")
	errLogin    = errors.New("it refuses the user name or the password")
)

// proxy checks whether the proxy can be reached and lets us in.
func (e *exam) proxy(ctx context.Context) []Finding {
	if e.Proxy == nil {
		return nil
	}
	f := judgeProxy(e.logIn(ctx), e.Proxy.User != nil)
	f.About = e.Proxy.Host
	return []Finding{f}
}

// logIn connects to the proxy and logs in, and asks for nothing.
func (e *exam) logIn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	var source netip.Addr
	if len(e.Sources) > 0 {
		source = e.Sources[0]
	}
	address := e.Proxy.Host
	if e.Proxy.Port() == "" {
		address = net.JoinHostPort(e.Proxy.Hostname(), "1080")
	}
	conn, err := e.Network.Dial(ctx, source, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(e.Timeout)); err != nil {
		return err
	}
	return handshake(conn, e.Proxy.User)
}

// handshake does the first part of SOCKS5: the method (RFC 1928 section 3), and the password where it wants one
// (RFC 1929).
func handshake(conn io.ReadWriter, user *url.Userinfo) error {
	const version, none, byPassword = 5, 0, 2
	hello := []byte{version, 1, none}
	if user != nil {
		hello = []byte{version, 2, none, byPassword}
	}
	answer := make([]byte, 2)
	exchange := func(say []byte) error {
		if _, err := conn.Write(say); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, answer)
		return err
	}
	if err := exchange(hello); err != nil {
		return fmt.Errorf("%w: %w", errNotSOCKS, err)
	}
	switch {
	case answer[0] != version:
		return errNotSOCKS
	case answer[1] == none:
		return nil
	case answer[1] != byPassword || user == nil:
		return errMethod
	}
	name := user.Username()
	password, _ := user.Password()
	if len(name) > 255 || len(password) > 255 || name == "" {
		return errLogin
	}
	login := append([]byte{1, byte(len(name))}, name...)
	login = append(append(login, byte(len(password))), password...)
	switch err := exchange(login); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it hangs up instead of saying no
		return errLogin
	case err != nil:
		return err
	case answer[1] != 0:
		return errLogin
	}
	return nil
}

func judgeProxy(err error, withPassword bool) Finding {
	const means = "No mail host can be asked; every address would stay unknown."
	f := Finding{Level: Failure, Means: means}
	switch {
	case err == nil:
		return Finding{
			Level: OK,
			Found: "the proxy lets this machine in",
			Means: "Names are resolved on this machine and not by the proxy. Several --source-ip are one address to receivers.",
		}
	case errors.Is(err, errNotSOCKS):
		f.Found, f.Fix = err.Error(), "Check the port of --proxy; only SOCKS5 is supported."
	case errors.Is(err, errMethod) && !withPassword:
		f.Found, f.Fix = "it wants a user name and a password", "Say --proxy socks5://USER:PASSWORD@HOST:PORT."
	case errors.Is(err, errMethod):
		f.Found, f.Fix = err.Error(), "Allow a user name with a password at the proxy (RFC 1929)."
	case errors.Is(err, errLogin):
		f.Found, f.Fix = err.Error(), "Check user name and password in --proxy; special characters are written as %XX."
	default:
		f.Found = fmt.Sprintf("it cannot be reached: %v", err)
		f.Fix = "Check the address in --proxy, and that the proxy runs."
	}
	return f
}
