package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/net/proxy"

	"presend/lists/reference"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
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
	quiet         bool
	verbose       verbosity
	logFormat     string
	reference     []string
	treat         []string
	configuration string
}

func (f *sharedFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.dns, "dns", nil, "resolver `HOST:PORT` to ask instead of the system's (repeatable)")
	flags.IntVar(&f.smtpPort, "smtp-port", 25, "port of the mail hosts")
	flags.BoolVar(&f.allowPrivate, "allow-private", false, "connect to mail hosts on loopback and private addresses too")
	flags.BoolVar(&f.noSMTP, "no-smtp", false, "syntax and DNS only; ask no mail host")
	flags.StringVar(&f.helo, "helo", "", "`NAME` to say in EHLO; should be what this machine's PTR says (default the host's name)")
	flags.StringVar(&f.from, "from", "", "`ADDRESS` for MAIL FROM; <> is the null reverse-path (default <>)")
	flags.StringArrayVar(&f.sourceIPs, "source-ip", nil, "local `IP` to connect from (repeatable)")
	flags.StringVar(&f.proxy, "proxy", "", "`URL` of a SOCKS5 proxy for SMTP: socks5://[user:password@]host:port")
	flags.IntVar(&f.sessions, "sessions", 200, "SMTP sessions at a time, over all destinations")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "time limit for a connection and for each reply")
	flags.StringVar(&f.pace, "pace", "", "`FILE` with the table of caps and rates by provider")
	flags.BoolVarP(&f.ipv4, "ipv4", "4", false, "connect over IPv4 only")
	flags.BoolVarP(&f.ipv6, "ipv6", "6", false, "connect over IPv6 only")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress, no summary")
	flags.VarP(&f.verbose, "verbose", "v", "log a line for each session and the reason of each pause; -vv: the SMTP dialogue too")
	flags.Lookup("verbose").NoOptDefVal = "+1"
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringArrayVar(&f.reference, "reference", nil, "`FILE` with names that add to or overrule the built-in lists (repeatable)")
	flags.StringArrayVar(&f.treat, "treat", nil, "`FLAG=VERDICT`: give addresses with a flag a verdict, as role=risky (repeatable)")
	flags.StringVar(&f.configuration, "config", "", "`FILE` with settings (default verify.toml, if there is one)")
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

// load fills flags that were not given from VERIFY_* and then from verify.toml.
func (f *sharedFlags) load(c *cobra.Command) error {
	settings := map[string]any{}
	path := f.configuration
	if path == "" {
		path = os.Getenv("VERIFY_CONFIG")
	}
	optional := path == ""
	if optional {
		path = "verify.toml"
	}
	if _, err := toml.DecodeFile(path, &settings); err != nil && !(optional && errors.Is(err, os.ErrNotExist)) {
		return usagef("%s: %v", path, err)
	}
	for name := range settings {
		if !knownSetting(c.Root(), name) {
			return usagef("%s: no setting is called %q", path, name)
		}
	}
	var failed error
	c.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || failed != nil || flag.Name == "config" || flag.Name == "help" {
			return
		}
		variable := "VERIFY_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if value, ok := os.LookupEnv(variable); ok {
			values := []string{value}
			if flag.Value.Type() == "stringArray" {
				values = strings.Split(value, ",")
			}
			failed = set(c, flag, variable, values)
		} else if value, ok := settings[flag.Name]; ok {
			values := []string{}
			if array, isArray := value.([]any); isArray {
				for _, v := range array {
					values = append(values, fmt.Sprint(v))
				}
			} else {
				values = append(values, fmt.Sprint(value))
			}
			failed = set(c, flag, path+": "+flag.Name, values)
		}
	})
	return failed
}

func set(c *cobra.Command, flag *pflag.Flag, where string, values []string) error {
	for _, value := range values {
		if err := c.Flags().Set(flag.Name, value); err != nil {
			return usagef("%s: %v", where, err)
		}
	}
	return nil
}

func knownSetting(c *cobra.Command, name string) bool {
	if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
		return true
	}
	for _, sub := range c.Commands() {
		if knownSetting(sub, name) {
			return true
		}
	}
	return false
}

// logger writes to standard error what -v asks for.
func (a *app) logger() (*slog.Logger, error) {
	level := slog.LevelWarn
	switch a.flags.verbose {
	case 0:
	case 1:
		level = slog.LevelDebug
	default:
		level = smtpprobe.LevelDialogue
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: nameDialogue}
	switch a.flags.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(a.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, options)), nil
	}
	return nil, usagef("--log-format is text or json, not %q", a.flags.logFormat)
}

// nameDialogue gives the level of the SMTP dialogue a name of its own.
func nameDialogue(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level == smtpprobe.LevelDialogue {
		return slog.String(slog.LevelKey, "DIALOGUE")
	}
	return a
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

// verifier builds the engine from the flags. Its resolver is to be closed; that only frees sockets.
func (a *app) verifier() (v *verify.Verifier, resolver io.Closer, err error) {
	f := &a.flags
	logger, err := a.logger()
	if err != nil {
		return nil, nil, err
	}
	if f.sessions < 1 {
		return nil, nil, usagef("--sessions must be at least 1")
	}
	names, err := reference.Load(reference.Options{UserFiles: f.reference})
	if err != nil {
		return nil, nil, err
	}
	pace, err := smtpprobe.LoadPace(f.pace)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	config := verify.Config{
		Resolver: a.resolver, Pace: pace, Reference: names, Sessions: f.sessions, IPv4: f.ipv4, IPv6: f.ipv6, Logger: logger,
	}
	for _, text := range f.sourceIPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, nil, usagef("--source-ip: %v", err)
		}
		config.Sources = append(config.Sources, addr)
	}
	if !f.noSMTP {
		prober, err := a.prober(logger)
		if err != nil {
			return nil, nil, err
		}
		config.Prober = verify.SMTP(prober)
	}
	resolver = io.NopCloser(nil)
	if config.Resolver == nil {
		network, err := mx.New(mx.Config{Servers: f.dns, AllowPrivate: f.allowPrivate})
		if err != nil {
			return nil, nil, usagef("%v", err)
		}
		config.Resolver, resolver = network, network
	}
	if v, err = verify.New(config); err != nil {
		return nil, nil, errors.Join(err, resolver.Close())
	}
	return v, resolver, nil
}

func (a *app) prober(logger *slog.Logger) (*smtpprobe.Prober, error) {
	f := &a.flags
	config := smtpprobe.Config{
		HELO: f.helo, From: strings.Trim(f.from, "<>"), Port: f.smtpPort, Timeout: f.timeout, Dial: a.dial, Logger: logger,
	}
	if f.proxy != "" {
		address, err := url.Parse(f.proxy)
		if err != nil || address.Scheme != "socks5" {
			return nil, usagef("--proxy %s: want socks5://[user:password@]host:port", f.proxy)
		}
		config.Dial = func(ctx context.Context, source netip.Addr, target string) (net.Conn, error) {
			direct := &net.Dialer{}
			if source.IsValid() {
				direct.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
			}
			through, err := proxy.FromURL(address, direct)
			if err != nil {
				return nil, err
			}
			dialer, ok := through.(proxy.ContextDialer)
			if !ok {
				return nil, errors.New("the proxy cannot be dialled with a deadline")
			}
			return dialer.DialContext(ctx, "tcp", target)
		}
	}
	prober, err := smtpprobe.New(config)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return prober, nil
}
