package state_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"presend/state"
	"presend/verify"
)

// manyDomains begins a run over n domains with five addresses each, and takes all domains.
func manyDomains(b *testing.B, f *state.File, n int) (*state.Run, []verify.Domain) {
	b.Helper()
	var list []string
	for i := range n {
		for k := range 5 {
			list = append(list, fmt.Sprintf("someone.%d@company-%d.lab", k, i))
		}
	}
	run := begin(b, f, state.Policy{}, list...)
	domains, err := run.Domains(b.Context(), n)
	if err != nil || len(domains) != n {
		b.Fatal(len(domains), err)
	}
	return run, domains
}

func BenchmarkLeaseTheFiveAddressesOfADomain(b *testing.B) {
	f := open(b, filepath.Join(b.TempDir(), "s.db"))
	defer f.Close()
	const n = 5000
	run, domains := manyDomains(b, f, n)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%n == 0 && i > 0 {
			b.StopTimer()
			if err := run.Again(b.Context()); err != nil {
				b.Fatal(err)
			}
			if _, err := run.Domains(b.Context(), n); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if tasks, err := run.Lease(b.Context(), domains[i%n].Name, 50); err != nil || len(tasks) != 5 {
			b.Fatal(len(tasks), err)
		}
	}
}

func BenchmarkRecordAHundredResultsOfTwentyDomains(b *testing.B) {
	f := open(b, filepath.Join(b.TempDir(), "s.db"))
	defer f.Close()
	run, domains := manyDomains(b, f, 21)
	var done []verify.Done
	var facts []verify.Facts
	for _, d := range domains[1:] { // SQLite plans some queries again where an id becomes 1
		tasks, err := run.Lease(b.Context(), d.Name, 50)
		if err != nil {
			b.Fatal(err)
		}
		for _, task := range tasks {
			done = append(done, verify.Done{Task: task, Result: accepted(task)})
		}
		facts = append(facts, verify.Facts{Name: d.Name, CatchAll: "no"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := run.Record(b.Context(), done, facts); err != nil {
			b.Fatal(err)
		}
	}
}
