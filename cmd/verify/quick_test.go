package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhatQuickLeftOutIsAskedByARunWithoutIt(t *testing.T) {
	const world = "host mta5.am0.yahoodns.net\ndomain yahoo.com mx=mta5.am0.yahoodns.net acceptsall\n" +
		"host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab"
	simulate(t, world, func(s *simulation) {
		addresses := []string{"ann@corp.lab", "gone@corp.lab"}
		for i := range 200 {
			addresses = append(addresses, fmt.Sprintf("user%d@yahoo.com", i))
		}
		list := s.list(addresses...)
		args := []string{"list", list, "--state", s.path("crm.db"), "-o", s.path("out.csv")}
		code, _, stderr := s.verify(append(args, "--quick")...)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		for _, want := range []string{
			"150 rows left out by --quick, since their providers accept any address. A run without it asks.\n",
			"send with care to 200", "202 addresses: 202 new",
		} {
			if !strings.Contains(stderr, want) {
				t.Errorf("no %q in %s", want, stderr)
			}
		}
		if strings.Contains(stderr, "takes at least") {
			t.Errorf("a sample takes no time worth a word: %s", stderr)
		}
		left, asked := 0, row{}
		for _, r := range s.rows() {
			if r["reason"] == "accepts_all_provider" {
				asked = r
			}
		}
		for address, r := range s.rows() {
			if r["reason"] != "not_probed" {
				continue
			}
			left++
			if r["detail"] != "left out by --quick" || r["score"] != asked["score"] || r["provider"] != "yahoo" ||
				r["retry_at"] != "" {
				t.Errorf("%s: %v, want the score %s of what was asked there", address, r, asked["score"])
			}
		}
		if left != 150 {
			t.Errorf("%d left out, want 150", left)
		}

		code, _, stderr = s.verify(args...)
		if code != 0 || !strings.Contains(stderr, "This takes at least 24 s: 150 addresses at yahoo, 5 a second.\n"+
			"With --quick at least a few seconds: yahoo says yes to every address anyway.\n") {
			t.Errorf("exit %d: %s", code, stderr)
		}
		for address, r := range s.rows() {
			if r["provider"] == "yahoo" && r["reason"] != "accepts_all_provider" {
				t.Errorf("%s: %v, want it asked", address, r)
			}
		}
		for address, n := range s.probes(addresses) {
			if n != 1 {
				t.Errorf("%s was asked about %d times", address, n)
			}
		}
	})
}
