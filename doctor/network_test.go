package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"presend/internal/lab"
	"presend/verify/mx"
)

// start starts a lab that a preflight takes for the internet.
func start(t *testing.T, more string) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), "host mx.gmail.lab\ndomain gmail.com mx=mx.gmail.lab\n"+more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestAResolverIsAskedOverTheNetwork(t *testing.T) {
	l := start(t, "domain big.lab mx=mx.gmail.lab tcp")
	for _, domain := range []string{"gmail.com.", "big.lab."} { // the second over TCP
		reply, err := exchange(t.Context(), l.DNS(), new(dns.Msg).SetQuestion(domain, dns.TypeMX))
		if err != nil || len(records[*dns.MX](reply)) != 1 {
			t.Errorf("%s: %v, %v", domain, reply, err)
		}
	}
	if _, err := exchange(t.Context(), "127.0.0.1:1", new(dns.Msg).SetQuestion("gmail.com.", dns.TypeMX)); err == nil {
		t.Error("nobody answers at port 1")
	}
}

func TestThePreflightIsThatOfARun(t *testing.T) {
	if err := preflight(t.Context(), start(t, "").DNS()); err != nil {
		t.Errorf("a good resolver: %v", err)
	}
	empty, err := lab.Start(t.Context(), "host mx.lab")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	var fault *mx.PreflightError
	if err := preflight(t.Context(), empty.DNS()); !errors.As(err, &fault) || fault.Fault != mx.Empty {
		t.Errorf("a resolver that knows nothing: %v", err)
	}
}

func TestTheLocalAddressIsFoundWithoutSending(t *testing.T) {
	addr, err := local(t.Context(), netip.MustParseAddr("127.0.0.9"))
	if err != nil || !addr.IsLoopback() {
		t.Errorf("%s, %v", addr, err)
	}
}

func TestOpenFilesHaveALimit(t *testing.T) {
	limit, err := openFiles()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has none")
	}
	if err != nil || limit < 8 {
		t.Errorf("%d, %v", limit, err)
	}
}

func TestTheSourceAddressIsTheOneAskedFor(t *testing.T) {
	l := start(t, "")
	reply, err := exchange(t.Context(), l.DNS(), new(dns.Msg).SetQuestion("mx.gmail.lab.", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	host, _ := netip.AddrFromSlice(records[*dns.A](reply)[0].A)
	source := netip.MustParseAddr("127.0.0.5")
	conn, err := dial(t.Context(), source, netip.AddrPortFrom(host.Unmap(), uint16(l.SMTPPort())).String())
	if err != nil {
		t.Skipf("only 127.0.0.1 exists here: %v", err)
	}
	defer conn.Close()
	if from := netip.MustParseAddrPort(conn.LocalAddr().String()).Addr(); from != source {
		t.Errorf("connected from %s", from)
	}
}

func TestOnlySomeOfManyPTRNamesAreLookedUp(t *testing.T) {
	var records strings.Builder
	records.WriteString("-7.100.51.198.in-addr.arpa. PTR\n")
	for i := range 2 * maxNames {
		fmt.Fprintf(&records, "7.100.51.198.in-addr.arpa. PTR n%d.isp.test.\n", i)
	}
	w := newWorld(t, records.String())
	w.findingsOf(t, "ptr")
	asked := 0
	for name := range w.asked {
		if strings.HasSuffix(name, ".isp.test.") {
			asked++
		}
	}
	if asked != maxNames {
		t.Errorf("%d names were looked up, want %d", asked, maxNames)
	}
}
