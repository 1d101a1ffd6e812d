package mx

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
)

func TestReadResolvConf(t *testing.T) {
	local := []string{"127.0.0.1:53"}
	for _, test := range []struct {
		name, file string
		want       Config
	}{
		{"an empty one means this machine", "", Config{Servers: local}},
		{"one of comments means this machine", "# nameserver 9.9.9.9\n; nothing\nsearch corp.lab\n", Config{Servers: local}},
		{
			"resolvers of both families",
			"nameserver 9.9.9.9\nnameserver 2620:fe::fe # Quad9\n",
			Config{Servers: []string{"9.9.9.9:53", "[2620:fe::fe]:53"}},
		},
		{
			"at most three resolvers",
			"nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n",
			Config{Servers: []string{"1.1.1.1:53", "2.2.2.2:53", "3.3.3.3:53"}},
		},
		{
			"options on several lines; attempts are for each resolver",
			"options timeout:3 rotate\nnameserver 1.1.1.1\nnameserver 2.2.2.2\noptions attempts:4 use-vc ndots:2 edns0\n",
			Config{
				Servers: []string{"1.1.1.1:53", "2.2.2.2:53"}, Timeout: 3 * time.Second, Attempts: 8, Rotate: true, TCP: true,
			},
		},
		{
			"what is out of range", "options timeout:99 attempts:0\n",
			Config{Servers: local, Timeout: 30 * time.Second, Attempts: 1},
		},
		{"what is no number", "options timeout:x attempts:\nnameserver\n", Config{Servers: local}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readResolvConf(strings.NewReader(test.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReadResolvConf(f *testing.F) {
	f.Add("nameserver 9.9.9.9\noptions timeout:3 attempts:2 rotate use-vc\n")
	f.Add("nameserver fe80::1%eth0")
	f.Fuzz(func(t *testing.T, file string) {
		config, err := readResolvConf(strings.NewReader(file))
		if err != nil {
			return
		}
		if n := len(config.Servers); n == 0 || n > maxSystemServers {
			t.Errorf("%d resolvers", n)
		}
		for _, server := range config.Servers {
			if _, _, err := net.SplitHostPort(server); err != nil {
				t.Errorf("%q: %v", server, err)
			}
		}
		if config.Timeout < 0 || config.Timeout > maxSystemTimeout*time.Second || config.Attempts < 0 ||
			config.Attempts > maxSystemAttempts*maxSystemServers {
			t.Errorf("%+v", config)
		}
	})
}

func TestTheOptionsOfTheSystem(t *testing.T) {
	for _, test := range []struct {
		name        string
		config      Config
		server      func(*dns.Msg) *dns.Msg
		first, tcp  int // queries to the first resolver, at least and at most; and over TCP, at least
		atMostFirst int
		took        time.Duration
	}{
		{"rotate: both are asked", Config{Rotate: true}, mail, 10, 0, 50, 0},
		{"without: the first is asked", Config{}, mail, 60, 0, 60, 0},
		{"use-vc: TCP", Config{TCP: true}, mail, 60, 60, 60, 0},
		{"timeout and attempts", Config{Timeout: 3 * time.Second, Attempts: 2}, silence, 0, 0, 20, 6 * time.Second},
	} {
		simulate(t, test.name, func(t *testing.T) {
			first, second := &simServer{answer: test.server}, &simServer{answer: test.server}
			n := network{servers: map[string]*simServer{"9.9.9.9:53": first, "8.8.8.8:53": second}}
			test.config.Servers = []string{"9.9.9.9:53", "8.8.8.8:53"}
			r := n.resolver(t, test.config)
			begun := time.Now()
			lookUp(t, r, 20)
			asked := first.queries()
			_, firstTCP := first.asked()
			_, secondTCP := second.asked()
			if asked < test.first || asked > test.atMostFirst || firstTCP+secondTCP < test.tcp {
				t.Errorf("the first resolver was asked %d times, both %d times over TCP; want %d to %d, and %d over TCP",
					asked, firstTCP+secondTCP, test.first, test.atMostFirst, test.tcp)
			}
			if took := time.Since(begun); took != test.took {
				t.Errorf("it took %s, want %s", took, test.took)
			}
		})
	}
}
