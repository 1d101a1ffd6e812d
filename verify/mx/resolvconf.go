package mx

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// systemFile is where the system names its resolvers, resolv.conf(5).
const systemFile = "/etc/resolv.conf"

// system returns the Config that the system's file asks for.
func system() (Config, error) {
	file, err := os.Open(systemFile)
	if err != nil {
		return Config{}, fmt.Errorf("mx: no resolver given, and the system's cannot be read: %w", err)
	}
	defer file.Close()
	config, err := readResolvConf(file)
	if err != nil {
		return Config{}, fmt.Errorf("mx: %s: %w", systemFile, err)
	}
	return config, nil
}

// The limits of resolv.conf(5); what is above them is taken for them.
const (
	maxSystemServers  = 3
	maxSystemTimeout  = 30
	maxSystemAttempts = 5
)

// readResolvConf reads a file in the format of resolv.conf(5). A file that names no resolver means the one on this
// machine. Of the options it reads timeout, attempts (for each resolver), rotate and use-vc; what is not set is zero.
func readResolvConf(r io.Reader) (Config, error) {
	var config Config
	attempts := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) < 2:
		case fields[0] == "nameserver" && len(config.Servers) < maxSystemServers:
			config.Servers = append(config.Servers, net.JoinHostPort(fields[1], "53"))
		case fields[0] == "options":
			for _, option := range fields[1:] {
				name, value, _ := strings.Cut(option, ":")
				switch name {
				case "timeout":
					config.Timeout = time.Duration(atMost(value, maxSystemTimeout)) * time.Second
				case "attempts":
					attempts = atMost(value, maxSystemAttempts)
				case "rotate":
					config.Rotate = true
				case "use-vc":
					config.TCP = true
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return Config{}, err
	}
	if len(config.Servers) == 0 {
		config.Servers = []string{"127.0.0.1:53"}
	}
	config.Attempts = attempts * len(config.Servers)
	return config, nil
}

// atMost reads a number from 1 to most; what is no number is zero, as if it were not there.
func atMost(s string, most int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return min(max(n, 1), most)
}
