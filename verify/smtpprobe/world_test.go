package smtpprobe_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"presend/verify/smtpprobe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a server that answers command by command: the longest prefix of a line that it knows decides. "" is the
// banner. An answer of "hang" is none, "close" ends the connection, and what follows "after 5s:" comes that much later.
type script map[string]string

const pipeliningEHLO = "250-lab\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"

// with returns a well-behaved script changed in some lines.
func with(changes script) script {
	s := script{
		"": "220 mx.lab ESMTP\r\n", "EHLO": pipeliningEHLO, "MAIL": "250 2.1.0 ok\r\n", "RCPT": "250 2.1.5 ok\r\n",
		"RCPT TO:<nobody": "550 5.1.1 no such user\r\n", "RSET": "250 2.0.0 ok\r\n", "QUIT": "221 2.0.0 bye\r\n",
	}
	for k, v := range changes {
		s[k] = v
	}
	return s
}

func (s script) answer(line string) string {
	answer, best := "502 5.5.2 what?\r\n", -1
	for prefix, a := range s {
		if strings.HasPrefix(line, prefix) && len(prefix) > best && (prefix != "" || line == "") {
			answer, best = a, len(prefix)
		}
	}
	if after, ok := strings.CutPrefix(answer, "after "); ok {
		delay, late, _ := strings.Cut(after, ":")
		d, err := time.ParseDuration(delay)
		if err != nil {
			panic(err)
		}
		time.Sleep(d) // simulated
		return late
	}
	return answer
}

// host is what is found at an address.
type host struct {
	script  script
	tls     *tls.Config   // for STARTTLS
	connect time.Duration // until a connection is made; below 0: never
	refuses error         // a connection
}

// world is a network in memory, by address.
type world struct {
	hosts map[string]host

	mu      sync.Mutex
	begun   time.Time
	dialled []string   // "address at offset"
	heard   [][]string // by connection, in the order in which they ended
	resumed []bool     // TLS sessions, by handshake
	open    int
	servers sync.WaitGroup
}

func at(h host) *world { return &world{hosts: map[string]host{"192.0.2.1": h}} }

func (w *world) dial(ctx context.Context, _ netip.Addr, address string) (net.Conn, error) {
	name := netip.MustParseAddrPort(address).Addr().String()
	w.mu.Lock()
	if w.begun.IsZero() {
		w.begun = time.Now()
	}
	w.dialled = append(w.dialled, fmt.Sprintf("%s at %v", name, time.Since(w.begun).Round(time.Millisecond)))
	w.mu.Unlock()
	h := w.hosts[name]
	if h.connect != 0 {
		wait := make(<-chan time.Time)
		if h.connect > 0 {
			wait = time.After(h.connect)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}
	}
	if h.refuses != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: h.refuses}
	}
	client, server := memoryPair()
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	w.servers.Go(func() { w.serve(h, server) })
	return client, nil
}

func (w *world) serve(h host, conn net.Conn) {
	var got []string
	defer func() {
		conn.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard = append(w.heard, got)
		w.open--
	}()
	fmt.Fprint(conn, h.script.answer(""))
	for scanner := bufio.NewScanner(conn); scanner.Scan(); {
		line := scanner.Text()
		got = append(got, line)
		answer := h.script.answer(line)
		switch answer {
		case "hang":
			continue
		case "close":
			return
		}
		fmt.Fprint(conn, answer)
		if strings.Contains(answer, "\n421") || strings.HasPrefix(answer, "421") || line == "QUIT" {
			return
		}
		if line == "STARTTLS" && strings.HasPrefix(answer, "220") {
			if h.tls == nil { // a server that says nothing more
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			server := tls.Server(conn, h.tls)
			if server.Handshake() != nil {
				return
			}
			w.mu.Lock()
			w.resumed = append(w.resumed, server.ConnectionState().DidResume)
			w.mu.Unlock()
			conn, scanner = server, bufio.NewScanner(server)
		}
	}
}

// sessions waits for all servers to end and returns what each of them heard.
func (w *world) sessions() []string {
	w.servers.Wait()
	var all []string
	for _, lines := range w.heard {
		all = append(all, strings.Join(lines, "|"))
	}
	return all
}

func (w *world) prober(t testing.TB, changes ...func(*smtpprobe.Config)) *smtpprobe.Prober {
	t.Helper()
	config := smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab", Dial: w.dial}
	for _, change := range changes {
		change(&config)
	}
	prober, err := smtpprobe.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return prober
}

// target names the hosts of a world in the order given.
func target(addrs ...string) smtpprobe.Target {
	to := smtpprobe.Target{Host: "mx.lab"}
	for _, addr := range addrs {
		to.Addrs = append(to.Addrs, netip.MustParseAddr(addr))
	}
	return to
}

func (w *world) target() smtpprobe.Target { return target("192.0.2.1") }

// mustOpen opens a session with the only host of a world.
func (w *world) mustOpen(t testing.TB) *smtpprobe.Session {
	t.Helper()
	session, err := w.prober(t).Open(t.Context(), w.target())
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// codes are the codes of the answers, by transaction.
func codes(said []smtpprobe.Transaction) string {
	all := make([][]int, len(said))
	for i, transaction := range said {
		for _, a := range transaction.Answers {
			all[i] = append(all[i], a.Reply.Code)
		}
	}
	return fmt.Sprint(all)
}

func mustClose(t testing.TB, session *smtpprobe.Session) {
	t.Helper()
	if err := session.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// certificate is good for names. Its key is made once, since that takes time.
var key = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func serverTLS(t testing.TB, version uint16, names ...string) *tls.Config {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: slices.Clone(names),
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key().Public(), key())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key()}},
		MinVersion:   version, MaxVersion: version,
	}
}
