package job_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"presend/job"
	"presend/verify"
	"presend/verify/mx"
	"presend/verify/smtpprobe"
)

// resolver answers what is known of each domain.
type resolver map[string]error

func (r resolver) Lookup(_ context.Context, domain string) (mx.Answer, error) {
	return mx.Answer{Domain: domain}, r[domain]
}

func TestARunInWhichNoResolverSaysAnythingFailsAlsoWithoutATestOfDNS(t *testing.T) {
	timeout := &mx.TemporaryError{Kind: "timeout"}
	for name, test := range map[string]struct {
		answers resolver
		fails   bool
	}{
		"nothing answers": {resolver{"a.lab": timeout, "b.lab": &mx.TemporaryError{Kind: "network"}}, true},
		"another domain is missing": {
			resolver{"a.lab": timeout, "b.lab": fmt.Errorf("b.lab: %w", mx.ErrNoSuchDomain)},
			false,
		},
		"a resolver that says no": {resolver{"a.lab": timeout, "b.lab": &mx.TemporaryError{Kind: "servfail"}}, false},
	} {
		for _, probing := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, probing %t", name, probing), func(t *testing.T) {
				p, err := smtpprobe.New(smtpprobe.Config{HELO: "probe.lab", From: "check@probe.lab"})
				if err != nil {
					t.Fatal(err)
				}
				v, err := verify.New(verify.Config{Resolver: test.answers, Prober: verify.SMTP(p)})
				if err != nil {
					t.Fatal(err)
				}
				list := filepath.Join(t.TempDir(), "list.csv")
				if err := os.WriteFile(list, []byte("email\nann@a.lab\nbob@b.lab\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				options := job.Options{
					Input: list, Output: list + ".out", Format: job.CSV, Probing: probing, Keep: 400 * 24 * time.Hour,
				}
				if probing {
					options.State = list + ".state"
				}
				_, err = job.Run(t.Context(), v, options, quiet{}, nil)
				var trouble *job.TroubleError
				if errors.As(err, &trouble) != test.fails || err != nil && !test.fails {
					t.Errorf("error %v, want a trouble of ours: %t", err, test.fails)
				}
				if _, err := os.Stat(options.Output); err != nil {
					t.Errorf("the output is not written: %v", err)
				}
			})
		}
	}
}
