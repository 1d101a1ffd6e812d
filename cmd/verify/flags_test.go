package main

import (
	"testing"

	"github.com/spf13/pflag"
)

func TestFlagsThatShareAValueHaveOneDefault(t *testing.T) {
	defaults := map[pflag.Value]string{}
	eachFlag(rootCommand(&app{}), func(flag *pflag.Flag) {
		if before, known := defaults[flag.Value]; known && before != flag.DefValue {
			t.Errorf("--%s is %q and %q by default; the last one to register wins", flag.Name, before, flag.DefValue)
		}
		defaults[flag.Value] = flag.DefValue
	})
	// pflag wraps a variable anew for each flag, so the values are compared, too.
	a := &app{}
	rootCommand(a)
	if a.flags.timeout.String() != "30s" || a.flags.sessions != 200 || a.flags.smtpPort != 25 ||
		a.flags.progress != "auto" {
		t.Errorf("%+v", a.flags)
	}
}
