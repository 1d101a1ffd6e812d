package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"presend/job"
	"presend/report"
	"presend/verify"
)

// schema is docs/summary.schema.json.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile("../../docs/summary.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestTheSummaryAsJSONIsWhatItsSchemaSays(t *testing.T) {
	const world = "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\nmailbox ann@corp.lab\n" +
		"host mx.grey.lab greylist=1h\ndomain grey.lab mx=mx.grey.lab\nmailbox bob@grey.lab"
	simulate(t, world, func(s *simulation) {
		list := s.list("ann@corp.lab", "gone@corp.lab", "bob@grey.lab", "nonsense")
		code, _, stderr := s.verify("list", list, "--state", s.path("s.db"), "-o", s.path("out.csv"),
			"--summary", s.path("summary.json"), "--log-format", "json")
		if code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Errorf("--log-format json prints %q", line)
			}
		}
		file, err := os.ReadFile(s.path("summary.json"))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"--summary": string(file), "--log-format json": lines[len(lines)-1]} {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v: %s", name, err, text)
			}
			if err := schema(t).Validate(value); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
			var summary job.Summary
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&summary); err != nil || summary.Rows != 4 || summary.Verdicts[verify.Invalid] != 2 ||
				summary.Plan.New != 3 || summary.NextRetry.IsZero() || len(summary.Forecasts) != 3 {
				t.Errorf("%s: %v: %s", name, err, text)
			}
		}
	})
}

func TestAnEmptySummaryIsWhatItsSchemaSays(t *testing.T) {
	var counter report.Counter
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(job.Summary{Figures: counter.Figures()}); err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(&text)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t).Validate(value); err != nil {
		t.Error(err)
	}
}

func TestTheGates(t *testing.T) {
	figures := func(accepted, unknown, gone int) job.Summary {
		var c report.Counter
		for range accepted {
			c.Add(report.Row{Verdict: verify.Deliverable, Reason: verify.Accepted, Score: 97})
		}
		for range unknown {
			c.Add(report.Row{Verdict: verify.Unknown, Reason: verify.Timeout, Score: 50})
		}
		for range gone {
			c.Add(report.Row{Verdict: verify.Invalid, Reason: verify.MailboxUnknown, Score: 0})
		}
		return job.Summary{Figures: c.Figures()}
	}
	for _, test := range []struct {
		name    string
		args    string
		s       job.Summary
		message string // empty: the gates are met
	}{
		{"without a gate nothing fails", "", figures(0, 0, 100), ""},
		{"invalid rows are not sent", "--fail-over 5%", figures(1000, 0, 1000), ""},
		{"unless all rows are", "--fail-over 5% --fail-over-of all", figures(1000, 0, 1000), "51.5 %"},
		{"the lower end of the interval counts", "--fail-over 2%", figures(100, 0, 0), ""},
		{"with more rows it is nearer", "--fail-over 2%", figures(10000, 0, 0), "3.0 % (at least 2.7 %)"},
		{"a gate of nothing is a gate", "--fail-over 0", figures(10000, 0, 0), "--fail-over 0%"},
		{"deliverable rows alone", "--fail-over 4% --fail-over-of deliverable", figures(1000, 900, 0), ""},
		{"what cannot be told does not meet a gate", "--fail-over 2%", figures(500, 500, 0), "cannot be told"},
		{"unknown rows", "--fail-unknown 10%", figures(80, 20, 0), "20.0 % of the list is unknown"},
		{"few unknown rows", "--fail-unknown 20%", figures(80, 20, 0), ""},
		{"an empty list", "--fail-over 0 --fail-unknown 0", figures(0, 0, 0), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := defaultListFlags()
			words := strings.Fields(test.args)
			for i := 0; i+1 < len(words); i += 2 {
				var err error
				switch words[i] {
				case "--fail-over":
					err = f.failOver.Set(words[i+1])
				case "--fail-unknown":
					err = f.failUnknown.Set(words[i+1])
				default:
					f.failOverOf = words[i+1]
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err := f.gates(test.s)
			if (err == nil) != (test.message == "") || err != nil && !strings.Contains(err.Error(), test.message) {
				t.Errorf("%v, want %q", err, test.message)
			}
		})
	}
}

func TestTheCommandToGoOnIsTheOneThatWasGiven(t *testing.T) {
	a := &app{args: []string{"list", "crm #1.csv", "--proxy", "socks5://u:p@127.0.0.1:1080", "-o", "it's.csv", ""}}
	want := `verify list 'crm #1.csv' --proxy socks5://u:p@127.0.0.1:1080 -o 'it'\''s.csv' ''`
	if got := a.again(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
