package smtpprobe

import (
	"net"
	"testing"
)

func TestAnAddressThatThisMachineLacksIsGone(t *testing.T) {
	for local, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25}:   false,
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25}:   true,
		&net.UnixAddr{Name: "/run/nobody.sock", Net: "unix"}: false,
	} {
		if got := addressGone(local); got != want {
			t.Errorf("%s: gone %v", local, got)
		}
	}
}
