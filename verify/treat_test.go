package verify_test

import (
	"testing"

	"presend/verify"
)

func TestARowWithoutAnAddressIsNotTreated(t *testing.T) {
	r := verify.Result{Reason: verify.NoAddress, Flags: []verify.Flag{verify.FlagUnengaged}}
	rules := map[verify.Flag]verify.Verdict{verify.FlagUnengaged: verify.Invalid}
	if got := verify.Treat(r, rules); got.Verdict != "" {
		t.Errorf("%+v, want no verdict", got)
	}
}
