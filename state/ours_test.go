package state_test

import (
	"path/filepath"
	"testing"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/verdict"
)

func TestAFailureThatMayBeOursIsRememberedAsNoTry(t *testing.T) {
	for name, ours := range map[string]bool{"it may be ours": true, "it is theirs": false} {
		t.Run(name, func(t *testing.T) {
			f := open(t, filepath.Join(t.TempDir(), "s.db"))
			defer f.Close()
			var last verdict.Memory
			for night := range 4 {
				at := time.Now().Add(time.Duration(night-4) * 24 * time.Hour)
				run := begin(t, f, state.Policy{}, "ann@one.lab")
				work(t, run, func(task verify.Task) verify.Result {
					last = task.Memory
					return verify.Result{
						Reason: verdict.Timeout, Verdict: verdict.Unknown, CheckedAt: at, RetryAt: at.Add(time.Hour), Ours: ours,
					}
				})
				if err := run.Finish(t.Context(), state.Summary{}); err != nil {
					t.Fatal(err)
				}
			}
			want := 3
			if ours {
				want = 0
			}
			if last.Tries != want || last.Counted != want || last.Reason != verdict.Timeout {
				t.Errorf("%+v after three failures, want %d tries", last, want)
			}
		})
	}
}
