package verify_test

import (
	"testing"
	"testing/synctest"

	"presend/verify"
)

func TestAQuickRunAsksASampleOfProvidersThatAcceptAnyAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, v := memoryWorld(t, `host mta5.am0.yahoodns.net
			domain yahoo.com mx=mta5.am0.yahoodns.net acceptsall
			domain ymail.com mx=mta5.am0.yahoodns.net acceptsall
			host mx.corp.lab
			domain corp.lab mx=mx.corp.lab catchall`, nil)
		yahoo := append(numbered("user", "yahoo.com", 80), numbered("user", "ymail.com", 30)...)
		corp := numbered("user", "corp.lab", 120)
		queue := newNotebook(t, append(yahoo, corp...))
		if err := v.Run(t.Context(), queue, verify.RunOptions{Quick: true}); err != nil {
			t.Fatal(err)
		}
		asked, left := 0, 0
		for _, r := range queue.list() {
			switch {
			case r.LeftOut():
				left++
				if r.Reason != "not_probed" || r.Detail != "left out by --quick" || !r.RetryAt.IsZero() || r.Reply != nil ||
					r.Provider != "yahoo" || r.Action != "send_with_care" {
					t.Fatalf("%+v, want what was not asked", r)
				}
				if n := l.Probes(r.Normalized); n > 0 {
					t.Errorf("%s was left out and asked %d times", r.Normalized, n)
				}
			case r.Reason == "accepts_all_provider":
				asked++
			}
		}
		if asked != 50 || left != 60 {
			t.Errorf("%d asked and %d left out, want 50 and 60", asked, left)
		}
		wantReasons(t, reasonOf(queue.list(), "catch_all"), all("catch_all", corp))
	})
}

// reasonOf returns the results that have a reason.
func reasonOf(results []verify.Result, reason verify.Reason) (some []verify.Result) {
	for _, r := range results {
		if r.Reason == reason {
			some = append(some, r)
		}
	}
	return some
}
