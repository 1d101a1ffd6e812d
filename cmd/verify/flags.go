package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"presend/verify"
	"presend/verify/verdict"
)

// sharedFlags are those of every subcommand that verifies.
type sharedFlags struct {
	dns           []string
	smtpPort      int
	allowPrivate  bool
	noSMTP        bool
	helo, from    string
	sourceIPs     []string
	proxy         string
	sessions      int
	timeout       time.Duration
	pace          string
	ipv4, ipv6    bool
	noPreflight   bool
	quiet         bool
	progress      string
	verbose       verbosity
	logFormat     string
	reference     []string
	treat         []string
	configuration string
}

// registerCommon gives every command the flags that all of them have.
func (f *sharedFlags) registerCommon(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.quiet, "quiet", "q", false,
		"on standard error only errors, what is wrong on our side, a gate not met")
	flags.VarP(&f.verbose, "verbose", "v",
		"log a line for each session and the reason of each pause; -vv: the SMTP dialogue too")
	flags.Lookup("verbose").NoOptDefVal = "+1"
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&f.configuration, "config", "", "`FILE` with settings (default verify.toml, if there is one)")
}

// registerEngine gives a command the flags of the engine: how mail hosts are found and asked.
func (f *sharedFlags) registerEngine(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.dns, "dns", nil, "resolver `HOST:PORT` to ask instead of the system's (repeatable)")
	flags.IntVar(&f.smtpPort, "smtp-port", 25, "port of the mail hosts")
	flags.BoolVar(&f.allowPrivate, "allow-private", false, "connect to mail hosts on loopback and private addresses too")
	flags.StringVar(&f.helo, "helo", "",
		"`NAME` to say in EHLO; should be what this machine's PTR says (default the host's name)")
	flags.StringVar(&f.from, "from", "", "`ADDRESS` for MAIL FROM; <> is the null reverse-path (default <>)")
	flags.StringArrayVar(&f.sourceIPs, "source-ip", nil, "local `IP` to connect from (repeatable)")
	flags.StringVar(&f.proxy, "proxy", "", "`URL` of a SOCKS5 proxy for SMTP: socks5://[user:password@]host:port")
	flags.IntVar(&f.sessions, "sessions", 200, "SMTP sessions at a time, over all destinations")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "time limit for a connection and for each reply")
	flags.BoolVarP(&f.ipv4, "ipv4", "4", false, "connect over IPv4 only")
	flags.BoolVarP(&f.ipv6, "ipv6", "6", false, "connect over IPv6 only")
	flags.BoolVar(&f.noPreflight, "no-preflight", false,
		"do not test DNS and, where nothing answers, port 25; for closed networks")
	flags.StringArrayVar(&f.reference, "reference", nil,
		"`FILE` with names that add to or overrule the built-in lists (repeatable)")
	f.registerPace(flags)
	flags.StringVar(&f.progress, "progress", "auto", "auto, bar, or plain: a line now and then, as for a screen reader")
}

// registerPatience gives a command the patience with a network that goes down; the default is what it is before.
func registerPatience(flags *pflag.FlagSet, patience *time.Duration) {
	flags.DurationVar(patience, "patience", *patience,
		"wait this long for the network or the proxy to come back if it goes down during the run")
}

// registerPace gives a command the table of caps and rates.
func (f *sharedFlags) registerPace(flags *pflag.FlagSet) {
	flags.StringVar(&f.pace, "pace", "", "`FILE` with the table of caps and rates by provider")
}

// registerVerdict gives a command that shows verdicts the flags that decide what may become one.
func (f *sharedFlags) registerVerdict(flags *pflag.FlagSet) {
	flags.BoolVar(&f.noSMTP, "no-smtp", false, "syntax and DNS only; ask no mail host")
	flags.StringArrayVar(&f.treat, "treat", nil,
		"`FLAG=VERDICT`: give addresses with a flag a verdict, as role=risky (repeatable)")
}

// verbosity is how often -v was given. In a file or a variable it may also be true or false.
type verbosity int

// String implements pflag.Value.
func (v *verbosity) String() string { return strconv.Itoa(int(*v)) }

// Type implements pflag.Value.
func (v *verbosity) Type() string { return "count" }

// Set implements pflag.Value.
func (v *verbosity) Set(s string) error {
	switch s {
	case "+1":
		*v++
		return nil
	case "true":
		s = "1"
	case "false":
		s = "0"
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number from 0", s)
	}
	*v = verbosity(n)
	return nil
}

// treatRules reads --treat.
func (f *sharedFlags) treatRules() (map[verify.Flag]verify.Verdict, error) {
	rules := map[verify.Flag]verify.Verdict{}
	for _, rule := range f.treat {
		flag, word, ok := strings.Cut(rule, "=")
		known := false
		for _, k := range verdict.Flags() {
			known = known || string(k) == flag
		}
		switch v := verify.Verdict(word); {
		case !ok || !known:
			return nil, usagef("--treat %s: want FLAG=VERDICT with one of the flags %v", rule, verdict.Flags())
		case v != verify.Risky && v != verify.Invalid && v != verify.Unknown:
			return nil, usagef("--treat %s: the verdict is risky, invalid or unknown", rule)
		default:
			rules[verify.Flag(flag)] = v
		}
	}
	return rules, nil
}
