package job_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"presend/job"
	"presend/verify"
)

// column returns a column of the output, by row.
func (o *office) column(name string) (cells []string) {
	o.Helper()
	all := o.table()
	for i, column := range all[0] {
		for _, row := range all[1:] {
			if column == name {
				cells = append(cells, row[i])
			}
		}
	}
	return cells
}

const apostrophes = `host mx.corp.lab
domain corp.lab mx=mx.corp.lab
mailbox sam,'lit,lit,ann@corp.lab
busy dan@corp.lab`

var apostropheWant = []struct{ address, reason, normalized string }{
	{"'sam@corp.lab", "accepted", "sam@corp.lab"},
	{"'lit@corp.lab", "accepted", "'lit@corp.lab"},
	{"'bob@corp.lab", "mailbox_unknown", "'bob@corp.lab"},
	{"'dan@corp.lab", "rate_limited", "dan@corp.lab"},
	{"ann@corp.lab", "accepted", "ann@corp.lab"},
}

func TestWhatAnAddressMayMeanIsAskedAboutToo(t *testing.T) {
	o := newOffice(t, apostrophes)
	var addresses, reasons, normalized []string
	for _, want := range apostropheWant {
		addresses = append(addresses, want.address)
		reasons, normalized = append(reasons, want.reason), append(normalized, want.normalized)
	}
	for range 2 { // the second time from the state
		s, err := o.run(nil, addresses...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(reasons, o.column("verify_reason")); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(normalized, o.column("verify_normalized")); diff != "" {
			t.Errorf("normalized (-want +got):\n%s", diff)
		}
		if detail := o.column("verify_detail")[0]; !strings.Contains(detail, "leading '") {
			t.Errorf("the repair is not named: %q", detail)
		}
		if got := o.suppressed(); strings.Contains(got, "sam@") || strings.Contains(got, "dan@") ||
			!strings.Contains(got, "'bob@") {
			t.Errorf("suppressed: %q", got)
		}
		if s.Rows != len(addresses) || s.Plan.Rows != len(addresses) {
			t.Errorf("%d rows, %d in the plan", s.Rows, s.Plan.Rows)
		}
	}
}

func TestACheckAsksWhatAnAddressMayMean(t *testing.T) {
	o := newOffice(t, apostrophes)
	for _, state := range []string{"", o.path("check.db")} {
		var addresses []string
		for _, want := range apostropheWant {
			addresses = append(addresses, want.address)
		}
		v := o.verifier()
		n := 0
		err := job.Check(t.Context(), v, addresses, job.CheckOptions{State: state}, func(r verify.Result) error {
			want := apostropheWant[n]
			n++
			if r.Address != want.address || string(r.Reason) != want.reason || r.Normalized != want.normalized {
				t.Errorf("%s is %s (%s), want %+v", r.Address, r.Reason, r.Normalized, want)
			}
			return nil
		}, nil)
		if err != nil || n != len(addresses) {
			t.Errorf("%d results, %v", n, err)
		}
		if err := v.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutProbingWhatAnAddressMayMeanIsSuggested(t *testing.T) {
	o := newOffice(t, apostrophes)
	if _, err := o.run(func(o *job.Options) { o.State, o.Probing = "", false }, "'sam@corp.lab",
		"ann@corp.lab"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sam@corp.lab", ""}, o.column("verify_suggestion")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDuplicatesAsMailServicesCountThem(t *testing.T) {
	o := newOffice(t, `host mx.corp.lab
domain corp.lab mx=mx.corp.lab
domain gmail.com mx=mx.corp.lab
domain googlemail.com mx=mx.corp.lab
mailbox ann,ann+a,a.nn,sam@corp.lab
mailbox ann,a.nn,an.n@gmail.com
mailbox ann@googlemail.com`)
	want := [][2]string{
		{"ann@corp.lab", ""},
		{"ANN@corp.lab", "duplicate"},
		{"ann+a@corp.lab", "duplicate_mailbox"},
		{"ann+A@corp.lab", "duplicate"},
		{"a.nn@corp.lab", ""},
		{"a.nn@gmail.com", ""},
		{"an.n@gmail.com", "duplicate_mailbox"},
		{"Ann@googlemail.com", "duplicate_mailbox"},
		{"A.nn@gmail.com", "duplicate"},
		{"'sam@corp.lab", ""},
		{"sam@corp.lab", "duplicate"},
		{"no address", ""},
		{"no address", ""},
	}
	for _, probing := range []bool{true, false} {
		var addresses []string
		for _, row := range want {
			addresses = append(addresses, row[0])
		}
		_, err := o.run(func(o *job.Options) {
			if o.Probing = probing; !probing {
				o.State = ""
			}
		}, addresses...)
		if err != nil {
			t.Fatal(err)
		}
		flags := o.column("verify_flags")
		if len(flags) != len(want) {
			t.Fatalf("%d of %d rows came out", len(flags), len(want))
		}
		for i, row := range want {
			got := ""
			for word := range strings.FieldsSeq(flags[i]) {
				if strings.HasPrefix(word, "duplicate") {
					got += word
				}
			}
			if !probing && row[0] == "sam@corp.lab" {
				row[1] = "" // 'sam is not known to mean sam
			}
			if got != row[1] {
				t.Errorf("probing %v: %s is flagged %q, want %q", probing, row[0], got, row[1])
			}
		}
	}
}
