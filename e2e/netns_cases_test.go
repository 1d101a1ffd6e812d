//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"presend/internal/lab"
)

type cases = map[string]func(t *testing.T, binary string)

// TestOurOwnFaultIsNoAddresssFault breaks one thing of this machine after the other.
func TestOurOwnFaultIsNoAddresssFault(t *testing.T) {
	all := cases{"nothing is wrong": func(t *testing.T, binary string) {
		s := newSite(t, binary, 30)
		s.want(s.list(s.addresses, nil), 0, "accepted", "60 rows: send to 60")
	}}
	for _, more := range []cases{port25Cases(), resolverCases(), networkCases(), proxyCases()} {
		maps.Copy(all, more)
	}
	inNetworks(t, all)
}

// port25Cases are what may be wrong with port 25.
func port25Cases() cases {
	all := cases{"another server answers on port 25": func(t *testing.T, binary string) {
		s := newSite(t, binary, 60, "host fw.isp.lab 127.77.255.9")
		s.must("iptables", "-t", "nat", "-F")
		s.must("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", "127.77.0.0/16", "--dport", "25",
			"-j", "DNAT", "--to-destination", fmt.Sprintf("127.77.255.9:%d", s.lab.SMTPPort()))
		s.want(s.list(s.addresses, nil), 1, "not_probed", "another server answers on port 25 in place of the mail hosts")
	}}
	for name, rule := range map[string][]string{
		"port 25 is dropped":                {"-j", "DROP"},
		"port 25 is rejected":               {"-j", "REJECT"},
		"port 25 is reset":                  {"-j", "REJECT", "--reject-with", "tcp-reset"},
		"port 25 is prohibited on the way":  {"-j", "REJECT", "--reject-with", "icmp-admin-prohibited"},
		"the net of all hosts has no route": {"-j", "REJECT", "--reject-with", "icmp-net-unreachable"},
		"a firewall resets after the banner": {
			"--tcp-flags", "PSH", "PSH", "-j", "REJECT", "--reject-with", "tcp-reset",
		},
	} {
		all[name] = func(t *testing.T, binary string) {
			s := newSite(t, binary, 100)
			s.rule(rule...)
			o := s.list(s.addresses, nil)
			words := "port 25 is closed from this machine"
			if strings.Contains(name, "no route") {
				words = "o mail host answered in this run"
			}
			s.want(o, 1, "not_probed", words)
		}
	}
	return all
}

// resolverCases are what resolvers do.
func resolverCases() cases {
	const disbelieved = "DNS cannot be believed on this machine"
	// These are slow or limited, and lose nothing.
	well := map[string]func(s *site){
		"dnsmasq, limited to 20 questions at a time": func(s *site) { s.dnsmasq("--dns-forward-max=20") },
		"dnsmasq at its default, upstream is slow":   func(s *site) { s.dnsmasq() },
		"Unbound": func(s *site) { s.unbound() },
		"Unbound, limited to 100 questions " +
			"a second": func(s *site) { s.unbound("ip-ratelimit: 100", "ip-ratelimit-factor: 0") },
		"Unbound, over TCP only": func(s *site) { s.unbound("do-udp: no", "udp-upstream-without-downstream: yes") },
		"systemd-resolved":       (*site).resolved,
		"Unbound, with DNS64": func(s *site) {
			s.unbound("module-config: \"dns64 iterator\"", "dns64-prefix: 64:ff9b::/96")
		},
		"one of two resolvers is dead": func(s *site) { s.resolver = "127.0.0.1:9 " + s.resolver },
		"one of two resolvers is silent": func(s *site) {
			s.must("iptables", "-A", "OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP")
			s.must("iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", "9", "-j", "DROP")
			s.resolver = "127.0.0.1:9 " + s.resolver
		},
		"one of two resolvers lies": func(s *site) {
			honest := s.resolver
			s.unbound("local-zone: . static")
			s.resolver += " " + honest
		},
		"a tenth of the packets to the resolver is lost": func(s *site) { s.lose("0.1") },
		"a fifth of the packets to the resolver is lost": func(s *site) { s.lose("0.2") },
	}
	all := cases{}
	for name, arrange := range well {
		all[name] = func(t *testing.T, binary string) {
			hosts := 300
			if strings.Contains(name, "TCP") { // Unbound takes ten connections at a time
				hosts = 60
			}
			s := newSite(t, binary, hosts, "dns latency=200ms")
			arrange(s)
			o := s.list(s.addresses, nil, "--sessions", "300")
			s.want(o, 0, "accepted", fmt.Sprintf("%[1]d rows: send to %[1]d", 2*hosts))
		}
	}
	for name, arrange := range map[string]func(s *site){
		"the resolver is dead":                       func(s *site) { s.resolver = "127.0.0.1:9" },
		"Unbound says that nothing exists":           func(s *site) { s.unbound("local-zone: . static") },
		"dnsmasq has an address for every name":      func(s *site) { s.dnsmasq("--address=/#/127.77.0.1") },
		"dnsmasq strips MX records":                  func(s *site) { s.dnsmasq("--filter-rr=MX") },
		"Unbound cannot reach anybody":               func(s *site) { s.unbound("outgoing-interface: 192.0.2.1") },
		"Unbound refuses us":                         func(s *site) { s.unbound("access-control: 127.0.0.1/32 refuse") },
		"a lab that knows no domain is the resolver": (*site).emptyResolver,
	} {
		all[name] = func(t *testing.T, binary string) {
			s := newSite(t, binary, 30)
			arrange(s)
			s.want(s.list(s.addresses, nil), 1, "dns_failure", disbelieved)
		}
	}
	all["the resolver shows private addresses only"] = func(t *testing.T, binary string) {
		s := newSite(t, binary, 10)
		s.dnsmasq("--mx-host=split.presend.de,mx.split.presend.de,10", "--host-record=mx.split.presend.de,10.1.2.3")
		s.public = true
		o := s.list([]string{"ann@split.presend.de"}, nil)
		if o.code != 0 || o.reasons["dns_failure"] != 1 ||
			!strings.Contains(o.rows["ann@split.presend.de"][2], "non-public") {
			t.Errorf("exit %d, %v: %s", o.code, o.rows, o.said)
		}
	}
	all["one TLD has no answer"] = func(t *testing.T, binary string) {
		s := newSite(t, binary, 10)
		s.dnsmasq("--server=/lab/127.0.0.1#9")
		o := s.list(s.addresses, nil)
		s.want(o, 0, "dns_failure", "20 rows: 20 cannot be told yet")
	}
	all["Unbound dies in the middle and comes back"] = func(t *testing.T, binary string) {
		s := newSite(t, binary, 300, "dns latency=100ms")
		end := s.unbound()
		o := s.list(s.addresses, func() {
			s.underWay()
			end()
			wait(t, 3*time.Second)
			s.unbound()
		}, "--sessions", "20")
		s.want(o, 0, "accepted", "600 rows: send to 600")
	}
	return all
}

// emptyResolver is a resolver that knows nothing.
func (s *site) emptyResolver() {
	liar, err := lab.Start(s.Context(), "")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { liar.Close() })
	s.resolver = liar.DNS()
}

// lose lets a share of the packets from and to the resolver be lost.
func (s *site) lose(share string) {
	for _, direction := range []string{"--dport", "--sport"} {
		s.must("iptables", "-A", "OUTPUT", "-p", "udp", direction, s.upstream(), "-m", "statistic", "--mode", "random",
			"--probability", share, "-j", "DROP")
	}
}

// networkCases are what may happen to our network.
func networkCases() cases {
	return cases{
		"the link goes down and comes back": func(t *testing.T, binary string) {
			s := newSite(t, binary, 300)
			o := s.list(s.addresses, func() {
				s.underWay()
				s.must("ip", "link", "set", "lo", "down")
				wait(t, 8*time.Second)
				s.must("ip", "link", "set", "lo", "up")
			}, "--sessions", "40")
			s.want(o, 0, "accepted", "600 rows: send to 600")
		},
		"the link stays down": func(t *testing.T, binary string) {
			s := newSite(t, binary, 300)
			o := s.list(s.addresses, func() {
				s.underWay()
				s.must("ip", "link", "set", "lo", "down")
			}, "--sessions", "40", "--patience", "5s")
			for reason := range o.reasons {
				if reason != "accepted" && reason != "not_probed" && reason != "dns_failure" && reason != "catch_all_unknown" {
					t.Errorf("%d rows are %s", o.reasons[reason], reason)
				}
			}
			if o.code != 1 || o.reasons["accepted"] == 0 || o.reasons["not_probed"]+o.reasons["dns_failure"] == 0 {
				t.Errorf("exit %d: %s", o.code, o.said)
			}
		},
		"our address changes": func(t *testing.T, binary string) {
			s := newSite(t, binary, 300, "dns latency=100ms")
			from := func(address string) {
				s.must("ip", "address", "add", address+"/32", "dev", "lo")
				s.must("ip", "route", "replace", "table", "local", "local", "127.0.0.0/8", "dev", "lo", "src", address)
			}
			from("10.9.0.1")
			o := s.list(s.addresses, func() {
				s.underWay()
				s.must("ip", "address", "del", "10.9.0.1/32", "dev", "lo")
				from("10.9.0.2")
			}, "--sessions", "20")
			s.want(o, 0, "accepted", "600 rows: send to 600")
		},
		"few files may be open": func(t *testing.T, binary string) {
			s := newSite(t, binary, 100)
			s.prefix = []string{"prlimit", "--nofile=64"}
			o := s.list(s.addresses, nil)
			s.want(o, 0, "accepted", "200 rows: send to 200")
		},
		"this machine has no IPv6": func(t *testing.T, binary string) {
			s := newSite(t, binary, 10)
			s.dnsmasq("--mx-host=six.presend.de,mx.six.presend.de,10", "--host-record=mx.six.presend.de,2001:db8::25")
			o := s.list(append(s.addresses, "ann@six.presend.de"), nil)
			if row := o.rows["ann@six.presend.de"]; o.code != 0 || row[0] != "not_probed" || o.reasons["accepted"] != 20 {
				t.Errorf("exit %d, %v: %s", o.code, row, o.said)
			}
		},
		"the source address does not exist": func(t *testing.T, binary string) {
			s := newSite(t, binary, 30)
			s.want(s.list(s.addresses, nil, "--source-ip", "10.1.2.3"), 1, "not_probed", "10.1.2.3")
		},
	}
}

// proxyCases are what may be wrong with a SOCKS proxy.
func proxyCases() cases {
	const at = "127.0.0.1:1080"
	microsocks := func(s *site, options ...string) (end func()) {
		return s.runs(at, "microsocks", append([]string{"-i", "127.0.0.1", "-p", "1080"}, options...)...)
	}
	broken := func(words string, arrange func(s *site), proxy string) func(t *testing.T, binary string) {
		return func(t *testing.T, binary string) {
			s := newSite(t, binary, 30)
			arrange(s)
			o := s.list(s.addresses, nil, "--proxy", proxy)
			s.want(o, 1, "not_probed", "the proxy connects to no mail host: ")
			if !strings.Contains(o.said, words) {
				t.Errorf("it does not say %q:\n%s", words, o.said)
			}
		}
	}
	return cases{
		"the proxy is killed and comes back": func(t *testing.T, binary string) {
			s := newSite(t, binary, 300)
			end := microsocks(s)
			o := s.list(s.addresses, func() {
				s.underWay()
				end()
				wait(t, 3*time.Second)
				microsocks(s)
			}, "--sessions", "40", "--proxy", "socks5://"+at)
			s.want(o, 0, "accepted", "600 rows: send to 600")
		},
		"the proxy is not there": broken("connection refused", func(*site) {}, "socks5://"+at),
		"the proxy cannot be found": broken("lookup proxy.does-not-exist.invalid", func(s *site) {
		}, "socks5://proxy.does-not-exist.invalid:1080"),
		"the proxy refuses the password": broken("password", func(s *site) {
			microsocks(s, "-u", "ann", "-P", "right")
		}, "socks5://ann:wrong@"+at),
		"the proxy wants a password": broken("", func(s *site) {
			microsocks(s, "-u", "ann", "-P", "right")
		}, "socks5://"+at),
		"the rules of the proxy forbid port 25": broken("not allowed by", (*site).dante, "socks5://"+at),
		"the proxy never says a word": broken("", func(s *site) {
			silent, err := net.Listen("tcp", at) // the kernel takes connections, and nobody says anything
			if err != nil {
				s.Fatal(err)
			}
			s.Cleanup(func() { silent.Close() })
		}, "socks5://"+at),
	}
}

// dante is a proxy whose rules allow nothing but port 80.
func (s *site) dante() {
	s.Helper()
	danted := filepath.Join(".work", "dante-server", "usr", "sbin", "danted")
	config := filepath.Join(s.directory, "danted.conf")
	s.write(config, `logoutput: stderr
internal: 127.0.0.1 port = 1080
external: lo
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 port = 80 }
socks block { from: 127.0.0.0/8 to: 0.0.0.0/0 }
`)
	s.runs("127.0.0.1:1080", danted, "-f", config)
}

// resolved makes systemd-resolved the resolver. It runs without systemd, and sees /run and its configuration as the
// script lays them out.
func (s *site) resolved() {
	s.Helper()
	program, err := filepath.Abs(filepath.Join(".work", "systemd-resolved", "lib", "systemd", "systemd-resolved"))
	if err != nil {
		s.Fatal(err)
	}
	// It answers nothing as long as loopback is the only network.
	s.must("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	s.must("ip", "address", "add", "10.9.9.1/24", "dev", "v0")
	s.must("ip", "link", "set", "v1", "up")
	s.must("ip", "link", "set", "v0", "up")
	script := filepath.Join(s.directory, "resolved.sh")
	s.write(script, fmt.Sprintf(`set -e
mount -t tmpfs tmpfs /run
install -d -o systemd-resolve -g systemd-resolve /run/systemd /run/systemd/resolve
mount -t tmpfs tmpfs /etc/systemd
cat >/etc/systemd/resolved.conf <<END
[Resolve]
DNS=127.0.0.1:%s
DNSStubListener=no
DNSStubListenerExtra=127.0.0.1:5303
DNSSEC=no
LLMNR=no
MulticastDNS=no
END
exec %s
`, s.upstream(), program))
	s.runs("127.0.0.1:5303", "unshare", "--mount", "sh", script)
	s.resolver = "127.0.0.1:5303"
}
